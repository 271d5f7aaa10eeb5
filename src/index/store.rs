//! The saving side: a place that keeps packed leaves between runs and is believed in nothing.

use std::fmt;

use super::delta::{Delta, Meta, Snapshot};

/// Keeps an index between runs. Two twins: [`super::sled`], and [`super::memory`] that lies on demand.
pub(crate) trait Store: Send {
    /// The newest checkpoint, if there is one. Also removes what an unfinished checkpoint left behind.
    /// Called once, before anything else.
    fn load(&mut self) -> Result<Loaded, StoreError>;
    /// Makes `delta` the newest checkpoint, all or nothing. After an error the store is not used again.
    fn save(&mut self, delta: &Delta, meta: &Meta) -> Result<Saved, StoreError>;
}

/// What a store found when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) snapshot: Option<Snapshot>,
    /// What had to be done to the store, in words.
    pub(crate) notes: Vec<String>,
}

/// What a save left behind.
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

impl Saved {
    /// A file may be this many times its content …
    const GROWTH_MAX: u64 = 4;
    /// … and this much more, since an empty store takes its space too, bytes.
    const SLACK: u64 = 4 << 20;

    pub(super) fn new(number: u64, content_bytes: u64, file_bytes: u64) -> Self {
        let wants_whole = file_bytes > content_bytes.saturating_mul(Self::GROWTH_MAX).saturating_add(Self::SLACK);
        Self { number, content_bytes, file_bytes, wants_whole }
    }
}

/// Why the saving side failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreError(pub(super) String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
