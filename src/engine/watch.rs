//! Those who wait for one job: for its end, or for the word that its run should stop.
//!
//! # Invariants
//! * Exactly those who wait for a job are woken by it. Who waits for an end is woken by the sync that makes it durable
//!   (rule 6), through the same desk as every other waiter; who waits for the word to stop, at once.
//! * Looking and sitting down are one hold of the engine lock, so no end falls in between.
//! * Poison and the end of the handle wake everybody. Wakers run outside every lock and cannot unwind into a service.
//!
//! Never here: what is told of a job that ended (`history`, `results`).

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::Result;
use crate::ids::{JobId, Lsn, Phase, Token};
use crate::sync::{Condvar, Mutex};

use super::Core;
use super::commit::Ticket;
use super::settings::{Drive, Durability};
use super::settle::held;
use super::state::State;

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

    fn end(&self) -> Option<Lsn> {
        self.seat.lock().end
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
    ends: ByJob,
    /// Those whose job's end is being staged.
    ended: Vec<Arc<Watch>>,
    stops: ByJob,
    /// Of them, those whose time will be over.
    alarms: BTreeMap<(Duration, JobId), Vec<Arc<Watch>>>,
    /// Those to be called when the lock is given back.
    stopped: Vec<Arc<Watch>>,
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

fn leave(seats: &mut ByJob, id: JobId, watch: &Arc<Watch>) {
    if let Some(others) = seats.get_mut(&id) {
        others.retain(|other| !Arc::ptr_eq(other, watch));
        if others.is_empty() {
            seats.remove(&id);
        }
    }
}

/// How a job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// It has no record any more.
    Finished,
    /// It is kept for a person.
    Dead,
    /// Its id lies in a gap.
    Lost,
    /// No job has had its id yet.
    Unknown,
}

impl Core {
    /// What a verb has brought about for those who wait: ends are called when they are durable, the rest is for the
    /// caller to call when it has given the lock back.
    pub(super) fn pass_on(&self, state: &mut State) -> Vec<Arc<Watch>> {
        if !state.watchers.ended.is_empty() {
            let lsn = state.stage.tail();
            for watch in std::mem::take(&mut state.watchers.ended) {
                watch.seat.lock().end = Some(lsn);
                if planted!(EndToldAtOnce) {
                    state.watchers.stopped.push(watch);
                } else {
                    self.desk.call_when_durable(lsn, watch);
                }
            }
        }
        std::mem::take(&mut state.watchers.stopped)
    }

    /// The handle takes nothing any more: whoever waits for a job is to look again.
    pub(super) fn call_all_watchers(&self) {
        let all = {
            let watchers = &mut self.state.lock().watchers;
            // Those with an alarm stand in `stops` too.
            let Watchers { ends, ended, stops, stopped, .. } = std::mem::take(watchers);
            let by_job = ends.into_values().chain(stops.into_values()).flatten();
            by_job.chain(ended).chain(stopped).collect::<Vec<_>>()
        };
        call_all(&all);
    }

    /// How the job is over, and when that may be told; `None`: it lives, and the watch sits.
    pub(crate) fn over_or_watch(&self, id: JobId, watch: &Arc<Watch>) -> Result<Option<(Over, Ticket)>> {
        let mut state = self.state.lock();
        self.check_life(&state)?;
        let over = match state.books.index.get(id) {
            Some(entry) if entry.phase == Phase::Dead => Over::Dead,
            Some(_) => {
                watch.sit_down();
                state.watchers.ends.entry(id).or_default().push(Arc::clone(watch));
                return Ok(None);
            }
            None if id.0 >= state.next_id => Over::Unknown,
            None if state.in_a_gap(id) => Over::Lost,
            None => Over::Finished,
        };
        // Who was called knows the frame; who comes later waits for all that he looked at.
        let lsn = watch.end().unwrap_or_else(|| planted!(WaitAnswersAtOnce, Lsn(0), state.stage.tail()));
        Ok(Some((over, Ticket { lsn, level: Durability::Sync })))
    }

    /// How many wait for the end of a job that lives.
    #[cfg(test)]
    pub(crate) fn watching(&self) -> usize {
        self.state.lock().watchers.ends.values().map(Vec::len).sum()
    }

    /// Nobody sits there any more.
    pub(crate) fn forget_watch(&self, id: JobId, watch: &Arc<Watch>) {
        let mut state = self.state.lock();
        leave(&mut state.watchers.ends, id, watch);
    }

    /// Blocks until the job is over and that is durable; `None`: the time is up.
    pub(crate) fn wait_over(&self, id: JobId, until: Duration) -> Result<Option<Over>> {
        let watch = Arc::default();
        loop {
            if let Some((over, ticket)) = self.over_or_watch(id, &watch)? {
                self.wait(ticket)?;
                return Ok(Some(over));
            }
            let rest = until.saturating_sub(self.clock.monotonic());
            // Without threads nobody ends it while this one sleeps.
            if self.drive == Drive::Inline || !watch.sit(Some(rest)) {
                self.forget_watch(id, &watch);
                return Ok(None);
            }
        }
    }

    /// The watch is called when the run under this token should stop, or is over, or at `deadline` on the monotonic
    /// clock. `false`: that is so already.
    pub(crate) fn watch_stop(&self, id: JobId, token: Token, deadline: Option<Duration>, watch: &Arc<Watch>) -> bool {
        let mut state = self.state.lock();
        if self.check_life(&state).is_err() || held(&state, id, token) != Some(false) {
            return false;
        }
        watch.sit_down();
        state.watchers.stops.entry(id).or_default().push(Arc::clone(watch));
        if let Some(deadline) = deadline {
            state.watchers.alarms.entry((deadline, id)).or_default().push(Arc::clone(watch));
            let rest = deadline.saturating_sub(self.clock.monotonic());
            self.ring_upkeep_before(&mut state, self.clock.now_ms().after(rest));
        }
        true
    }

    /// Nobody sits there any more.
    pub(crate) fn forget_stop(&self, id: JobId, deadline: Option<Duration>, watch: &Arc<Watch>) {
        let watchers = &mut self.state.lock().watchers;
        leave(&mut watchers.stops, id, watch);
        if let Some(key) = deadline.map(|deadline| (deadline, id))
            && let Some(others) = watchers.alarms.get_mut(&key)
        {
            others.retain(|other| !Arc::ptr_eq(other, watch));
            if others.is_empty() {
                watchers.alarms.remove(&key);
            }
        }
    }

    /// Calls those whose time is over.
    pub(crate) fn call_overdue(&self) {
        let now = self.clock.monotonic();
        loop {
            let over = {
                let alarms = &mut self.state.lock().watchers.alarms;
                alarms.first_entry().filter(|alarm| alarm.key().0 <= now).map(OccupiedEntry::remove)
            };
            let Some(over) = over else { return };
            call_all(&over);
        }
    }

    /// [`wait`](Self::wait) as a future's step, for who holds an answer.
    pub(crate) fn poll_reached<T: Copy>(&self, (answer, ticket): (T, Ticket), cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.poll_wait(ticket, cx).map(|reached| reached.map(|()| answer))
    }
}
