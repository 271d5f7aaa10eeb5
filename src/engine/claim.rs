//! Granting jobs: best first, written before handed out.
//!
//! # Invariants
//! * A lease is handed out when its record is with the operating system, so grants are counted exactly after a
//!   crash of the process (P6).
//! * Priority high to low, then id (rule 17). A new job stands in line only from the level it was accepted at.
//! * A job that crashed before, or is on its last attempt, is never granted in a batch; one that was in flight at two
//!   crashes runs alone first (rule 11).
//! * What was granted reaches somebody: a job that could not be read just now is handed out by a later claim.

use std::task::Waker;
use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, Place, Token};
use crate::index::{LaneId, Pick};
use crate::job::{self, CellRecord, ClaimRun, Claimed, Envelope, Record, State as JobState};
use crate::log::{Class, Raw};

use super::Core;
use super::lines::Taken;
use super::reach::Reached;
use super::settings::Drive;
use super::staging::{Entry, Try, entries_len};
use super::state::{LeaseState, State};
use super::suspects::{self, Gate};

/// Jobs granted in one call at most.
const GRANT_JOBS_MAX: usize = 1_000;

/// How long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseKind {
    /// In the worker pool: as long as the run is in this process (rule 13).
    Pool,
    /// Taken by hand: this long on the monotonic clock, unless extended.
    Hand(Duration),
}

/// A job in somebody's hands.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) id: JobId,
    pub(crate) token: Token,
    /// Which attempt this is, from 1.
    pub(crate) attempt: u32,
    pub(crate) envelope: Envelope,
    /// As they are stored; what a handler is given are the [`plain_args`](Self::plain_args).
    pub(crate) args: Vec<u8>,
    /// The args in plain, if they are stored sealed.
    pub(crate) opened: Option<Vec<u8>>,
    /// The same for every attempt of the job, and for no other job of any directory.
    pub(crate) idempotency_key: String,
}

impl Grant {
    /// The args as their enqueuer gave them.
    pub(crate) fn plain_args(&self) -> &[u8] {
        self.opened.as_deref().unwrap_or(&self.args)
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant")
            .field("id", &self.id)
            .field("token", &self.token)
            .field("attempt", &self.attempt)
            .field("envelope", &self.envelope)
            .field("args_bytes", &self.args.len())
            .finish_non_exhaustive()
    }
}

/// A pick with the token it was granted under.
#[derive(Clone, Copy)]
pub(super) struct Picked {
    pub(super) id: JobId,
    lane: LaneId,
    place: Place,
    token: Token,
}

impl Core {
    /// Grants up to `n` jobs from the queues, in their order; all queues by name if none is given.
    pub(crate) fn claim(&self, queues: &[String], n: usize, lease: LeaseKind) -> Result<Vec<Grant>> {
        if n == 0 {
            return Ok(Vec::new());
        }
        if self.drive == Drive::Inline {
            // Without a thread of upkeep; what is refused now is found again.
            let _ = self.release_callbacks();
        }
        let n = n.min(planted!(ClaimBeyondMax, GRANT_JOBS_MAX + 1, GRANT_JOBS_MAX));
        let mut refused = None;
        // Once each: what still cannot be read must not keep the others waiting.
        let unread = self.state.lock().unread.len();
        for _ in 0..unread {
            let picked = self.attempt(|state| Ok(Try::Done(Self::take_unread(state, queues, n))))?;
            match self.hand_out(&picked) {
                Ok(grants) if grants.is_empty() => {}
                Ok(grants) => return Ok(grants),
                Err(again) => refused = Some(again),
            }
        }
        loop {
            let picked = self.attempt(|state| self.grant(state, queues, n, lease))?;
            if picked.is_empty() {
                return refused.map_or(Ok(Vec::new()), Err);
            }
            planted!(GrantBeforeWritten, (), self.push()?);
            let grants = self.hand_out(&picked)?;
            // All of them were unreadable and have been put aside: look for others.
            if !grants.is_empty() {
                return Ok(grants);
            }
        }
    }

    fn grant(&self, state: &mut State, queues: &[String], n: usize, lease: LeaseKind) -> Result<Try<Vec<Picked>>> {
        let gate = state.gate(queues, self.clock.monotonic());
        let runs = match gate {
            Gate::Open => self.pick(state, queues, n),
            Gate::Alone(id) => Self::pick_suspect(state, id),
            Gate::Shut => Vec::new(),
        };
        if runs.is_empty() {
            return Ok(Try::Done(Vec::new()));
        }
        let claimed = Claimed {
            epoch: state.books.totals.epoch,
            first_counter: state.next_counter,
            at: self.clock.now_ms(),
            runs: claim_runs(state, &runs),
        };
        let mut entries = vec![Entry::new(0, &Record::Claimed(claimed.clone()))];
        let alone = suspects::value_of(Token { epoch: claimed.epoch, counter: claimed.first_counter });
        let mark = match gate {
            Gate::Alone(_) => Some(suspects::cell(Some(&alone))),
            _ if suspects::token_alone(&state.books).is_some() && !planted!(AloneNotCleared) => {
                Some(suspects::cell(None))
            }
            _ => None,
        };
        let buckets = state.lines.take_tokens(&state.books.index, &runs, self.now_ns());
        let cells: Vec<CellRecord<'_>> = mark.iter().cloned().chain(buckets.iter().map(Taken::record)).collect();
        entries.extend(cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.clone()))));
        // Whoever claims more while others run can wait for their end.
        let class = if state.leases.is_empty() { Class::Closing } else { Class::Growing };
        let (granted, bytes) = (claimed.runs.iter().map(|run| run.ids.len()).sum(), entries_len(&entries));
        if self.leaves_too_little(state, granted, bytes, class) || !self.make_room(state, bytes, class) {
            return if granted > 1 { self.grant(state, queues, 1, lease) } else { Ok(Try::NoRoom(class)) };
        }
        let mut places: Vec<Place> = Vec::with_capacity(entries.len());
        self.put(state, 0, &entries, |_, place| places.push(place));
        state.books.claimed(&claimed).inspect_err(|e| self.log.poison(e))?;
        for (cell, place) in cells.iter().zip(places.iter().skip(1)) {
            self.file_cell(state, cell, *place)?;
        }
        let deadline = match lease {
            LeaseKind::Pool => planted!(PoolLeaseExpires, Some(self.clock.monotonic()), None),
            LeaseKind::Hand(lasts) => {
                self.ring_upkeep_before(state, claimed.at.after(lasts));
                Some(self.clock.monotonic().saturating_add(planted!(LeasesExpireEarly, lasts / 2, lasts)))
            }
        };
        let mut picked = Vec::new();
        for (lane, pick) in runs.iter().flat_map(|(lane, picks)| picks.iter().map(move |pick| (*lane, pick))) {
            let token = Token { epoch: claimed.epoch, counter: state.next_counter };
            state.next_counter += 1;
            state.leases.insert(pick.id, LeaseState { token, since: claimed.at, cancel: false, deadline });
            if let Some(deadline) = deadline {
                state.deadlines.insert((deadline, pick.id), token);
            }
            if gate == Gate::Alone(pick.id) {
                state.runs_alone(pick.id, token, self.clock.monotonic());
            }
            picked.push(Picked { id: pick.id, lane, place: pick.place, token });
        }
        Ok(Try::Done(picked))
    }

    /// What to grant: per queue, best first. A careful job only ever goes alone.
    fn pick(&self, state: &mut State, queues: &[String], n: usize) -> Vec<(LaneId, Vec<Pick>)> {
        let marks = self.marks();
        let now = self.now_ns();
        let names = state.open_queues(queues);
        if self.drive == Drive::Inline {
            // Nobody sleeps for a token that came before.
            state.lines.forget_alarm();
        }
        let State { lines, books, unreached, .. } = state;
        let reached = |id| planted!(GrantedBeforeItsLevel) || !unreached.contains(id, marks);
        let mut runs: Vec<(LaneId, Vec<Pick>)> = Vec::new();
        let mut left = n;
        for queue in names {
            if left == 0 {
                break;
            }
            lines.refresh(&mut books.index, now);
            let mut picks = lines.pick(&queue, left, &books.index, &reached, now);
            if let Some(careful) = picks.iter().position(|(_, pick)| pick.careful) {
                picks.truncate(if careful == 0 && runs.is_empty() { 1 } else { careful });
                left = picks.len();
            }
            left -= picks.len();
            for (lane, pick) in picks {
                match runs.last_mut() {
                    Some((last, picks)) if *last == lane => picks.push(pick),
                    _ => runs.push((lane, vec![pick])),
                }
            }
        }
        self.ring_for_tokens(state);
        runs
    }

    fn pick_suspect(state: &State, id: JobId) -> Vec<(LaneId, Vec<Pick>)> {
        let (Some(suspect), Some(entry)) = (state.books.suspect(id), state.books.index.get(id)) else {
            return Vec::new();
        };
        vec![(suspect.lane, vec![Pick { id, priority: suspect.priority, place: entry.place, careful: true }])]
    }

    /// Whether a claim on these queues would find something.
    fn claimable(&self, queues: &[String]) -> Result<bool> {
        let mut state = self.state.lock();
        self.check_life(&state)?;
        if state.unread.iter().flatten().any(|pick| state.asks(queues, pick.lane) && holds(&state, pick)) {
            return Ok(true);
        }
        Ok(match state.gate(queues, self.clock.monotonic()) {
            Gate::Open => !self.pick(&mut state, queues, 1).is_empty(),
            Gate::Alone(_) => true,
            Gate::Shut => false,
        })
    }

    /// Jobs of these queues that one earlier claim granted and could not read.
    fn take_unread(state: &mut State, queues: &[String], n: usize) -> Vec<Picked> {
        let mut group = state.unread.pop_front().unwrap_or_default();
        group.retain(|pick| holds(state, pick));
        let (mut taken, mut rest): (Vec<Picked>, Vec<Picked>) =
            group.into_iter().partition(|pick| state.asks(queues, pick.lane));
        rest.extend(taken.drain(n.min(taken.len())..));
        if !rest.is_empty() {
            state.unread.push_back(rest);
        }
        taken
    }

    /// Sleeps until a claim on these queues may find something. `false`: the time is up, or `give_up` says so
    /// (ring with [`nudge`](Self::nudge) when it would).
    pub(crate) fn wait_for_work(
        &self,
        queues: &[String],
        until: Option<Duration>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<bool> {
        loop {
            let heard = self.work.heard();
            if self.claimable(queues)? {
                return Ok(true);
            }
            if self.drive == Drive::Inline {
                if self.upkeep_inline()? {
                    continue;
                }
                return Ok(false);
            }
            let rest = until.map(|until| until.saturating_sub(self.clock.monotonic()));
            if give_up() || rest.is_some_and(|rest| rest.is_zero()) {
                return Ok(false);
            }
            self.work.wait(heard, rest);
        }
    }

    /// Everybody who waits for work looks whether to give up.
    pub(crate) fn nudge(&self) {
        self.work.ring();
    }

    /// Wakes this task when a job may be ready; ask before looking.
    pub(crate) fn wake_at_work(&self, waker: &Waker) {
        self.work.wake_next(waker);
    }

    pub(super) fn wake_work(&self) {
        self.work.ring();
    }

    /// Reads what was granted. What is damaged is put aside as dead, with file and offset; what the disk refuses to
    /// read just now waits for the next claim.
    fn hand_out(&self, picked: &[Picked]) -> Result<Vec<Grant>> {
        let wanted: Vec<(Place, u64)> = picked.iter().map(|pick| (pick.place, pick.id.0)).collect();
        let mut grants = Vec::with_capacity(picked.len());
        let (mut unread, mut refused) = (Vec::new(), None);
        let paused_kinds = self.state.lock().paused_kinds.clone();
        for (pick, read) in picked.iter().zip(self.log.read_many(&wanted)) {
            let opened = match read {
                // Carried to another place between the pick and the read.
                Err(_) => self.see(pick.id).map(|seen| seen.map(|seen| (seen.envelope, seen.args))),
                Ok(raw) => open_job(&raw).map(Some).map_err(|what| self.log.damaged(pick.place, what)),
            };
            let reached = opened.and_then(|found| match found {
                Some((envelope, args)) => self.reach(pick, envelope, args, &paused_kinds),
                None => Ok(None),
            });
            match reached {
                Ok(Some(reached)) => grants.push(self.lease_out(pick, reached)),
                // Ended by somebody else in between: nothing to hand out.
                Ok(None) => {}
                Err(damage) if damage.kind() == ErrorKind::Corrupt => self.put_aside(pick.id, pick.token, &damage)?,
                Err(other) => {
                    unread.push(*pick);
                    refused = Some(other);
                }
            }
        }
        // Others may have synced the claims already.
        self.tell_durable();
        if !unread.is_empty() && !planted!(UnreadForgotten) {
            self.state.lock().unread.push_back(unread);
        }
        match refused {
            Some(refused) if grants.is_empty() => Err(refused),
            _ => Ok(grants),
        }
    }

    pub(super) fn lease_out(&self, pick: &Picked, reached: Reached) -> Grant {
        let Reached { mut envelope, args, opened } = reached;
        let mut state = self.state.lock();
        let since = state.leases.get(&pick.id).map_or(envelope.created_at, |lease| lease.since);
        let idempotency_key = state.idempotency_key(pick.id);
        envelope.state = JobState::InFlight { token: pick.token, since };
        self.tell_started(&mut state, pick.id, &envelope);
        drop(state);
        Grant {
            id: pick.id,
            token: pick.token,
            attempt: envelope.attempts.saturating_add(planted!(AttemptFromZero, 0, 1)),
            envelope,
            args,
            opened,
            idempotency_key,
        }
    }
}

pub(super) fn holds(state: &State, pick: &Picked) -> bool {
    state.leases.get(&pick.id).is_some_and(|lease| lease.token == pick.token)
}

/// The record's runs: one per (queue, priority), in the order of the picks.
fn claim_runs(state: &State, runs: &[(LaneId, Vec<Pick>)]) -> Vec<ClaimRun> {
    let mut out: Vec<ClaimRun> = Vec::new();
    for (lane, picks) in runs {
        let queue = state.books.index.lane_name(*lane);
        for pick in picks {
            match out.last_mut() {
                Some(run) if run.queue == queue && run.priority == pick.priority => run.ids.push(pick.id.0),
                _ => out.push(ClaimRun { queue: queue.to_owned(), priority: pick.priority, ids: vec![pick.id.0] }),
            }
        }
    }
    out
}

/// A record's envelope and args, or why it is no job's: its checksum covers the body, not what the header calls it.
pub(super) fn open_job(raw: &Raw) -> std::result::Result<(Envelope, Vec<u8>), String> {
    match job::decode(raw.kind, &raw.body) {
        Ok(Record::Job(job)) => Ok((job.envelope, job.args.into_owned())),
        Ok(_) => Err("the record is no job's".to_owned()),
        Err(e) => Err(format!("the record cannot be read: {e}")),
    }
}
