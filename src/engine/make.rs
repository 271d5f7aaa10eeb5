//! The segment maker: keeps prepared segments ahead of the writers, beside the commit path (rule 10).
//!
//! # Invariants
//! * Two prepared segments stay in reserve for closing records; enqueue waits for a third.
//! * A failed preparation harms nothing: only a failed allocation is told as `Full`, and never after staging.
//! * Full mode lasts until more than the reserve is prepared: one segment that compaction freed does not end it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::SegmentId;
use crate::log::{Class, RESERVE};

use super::Core;

/// Prepared segments the maker keeps while there is work.
pub(crate) const GOAL: u64 = RESERVE + 1;
/// After a failure the maker tries again this much later, or when space was freed.
const RETRY: Duration = Duration::from_secs(1);
/// What an open leaves to make waits this long, unless somebody needs it: the first jobs are to have the disk.
const FIRST_TURN: Duration = Duration::from_millis(200);
/// How long a closing record waits on a full disk for what compaction frees before it says so.
const FREEING_PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    /// Whether the maker has done its part: whoever finds no room now will find some later, or the disk is full.
    fn enough_is_prepared(&self) -> bool {
        let state = self.state.lock();
        state.stage.prepared() >= planted!(MakerStopsShort, GOAL - 1, self.goal(&state))
    }

    /// Makes one segment if there are too few. `true`: look again at once.
    pub(crate) fn make_step(&self) -> Result<bool> {
        if self.log.poisoned().is_some() {
            return Ok(false);
        }
        if self.enough_is_prepared() {
            self.full.store(false, Ordering::Release);
            // Perhaps only now, because leases have ended: whoever waits looks again.
            planted!(MadeSilently, (), self.wake_room());
            return Ok(false);
        }
        let epoch = self.state.lock().books.totals.epoch;
        let made = self.log.make_segment(epoch);
        *self.make_failure.lock() = made.as_ref().err().cloned();
        self.turn_full_mode(made.as_ref().err());
        planted!(MadeSilently, (), self.wake_room());
        made.map(|_| true)
    }

    /// A directory that is new, or was left with less than new work needs: whoever opens it waits for the filling, and
    /// not his first job. What fails here the maker finds out again.
    pub(super) fn make_first(&self) {
        let lacking = self.state.lock().stage.prepared() < RESERVE;
        while lacking && matches!(self.make_step(), Ok(true)) {}
    }

    /// Full mode: space comes before copying and before texts (rule 10).
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire) && !planted!(FullModeUnseen)
    }

    fn turn_full_mode(&self, failure: Option<&Error>) {
        match failure {
            Some(cause) if cause.kind() == ErrorKind::Full => {
                self.full.store(true, Ordering::Release);
                self.compact.ring();
            }
            None if planted!(FullModeEndsEarly) || self.enough_is_prepared() => {
                self.full.store(false, Ordering::Release);
            }
            _ => {}
        }
    }

    /// Inline: makes room for the class or says why not. On a full disk closing records get what compaction frees.
    pub(super) fn make_for(&self, class: Class) -> Result<()> {
        match self.make_step() {
            Err(full)
                if full.kind() == ErrorKind::Full
                    && matches!(class, Class::Closing | Class::Growing | Class::Ending) =>
            {
                self.make_from_freed()
            }
            made => made.map(drop),
        }
    }

    /// Inline: compacts until the file of a segment that went makes a new one. What is carried first goes into what is
    /// left, so the caller looks again after each.
    fn make_from_freed(&self) -> Result<()> {
        loop {
            let oldest = self.log.oldest();
            let is_done = !self.compact_step()?;
            if !is_done && self.log.oldest() == oldest {
                continue;
            }
            match self.make_step() {
                Err(full) if full.kind() == ErrorKind::Full && !is_done => {}
                made => return made.map(drop),
            }
        }
    }

    /// With threads: the maker has failed. Closing records wait for what compaction frees: for a segment beyond `made`.
    /// That the maker fails on and on says nothing: beyond the reserve it finds no room, and says so faster than a
    /// segment is freed.
    pub(super) fn wait_for_freed(&self, class: Class, made: SegmentId, failure: Error) -> Result<()> {
        if matches!(class, Class::Ordinary | Class::Carrying) || failure.kind() != ErrorKind::Full {
            return Err(failure);
        }
        let until = self.clock.monotonic().saturating_add(FREEING_PATIENCE);
        self.compact.ring();
        loop {
            let heard = self.room.heard();
            if self.log.ready_through() > made || self.make_failure.lock().is_none() {
                return Ok(());
            }
            let rest = until.saturating_sub(self.clock.monotonic());
            if rest.is_zero() || self.stopping() {
                return Err(failure);
            }
            self.room.wait(heard, Some(rest));
        }
    }

    /// The maker's life. `heard`: the rings before it began.
    pub(crate) fn maker(&self, heard: u64) {
        self.make.wait(heard, Some(FIRST_TURN));
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
