//! Changing one entry of a closed leaf.
//!
//! Where keys come in no order nearly every change meets another leaf, and opening one means decoding and packing all of
//! its entries: five times the work of cutting its bytes open at one place. A leaf that was cut a moment ago is opened.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::varint;
use super::leaf::Decoder;
use super::{LEAF_BYTES_MAX, Layout, Packed};

/// More than two entries of any layout take.
const ENTRIES_BYTES: usize = 100;
/// Leaves that are remembered as cut.
const RECENT: usize = 8;

/// What becomes of the place of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut<V> {
    Keep,
    Insert(V),
    Replace(V),
    Remove,
}

/// The leaves cut last, by their low keys.
#[derive(Debug)]
pub(super) struct Recent<K>(VecDeque<K>);

impl<K: Copy + PartialEq> Recent<K> {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(RECENT))
    }

    /// False if it is among them.
    fn add(&mut self, low: K) -> bool {
        if self.0.contains(&low) {
            return false;
        }
        if self.0.len() >= RECENT {
            self.0.pop_front();
        }
        self.0.push_back(low);
        true
    }
}

impl<L: Layout> Packed<L> {
    /// Changes the closed leaf that covers `key`: `decide` is shown the first entry that is not before it, if there is
    /// one. `None`, and nothing changed: the leaf is open, or better opened (or `decide` says so): it may have to be
    /// split or joined, or takes one change after the other.
    pub(super) fn edit_closed<R>(
        &mut self,
        key: L::Key,
        decide: impl FnOnce(Option<(L::Key, L::Value)>) -> Option<(R, Cut<L::Value>)>,
    ) -> Option<R> {
        if self.open_leaf(key).is_some() {
            return None;
        }
        let (low, leaf) = self.closed.range_mut(..=key).next_back()?;
        let room = usize::from(leaf.count) < self.leaf_max && leaf.bytes.len() + ENTRIES_BYTES <= LEAF_BYTES_MAX;
        let solid = usize::from(leaf.count) > (self.leaf_max / 4).max(1);
        if !room || !solid || !self.recent.add(*low) {
            return None;
        }
        let spot = Spot::<L>::find(*low, &leaf.bytes, key);
        let (result, cut) = decide(spot.at)?;
        let count = match cut {
            Cut::Keep => return Some(result),
            Cut::Insert(_) => leaf.count + 1,
            Cut::Replace(_) => leaf.count,
            Cut::Remove => leaf.count - 1,
        };
        spot.write(&leaf.bytes, count, key, cut, &mut self.scratch);
        self.entries = self.entries.wrapping_add(u64::from(count)).wrapping_sub(u64::from(leaf.count));
        self.closed_bytes = self.closed_bytes + self.scratch.len() - leaf.bytes.len();
        leaf.bytes = Arc::from(self.scratch.as_slice());
        leaf.count = count;
        if !leaf.dirty && !planted!(CutLeafForgotten) {
            leaf.dirty = true;
            self.dirty.insert(*low);
        }
        Some(result)
    }
}

/// Where a key stands in packed bytes, or would.
struct Spot<L: Layout> {
    /// Where the first entry begins.
    first: usize,
    before: (L::Key, L::Value),
    /// The first entry that is not before the key, from here to there.
    at: Option<(L::Key, L::Value)>,
    start: usize,
    end: usize,
    /// The entry behind it, and where that ends.
    after: Option<(L::Key, L::Value)>,
    after_end: usize,
}

impl<L: Layout> Spot<L> {
    fn find(low: L::Key, bytes: &[u8], key: L::Key) -> Self {
        let mut decoder = Decoder::<L>::new(low, bytes);
        let first = decoder.at(bytes);
        loop {
            let (before, start) = (decoder.before(), decoder.at(bytes));
            let at = decoder.next();
            if at.is_none_or(|at| at.0 >= key) {
                let end = decoder.at(bytes);
                let after = decoder.next();
                return Self { first, before, at, start, end, after, after_end: decoder.at(bytes) };
            }
        }
    }

    /// Only what is new, and the entry behind it, is coded again.
    fn write(&self, bytes: &[u8], count: u16, key: L::Key, cut: Cut<L::Value>, out: &mut Vec<u8>) {
        let (new, behind, from) = match cut {
            Cut::Keep => return,
            Cut::Insert(value) => (Some((key, value)), self.at, self.end),
            Cut::Replace(value) => (Some((key, value)), self.after, self.after_end),
            Cut::Remove => (None, self.after, self.after_end),
        };
        out.clear();
        varint::put(out, u64::from(count));
        out.extend_from_slice(bytes.get(self.first..self.start).unwrap_or_default());
        let mut before = self.before;
        for item in new.into_iter().chain(behind) {
            L::encode(&before, &item, out);
            before = item;
        }
        out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    }
}
