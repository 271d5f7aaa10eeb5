//! What the holder of a lease says of his job: ack, nack, release, snooze, bury, park, extend.
//!
//! # Invariants
//! * Only the token that was granted last counts; every other is stale, for ever (P5).
//! * A verdict that is not an end writes the job in full, from the bytes its holder was given.
//! * An ack and what comes with it (follow-ups, cells) are one frame (P4).

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Millis, Place, Token};
use crate::job::{
    self, AttemptError, Cause, CellRecord, Ended, Ending, Envelope, ErrorCause, Event, Next, Record, Removes,
    State as JobState, Step,
};
use crate::keys::Field;
use crate::limits::CELL_BYTES_MAX;
use crate::log::Class;

use super::Core;
use super::books::Filed;
use super::claim::Grant;
use super::commit::Ticket;
use super::enqueue::NewJob;
use super::groups::{self, step_of};
use super::settings::Durability;
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// A cell set in the frame of an ack.
#[derive(Clone)]
pub(crate) struct CellSet {
    pub(crate) namespace: u8,
    pub(crate) key: Vec<u8>,
    /// `None` clears it.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) until: Option<Millis>,
}

impl CellSet {
    pub(super) fn record(&self) -> CellRecord<'_> {
        CellRecord {
            namespace: self.namespace,
            key: &self.key,
            value: self.value.as_deref(),
            until: self.until,
            carried: false,
        }
    }
}

/// The verdict on a job in flight.
#[derive(Clone)]
pub(crate) enum Settle {
    /// Done; what follows from it is accepted in the same frame.
    Ack { follow_ups: Vec<NewJob>, cells: Vec<CellSet> },
    /// Failed: again after the retry policy's delay or the one given, or dead.
    Nack { error: String, cause: ErrorCause, retry_after: Option<Duration>, duration: Option<Duration> },
    /// Given back untried.
    Release,
    /// Given back untried, not before this much later.
    Snooze(Duration),
    /// Dead at once.
    Bury(String),
    /// Nobody here can run it.
    Park(String),
    /// The same, in the engine's own words: they are never sealed.
    SetAside(String),
    /// Its holder does not want it any more: over.
    Cancel,
}

/// Whether the lease still holds, and whether somebody wants the job cancelled.
pub(super) fn held(state: &State, id: JobId, token: Token) -> Option<bool> {
    let lease = state.leases.get(&id)?;
    (lease.token == token || planted!(StaleLeaseAccepted)).then_some(lease.cancel)
}

impl Core {
    /// Carries out the verdict. `None`: the lease is stale, nothing happened.
    pub(crate) fn settle(&self, grant: &Grant, how: Settle) -> Result<Option<Ticket>> {
        match how {
            Settle::Ack { follow_ups, cells } => {
                let cells = self.seal_cells(grant, &cells)?;
                self.complete(grant, follow_ups, &cells)
            }
            other => self.give_back(grant, &other),
        }
    }

    pub(super) fn ack(&self, grant: &Grant, follow_ups: Vec<NewJob>, cells: &[CellSet]) -> Result<Option<Ticket>> {
        let mut jobs = self.prepare_all(follow_ups.into_iter().map(Ok))?;
        check_cells(cells)?;
        // What must be possible on a full disk is the bare end, for which every lease keeps room; what it brings along
        // is new work (rule 10).
        let class = if jobs.is_empty() && cells.is_empty() { Class::Ending } else { Class::Ordinary };
        let ended = self.ended_in_flight(&grant.envelope, Ending::Completed);
        let fixed = 1 + cells.len();
        let mut entries = Vec::with_capacity(fixed);
        entries.push(Entry::new(grant.id.0, &Record::Ended(ended.clone())));
        entries.extend(cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.record()))));
        let group = grant.envelope.group;
        loop {
            let bytes = self.room_of_jobs(&mut jobs, &entries, 0)?;
            let answer = self.attempt(|state| {
                if held(state, grant.id, grant.token).is_none() {
                    return Ok(Try::Done(Some(None)));
                }
                if let Some(later) = self.not_yet(state, &jobs, &[])? {
                    return Ok(later);
                }
                if !self.make_room(state, bytes + groups::room_of(state, grant.id, group), class) {
                    return Ok(Try::NoRoom(class));
                }
                let mut places: Vec<Place> = Vec::with_capacity(fixed);
                let step = Step::Ended { how: ended.how, was_dead: false };
                Self::note_member(state, grant.id, group, Some(step));
                // The end first: a follow-up may take over the unique key its parent held.
                self.file_end(state, grant.id, &ended)?;
                let end = self.stage_new(state, std::mem::take(&mut jobs), &entries, &mut places, Durability::Sync)?.1;
                for (cell, place) in cells.iter().zip(places.iter().skip(1)) {
                    planted!(CellsOfAckForgotten, (), self.file_cell(state, &cell.record(), *place)?);
                }
                self.tell_end(state, grant.id, &grant.envelope, &ended);
                Ok(Try::Done(Some(Some(Ticket {
                    lsn: planted!(AckAnsweredEarly, Lsn(0), end),
                    level: Durability::Sync,
                }))))
            })?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// Every verdict but an ack. A wish to cancel that comes in between is seen at the second look.
    fn give_back(&self, grant: &Grant, how: &Settle) -> Result<Option<Ticket>> {
        let mut wish = {
            let state = self.state.lock();
            self.check_life_for_leases(&state)?;
            let Some(wish) = held(&state, grant.id, grant.token) else { return Ok(None) };
            wish
        };
        loop {
            let mut envelope = grant.envelope.clone();
            // A wish that its release grants.
            envelope.cancel_requested = wish || matches!(how, Settle::Cancel);
            if matches!(how, Settle::Nack { .. }) && self.is_full() {
                forget_untold(&mut envelope);
            }
            let event = self.event_of(grant, how)?;
            match self.change_in_flight(grant, &envelope, &event, wish)? {
                Changed::Done(ticket) => return Ok(ticket),
                Changed::Wish(now) => wish = now,
            }
        }
    }

    fn change_in_flight(&self, grant: &Grant, envelope: &Envelope, event: &Event, wish: bool) -> Result<Changed> {
        let change = self.change_of(envelope, event, &grant.args)?;
        let bytes = entries_len([&change.entry(grant.id)]);
        let class = if matches!(change, Change::End(_)) { Class::Ending } else { change.class() };
        self.attempt(|state| {
            match held(state, grant.id, grant.token) {
                None => return Ok(Try::Done(Changed::Done(None))),
                Some(now) if now != wish => return Ok(Try::Done(Changed::Wish(now))),
                Some(_) => {}
            }
            if !self.make_room(state, bytes + groups::room_of(state, grant.id, envelope.group), class) {
                return Ok(Try::NoRoom(class));
            }
            let end = self.file_change(state, grant.id, envelope, &change)?;
            Ok(Try::Done(Changed::Done(Some(Ticket { lsn: end, level: Durability::Sync }))))
        })
    }

    /// On a full disk only the fact is kept: texts would use up what other jobs need to end (rule 10).
    fn text_kept(&self, text: &str) -> String {
        if self.is_full() && !planted!(TextsKeptWhenFull) { String::new() } else { text.to_owned() }
    }

    fn event_of(&self, grant: &Grant, how: &Settle) -> Result<Event> {
        let now = self.clock.now_ms();
        let from = Millis::not_before(self.clock.now()).max(now);
        Ok(match how {
            Settle::Nack { error, cause, retry_after, duration } => Event::Nack {
                error: AttemptError {
                    attempt: grant.attempt,
                    at: now,
                    kind: *cause,
                    message: self.seal_text(grant, Field::Error(grant.attempt), self.text_kept(error))?,
                    duration_ms: duration.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                },
                jitter: self.random.u64()?,
                now,
                retry_at: retry_after.map(|after| from.after(after)),
            },
            Settle::Release | Settle::Cancel => Event::Release { now },
            Settle::Snooze(after) => Event::Snooze { until: from.after(*after), now },
            Settle::Bury(reason) => {
                Event::Bury { reason: self.seal_text(grant, Field::Reason, self.text_kept(reason))?, now }
            }
            Settle::Park(reason) => {
                Event::Park { reason: self.seal_text(grant, Field::Reason, self.text_kept(reason))?, now }
            }
            Settle::SetAside(reason) => Event::Park { reason: reason.clone(), now },
            Settle::Ack { .. } => Event::Ack,
        })
    }

    /// What the transition function makes of the event, ready to be staged.
    pub(super) fn change_of(&self, envelope: &Envelope, event: &Event, args: &[u8]) -> Result<Change> {
        let removes = Removes::of(envelope);
        match job::next(envelope, event) {
            Next::Ends(how) => {
                let unique = envelope.unique.as_ref().map(|unique| unique.hash);
                Ok(Change::End(Ended { removes, how, unique, at: self.clock.now_ms() }))
            }
            Next::Stands(next) => {
                let cause = match event {
                    Event::Interrupted { .. } => Cause::Interrupted,
                    _ => Cause::Changed,
                };
                let body = job::encode_job(
                    &next,
                    cause,
                    Some(&removes),
                    planted!(ChangeCutsArgs, args.get(..1).unwrap_or(args), args),
                );
                Ok(Change::Stand { envelope: Box::new(next), cause, removes, body })
            }
            Next::Refused(refusal) => Err(Error::invalid(refusal.to_string())),
        }
    }

    /// Stages a change of a job that stood as `before`, and what it means for its groups (room was made for both), and
    /// brings the books forward. Gives the frame's end.
    pub(super) fn file_change(&self, state: &mut State, id: JobId, before: &Envelope, change: &Change) -> Result<Lsn> {
        let entry = change.entry(id);
        self.file_changes(state, &[Filing { id, before, change, entry: &entry }], &[])
    }

    /// [`file_change`](Self::file_change) for several jobs, and cells with them, in one frame.
    pub(super) fn file_changes(&self, state: &mut State, filings: &[Filing<'_>], cells: &[CellSet]) -> Result<Lsn> {
        for Filing { id, before, change, .. } in filings {
            Self::note_member(state, *id, before.group, step_of(before, change));
        }
        let company = self.company(state, &[], &[]);
        let set: Vec<Entry> = cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.record()))).collect();
        let mut places = Vec::with_capacity(filings.len() + set.len());
        let entries = filings.iter().map(|filing| filing.entry).chain(&set).chain(company.entries());
        let end = self.put_refs(state, 0, entries, |_, place| places.push(place));
        let mut places = places.into_iter();
        for (filing, place) in filings.iter().zip(places.by_ref()) {
            self.book_change(state, filing.id, filing.change, place)?;
        }
        for (cell, place) in cells.iter().zip(places.by_ref()) {
            self.file_cell(state, &cell.record(), place)?;
        }
        self.file_company(state, &company, places)?;
        for Filing { id, before, change, .. } in filings {
            self.tell(state, *id, before, change);
        }
        Ok(end)
    }

    /// The books' part of a change whose record lies at `place`.
    pub(super) fn book_change(&self, state: &mut State, id: JobId, change: &Change, place: Place) -> Result<()> {
        match change {
            Change::End(ended) => self.file_end(state, id, ended),
            Change::Stand { envelope, cause, removes, .. } => {
                if !matches!(envelope.state, JobState::InFlight { .. }) {
                    state.forget_lease(id);
                    self.pass_turn(state, id);
                }
                let filed = Filed::of(*cause, Some(removes), envelope);
                state.books.job(id, place, &filed).inspect_err(|e| self.log.poison(e))?;
                match envelope.state {
                    JobState::Dead { .. } => state.watchers.ended(id),
                    JobState::Ready if !planted!(GivenBackSilently) => self.wake_work(),
                    JobState::Scheduled { run_at } if !planted!(RetryDoesNotRing) => {
                        self.ring_upkeep_before(state, run_at);
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    pub(super) fn file_end(&self, state: &mut State, id: JobId, ended: &Ended) -> Result<()> {
        state.forget_lease(id);
        state.watchers.ended(id);
        self.pass_turn(state, id);
        state.books.ended(id, ended).inspect_err(|e| self.log.poison(e))
    }

    pub(super) fn file_cell(&self, state: &mut State, cell: &CellRecord<'_>, place: Place) -> Result<()> {
        state.books.cell(cell, place).inspect_err(|e| self.log.poison(e))
    }

    pub(super) fn ended_in_flight(&self, envelope: &Envelope, how: Ending) -> Ended {
        let unique = envelope.unique.as_ref().map(|unique| unique.hash);
        Ended { removes: Removes::InFlight, how, unique, at: self.clock.now_ms() }
    }

    /// Gives a lease taken by hand more time, from now. `false`: stale. A lease of the pool lasts as long as its run
    /// (rule 13): it is as good as extended, and must not begin to expire here.
    pub(crate) fn extend(&self, id: JobId, token: Token, by: Duration) -> Result<bool> {
        let mut state = self.state.lock();
        self.check_life_for_leases(&state)?;
        let state = &mut *state;
        let Some(lease) = state.leases.get_mut(&id).filter(|lease| lease.token == token) else { return Ok(false) };
        let Some(old) = lease.deadline.or(planted!(PoolLeaseMadeToExpire, Some(by), None)) else { return Ok(true) };
        let deadline = planted!(ExtendKeepsOldDeadline, old, self.clock.monotonic().saturating_add(by));
        lease.deadline = Some(deadline);
        state.deadlines.remove(&(old, id));
        state.deadlines.insert((deadline, id), token);
        Ok(true)
    }

    /// Whether the run under this token should stop: the job was cancelled, the lease is stale, or the handle is
    /// poisoned (rule 14).
    pub(crate) fn cancel_requested(&self, id: JobId, token: Token) -> bool {
        (self.log.poisoned().is_some() && !planted!(PoisonNotToldToRuns))
            || held(&self.state.lock(), id, token).unwrap_or(true)
    }

    /// Leases may still be settled while the handle closes, but not on a poisoned one.
    fn check_life_for_leases(&self, _state: &State) -> Result<()> {
        self.log.poisoned().map_or(Ok(()), Err)
    }
}

/// How a look at a lease went.
enum Changed {
    Done(Option<Ticket>),
    /// The wish to cancel has changed to this; decide again.
    Wish(bool),
}

/// A change that is ready to be staged, of a job that stood as `before`.
pub(super) struct Filing<'a> {
    pub(super) id: JobId,
    pub(super) before: &'a Envelope,
    pub(super) change: &'a Change,
    /// The change's own record.
    pub(super) entry: &'a Entry,
}

/// A change of one job, encoded outside the lock.
pub(super) enum Change {
    End(Ended),
    Stand { envelope: Box<Envelope>, cause: Cause, removes: Removes, body: Vec<u8> },
}

impl Change {
    pub(super) fn class(&self) -> Class {
        match self {
            Change::End(_) => Class::Closing,
            Change::Stand { .. } => Class::Growing,
        }
    }

    /// The hash of the unique key that the job holds from then on.
    pub(super) fn takes_key(&self) -> Option<u128> {
        match self {
            Change::End(_) => None,
            Change::Stand { envelope, .. } => envelope.holds_unique(),
        }
    }

    pub(super) fn entry(&self, id: JobId) -> Entry {
        match self {
            Change::End(ended) => Entry::new(id.0, &Record::Ended(ended.clone())),
            Change::Stand { body, .. } => Entry::job(id.0, body.clone()),
        }
    }
}

/// Of failures without a text, as a full disk leaves them, the newest is kept: a job that fails does not grow.
fn forget_untold(envelope: &mut Envelope) {
    if envelope.errors.last().is_some_and(|error| error.message.is_empty()) {
        envelope.errors.pop();
    }
}

pub(super) fn check_cells(cells: &[CellSet]) -> Result<()> {
    for cell in cells {
        let bytes = cell.value.as_ref().map_or(0, Vec::len);
        if bytes > CELL_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("cell value of {bytes} bytes: the limit is {CELL_BYTES_MAX}"),
            ));
        }
    }
    Ok(())
}
