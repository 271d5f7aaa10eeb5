//! Group commit: who waits for which position, and the one committer that makes positions durable.
//!
//! # Invariants
//! * One committer (rule 8), or while it sleeps one thread that waits anyway; never a task, which nobody may poll. What
//!   was asked for meanwhile goes back to the committer. Every path ends with all waiters answered.
//! * A waiter is registered before the mark is read again, so a mark raised in between is seen by one of the two.
//! * Wakers run outside every lock and cannot unwind into the committer.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::Lsn;
use crate::sync::{Condvar, Mutex};

use super::Core;
use super::settings::{Drive, Durability};
use super::watch::Watch;

/// How long what nobody asked for may stay unsynced.
pub(crate) const LAZY_SYNC: Duration = Duration::from_secs(1);

/// A position in the log and the level it has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) lsn: Lsn,
    pub(crate) level: Durability,
}

/// Where one thread sits until its position is reached.
#[derive(Debug, Default)]
struct Seat {
    called: Mutex<bool>,
    bell: Condvar,
}

enum Waiter {
    Thread(Arc<Seat>),
    Task(Waker),
    /// Waits for a job, not for a position.
    Watch(Arc<Watch>),
}

#[derive(Default)]
struct Waiting {
    /// By position, then by order of arrival.
    by_lsn: BTreeMap<(Lsn, u64), Waiter>,
    arrivals: u64,
    /// How many the last turn answered.
    answered: usize,
}

/// What the committer is asked for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not one state")]
struct Wanted {
    sync_to: Lsn,
    /// Something was staged that nobody waits for.
    lazy: bool,
    /// Asleep, and nobody leads: a wish to sync must ring.
    idle: bool,
    /// Asleep under the lazy timer, or awake: staging need not ring. So a stream of verbs costs one wake each, not two.
    timed: bool,
    stop: bool,
    /// The committer has gone; nothing staged from now on becomes durable.
    stopped: bool,
}

/// The meeting point of those who wait and the committer.
#[derive(Default)]
pub(crate) struct Desk {
    waiting: Mutex<Waiting>,
    wanted: Mutex<Wanted>,
    bell: Condvar,
}

impl Desk {
    fn ask_sync(&self, lsn: Lsn) {
        let mut wanted = self.wanted.lock();
        wanted.sync_to = wanted.sync_to.max(lsn);
        if wanted.idle {
            self.bell.notify_one();
        }
    }

    /// Something was staged: the committer sees to it within [`LAZY_SYNC`].
    pub(crate) fn note_staged(&self) {
        let mut wanted = self.wanted.lock();
        wanted.lazy = planted!(LazySyncForgotten, false, true);
        if wanted.idle && !wanted.timed {
            self.bell.notify_one();
        }
    }

    /// The caller may commit in the committer's place, which saves waking it: it sleeps, and nobody else leads. Where
    /// many wait it would take a sync for itself, and they another.
    pub(super) fn take_lead(&self) -> bool {
        let crowded = self.waiting.lock().answered > 1;
        let mut wanted = self.wanted.lock();
        let leads = wanted.idle && !wanted.stop && !crowded;
        if leads {
            wanted.idle = false;
            wanted.lazy = false;
        }
        leads
    }

    /// What was asked for meanwhile is the committer's, unless the leader's commit covers it.
    pub(super) fn end_lead(&self, durable: Lsn) {
        let mut wanted = self.wanted.lock();
        wanted.idle = true;
        let asked = wanted.sync_to > durable || (wanted.lazy && !wanted.timed);
        if asked && !planted!(LeaderForgetsTheOthers) {
            self.bell.notify_one();
        }
    }

    /// Whether the committer sleeps until somebody rings.
    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        let wanted = self.wanted.lock();
        wanted.idle && !wanted.timed
    }

    /// How many have asked for a sync and are not answered.
    #[cfg(test)]
    pub(super) fn waiting_for_sync(&self) -> usize {
        let asked = self.wanted.lock().sync_to;
        let waiting = self.waiting.lock();
        waiting.by_lsn.keys().filter(|(lsn, _)| *lsn <= asked).count()
    }

    pub(crate) fn stop(&self) {
        self.wanted.lock().stop = true;
        self.bell.notify_one();
    }

    fn stopped(&self) -> bool {
        self.wanted.lock().stopped
    }

    fn register(&self, lsn: Lsn, waiter: Waiter) -> (Lsn, u64) {
        let mut waiting = self.waiting.lock();
        waiting.arrivals += 1;
        let key = (lsn, waiting.arrivals);
        waiting.by_lsn.insert(key, waiter);
        key
    }

    fn forget(&self, key: (Lsn, u64)) {
        self.waiting.lock().by_lsn.remove(&key);
    }

    /// Who waited for a job is called when its end, which lies before `lsn`, is durable.
    pub(super) fn call_when_durable(&self, lsn: Lsn, watch: Arc<Watch>) {
        self.register(lsn, Waiter::Watch(watch));
        self.ask_sync(lsn);
    }

    /// Wakes exactly those whose position is at or below `lsn`.
    fn wake_through(&self, lsn: Lsn) {
        let covered = {
            let mut waiting = self.waiting.lock();
            let behind = planted!(WakeShortOfTheMark, lsn.0, lsn.0.saturating_add(1));
            let later = waiting.by_lsn.split_off(&(Lsn(behind), 0));
            let covered = std::mem::replace(&mut waiting.by_lsn, later);
            waiting.answered = covered.len();
            covered
        };
        for waiter in covered.into_values() {
            match waiter {
                Waiter::Thread(seat) => {
                    *seat.called.lock() = true;
                    seat.bell.notify_one();
                }
                // A waker is the caller's code: its panic must not end the committer. Nothing is lost by
                // ignoring it, the task's own executor reports it.
                Waiter::Task(waker) if planted!(AsyncWakerDropped) => drop(waker),
                Waiter::Task(waker) if planted!(WakerPanicEndsCommitter) => waker.wake(),
                Waiter::Task(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
                Waiter::Watch(watch) => watch.call(),
            }
        }
    }

    /// Everybody: the handle is poisoned or gone.
    pub(crate) fn wake_all(&self) {
        self.wake_through(Lsn(planted!(PoisonForgetsWaiters, 0, u64::MAX)));
    }
}

/// What the committer should do next.
enum Turn {
    Commit,
    Stop,
}

impl Core {
    fn reached(&self, ticket: Ticket) -> bool {
        match ticket.level {
            Durability::Sync => self.log.durable() >= ticket.lsn,
            Durability::Buffered => planted!(BufferedAckBeforeWrite) || self.log.written() >= ticket.lsn,
        }
    }

    /// Blocks until the ticket's level is reached.
    ///
    /// `Unknown` if the handle was poisoned meanwhile: the work may or may not be found after reopening.
    pub(crate) fn wait(&self, ticket: Ticket) -> Result<()> {
        if planted!(AckBeforeSync) || self.reached(ticket) {
            return Ok(());
        }
        if planted!(AckAfterPush) || ticket.level == Durability::Buffered {
            return self.push().map_err(unknown);
        }
        match self.drive {
            Drive::Inline => self.wait_inline(ticket),
            Drive::Threads => self.wait_seated(ticket),
        }
    }

    fn wait_inline(&self, ticket: Ticket) -> Result<()> {
        while !self.reached(ticket) {
            self.commit_step().map_err(unknown)?;
        }
        Ok(())
    }

    fn wait_seated(&self, ticket: Ticket) -> Result<()> {
        if self.desk.take_lead() {
            // A failure has poisoned the log and answered everybody; it is told below.
            let _ = self.commit_step();
            self.desk.end_lead(self.log.durable());
            if self.reached(ticket) {
                return Ok(());
            }
        }
        let seat = Arc::new(Seat::default());
        self.desk.register(ticket.lsn, Waiter::Thread(Arc::clone(&seat)));
        self.desk.ask_sync(ticket.lsn);
        // Marks and poison are raised before the waiters are called: whoever registered too late sees them here.
        while !self.reached(ticket) {
            if let Some(cause) = self.log.poisoned() {
                return Err(unknown(cause));
            }
            if self.desk.stopped() {
                return self.at_the_end(ticket);
            }
            let mut called = seat.called.lock();
            while !*called {
                seat.bell.wait(&mut called);
            }
        }
        Ok(())
    }

    /// The committer has gone, and its last sync may have come after the mark was read.
    fn at_the_end(&self, ticket: Ticket) -> Result<()> {
        if self.reached(ticket) { Ok(()) } else { Err(gone()) }
    }

    /// The same as [`wait`](Self::wait) for a task; registers its waker.
    pub(crate) fn poll_wait(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if planted!(AsyncAckBeforeSync) || self.reached(ticket) {
            return Poll::Ready(Ok(()));
        }
        if ticket.level == Durability::Buffered || self.drive == Drive::Inline {
            return Poll::Ready(self.wait(ticket));
        }
        let key = self.desk.register(ticket.lsn, Waiter::Task(cx.waker().clone()));
        self.desk.ask_sync(ticket.lsn);
        let answer = if self.reached(ticket) {
            Ok(())
        } else if let Some(cause) = self.log.poisoned() {
            Err(unknown(cause))
        } else if self.desk.stopped() {
            self.at_the_end(ticket)
        } else {
            return Poll::Pending;
        };
        self.desk.forget(key);
        Poll::Ready(answer)
    }

    /// Hands everything staged to the operating system, in log order.
    pub(crate) fn push(&self) -> Result<()> {
        let before = self.marks();
        let result = self.log.push(|| self.state.lock().stage.take());
        match result {
            Ok(written) => {
                // A segment that ends is synced by whoever pushes, and the committer may hear of it too late.
                let durable = self.log.durable();
                if durable > before.durable {
                    self.tell_durable();
                    self.desk.wake_through(durable);
                }
                if written > before.written {
                    self.released();
                }
                Ok(())
            }
            Err(cause) => {
                self.fail_everyone();
                Err(cause)
            }
        }
    }

    /// One turn of the committer: push, sync, publish, wake.
    pub(crate) fn commit_step(&self) -> Result<()> {
        self.push()?;
        match self.log.sync() {
            Ok(durable) => {
                self.released();
                self.tell_durable();
                self.desk.wake_through(durable);
                Ok(())
            }
            Err(cause) => {
                self.fail_everyone();
                Err(cause)
            }
        }
    }

    /// Poison is set in the log already; tell all who wait for anything.
    pub(crate) fn fail_everyone(&self) {
        if !self.poison_noted.swap(true, Ordering::SeqCst) {
            self.note_owner("poisoned");
        }
        self.stream.close();
        self.call_all_watchers();
        self.desk.wake_all();
        self.wake_work();
        self.wake_room();
    }

    /// The committer's life: sleeps until asked, and sees to the rest within a second.
    pub(crate) fn committer(&self) {
        while let Turn::Commit = self.next_turn() {
            // A failed turn has poisoned the log and answered everybody; later turns answer late comers.
            if self.commit_step().is_err() {
                self.desk.wake_all();
            }
        }
        // What was staged and not asked for is still owed its second: try once more, the outcome has no reader.
        let _ = self.commit_step();
        self.desk.wanted.lock().stopped = true;
        self.desk.wake_all();
    }

    fn next_turn(&self) -> Turn {
        let mut wanted = self.desk.wanted.lock();
        let lazy_from = self.clock.monotonic();
        loop {
            if wanted.stop {
                return Turn::Stop;
            }
            if wanted.sync_to > self.log.durable() {
                if self.log.poisoned().is_some() {
                    wanted.sync_to = Lsn(0);
                }
                wanted.lazy = false;
                return Turn::Commit;
            }
            // The timer runs from the last turn on, so whatever is staged after it is never older than the timer.
            let rest = LAZY_SYNC.saturating_sub(self.clock.monotonic().saturating_sub(lazy_from));
            wanted.timed = !rest.is_zero();
            if wanted.lazy && rest.is_zero() {
                wanted.lazy = false;
                return Turn::Commit;
            }
            wanted.idle = true;
            if wanted.timed {
                self.desk.bell.wait_for(&mut wanted, rest);
            } else {
                self.desk.bell.wait(&mut wanted);
            }
            wanted.idle = false;
        }
    }
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Unknown,
        "the backlog was closed while this call waited; whether its work was kept shows after reopening",
    )
}

/// A failure while waiting: whether the work was kept is known after reopening.
fn unknown(cause: Error) -> Error {
    match cause.kind() {
        ErrorKind::Poisoned => cause.with_kind(ErrorKind::Unknown),
        _ => cause,
    }
}
