//! Owns the store on its own thread, under deadlines; the rest of the house never waits longer for it.

use std::path::Path;
use std::time::Duration;

use super::delta::{Delta, Meta, Snapshot};
use super::memory::MemoryHandle;
use super::store::{Saved, StoreError};

/// How long the keeper waits for its store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For each load or save.
    pub(crate) base: Duration,
    /// On top, per GB of index.
    pub(crate) per_gb: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { base: Duration::from_secs(10), per_gb: Duration::from_secs(1) }
    }
}

/// The saving side under deadlines. Past one, or after any failure, it is gone for the rest of the run.
#[derive(Debug)]
pub(crate) struct Keeper;

#[allow(unused_variables, clippy::unused_self)]
impl Keeper {
    /// sled in `<root>/index`, on a thread of its own. Never fails: a store that cannot be had is `gone`.
    pub(crate) fn sled(root: &Path, patience: Patience) -> Self {
        Self
    }
    /// The memory twin, called in place: no thread.
    pub(crate) fn memory(handle: &MemoryHandle) -> Self {
        Self
    }
    /// No store at all.
    pub(crate) fn absent() -> Self {
        Self
    }
    /// The newest checkpoint, unverified: ask [`super::trust`], then [`super::Index::load`]. Also read when refused.
    pub(crate) fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }
    /// Blocks until saved, failed or past the deadline.
    pub(crate) fn save(&self, delta: Delta, meta: Meta) -> Result<Saved, StoreError> {
        unimplemented!()
    }
    /// Whether the next save should be given everything.
    pub(crate) fn wants_whole(&self) -> bool {
        false
    }
    /// Why there is no store any more in this run.
    pub(crate) fn gone(&self) -> Option<StoreError> {
        None
    }
    /// What the opening did to the folder (moved aside, cut), for the recovery report.
    pub(crate) fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// Lets the store go and waits for it, at most the deadline.
    pub(crate) fn close(&self) {}
}
