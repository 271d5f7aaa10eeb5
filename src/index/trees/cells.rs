//! `cells`: (namespace, key) → place, and the value while it is small.
//!
//! Keys and values are of any length, so leaves are cut by bytes, not by count, and stay decoded.
//!
//! # Invariants
//! * As in [`super::super::packed`]: leaves cover the keys in order, none is empty, `dirty` and `gone` say what the
//!   next freeze has to tell.
//! * `timed` holds exactly the cells that have an `until`; it is derived, and never saved.

mod saving;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use super::super::keys::Cell;
use crate::ids::{Millis, Place};

/// Packed bytes beyond which a leaf is split: with one more entry of the longest kind it still is below 4 KiB.
const LEAF_BYTES_SPLIT: usize = 3 << 10;

type Key = Box<[u8]>;

#[derive(Debug)]
struct Slot {
    place: Place,
    until: Option<Millis>,
    value: Option<Box<[u8]>>,
}

#[derive(Debug, Default)]
struct Leaf {
    entries: Vec<(Key, Slot)>,
    /// About what it packs into.
    bytes: usize,
    saved: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::index) struct Cells {
    leaves: BTreeMap<Key, Leaf>,
    dirty: BTreeSet<Key>,
    gone: BTreeSet<Key>,
    entries: u64,
    /// Of them, by namespace.
    of: BTreeMap<u8, u64>,
    /// Those that count until a time, by it.
    timed: BTreeSet<(Millis, Key)>,
    bytes: usize,
}

fn full_key(namespace: u8, key: &[u8]) -> Key {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(namespace);
    full.extend_from_slice(key);
    full.into()
}

/// An upper estimate of what an entry packs into.
fn packed_len(key: &[u8], slot: &Slot) -> usize {
    key.len() + slot.value.as_ref().map_or(0, |value| value.len()) + 24
}

fn view(slot: &Slot) -> Cell<'_> {
    Cell { place: slot.place, value: slot.value.as_deref(), until: slot.until }
}

impl Cells {
    fn count(&mut self, namespace: u8) {
        self.entries += 1;
        *self.of.entry(namespace).or_default() += 1;
    }

    fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, &'a Leaf)> + use<'a> {
        self.leaves.range::<[u8], _>((from, to))
    }

    fn low_of(&self, key: &[u8]) -> Option<&Key> {
        self.range(Unbounded, Included(key)).next_back().map(|(low, _)| low)
    }

    pub(in crate::index) fn get(&self, namespace: u8, key: &[u8]) -> Option<Cell<'_>> {
        let key = full_key(namespace, key);
        let (_, leaf) = self.range(Unbounded, Included(&key)).next_back()?;
        let at = leaf.entries.binary_search_by(|entry| entry.0.cmp(&key)).ok()?;
        leaf.entries.get(at).map(|entry| view(&entry.1))
    }

    /// Gives the old place.
    pub(in crate::index) fn set(
        &mut self,
        namespace: u8,
        key: &[u8],
        value: Option<&[u8]>,
        until: Option<Millis>,
        place: Place,
    ) -> Option<Place> {
        let key = full_key(namespace, key);
        let slot = Slot { place, until, value: value.map(Box::from) };
        let low = self.leaf_for(&key);
        let leaf = self.leaves.get_mut(&low)?;
        let added = packed_len(&key, &slot);
        let old = match leaf.entries.binary_search_by(|entry| entry.0.cmp(&key)) {
            Ok(at) => leaf.entries.get_mut(at).map(|entry| std::mem::replace(&mut entry.1, slot)),
            Err(at) => {
                leaf.entries.insert(at, (key.clone(), slot));
                None
            }
        };
        let freed = old.as_ref().map_or(0, |old| packed_len(&key, old));
        if let Some(was) = old.as_ref().and_then(|old| old.until) {
            self.timed.remove(&(was, key.clone()));
        }
        if let Some(until) = until {
            self.timed.insert((until, key.clone()));
        }
        self.bytes = self.bytes + added - freed;
        leaf.bytes = leaf.bytes + added - freed;
        let splits = leaf.bytes > LEAF_BYTES_SPLIT && leaf.entries.len() > 1;
        if old.is_none() {
            self.count(namespace);
        }
        self.dirty.insert(low.clone());
        if splits {
            self.split(&low);
        }
        old.map(|old| old.place)
    }

    /// Only the place changes; gives the old one.
    pub(in crate::index) fn relocate(&mut self, namespace: u8, key: &[u8], place: Place) -> Option<Place> {
        let key = full_key(namespace, key);
        let low = self.low_of(&key)?.clone();
        let leaf = self.leaves.get_mut(&low)?;
        let at = leaf.entries.binary_search_by(|entry| entry.0.cmp(&key)).ok()?;
        let slot = &mut leaf.entries.get_mut(at)?.1;
        let old = std::mem::replace(&mut slot.place, place);
        self.dirty.insert(low);
        Some(old)
    }

    /// Gives the old place.
    pub(in crate::index) fn remove(&mut self, namespace: u8, key: &[u8]) -> Option<Place> {
        let key = full_key(namespace, key);
        let low = self.low_of(&key)?.clone();
        let leaf = self.leaves.get_mut(&low)?;
        let at = leaf.entries.binary_search_by(|entry| entry.0.cmp(&key)).ok()?;
        let (_, slot) = leaf.entries.remove(at);
        let freed = packed_len(&key, &slot);
        if let Some(until) = slot.until {
            self.timed.remove(&(until, key));
        }
        leaf.bytes -= freed;
        self.bytes -= freed;
        self.entries -= 1;
        if let Some(left) = self.of.get_mut(&namespace) {
            *left -= 1;
        }
        let small = leaf.bytes < LEAF_BYTES_SPLIT / 4;
        if leaf.entries.is_empty() {
            self.drop_leaf(&low);
        } else {
            self.dirty.insert(low.clone());
            if small {
                self.join(&low);
            }
        }
        Some(slot.place)
    }

    /// Cells of one namespace, by key.
    pub(in crate::index) fn of(&self, namespace: u8) -> impl Iterator<Item = (&[u8], Cell<'_>)> {
        self.from(full_key(namespace, &[]))
            .take_while(move |(key, _)| key.first() == Some(&namespace))
            .map(|(key, slot)| (key.get(1..).unwrap_or_default(), view(slot)))
    }

    pub(in crate::index) fn count_of(&self, namespace: u8) -> u64 {
        self.of.get(&namespace).copied().unwrap_or_default()
    }

    /// Cells that count no longer at `now`, the first ones first.
    pub(in crate::index) fn over(&self, now: Millis) -> impl Iterator<Item = (u8, &[u8])> {
        let over = self.timed.iter().take_while(move |(until, _)| *until <= now);
        over.filter_map(|(_, key)| key.split_first().map(|(namespace, key)| (*namespace, key)))
    }

    /// Keys of one namespace that begin so.
    pub(in crate::index) fn beginning(&self, namespace: u8, prefix: &[u8]) -> Vec<Box<[u8]>> {
        // Asked at the end of every job, and nearly always there is none.
        if self.of.get(&namespace).is_none_or(|cells| *cells == 0) {
            return Vec::new();
        }
        let full = full_key(namespace, prefix);
        let keys = self.from(full.clone()).map(|(key, _)| key).take_while(|key| key.starts_with(&full));
        keys.map(|key| key.get(1..).unwrap_or_default().into()).collect()
    }

    /// All cells: (namespace, key, cell), in order.
    pub(in crate::index) fn all(&self) -> impl Iterator<Item = (u8, &[u8], Cell<'_>)> {
        self.from(Key::default()).filter_map(|(key, slot)| {
            let (namespace, key) = key.split_first()?;
            Some((*namespace, key, view(slot)))
        })
    }

    fn from(&self, from: Key) -> impl Iterator<Item = (&[u8], &Slot)> {
        let low: &[u8] = self.low_of(&from).map_or(&[], |low| low);
        self.range(Included(low), Unbounded)
            .flat_map(|(_, leaf)| &leaf.entries)
            .skip_while(move |entry| entry.0 < from)
            .map(|entry| (&*entry.0, &entry.1))
    }

    /// The low key of the leaf that covers `key`, made if need be.
    fn leaf_for(&mut self, key: &Key) -> Key {
        if let Some(low) = self.low_of(key) {
            return low.clone();
        }
        // Below every leaf: the first one comes down.
        let mut leaf = match self.leaves.pop_first() {
            Some((low, leaf)) => {
                self.forget(&low, leaf.saved);
                leaf
            }
            None => Leaf::default(),
        };
        leaf.saved = self.gone.remove(key);
        self.leaves.insert(key.clone(), leaf);
        key.clone()
    }

    fn forget(&mut self, low: &Key, saved: bool) {
        self.dirty.remove(low);
        if saved {
            self.gone.insert(low.clone());
        }
    }

    fn drop_leaf(&mut self, low: &Key) {
        if let Some(leaf) = self.leaves.remove(low) {
            self.forget(low, leaf.saved);
        }
    }

    fn split(&mut self, low: &Key) {
        let Some(leaf) = self.leaves.get_mut(low) else { return };
        let half = leaf.bytes / 2;
        let mut left = 0;
        let fits = leaf.entries.iter().take_while(|(key, slot)| {
            left += packed_len(key, slot);
            left <= half
        });
        let at = fits.count().clamp(1, leaf.entries.len() - 1);
        let entries = leaf.entries.split_off(at);
        let bytes = entries.iter().map(|(key, slot)| packed_len(key, slot)).sum();
        leaf.bytes -= bytes;
        let Some(first) = entries.first().map(|entry| entry.0.clone()) else { return };
        let saved = self.gone.remove(&first);
        self.leaves.insert(first.clone(), Leaf { entries, bytes, saved });
        self.dirty.insert(first);
    }

    /// Joins a small leaf with a neighbour, if both together are at most half full.
    fn join(&mut self, low: &Key) {
        let below = self.range(Unbounded, Excluded(low)).next_back().map(|(low, leaf)| (low.clone(), leaf.bytes));
        let above = self.range(Excluded(low), Unbounded).next();
        let above = above.map(|(low, leaf)| (low.clone(), leaf.bytes));
        let own = self.leaves.get(low).map_or(0, |leaf| leaf.bytes);
        let fits = |other: &(Key, usize)| own + other.1 <= LEAF_BYTES_SPLIT / 2;
        let (left, right) = match (below.filter(fits), above.filter(fits)) {
            (Some((below, _)), _) => (below, low.clone()),
            (None, Some((above, _))) => (low.clone(), above),
            (None, None) => return,
        };
        let Some(goes) = self.leaves.remove(&right) else { return };
        self.forget(&right, goes.saved);
        if let Some(stays) = self.leaves.get_mut(&left) {
            stays.entries.extend(goes.entries);
            stays.bytes += goes.bytes;
        }
        self.dirty.insert(left);
    }

    pub(in crate::index) fn ram_bytes(&self) -> usize {
        let entry = size_of::<(Key, Slot)>() * 3 / 2 + 32;
        let timed = self.timed.len().saturating_mul(size_of::<(Millis, Key)>() * 3 / 2 + 16);
        let entries = usize::try_from(self.entries).unwrap_or(usize::MAX).saturating_mul(entry);
        self.bytes + entries + timed + self.leaves.len() * 128
    }
}
