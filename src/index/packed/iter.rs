//! Reading a map in order, across closed and open leaves.

use std::collections::{btree_map, vec_deque};
use std::slice;

use super::leaf::{Closed, Decoder, Open};
use super::{Layout, Packed};

/// Entries in order.
#[derive(Debug)]
pub(in crate::index) struct Iter<'a, L: Layout> {
    closed: std::iter::Peekable<btree_map::Range<'a, L::Key, Closed>>,
    open: std::iter::Peekable<slice::Iter<'a, Open<L>>>,
    leaf: Leaf<'a, L>,
    from: Option<L::Key>,
}

#[derive(Debug)]
enum Leaf<'a, L: Layout> {
    None,
    Closed(Decoder<'a, L>),
    Open(vec_deque::Iter<'a, (L::Key, L::Value)>),
}

impl<L: Layout> Packed<L> {
    pub(in crate::index) fn iter(&self) -> Iter<'_, L> {
        Iter {
            closed: self.closed.range(..).peekable(),
            open: self.open.iter().peekable(),
            leaf: Leaf::None,
            from: None,
        }
    }

    /// Entries with keys at or after `from`.
    pub(in crate::index) fn iter_from(&self, from: L::Key) -> Iter<'_, L> {
        let closed = self.closed.range(..=from).next_back().map(|(low, _)| *low);
        let behind = self.open.partition_point(|leaf| leaf.low <= from);
        let open = behind.checked_sub(1).and_then(|at| self.open.get(at)).map(|leaf| leaf.low);
        let Some(low) = closed.into_iter().chain(open).max() else { return self.iter() };
        let first = self.open.partition_point(|leaf| leaf.low < low);
        Iter {
            closed: self.closed.range(low..).peekable(),
            open: self.open.get(first..).unwrap_or_default().iter().peekable(),
            leaf: Leaf::None,
            from: Some(from),
        }
    }
}

impl<'a, L: Layout> Iter<'a, L> {
    fn next_leaf(&mut self) -> Option<Leaf<'a, L>> {
        let open_first = match (self.open.peek(), self.closed.peek()) {
            (Some(open), Some((low, _))) => open.low < **low,
            (open, _) => open.is_some(),
        };
        if open_first {
            let leaf = self.open.next()?;
            let start = self.from.map_or(0, |from| leaf.entries.partition_point(|entry| entry.0 < from));
            return Some(Leaf::Open(leaf.entries.range(start..)));
        }
        let (low, leaf) = self.closed.next()?;
        Some(Leaf::Closed(leaf.decode(*low)))
    }
}

impl<L: Layout> Iterator for Iter<'_, L> {
    type Item = (L::Key, L::Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match &mut self.leaf {
                Leaf::None => None,
                Leaf::Closed(entries) => entries.next(),
                Leaf::Open(entries) => entries.next().copied(),
            };
            match (entry, self.from) {
                (Some(entry), Some(from)) if entry.0 < from => {}
                (Some(entry), _) => {
                    self.from = None;
                    return Some(entry);
                }
                (None, _) => self.leaf = self.next_leaf()?,
            }
        }
    }
}
