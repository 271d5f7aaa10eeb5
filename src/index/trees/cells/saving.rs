//! Leaves of cells as they are saved.
//!
//! ```text
//! leaf:  entry | entry | …             key of a leaf: the low key, namespace u8 ‖ key
//! entry: key length varint | key | head varint | lsn varint | len varint | until varint | value
//! head:  (value length + 1) << 1 | has until      0 in place of the length: the value is not resident
//! ```

use std::sync::Arc;

use super::super::super::delta::Changes;
use super::super::super::varint::{self, Reader};
use super::{Cells, Key, Leaf, Slot, packed_len};
use crate::ids::{Lsn, Millis, Place};

impl Cells {
    pub(in crate::index) fn freeze(&mut self, whole: bool) -> Changes {
        let mut changes = Changes::default();
        let dirty = std::mem::take(&mut self.dirty);
        let gone = std::mem::take(&mut self.gone);
        if whole {
            for (low, leaf) in &mut self.leaves {
                changes.put(low.clone(), pack(&leaf.entries));
                leaf.saved = true;
            }
            return changes;
        }
        for low in dirty {
            if let Some(leaf) = self.leaves.get_mut(&low) {
                let packed = pack(&leaf.entries);
                leaf.saved = true;
                changes.put(low, packed);
            }
        }
        changes.removed.extend(gone);
        changes
    }

    pub(in crate::index) fn load(leaves: impl Iterator<Item = (Key, Arc<[u8]>)>) -> Result<Self, String> {
        let mut cells = Self::default();
        let mut last: Option<Key> = None;
        for (low, bytes) in leaves {
            let entries = unpack(&bytes).ok_or("a leaf of cells does not decode")?;
            for (key, slot) in &entries {
                let in_order = last.as_ref().is_none_or(|last| last < key) && low <= *key && !key.is_empty();
                if !in_order {
                    return Err("cells out of order".into());
                }
                last = Some(key.clone());
                cells.count(key.first().copied().unwrap_or_default());
                cells.bytes += packed_len(key, slot);
                cells.timed.extend(slot.until.map(|until| (until, key.clone())));
            }
            let bytes = entries.iter().map(|(key, slot)| packed_len(key, slot)).sum();
            let overlaps = cells
                .leaves
                .last_key_value()
                .is_some_and(|(other, leaf)| *other >= low || leaf.entries.last().is_some_and(|entry| entry.0 >= low));
            if entries.is_empty() || overlaps {
                return Err("leaves of cells overlap or are empty".into());
            }
            cells.leaves.insert(low, Leaf { entries, bytes, saved: true });
        }
        Ok(cells)
    }
}

fn pack(entries: &[(Key, Slot)]) -> Arc<[u8]> {
    let mut out = Vec::new();
    for (key, slot) in entries {
        varint::put(&mut out, key.len() as u64);
        out.extend_from_slice(key);
        let value_len = slot.value.as_ref().map_or(0, |value| value.len() as u64 + 1);
        varint::put(&mut out, value_len << 1 | u64::from(slot.until.is_some()));
        varint::put(&mut out, slot.place.lsn.0);
        varint::put(&mut out, u64::from(slot.place.len));
        if let Some(until) = slot.until {
            varint::put(&mut out, until.0);
        }
        out.extend_from_slice(slot.value.as_deref().unwrap_or_default());
    }
    out.into()
}

fn unpack(bytes: &[u8]) -> Option<Vec<(Key, Slot)>> {
    let mut from = Reader::new(bytes);
    let mut entries = Vec::new();
    while !from.is_empty() {
        let key_len = from.usize()?;
        let key = from.bytes(key_len)?.into();
        let head = from.varint()?;
        let place = Place { lsn: Lsn(from.varint()?), len: from.u32()? };
        let until = if head & 1 == 1 { Some(Millis(from.varint()?)) } else { None };
        let value = match usize::try_from(head >> 1).ok()?.checked_sub(1) {
            Some(len) => Some(from.bytes(len)?.into()),
            None => None,
        };
        entries.push((key, Slot { place, until, value }));
    }
    Some(entries)
}
