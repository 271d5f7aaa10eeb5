//! What the passing of time does: due jobs become ready, leases taken by hand run out.
//!
//! # Invariants
//! * Due is decided once, on the wall clock, and logged (rule 16): replay reads no clock.
//! * The timer holds the smallest key of each kind, never a heap (rule 18).

use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, Millis, Token};
use crate::job::{Due, Event, Record};
use crate::log::Class;

use super::Core;
use super::groups;
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// Jobs promoted under one hold of the lock.
const PROMOTE_JOBS_MAX: usize = 1_000;
/// The longest sleep of upkeep: the clock may jump.
pub(crate) const UPKEEP_SLEEP_MAX: Duration = Duration::from_secs(1);

impl Core {
    /// Makes every job ready whose `run_at` has come. Gives how many.
    pub(crate) fn promote_due(&self) -> Result<u64> {
        let mut promoted = 0;
        loop {
            let now = planted!(DueASecondEarly, self.clock.now_ms().after(UPKEEP_SLEEP_MAX), self.clock.now_ms());
            let step = self.attempt(|state| Ok(self.promote_some(state, now)))?;
            promoted += step;
            if step == 0 || planted!(OnlyTheFirstThousandDue) {
                return Ok(promoted);
            }
            planted!(PromotedSilently, (), self.wake_work());
        }
    }

    fn promote_some(&self, state: &mut State, now: Millis) -> Try<u64> {
        let Some((run_at, id)) = state.books.index.due_key(now, PROMOTE_JOBS_MAX) else {
            return Try::Done(0);
        };
        let due = Due { run_at, id: id.0 };
        let entry = Entry::new(0, &Record::Due(due));
        if !self.make_room(state, entries_len([&entry]), Class::Closing) {
            return Try::NoRoom(Class::Closing);
        }
        if !planted!(DueNotLogged) {
            self.put_one(state, entry);
        }
        let mut moved = 0;
        state.books.due(&due, |_, _| moved += 1);
        Try::Done(moved)
    }

    /// Takes back every lease taken by hand that has run out. Gives how many.
    pub(crate) fn expire_leases(&self) -> Result<u64> {
        let mut expired = 0;
        while let Some((id, token)) = self.expired_lease() {
            self.expire(id, token)?;
            expired += 1;
        }
        Ok(expired)
    }

    fn expired_lease(&self) -> Option<(JobId, Token)> {
        let now = self.clock.monotonic();
        let state = self.state.lock();
        let (&(deadline, id), &token) = state.deadlines.first_key_value()?;
        (deadline <= now && !planted!(LeasesNeverExpire)).then_some((id, token))
    }

    fn expire(&self, id: JobId, token: Token) -> Result<()> {
        loop {
            let seen = match self.see(id) {
                Ok(Some(seen)) => seen,
                Ok(None) => return Ok(()),
                Err(damage) if damage.kind() == ErrorKind::Corrupt => return self.put_aside(id, token, &damage),
                Err(other) => return Err(other),
            };
            let event = Event::LeaseExpired { now: self.clock.now_ms() };
            // Refused: the holder has given the job back since.
            let Ok(change) = self.change_of(&seen.envelope, &event, &seen.args) else { return Ok(()) };
            let bytes = entries_len([&change.entry(id)]);
            let done = self.attempt(|state| {
                let ours = state.leases.get(&id).is_some_and(|lease| {
                    lease.token == token && lease.deadline.is_some_and(|deadline| deadline <= self.clock.monotonic())
                });
                if !ours {
                    return Ok(Try::Done(true));
                }
                if !seen.still_stands(state, id) {
                    return Ok(Try::Done(false));
                }
                let bytes = bytes + groups::room_of(state, id, seen.envelope.group);
                if !self.make_room(state, bytes, change.class()) {
                    return Ok(Try::NoRoom(change.class()));
                }
                self.file_change(state, id, &seen.envelope, &change)?;
                Ok(Try::Done(true))
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// How long upkeep may sleep: until the next due job or deadline, at most a second.
    pub(crate) fn upkeep_rest(&self) -> Duration {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        #[cfg(feature = "cron")]
        let timed = self.timed_next();
        let mut state = self.state.lock();
        let mut rest = UPKEEP_SLEEP_MAX;
        let tail = state.stage.tail();
        if tail != state.upkeep_tail {
            state.upkeep_tail = tail;
            self.compact.ring();
        }
        if let Some((run_at, _)) = state.books.index.first_scheduled()
            && !planted!(UpkeepForgetsDue)
        {
            // To the moment itself: counted from the whole millisecond before now it would be up to one late.
            rest = rest.min(run_at.to_system().duration_since(now).unwrap_or_default());
        }
        if let Some((&(deadline, _), _)) = state.deadlines.first_key_value() {
            rest = rest.min(deadline.saturating_sub(monotonic));
        }
        #[cfg(feature = "cron")]
        if let Some(at) = timed {
            rest = rest.min(at.to_system().duration_since(now).unwrap_or_default());
        }
        if let Some(deadline) = state.watchers.alarm() {
            rest = rest.min(deadline.saturating_sub(monotonic));
        }
        if Self::bulks_wait(&state) {
            rest = Duration::ZERO;
        }
        match state.turns.deadline() {
            Some(deadline) if deadline <= monotonic => self.wake_work(),
            Some(deadline) => rest = rest.min(deadline.saturating_sub(monotonic)),
            None => {}
        }
        match state.lines.alarm().map(|at| Duration::from_nanos(at.saturating_sub(self.now_ns()))) {
            Some(Duration::ZERO) => {
                state.lines.forget_alarm();
                self.wake_work();
            }
            Some(to_token) => rest = rest.min(to_token),
            None => {}
        }
        state.alarm = Millis::from_system(now).after(rest);
        rest
    }

    /// The wall clock, ns since 1970.
    pub(super) fn now_ns(&self) -> u64 {
        let since = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Somebody found only buckets without a token: the timer wakes him when there is one.
    pub(super) fn ring_for_tokens(&self, state: &mut State) {
        if let Some(at) = state.lines.alarm().filter(|_| !planted!(TokenComesSilently)) {
            self.ring_upkeep_before(state, Millis(at / 1_000_000));
        }
    }

    pub(super) fn ring_upkeep_before(&self, state: &mut State, run_at: Millis) {
        if run_at < state.alarm {
            state.alarm = run_at;
            self.upkeep.ring();
        }
    }

    /// How long until the next scheduled job is due, or a bucket has a token that a job waits for; `None`: neither.
    #[cfg(feature = "testing")]
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let state = self.state.lock();
        let scheduled = state.books.index.first_scheduled();
        let scheduled =
            scheduled.map(|(run_at, _)| Duration::from_millis(run_at.0.saturating_sub(self.clock.now_ms().0)));
        let token = state.lines.alarm().map(|at| Duration::from_nanos(at.saturating_sub(self.now_ns())));
        scheduled.into_iter().chain(token).min()
    }

    /// Inline: time's work, done by whoever waits. `true`: something became ready.
    pub(super) fn upkeep_inline(&self) -> Result<bool> {
        #[cfg(feature = "cron")]
        let timed = self.turn_timed()?;
        #[cfg(not(feature = "cron"))]
        let timed = 0;
        Ok(self.promote_due()? + self.expire_leases()? + self.release_callbacks()? + self.continue_bulks()? + timed > 0)
    }
}
