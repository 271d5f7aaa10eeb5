//! A packed map on its way to the store and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::delta::Changes;
use super::leaf::{self, Closed, Decoder};
use super::{LEAF_BYTES_MAX, Layout, Packed};

impl<L: Layout> Packed<L> {
    /// The leaves changed since the last freeze and the low keys that vanished; `whole`: every leaf.
    /// Costs a reference per changed closed leaf and a packing per changed open one.
    pub(in crate::index) fn freeze(&mut self, whole: bool) -> Changes {
        let mut changes = Changes::default();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut at = 0;
        while let Some(leaf) = self.open.get_mut(at) {
            if leaf.dirty || whole {
                leaf::pack::<L>(leaf.low, leaf.entries.iter(), &mut scratch);
                if scratch.len() > LEAF_BYTES_MAX && leaf.entries.len() > 1 {
                    leaf.dirty = true;
                    let leaf = self.open.remove(at);
                    self.hint = 0;
                    self.shelve(leaf);
                    continue;
                }
                changes.put(L::key_bytes(leaf.low), Arc::from(scratch.as_slice()));
                leaf.dirty = false;
                leaf.saved = true;
            }
            at += 1;
        }
        self.scratch = scratch;
        let dirty = std::mem::take(&mut self.dirty);
        let mut put = |low: &L::Key, leaf: &mut Closed| {
            changes.put(L::key_bytes(*low), Arc::clone(&leaf.bytes));
            leaf.dirty = false;
            leaf.saved = true;
        };
        if whole {
            self.closed.iter_mut().for_each(|(low, leaf)| put(low, leaf));
        } else {
            for low in &dirty {
                if let Some(leaf) = self.closed.get_mut(low) {
                    put(low, leaf);
                }
            }
        }
        let gone = std::mem::take(&mut self.gone);
        if !whole {
            changes.removed.extend(gone.into_iter().map(L::key_bytes));
        }
        changes
    }

    /// Takes over saved leaves, all of them checked: keys in order, entries in order and within their leaf, every
    /// byte used. `visit` sees each entry and may refuse it.
    pub(in crate::index) fn load(
        leaf_max: usize,
        leaves: impl Iterator<Item = (Box<[u8]>, Arc<[u8]>)>,
        mut visit: impl FnMut(&(L::Key, L::Value)) -> Result<(), String>,
    ) -> Result<Self, String> {
        let mut map = Self::new(leaf_max);
        let mut built = Vec::new();
        let mut last = None;
        for (key, bytes) in leaves {
            let low = L::key_from(&key).ok_or("a leaf's key is none")?;
            if last.is_some_and(|last| low <= last) {
                return Err(format!("leaves overlap at {low:?}"));
            }
            let mut decoder = Decoder::<L>::new(low, &bytes);
            let count =
                u16::try_from(decoder.left()).ok().filter(|count| *count > 0).ok_or("a leaf's count is none")?;
            let mut before = None;
            for entry in &mut decoder {
                if before.map_or(entry.0 < low, |before| entry.0 <= before) {
                    return Err(format!("entries out of order at {:?}", entry.0));
                }
                visit(&entry)?;
                before = Some(L::last(&entry));
            }
            if !decoder.finished() {
                return Err(format!("a leaf does not decode: low key {low:?}"));
            }
            last = before;
            map.entries += u64::from(count);
            map.closed_bytes += bytes.len();
            built.push((low, Closed { bytes, count, saved: true, dirty: false }));
        }
        // In order already: built in one go, its nodes are full.
        map.closed = BTreeMap::from_iter(built);
        Ok(map)
    }
}
