//! Inserting into a closed leaf.
//!
//! Where keys come in no order, nearly every insert meets another leaf, and opening one means decoding and packing all
//! of its entries: five times the work of cutting its bytes open at one place.

use std::sync::Arc;

use super::leaf::{self, Spliced};
use super::{LEAF_BYTES_MAX, Layout, Packed};

/// More than two entries may take.
const ENTRIES_BYTES: usize = 100;

impl<L: Layout> Packed<L> {
    /// Inserts into the closed leaf that covers `key`; false if the key is there. `None`, and nothing changed: the leaf
    /// is open, or better opened, since it must be split, or takes one insert after the other.
    pub(super) fn insert_closed(&mut self, key: L::Key, value: L::Value) -> Option<bool> {
        if self.open_leaf(key).is_some() {
            return None;
        }
        let (low, leaf) = self.closed.range_mut(..=key).next_back()?;
        let full = usize::from(leaf.count) >= self.leaf_max || leaf.bytes.len() + ENTRIES_BYTES > LEAF_BYTES_MAX;
        if full || self.spliced.replace(*low) == Some(*low) {
            return None;
        }
        match leaf::splice::<L>(*low, &leaf.bytes, &(key, value), &mut self.scratch) {
            Spliced::Done => {}
            Spliced::Standing => return Some(false),
            Spliced::AtEnd => return None,
        }
        self.closed_bytes = self.closed_bytes + self.scratch.len() - leaf.bytes.len();
        leaf.bytes = Arc::from(self.scratch.as_slice());
        leaf.count += 1;
        if !leaf.dirty {
            leaf.dirty = planted!(SplicedLeafForgotten, false, true);
            if leaf.dirty {
                self.dirty.insert(*low);
            }
        }
        self.entries += 1;
        Some(true)
    }
}
