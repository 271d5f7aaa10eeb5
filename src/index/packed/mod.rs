//! A sorted map in packed leaves: a few bytes an entry instead of a tree node's dozens.
//!
//! A leaf holds up to a few hundred neighbouring entries, each coded as its difference from the one before
//! ([`Layout`]). A handful of leaves stand *open*, decoded, and take every change; the others are *closed*, bytes.
//! Work at the end of a run and at its front stays within one open leaf, so it costs a push or a pop.
//!
//! ```text
//! closed: low key → bytes        open (sorted by low): low, high, entries
//!   0 → [‥‥]   500 → [‥‥]          250..500 [(250, a) (251, b) …]   750..∞ [(750, c) …]
//! ```
//!
//! # Invariants
//! * Leaves cover the keys in order without overlap: a leaf holds every entry from its low key (inclusive) to the
//!   low key of the next leaf. The low key is a bound, not an entry: popping the front leaves it as it was.
//! * No leaf is empty. Closing a leaf that became small joins it with a small neighbour, so memory follows entries.
//! * A low key stands in `closed` or in `open`, never in both.
//! * For the next freeze: every leaf changed since the last one is dirty, and `gone` holds exactly the low keys of
//!   that freeze under which no leaf stands any more.
//!
//! Never here: what keys and values mean.

#[cfg(test)]
mod check;
mod iter;
mod leaf;
mod open;
mod saving;
mod splice;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

pub(super) use iter::Iter;
use leaf::{Closed, Open};
use splice::{Cut, Recent};

use super::varint::Reader;

/// Bytes a leaf may pack into, short of the 4 KiB beyond which a stored value is no longer small.
pub(super) const LEAF_BYTES_MAX: usize = 4_000;
/// Leaves that stand decoded at a time in one map.
pub(super) const OPEN_MAX: usize = 32;

/// What a map holds and how its leaves are coded.
pub(super) trait Layout: Debug {
    type Key: Copy + Ord + Debug;
    type Value: Copy + PartialEq + Debug;
    /// Entries a leaf may hold.
    const LEAF_ENTRIES_MAX: usize = 250;

    /// The key as bytes that sort as the keys do.
    fn key_bytes(key: Self::Key) -> Box<[u8]>;
    fn key_from(bytes: &[u8]) -> Option<Self::Key>;
    /// What the first entry of a leaf is coded against.
    fn start(low: Self::Key) -> (Self::Key, Self::Value);
    /// Appends `item` as its difference from `before`, which sorts before it (or is the leaf's start).
    fn encode(before: &(Self::Key, Self::Value), item: &(Self::Key, Self::Value), out: &mut Vec<u8>);
    /// The inverse; `None` for bytes that are no entry.
    fn decode(before: &(Self::Key, Self::Value), from: &mut Reader<'_>) -> Option<(Self::Key, Self::Value)>;
    /// The last key an entry covers: itself, unless entries are ranges.
    fn last(item: &(Self::Key, Self::Value)) -> Self::Key {
        item.0
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Packed<L: Layout> {
    closed: BTreeMap<L::Key, Closed>,
    open: Vec<Open<L>>,
    /// The open leaf used last.
    hint: usize,
    /// Counts uses, to find the open leaf unused for longest.
    tick: u64,
    /// Closed leaves changed since the last freeze.
    dirty: BTreeSet<L::Key>,
    /// Low keys of the last freeze without a leaf.
    gone: BTreeSet<L::Key>,
    entries: u64,
    closed_bytes: usize,
    leaf_max: usize,
    /// Buffers of closed leaves, to be used again.
    spare: Vec<VecDeque<(L::Key, L::Value)>>,
    scratch: Vec<u8>,
    recent: Recent<L::Key>,
}

impl<L: Layout> Packed<L> {
    /// Leaves of at most `leaf_max` entries, if that is less than the layout's own limit.
    pub(super) fn new(leaf_max: usize) -> Self {
        Self {
            closed: BTreeMap::new(),
            open: Vec::new(),
            hint: 0,
            tick: 0,
            dirty: BTreeSet::new(),
            gone: BTreeSet::new(),
            entries: 0,
            closed_bytes: 0,
            leaf_max: leaf_max.clamp(2, L::LEAF_ENTRIES_MAX),
            spare: Vec::new(),
            scratch: Vec::new(),
            recent: Recent::new(),
        }
    }

    /// Entries.
    pub(super) fn len(&self) -> u64 {
        self.entries
    }

    pub(super) fn get(&self, key: L::Key) -> Option<L::Value> {
        if let Some(leaf) = self.open_leaf(key) {
            let at = leaf.entries.binary_search_by(|entry| entry.0.cmp(&key)).ok()?;
            return leaf.entries.get(at).map(|entry| entry.1);
        }
        let (low, leaf) = self.closed.range(..=key).next_back()?;
        let found = leaf.decode::<L>(*low).find(|entry| entry.0 >= key)?;
        (found.0 == key).then_some(found.1)
    }

    /// False, and nothing changed, if the key is there already.
    #[inline]
    pub(super) fn insert(&mut self, key: L::Key, value: L::Value) -> bool {
        let done = self.edit_closed(key, |at| match at {
            // Whoever comes at the end goes on there.
            None => None,
            Some(at) if at.0 == key => Some((false, Cut::Keep)),
            Some(_) => Some((true, Cut::Insert(value))),
        });
        if let Some(inserted) = done {
            return inserted;
        }
        self.edit(key, |entries| {
            if entries.back().is_none_or(|last| last.0 < key) {
                entries.push_back((key, value));
                return true;
            }
            match entries.binary_search_by(|entry| entry.0.cmp(&key)) {
                Ok(_) => false,
                Err(at) => {
                    entries.insert(at, (key, value));
                    true
                }
            }
        })
    }

    /// `change` may refuse by returning `Err`; what it did to the value before that stays.
    #[inline]
    pub(super) fn update<R>(&mut self, key: L::Key, change: impl FnOnce(&mut L::Value) -> R) -> Option<R> {
        let mut change = Some(change);
        let done = self.edit_closed(key, |at| {
            let found = at.filter(|at| at.0 == key).zip(change.take());
            Some(found.map_or((None, Cut::Keep), |((_, mut value), change)| {
                let result = change(&mut value);
                (Some(result), Cut::Replace(value))
            }))
        });
        if let Some(result) = done {
            return result;
        }
        self.edit(key, |entries| {
            let at = position(entries, key)?;
            entries.get_mut(at).zip(change).map(|(entry, change)| change(&mut entry.1))
        })
    }

    #[inline]
    pub(super) fn remove(&mut self, key: L::Key) -> Option<L::Value> {
        self.remove_if(key, |_| true)
    }

    /// Removes the entry if it is there and `fits`.
    #[inline]
    pub(super) fn remove_if(&mut self, key: L::Key, fits: impl Fn(&L::Value) -> bool) -> Option<L::Value> {
        let done = self.edit_closed(key, |at| {
            let found = at.filter(|at| at.0 == key && fits(&at.1)).map(|at| at.1);
            Some((found, if found.is_some() { Cut::Remove } else { Cut::Keep }))
        });
        if let Some(removed) = done {
            return removed;
        }
        self.edit(key, |entries| {
            let at = position(entries, key)?;
            entries.get(at).filter(|entry| fits(&entry.1))?;
            if at == 0 { entries.pop_front() } else { entries.remove(at) }.map(|entry| entry.1)
        })
    }

    /// Takes entries off the front, `through` included, at most `at_most`.
    pub(super) fn drain_through(&mut self, through: L::Key, at_most: usize, out: &mut Vec<(L::Key, L::Value)>) {
        while out.len() < at_most {
            let Some((first, _)) = self.first().filter(|first| first.0 <= through) else { return };
            let room = at_most - out.len();
            self.edit(first, |entries| {
                let n = entries.partition_point(|entry| entry.0 <= through).min(room);
                out.extend(entries.drain(..n));
            });
        }
    }

    pub(super) fn first(&self) -> Option<(L::Key, L::Value)> {
        let closed = self.closed.first_key_value();
        match (self.open.first(), closed) {
            (Some(open), Some((low, leaf))) if *low < open.low => leaf.decode::<L>(*low).next(),
            (Some(open), _) => open.entries.front().copied(),
            (None, Some((low, leaf))) => leaf.decode::<L>(*low).next(),
            (None, None) => None,
        }
    }

    /// Changes the leaf that covers `key`. Entries must stay sorted and within the leaf's bounds; one more than
    /// before at most.
    #[inline]
    pub(super) fn edit<R: Default>(
        &mut self,
        key: L::Key,
        change: impl FnOnce(&mut VecDeque<(L::Key, L::Value)>) -> R,
    ) -> R {
        let at = self.open_for(key);
        let Some(leaf) = self.open.get_mut(at) else {
            debug_assert!(false, "open_for opens");
            return R::default();
        };
        let before = leaf.entries.len();
        let result = change(&mut leaf.entries);
        let after = leaf.entries.len();
        leaf.dirty = planted!(ChangedLeafForgotten, leaf.dirty, true);
        self.entries = self.entries.wrapping_add(after as u64).wrapping_sub(before as u64);
        if after > self.leaf_max {
            self.split_full(at, key);
        } else if after == 0 {
            self.drop_empty(at);
        }
        result
    }

    /// Own estimate of the heap bytes held.
    pub(super) fn ram_bytes(&self) -> usize {
        let entry = size_of::<(L::Key, L::Value)>();
        let open: usize = self.open.iter().map(|leaf| leaf.entries.capacity() * entry).sum();
        let spare: usize = self.spare.iter().map(|buffer| buffer.capacity() * entry).sum();
        // A map node is about two thirds full; bytes behind an Arc cost two counters and the allocator's header.
        let slot = (size_of::<(L::Key, Closed)>()) * 3 / 2 + 32;
        self.closed_bytes
            + self.closed.len() * slot
            + open
            + spare
            + (self.dirty.len() + self.gone.len()) * size_of::<L::Key>() * 3 / 2
            + self.open.capacity() * size_of::<Open<L>>()
    }
}

/// Where `key` stands; the ends first, since most work happens there.
#[inline]
fn position<K: Ord + Copy, V>(entries: &VecDeque<(K, V)>, key: K) -> Option<usize> {
    if entries.front()?.0 == key {
        return Some(0);
    }
    entries.binary_search_by(|entry| entry.0.cmp(&key)).ok()
}
