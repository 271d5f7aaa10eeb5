//! Waiting for the end of a job, and for the word that its run should stop.
//!
//! # Invariants
//! * Who waits for an end is woken by the sync that makes it durable (rule 6), through the same desk as every other
//!   waiter; who waits for the word to stop, at once.
//! * Looking and sitting down are one hold of the engine lock, so no end falls in between.
//! * Poison and the end of the handle wake everybody.
//!
//! Never here: what is told of a job that ended (`history`, `results`).

use std::collections::btree_map::OccupiedEntry;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Result;
use crate::ids::{JobId, Phase, Token};

use super::Core;
use super::commit::Ticket;
use super::settings::{Drive, Durability};
use super::settle::held;
use super::state::State;
use super::watch::{Watch, Watchers, call_all, leave};

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
                watch.ends_at(lsn);
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
        let lsn = watch.end().unwrap_or_else(|| planted!(WaitAnswersAtOnce, crate::ids::Lsn(0), state.stage.tail()));
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
