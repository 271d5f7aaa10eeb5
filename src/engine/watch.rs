//! Where those sit who wait for one job: for its end, or for the word that its run should stop.
//!
//! # Invariants
//! * Exactly those who wait for a job are called for it.
//! * Wakers run, and go, outside every lock, and cannot unwind into a service.
//!
//! Never here: when they are called (`over`).

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::ids::{JobId, Lsn};
use crate::sync::{Condvar, Mutex};

/// Where one who waits sits, a thread or a task.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seat: Mutex<Seat>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Seat {
    sits: bool,
    called: bool,
    /// Where the frame ends that he was called for.
    end: Option<Lsn>,
    waker: Option<Waker>,
}

impl Watch {
    /// What he waits for has come, or never will.
    pub(crate) fn call(&self) {
        let waker = {
            let mut seat = self.seat.lock();
            (seat.sits, seat.called) = (false, true);
            seat.waker.take()
        };
        self.bell.notify_all();
        // A waker is the caller's code. Nothing is lost by ignoring its panic, the task's own executor reports it.
        drop(catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake))));
    }

    /// Blocks until called, at most this long; whether he was called.
    pub(crate) fn sit(&self, at_most: Option<Duration>) -> bool {
        let mut seat = self.seat.lock();
        while !seat.called {
            match at_most {
                None => self.bell.wait(&mut seat),
                Some(rest) => {
                    if self.bell.wait_for(&mut seat, rest).timed_out() {
                        break;
                    }
                }
            }
        }
        seat.called
    }

    /// Whether he was called or has yet to sit down; if not, the task will be woken.
    pub(crate) fn is_free(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut seat = self.seat.lock();
        let (before, sits) = (seat.waker.replace(waker), seat.sits);
        drop(seat);
        // It may hold a task, which runs code of the caller when it goes.
        drop(before);
        !sits
    }

    pub(crate) fn sit_down(&self) {
        let mut seat = self.seat.lock();
        (seat.sits, seat.called, seat.end) = (true, false, None);
    }

    /// Where the frame ends that he was called for.
    pub(super) fn end(&self) -> Option<Lsn> {
        self.seat.lock().end
    }

    pub(super) fn ends_at(&self, lsn: Lsn) {
        self.seat.lock().end = Some(lsn);
    }
}

pub(crate) fn call_all(watches: &[Arc<Watch>]) {
    for watch in watches {
        watch.call();
    }
}

type ByJob = HashMap<JobId, Vec<Arc<Watch>>>;

/// Who waits for which job.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    pub(super) ends: ByJob,
    /// Those whose job's end is being staged.
    pub(super) ended: Vec<Arc<Watch>>,
    pub(super) stops: ByJob,
    /// Of them, those whose time will be over.
    pub(super) alarms: BTreeMap<(Duration, JobId), Vec<Arc<Watch>>>,
    /// Those to be called when the lock is given back.
    pub(super) stopped: Vec<Arc<Watch>>,
}

impl Watchers {
    /// The job ended, or is dead.
    pub(super) fn ended(&mut self, id: JobId) {
        if !self.ends.is_empty() && !planted!(EndWakesNobody) {
            self.ended.extend(self.ends.remove(&id).into_iter().flatten());
        }
    }

    /// The run of the job is over, or should be.
    pub(super) fn stops(&mut self, id: JobId) {
        if !self.stops.is_empty() && !planted!(CancelWakesNobody) {
            self.stopped.extend(self.stops.remove(&id).into_iter().flatten());
        }
    }

    /// When somebody's time is over next; on the monotonic clock.
    pub(super) fn alarm(&self) -> Option<Duration> {
        self.alarms.first_key_value().map(|((deadline, _), _)| *deadline)
    }
}

pub(super) fn leave(seats: &mut ByJob, id: JobId, watch: &Arc<Watch>) {
    if let Some(others) = seats.get_mut(&id) {
        others.retain(|other| !Arc::ptr_eq(other, watch));
        if others.is_empty() {
            seats.remove(&id);
        }
    }
}
