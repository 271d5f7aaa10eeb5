//! The saving side: a place that keeps packed leaves between runs and is believed in nothing.

use std::fmt;

use super::delta::{Delta, Meta, Snapshot};

/// Keeps an index between runs.
pub(crate) trait Store: Send {
    /// The newest checkpoint, `None` if there is none. Removes what an unfinished checkpoint left behind.
    fn load(&mut self) -> Result<Option<Snapshot>, StoreError>;
    /// Makes `delta` the newest checkpoint, all or nothing. After an error the store is not used again.
    fn save(&mut self, delta: &Delta, meta: &Meta) -> Result<Saved, StoreError>;
}

/// What a save found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The checkpoint's number.
    pub(crate) number: u64,
    /// Bytes of keys and values kept.
    pub(crate) content_bytes: u64,
    /// Bytes on the medium.
    pub(crate) file_bytes: u64,
    /// The file outgrew its content: give [`freeze_whole`](super::Index::freeze_whole) next time.
    pub(crate) wants_whole: bool,
}

/// Why the saving side failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreError(pub(super) String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
