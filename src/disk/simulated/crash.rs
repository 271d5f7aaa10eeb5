//! What a crash can leave: images of the disk after the first `cut` operations of its trace.
//!
//! # The model
//! * Bytes, and a file's length, become durable by `sync_data` of that file alone; names by `sync_dir` of the
//!   directory they stand in alone. `sync_data` of a new file does not make its name durable, nor does
//!   `sync_dir` make a byte of it durable. A directory that is not durable takes everything in it along.
//! * The medium writes sectors of 512 bytes whole: after a cut a sector holds one of the versions it has had
//!   since the last sync. In which order and whether sectors get there is open until the sync.
//! * A rename is atomic: both its entries change, or none.
//! * A failed `sync_data` forgets: the bytes it was to write are shown by reads, are clean to every later sync,
//!   and are not on the medium until they are written and synced again. A failed `sync_dir` leaves the names
//!   unsynced; a later one makes them durable (file systems stop at a failed journal, they do not lie about it).
//!
//! # Invariants
//! * An image depends on the trace, the cut and the mode, on nothing else. It shares no state with its origin.
//! * An image starts unlocked, without faults, without a bound on room, and its own trace starts at 0.
//!
//! Never here: how an image is put together (`image`).

use std::sync::Arc;

use super::SimDisk;
use super::medium::{Medium, Op};

/// What became of the changes that were not synced when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashMode {
    /// All are kept, as after the kill of a process. They stay unsynced: a power cut of the image may lose them.
    KeepAll,
    /// All are gone: bytes, lengths and names.
    DropUnsynced,
    /// Those before some point in time are kept, over all files and names; the write at that point is torn at a
    /// sector; later ones are gone.
    Torn {
        /// Chooses the point.
        seed: u64,
    },
    /// Each write, or (by the seed) each sector of it, and each name is kept or gone on its own.
    Subset {
        /// Chooses the subset.
        seed: u64,
    },
    /// Lengths and names are kept. Unsynced sectors never written durably before read as zeros, garbage, or what
    /// was written; sectors that had durable bytes hold either version.
    SizeKept {
        /// Chooses for each sector.
        seed: u64,
    },
    /// Each creation, rename and removal is kept or gone on its own; bytes and lengths are gone.
    Names {
        /// Chooses the names.
        seed: u64,
    },
    /// Like `Names`, and a removed file that comes back may hold zeros or another file's bytes: its blocks were
    /// given away before its removal was durable (ext4 with `data=writeback`).
    Revived {
        /// Chooses the names and the bytes.
        seed: u64,
    },
    /// All are kept but the bytes a failed sync was to write: those show the old bytes again.
    StaleAfterFailedSync,
}

impl CrashMode {
    /// Every mode there is, with this seed.
    pub fn all(seed: u64) -> [Self; 8] {
        [
            Self::KeepAll,
            Self::DropUnsynced,
            Self::Torn { seed },
            Self::Subset { seed },
            Self::SizeKept { seed },
            Self::Names { seed },
            Self::Revived { seed },
            Self::StaleAfterFailedSync,
        ]
    }
}

/// Walks a trace once and gives images at each cut on the way.
#[derive(Clone)]
pub struct Replayer {
    ops: Arc<[Op]>,
    at: usize,
    medium: Medium,
}

impl Replayer {
    pub(super) fn new(base: Medium, ops: Arc<[Op]>) -> Self {
        Self { ops, at: 0, medium: base }
    }

    /// How many operations have been applied: the cut of the images made now.
    pub fn cut(&self) -> usize {
        self.at
    }

    /// Applies the next operation; false: the trace is at its end.
    pub fn advance(&mut self) -> bool {
        let Some(op) = self.ops.get(self.at) else { return false };
        self.medium.apply(op);
        self.at += 1;
        true
    }

    /// Applies operations until `cut` are applied, or all.
    ///
    /// # Panics
    /// If the replayer is beyond `cut` already.
    pub fn advance_to(&mut self, cut: usize) {
        assert!(self.at <= cut, "a replayer only goes forward: at={} cut={cut}", self.at);
        while self.at < cut && self.advance() {}
    }

    /// What a crash right now could leave.
    pub fn image(&self, mode: CrashMode) -> SimDisk {
        SimDisk::from_medium(self.medium.after_crash(mode))
    }

    /// Whether nothing is unsynced, so that every mode gives the same image.
    pub fn is_settled(&self) -> bool {
        self.medium.pending_names.is_empty()
            && self.medium.inodes.values().all(|inode| inode.pending.is_empty() && inode.forgotten.is_empty())
    }
}
