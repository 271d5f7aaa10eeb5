//! The memory twin of the store, which can lie as sled can.

use std::sync::Arc;

/// A store in memory that outlives the handles on it, so that a test can reopen it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryHandle(Arc<()>);

/// How a store can fail its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing was ever saved.
    LostEverything,
    /// An earlier checkpoint: as of save n (0: none yet).
    Older(usize),
    /// The n-th value (modulo their number) of the newest checkpoint is missing.
    Holed(usize),
    /// The n-th value (modulo their number) has a flipped bit.
    Garbled(usize),
    /// The next call fails.
    Fails,
    /// The next call panics.
    Panics,
    /// The next call never returns (without a thread: fails as if past its deadline).
    Hangs,
}

#[allow(unused_variables, clippy::unused_self)]
impl MemoryHandle {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    /// Completed saves so far.
    pub(crate) fn saves(&self) -> usize {
        0
    }
    /// A new, independent store holding what stood after save `n` (0: nothing).
    pub(crate) fn as_of(&self, n: usize) -> Self {
        Self::default()
    }
    /// From the next call on.
    pub(crate) fn lie(&self, lie: Lie) {}
}
