//! Opening, splitting, joining and closing leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use super::leaf::{self, Closed, Open};
use super::{LEAF_BYTES_MAX, Layout, OPEN_MAX, Packed};

impl<L: Layout> Packed<L> {
    /// The open leaf that covers `key`, if it is open.
    pub(super) fn open_leaf(&self, key: L::Key) -> Option<&Open<L>> {
        let behind = self.open.partition_point(|leaf| leaf.low <= key);
        self.open.get(behind.checked_sub(1)?).filter(|leaf| leaf.covers(key))
    }

    /// Opens the leaf that covers `key`, made if need be, and gives its position in `open`.
    #[inline]
    pub(super) fn open_for(&mut self, key: L::Key) -> usize {
        if self.open.get(self.hint).is_some_and(|leaf| leaf.covers(key)) {
            return self.hint;
        }
        let behind = self.open.partition_point(|leaf| leaf.low <= key);
        let found = behind.checked_sub(1).filter(|at| self.open.get(*at).is_some_and(|leaf| leaf.covers(key)));
        let at = found.unwrap_or_else(|| self.open_closed(key));
        self.tick += 1;
        self.hint = at;
        if let Some(leaf) = self.open.get_mut(at) {
            leaf.used = self.tick;
        }
        at
    }

    fn open_closed(&mut self, key: L::Key) -> usize {
        // Room first, while every leaf is in its place: closing may join neighbours.
        self.make_room(OPEN_MAX - 1, None);
        if let Some(low) = self.closed.range(..=key).next_back().map(|(low, _)| *low) {
            return self.open_at(low);
        }
        // Below every leaf: the first one comes down to cover the key too.
        let Some(first) = self.first_low() else {
            let leaf = self.fresh(key, None);
            return self.place(leaf);
        };
        let at = if self.open.first().is_some_and(|leaf| leaf.low == first) { 0 } else { self.open_at(first) };
        if let Some(leaf) = self.open.get_mut(at) {
            if leaf.saved {
                self.gone.insert(leaf.low);
            }
            leaf.saved = self.gone.remove(&key);
            leaf.low = key;
            leaf.dirty = true;
        }
        at
    }

    pub(super) fn first_low(&self) -> Option<L::Key> {
        let closed = self.closed.first_key_value().map(|(low, _)| *low);
        let open = self.open.first().map(|leaf| leaf.low);
        closed.into_iter().chain(open).min()
    }

    /// The first low key above `low`.
    fn low_above(&self, low: L::Key) -> Option<L::Key> {
        use std::ops::Bound::{Excluded, Unbounded};
        let closed = self.closed.range((Excluded(low), Unbounded)).next().map(|(low, _)| *low);
        let open = self.open.get(self.open.partition_point(|leaf| leaf.low <= low)).map(|leaf| leaf.low);
        closed.into_iter().chain(open).min()
    }

    /// The last low key below `low`.
    fn low_below(&self, low: L::Key) -> Option<L::Key> {
        let closed = self.closed.range(..low).next_back().map(|(low, _)| *low);
        let behind = self.open.partition_point(|leaf| leaf.low < low);
        let open = behind.checked_sub(1).and_then(|at| self.open.get(at)).map(|leaf| leaf.low);
        closed.into_iter().chain(open).max()
    }

    fn fresh(&mut self, low: L::Key, high: Option<L::Key>) -> Open<L> {
        let saved = self.gone.remove(&low);
        let entries = self.buffer();
        Open { low, high, entries, saved, dirty: true, used: 0 }
    }

    fn buffer(&mut self) -> VecDeque<(L::Key, L::Value)> {
        self.spare.pop().unwrap_or_else(|| VecDeque::with_capacity(self.leaf_max + 1))
    }

    /// Takes the closed leaf `low` out and decodes it.
    fn take_closed(&mut self, low: L::Key) -> Option<Open<L>> {
        let closed = self.closed.remove(&low)?;
        if closed.dirty {
            self.dirty.remove(&low);
        }
        self.closed_bytes -= closed.bytes.len();
        let mut entries = self.buffer();
        entries.extend(closed.decode::<L>(low));
        debug_assert_eq!(entries.len(), usize::from(closed.count), "own bytes decode");
        Some(Open { low, high: self.low_above(low), entries, saved: closed.saved, dirty: closed.dirty, used: 0 })
    }

    fn open_at(&mut self, low: L::Key) -> usize {
        let Some(leaf) = self.take_closed(low) else {
            debug_assert!(false, "the caller saw it");
            return 0;
        };
        self.place(leaf)
    }

    fn place(&mut self, leaf: Open<L>) -> usize {
        let at = self.open.partition_point(|other| other.low < leaf.low);
        self.open.insert(at, leaf);
        at
    }

    /// Closes the open leaves unused for longest, down to `keep` of them; not the one at `low`.
    fn make_room(&mut self, keep: usize, low: Option<L::Key>) {
        while self.open.len() > keep {
            let others = self.open.iter().enumerate().filter(|(_, leaf)| Some(leaf.low) != low);
            let Some(at) = others.min_by_key(|(_, leaf)| leaf.used).map(|(at, _)| at) else { return };
            let leaf = self.open.remove(at);
            let leaf = if leaf.entries.len() < self.leaf_max / 4 { self.join_neighbour(leaf) } else { leaf };
            self.shelve(leaf);
        }
    }

    /// Joins a small leaf with the closed leaf before or behind it, if both together are at most half full.
    fn join_neighbour(&mut self, leaf: Open<L>) -> Open<L> {
        let room = (self.leaf_max / 2).saturating_sub(leaf.entries.len());
        let fits =
            |map: &Self, low: L::Key| map.closed.get(&low).is_some_and(|closed| usize::from(closed.count) <= room);
        if let Some(below) = self.low_below(leaf.low).filter(|low| fits(self, *low))
            && let Some(left) = self.take_closed(below)
        {
            return self.join(left, leaf);
        }
        if let Some(above) = self.low_above(leaf.low).filter(|low| fits(self, *low))
            && let Some(right) = self.take_closed(above)
        {
            return self.join(leaf, right);
        }
        leaf
    }

    /// `right` follows `left`; its low key goes.
    fn join(&mut self, mut left: Open<L>, mut right: Open<L>) -> Open<L> {
        if right.saved {
            self.gone.insert(right.low);
        }
        left.entries.append(&mut right.entries);
        left.high = right.high;
        left.dirty = true;
        self.keep_buffer(right.entries);
        left
    }

    fn keep_buffer(&mut self, mut buffer: VecDeque<(L::Key, L::Value)>) {
        if self.spare.len() < 2 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Packs a leaf and puts it among the closed ones; in two, if it packs too large.
    pub(super) fn shelve(&mut self, mut leaf: Open<L>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        leaf::pack::<L>(leaf.low, leaf.entries.iter(), &mut scratch);
        if scratch.len() > LEAF_BYTES_MAX && leaf.entries.len() > 1 {
            self.scratch = scratch;
            let half = leaf.entries.len() / 2;
            let right = self.cut(&mut leaf, half);
            self.shelve(leaf);
            self.shelve(right);
            return;
        }
        let count = u16::try_from(leaf.entries.len()).unwrap_or(u16::MAX);
        self.closed_bytes += scratch.len();
        let closed = Closed { bytes: Arc::from(scratch.as_slice()), count, saved: leaf.saved, dirty: leaf.dirty };
        self.scratch = scratch;
        if leaf.dirty {
            self.dirty.insert(leaf.low);
        }
        self.closed.insert(leaf.low, closed);
        self.keep_buffer(leaf.entries);
    }

    /// Cuts a leaf before its entry `at` (there is one); gives the part behind.
    fn cut(&mut self, leaf: &mut Open<L>, at: usize) -> Open<L> {
        let low = leaf.entries.get(at).map_or(leaf.low, |entry| entry.0);
        let mut right = self.fresh(low, leaf.high);
        right.entries.extend(leaf.entries.drain(at..));
        leaf.high = Some(low);
        leaf.dirty = true;
        right
    }

    /// Splits an overfull leaf: at its end if that is where `key` went (so runs leave full leaves behind), at its
    /// front likewise if nothing lies before, else in halves.
    #[cold]
    pub(super) fn split_full(&mut self, at: usize, key: L::Key) {
        let first_of_all = self.first_low();
        let mut leaf = self.open.remove(at);
        let n = leaf.entries.len();
        let at_end = leaf.entries.back().is_some_and(|last| last.0 <= key);
        let at_front = leaf.entries.front().is_some_and(|first| first.0 >= key) && first_of_all == Some(leaf.low);
        let right = self.cut(
            &mut leaf,
            if at_end {
                n - 1
            } else if at_front {
                1
            } else {
                n / 2
            },
        );
        leaf.used = self.tick;
        self.tick += 1;
        let mut right = right;
        let used = if key >= right.low { &mut right } else { &mut leaf };
        used.used = self.tick;
        let low = used.low;
        self.place(leaf);
        self.place(right);
        self.make_room(OPEN_MAX, Some(low));
        self.hint = self.open.partition_point(|leaf| leaf.low < low);
    }

    /// A leaf without entries goes; the one before covers its keys.
    #[cold]
    pub(super) fn drop_empty(&mut self, at: usize) {
        let leaf = self.open.remove(at);
        if leaf.saved {
            self.gone.insert(leaf.low);
        }
        let before = at.checked_sub(1).and_then(|before| self.open.get_mut(before));
        if let Some(before) = before.filter(|before| before.high == Some(leaf.low)) {
            before.high = leaf.high;
        }
        self.hint = 0;
        self.keep_buffer(leaf.entries);
    }
}
