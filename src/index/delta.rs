//! What goes to the saving side and what comes back from it.

use std::fmt;
use std::sync::Arc;

use crate::ids::Lsn;

/// The saved trees. The numbers go into checksums, the names into sled; both are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Tree {
    /// id → place, phase.
    Jobs,
    /// (lane, rank, first id) → how many ids in a row.
    Ready,
    /// (`run_at`, id) → lane, priority.
    Scheduled,
    /// (0, id) → lane.
    Held,
    /// id → token, lane, priority.
    InFlight,
    /// (time, id) → lane, dead or parked.
    Dead,
    /// hash → id.
    Unique,
    /// (namespace, key) → place, value.
    Cells,
    /// Lane names and the counts of their jobs.
    Lanes,
    /// The engine's own bytes, in pieces.
    Engine,
}

/// How many trees an index itself has: all but the engine's.
pub(super) const INDEX_TREES: usize = Tree::ALL.len() - 1;

impl Tree {
    pub(crate) const ALL: [Tree; 10] = [
        Tree::Jobs,
        Tree::Ready,
        Tree::Scheduled,
        Tree::Held,
        Tree::InFlight,
        Tree::Dead,
        Tree::Unique,
        Tree::Cells,
        Tree::Lanes,
        Tree::Engine,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tree::Jobs => "jobs",
            Tree::Ready => "ready",
            Tree::Scheduled => "scheduled",
            Tree::Held => "held",
            Tree::InFlight => "in_flight",
            Tree::Dead => "dead",
            Tree::Unique => "unique",
            Tree::Cells => "cells",
            Tree::Lanes => "lanes",
            Tree::Engine => "engine",
        }
    }
}

/// What a checkpoint says of itself. The store adds its number and the digests of every tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) log_id: u128,
    /// Everything below it is in the index.
    pub(crate) index_lsn: Lsn,
    /// Known durable when the checkpoint was given to the store; never below `index_lsn`.
    pub(crate) durable_lsn: Lsn,
    /// The engine's own: ledger, totals. Opaque here, any length.
    pub(crate) engine: Vec<u8>,
}

/// Low keys and packed leaves.
pub(super) type Leaves = Vec<(Box<[u8]>, Arc<[u8]>)>;
/// Low keys and sealed values.
pub(super) type Values = Vec<(Box<[u8]>, Vec<u8>)>;

/// The changed leaves of one tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) puts: Leaves,
    /// Keys of the last freeze that are no more.
    pub(super) removed: Vec<Box<[u8]>>,
}

impl Changes {
    pub(super) fn put(&mut self, key: Box<[u8]>, value: Arc<[u8]>) {
        self.puts.push((key, value));
    }
}

/// The changed leaves since the last freeze, packed. Cheap to make: leaves are shared with the index, not copied.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    /// Everything: what the store held before counts no more.
    pub(super) whole: bool,
    /// In the order of [`Tree::ALL`].
    pub(super) trees: [Changes; INDEX_TREES],
}

impl Delta {
    /// Bytes of keys and values to write.
    pub(crate) fn bytes(&self) -> u64 {
        let puts = self.trees.iter().flat_map(|tree| &tree.puts);
        puts.map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    /// Nothing changed since the last freeze.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        !self.whole && self.trees.iter().all(|tree| tree.puts.is_empty() && tree.removed.is_empty())
    }
}

/// How many values a tree holds, and the wrapping sum of their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digest {
    pub(super) count: u64,
    pub(super) sum: u64,
}

/// A saved index as a store read it: unverified, but for the checksum of its meta.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(super) meta: Meta,
    #[cfg_attr(not(test), allow(dead_code, reason = "the store counts on by itself"))]
    pub(super) number: u64,
    /// What the meta says of each tree of [`Tree::ALL`].
    pub(super) digests: [Digest; Tree::ALL.len()],
    /// The engine's bytes did not come back as they were saved.
    pub(super) damage: Option<String>,
    /// Keys and sealed values of each tree but the engine's, in order.
    pub(super) trees: [Values; INDEX_TREES],
}

impl Snapshot {
    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Which checkpoint it is, counted from 1.
    #[cfg(test)]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// Why a saved index was refused; the engine rebuilds from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadError(pub(super) String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
