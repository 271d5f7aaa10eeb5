//! The segment maker: keeps prepared segments ahead of the writers, beside the commit path (rule 10).
//!
//! # Invariants
//! * Two prepared segments stay in reserve for closing records; enqueue waits for a third.
//! * A failed preparation harms nothing: only a failed allocation is told as `Full`, and never after staging.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::log::{Class, RESERVE};

use super::Core;

/// Prepared segments the maker keeps while there is work.
pub(crate) const GOAL: u64 = RESERVE + 1;
/// After a failure the maker tries again this much later, or when space was freed.
const RETRY: Duration = Duration::from_secs(1);
/// How long a closing record waits on a full disk for what compaction frees before it says so.
const FREEING_PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    fn prepared(&self) -> u64 {
        let staged = self.log.segment_of(self.state.lock().stage.tail());
        self.log.ready_through().0.saturating_sub(staged.0)
    }

    /// Makes one segment if there are too few. `true`: look again at once.
    pub(crate) fn make_step(&self) -> Result<bool> {
        if self.log.poisoned().is_some() || self.prepared() >= planted!(MakerStopsShort, GOAL - 1, GOAL) {
            return Ok(false);
        }
        let epoch = self.state.lock().books.totals.epoch;
        let made = self.log.make_segment(epoch);
        *self.make_failure.lock() = made.as_ref().err().cloned();
        planted!(MadeSilently, (), self.wake_room());
        made.map(|_| true)
    }

    /// Inline: makes room for the class or says why not. On a full disk closing records get what compaction frees.
    pub(super) fn make_for(&self, class: Class) -> Result<()> {
        match self.make_step() {
            Err(full) if full.kind() == ErrorKind::Full && class == Class::Closing => {
                while self.compact_step()? {}
                self.make_step().map(drop)
            }
            made => made.map(drop),
        }
    }

    /// With threads: the maker has failed. Closing records wait for the reserve, which compaction fills up again. That
    /// the maker fails on and on says nothing: beyond the reserve it finds no room, and says so faster than a segment
    /// is freed.
    pub(super) fn wait_for_freed(&self, class: Class, failure: Error) -> Result<()> {
        if class != Class::Closing || failure.kind() != ErrorKind::Full {
            return Err(failure);
        }
        let until = self.clock.monotonic().saturating_add(FREEING_PATIENCE);
        self.compact.ring();
        loop {
            let heard = self.room.heard();
            if self.prepared() >= RESERVE || self.make_failure.lock().is_none() {
                return Ok(());
            }
            let rest = until.saturating_sub(self.clock.monotonic());
            if rest.is_zero() || self.stopping() {
                return Err(failure);
            }
            self.room.wait(heard, Some(rest));
        }
    }

    /// The maker's life.
    pub(crate) fn maker(&self) {
        loop {
            // Before looking whether to stop: the ring that says so is not to be missed.
            let heard = self.make.heard();
            if self.stopping() {
                return;
            }
            match self.make_step() {
                Ok(true) => {}
                Ok(false) => {
                    self.make.wait(heard, None);
                }
                // Told to those who wait; tried again later.
                Err(_) => {
                    self.make.wait(heard, Some(RETRY));
                }
            }
        }
    }
}
