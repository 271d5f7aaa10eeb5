//! What goes to the saving side and what comes back from it.

use std::fmt;

use crate::ids::Lsn;

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

/// The changed leaves since the last freeze, packed.
#[derive(Debug, Clone)]
pub(crate) struct Delta;

/// A saved index as a store read it: unverified.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    meta: Meta,
    number: u64,
}

impl Snapshot {
    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Which checkpoint it is, counted from 1.
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
