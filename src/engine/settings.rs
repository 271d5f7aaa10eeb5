//! Plain-data settings, and the doors an engine is opened with.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::index::MemoryHandle;
use crate::keys::Keys;
use crate::limits::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN};
use crate::random::Random;

/// How far an accepted operation has come when its call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// On the device: group-committed `fdatasync` before `Ok`. The default.
    #[default]
    Sync,
    /// With the operating system before `Ok`, synced within one second. Survives the death of the process;
    /// a power cut, a crash of the system or a failed sync may take the last second. Not durable.
    Buffered,
}

/// Who drives the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drive {
    /// A thread each.
    Threads,
    /// Nobody: whoever waits steps them himself (the simulator).
    Inline,
}

/// Where the index is saved between runs.
#[derive(Debug, Clone)]
pub(crate) enum IndexChoice {
    /// In sled, below `index/`.
    Sled,
    /// In memory that outlives the handle (the simulator).
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "for the crash lanes"))]
    Memory(MemoryHandle),
    /// Nowhere: every open reads the whole log.
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "for tests of a lost index"))]
    None,
}

/// Everything outside, one door each.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) drive: Drive,
    pub(crate) index: IndexChoice,
}

/// What may be set when a directory is opened.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Length of a segment, bytes; only for a new directory.
    pub(crate) segment_bytes: u32,
    /// How long to wait for the directory's lock.
    pub(crate) lock_wait: Duration,
    /// Log bytes between two checkpoints of the index.
    pub(crate) checkpoint_bytes: u64,
    /// Whether a missing directory is made.
    pub(crate) create: bool,
    /// Whether jobs that were in flight at two crashes run first and alone after an open (rule 11).
    pub(crate) suspects_alone: bool,
    /// How long dead jobs are kept (rule 19).
    pub(crate) keep_dead: Duration,
    /// Jobs that ended and are remembered in memory, count.
    pub(crate) history: usize,
    /// What sealed jobs are sealed under.
    pub(crate) keys: Keys,
}

/// How long dead jobs are kept unless somebody says otherwise.
pub(crate) const KEEP_DEAD: Duration = Duration::from_secs(180 * 24 * 3600);

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            lock_wait: Duration::from_secs(30),
            checkpoint_bytes: 256 << 20,
            create: true,
            suspects_alone: true,
            keep_dead: KEEP_DEAD,
            history: super::history::HISTORY_DEFAULT,
            keys: Keys::default(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        let len = self.segment_bytes;
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_DEFAULT * 4).contains(&len) || !len.is_multiple_of(4096) {
            return Err(Error::invalid(format!(
                "segment_bytes={len}: must be a multiple of 4096 from {SEGMENT_BYTES_MIN} to {}",
                SEGMENT_BYTES_DEFAULT * 4
            )));
        }
        Ok(())
    }
}
