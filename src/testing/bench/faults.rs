//! What can happen to the disk and the process of a bench.

use super::{Bench, open};
use crate::disk::simulated::{CrashMode, Fault, SimDisk};
use crate::error::{ErrorKind, Result};
use crate::ids::JobId;
use crate::job::Codec;

/// What stands in for the rest of the world on a full disk.
pub(super) const FILLER: &str = "backlog-testing-filler";
/// The first fillers; then ever smaller ones.
const FILLER_BYTES: usize = 16 << 10;

impl Bench {
    /// Its disk: everything that can happen to one.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// The `nth` call of the disk from now on fails (0: the next one); see [`Fault`] for which calls and how.
    ///
    /// A write or sync that fails poisons the backlog, as on a real disk: nothing is accepted any more until the
    /// program opens it again ([`crash`](Self::crash)).
    ///
    /// ```
    /// use backlog::testing::{self, Call, Fault};
    /// use backlog::{Codec, ErrorKind};
    /// let bench = testing::backlog();
    /// bench.fail_disk(0, Fault::eio().on(&[Call::SyncData]));
    /// let refused = bench.enqueue_raw("greet", b"{}".to_vec(), Codec::Json).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Unknown);
    /// ```
    pub fn fail_disk(&self, nth: u64, fault: Fault) {
        self.disk.fail_call(nth, fault);
    }

    /// The disk is full: every enqueue answers `Full`, until [`free_disk`](Self::free_disk). Accepted jobs can still be
    /// ended. What fills the disk are held jobs of a kind and queue named `backlog-testing-filler`; no assertion here
    /// sees them.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`.
    pub fn fill_disk(&self) -> Result<()> {
        self.disk.set_capacity(self.disk.used());
        let mut bytes = FILLER_BYTES;
        loop {
            let filler = self.raw_job(FILLER, vec![0; bytes], Codec::Raw).queue(FILLER).hold();
            match filler.enqueue() {
                Ok(_) => {}
                Err(full) if full.kind() == ErrorKind::Full && bytes > 0 => bytes /= 2,
                Err(full) if full.kind() == ErrorKind::Full => return Ok(()),
                Err(other) => return Err(other),
            }
        }
    }

    /// There is room again.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`.
    pub fn free_disk(&self) -> Result<()> {
        self.disk.set_capacity(None);
        let fillers: Vec<JobId> =
            self.backlog.standing()?.iter().filter(|job| job.1.kind == FILLER).map(|job| job.0).collect();
        for id in fillers {
            self.discard(id)?;
        }
        self.backlog.serve()
    }

    /// The process dies here, and the next one opens what that leaves on the disk: with [`CrashMode::KeepAll`] what a
    /// `kill -9` leaves, with the others what a power cut can leave. Jobs that were running are ready again.
    ///
    /// Clones of the backlog and leases of the dead process are left behind on the disk of before.
    ///
    /// # Errors
    /// Whatever opening the directory answers; the bench stays as it was.
    pub fn crash(&mut self, mode: CrashMode) -> Result<()> {
        let disk = self.disk.crash_image(self.disk.ops(), mode);
        let lives = self.lives + 1;
        self.backlog = open(&self.options, &disk, &self.clock, self.seed, lives)?;
        (self.disk, self.lives) = (disk, lives);
        Ok(())
    }
}
