//! What an operator does to a job or a queue by name: cancel, requeue, confirm, discard, move, reschedule,
//! pause, resume, limit.
//!
//! # Invariants
//! * The job's record is read outside the lock; under it the place is compared again (rule 9).
//! * "Already so" answers carry a ticket too: they wait for the staged state they looked at (rule 6).

use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, Millis, Phase, Token};
use crate::index::Entry;
use crate::job::{CellRecord, Envelope, Event, Record, namespace};
use crate::log::Class;

use super::Core;
use super::books::as_it_stands;
use super::claim::open_job;
use super::commit::Ticket;
use super::groups;
use super::look::Source;
use super::settings::Durability;
use super::settle::Change;
use super::staging::{self, Try, entries_len};
use super::state::State;

/// What became of a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// The job is gone.
    Done,
    /// The job runs: it was told to stop, and is cancelled at any end but an ack.
    Requested,
    /// There is no such live job: it ended before, or its id was never given.
    NotLive,
}

/// What became of a requeue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requeued {
    /// Ready again, from its first attempt.
    Done,
    /// It is ready already, in flight or held: nothing was changed.
    Refused(Phase),
    /// Another live job holds its unique key: nothing was changed.
    Duplicate(JobId),
    /// There is no such live job: it ended before, or its id was never given.
    NotLive,
}

/// What became of a confirm or a discard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirmed {
    /// The job is held no longer: it goes on, or was discarded.
    Done,
    /// It is not held, but this: nothing was changed.
    Refused(Phase),
    /// There is no such live job: it ended before, or its id was never given.
    NotLive,
}

/// What became of a change of a waiting job: another time, queue or priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// It stands so now.
    Done,
    /// It is in this state, in which that cannot be changed: nothing was.
    Refused(Phase),
    /// There is no such live job: it ended before, or its id was never given.
    NotLive,
}

/// How a change by id went.
enum Answer {
    Changed(Phase),
    Refused(Phase),
    Duplicate(JobId),
    NotLive,
}

impl Core {
    /// Ends a job that waits; asks one that runs to stop.
    pub(crate) fn cancel(&self, id: JobId) -> Result<(Cancelled, Ticket)> {
        let (answer, ticket) = self.change_by_id(id, &Event::Cancel)?;
        let cancelled = match answer {
            Answer::Changed(Phase::InFlight) => Cancelled::Requested,
            Answer::Changed(_) => Cancelled::Done,
            Answer::Refused(_) | Answer::Duplicate(_) | Answer::NotLive => Cancelled::NotLive,
        };
        Ok((cancelled, ticket))
    }

    /// Makes a dead, parked or scheduled job ready from its first attempt.
    pub(crate) fn requeue(&self, id: JobId) -> Result<(Requeued, Ticket)> {
        let (answer, ticket) = self.change_by_id(id, &Event::Requeue { now: self.clock.now_ms() })?;
        let requeued = match answer {
            Answer::Changed(_) => Requeued::Done,
            Answer::Refused(phase) => Requeued::Refused(phase),
            Answer::Duplicate(other) => Requeued::Duplicate(other),
            Answer::NotLive => Requeued::NotLive,
        };
        Ok((requeued, ticket))
    }

    /// Lets a held job go on.
    pub(crate) fn confirm(&self, id: JobId) -> Result<(Confirmed, Ticket)> {
        self.end_hold(id, &Event::Confirm { now: self.clock.now_ms() })
    }

    /// Ends a held job.
    pub(crate) fn discard(&self, id: JobId) -> Result<(Confirmed, Ticket)> {
        self.end_hold(id, &Event::Discard)
    }

    /// Puts a job that does not run into another queue, gives it another priority, or both.
    pub(crate) fn move_to(&self, id: JobId, queue: Option<&str>, priority: Option<i16>) -> Result<(Changed, Ticket)> {
        let now = self.clock.now_ms();
        self.change_waiting(id, &Event::Move { queue: queue.map(str::to_owned), priority, now })
    }

    /// Moves the time of a scheduled or ready job.
    pub(crate) fn reschedule(&self, id: JobId, run_at: Millis) -> Result<(Changed, Ticket)> {
        self.change_waiting(id, &Event::Reschedule { run_at, now: self.clock.now_ms() })
    }

    fn change_waiting(&self, id: JobId, event: &Event) -> Result<(Changed, Ticket)> {
        let (answer, ticket) = self.change_by_id(id, event)?;
        let changed = match answer {
            Answer::Changed(_) => Changed::Done,
            Answer::Refused(phase) => Changed::Refused(phase),
            Answer::Duplicate(_) | Answer::NotLive => Changed::NotLive,
        };
        Ok((changed, ticket))
    }

    fn end_hold(&self, id: JobId, event: &Event) -> Result<(Confirmed, Ticket)> {
        let (answer, ticket) = self.change_by_id(id, event)?;
        let confirmed = match answer {
            Answer::Changed(_) => Confirmed::Done,
            Answer::Refused(phase) => Confirmed::Refused(phase),
            Answer::Duplicate(_) | Answer::NotLive => Confirmed::NotLive,
        };
        Ok((confirmed, ticket))
    }

    /// Parked jobs whose kind fits are ready again, their attempts as they were. Gives how many.
    pub(crate) fn unpark(&self, fits: &dyn Fn(&str) -> bool) -> Result<u64> {
        let mut unparked = 0;
        let mut from = (self.counts().total().parked > 0).then_some(JobId(0));
        while let Some(start) = from {
            let ids = self.ids_from(start, Some(Phase::Parked));
            from = ids.last().and_then(|last| last.0.checked_add(1)).map(JobId);
            for id in ids {
                let Some(seen) = self.see(id)? else { continue };
                let fitting = planted!(UnparksEveryKind) || fits(&seen.envelope.kind);
                // One that would only be parked again stays where it is, with its reason; whoever reaches it reports damage.
                if fitting && !matches!(self.open_sealed(id, &seen.envelope, &seen.args), Ok(Err(_))) {
                    unparked += u64::from(self.unpark_one(id)?);
                }
            }
        }
        Ok(unparked)
    }

    pub(super) fn unpark_one(&self, id: JobId) -> Result<bool> {
        let (answer, _) = self.change_by_id(id, &Event::Unpark { now: self.clock.now_ms() })?;
        Ok(matches!(answer, Answer::Changed(_)))
    }

    /// Reads a job as it stands now. `None`: it is not live.
    pub(super) fn see(&self, id: JobId) -> Result<Option<Seen>> {
        loop {
            let Some(before) = self.state.lock().books.index.get(id) else { return Ok(None) };
            if before.place.lsn >= self.log.written() {
                self.push()?;
            }
            let read = self.log.read(before.place, id.0);
            let state = self.state.lock();
            let Some(entry) = state.books.index.get(id) else { return Ok(None) };
            if entry.place != before.place {
                // Carried or changed while we read; a failed read of the old place means nothing.
                continue;
            }
            let (envelope, args) = open_job(&read?).map_err(|what| self.log.damaged(entry.place, what))?;
            return Ok(Some(Seen::new(&state, id, entry, envelope, args)));
        }
    }

    /// [`see`](Self::see) for many, neighbours in one read. Those that are not live are left out; what cannot be read is
    /// that job's own error.
    pub(super) fn see_many(&self, ids: &[JobId]) -> Result<Vec<(JobId, Result<Seen>)>> {
        let before: Vec<(JobId, Entry)> = {
            let state = self.state.lock();
            ids.iter().filter_map(|id| Some((*id, state.books.index.get(*id)?))).collect()
        };
        if before.iter().any(|(_, entry)| entry.place.lsn >= self.log.written()) {
            self.push()?;
        }
        let wanted: Vec<_> = before.iter().map(|(id, entry)| (entry.place, id.0)).collect();
        let read = before.iter().zip(self.log.read_many(&wanted)).map(|((id, entry), read)| {
            let opened = read.and_then(|raw| open_job(&raw).map_err(|what| self.log.damaged(entry.place, what)));
            (*id, entry.place, opened)
        });
        let read: Vec<_> = read.collect();
        let mut seen = Vec::with_capacity(read.len());
        let mut state = self.state.lock();
        for (id, place, opened) in read {
            match state.books.index.get(id) {
                None => {}
                Some(entry) if entry.place == place && !is_refused(&opened) => {
                    seen.push((id, opened.map(|(envelope, args)| Seen::new(&state, id, entry, envelope, args))));
                }
                Some(_) => {
                    drop(state);
                    match self.see(id) {
                        Ok(again) => seen.extend(again.map(|again| (id, Ok(again)))),
                        Err(own) if matches!(own.kind(), ErrorKind::Corrupt | ErrorKind::Io) => {
                            seen.push((id, Err(own)));
                        }
                        Err(all) => return Err(all),
                    }
                    state = self.state.lock();
                }
            }
        }
        Ok(seen)
    }

    fn change_by_id(&self, id: JobId, event: &Event) -> Result<(Answer, Ticket)> {
        loop {
            let Some(seen) = self.see(id)? else {
                let seen = planted!(
                    AlreadyGoneAnswersAtOnce,
                    Ticket { lsn: crate::ids::Lsn(0), level: Durability::Sync },
                    self.seen_so_far()
                );
                return Ok((Answer::NotLive, seen));
            };
            let phase = seen.envelope.state.phase();
            let Ok(change) = self.change_of(&seen.envelope, event, &seen.args) else {
                return Ok((Answer::Refused(phase), self.seen_so_far()));
            };
            if let Some(answer) = self.stage_by_id(id, &seen, &change)? {
                return Ok(answer);
            }
        }
    }

    /// `None`: the job moved since it was read.
    fn stage_by_id(&self, id: JobId, seen: &Seen, change: &Change) -> Result<Option<(Answer, Ticket)>> {
        let bytes = entries_len([&change.entry(id)]);
        self.attempt(|state| {
            if !seen.still_stands(state, id) {
                return Ok(Try::Done(None));
            }
            if let Some(other) = taken_key(state, id, change) {
                return Ok(Try::Done(Some((Answer::Duplicate(other), Self::ticket_at(state)))));
            }
            let bytes = bytes + groups::room_of(state, id, seen.envelope.group);
            if !self.make_room(state, bytes, change.class()) {
                return Ok(Try::NoRoom(change.class()));
            }
            tell_lease(state, id, change);
            let lsn = self.file_change(state, id, &seen.envelope, change)?;
            let ticket = Ticket { lsn, level: Durability::Sync };
            Ok(Try::Done(Some((Answer::Changed(seen.entry.phase), ticket))))
        })
    }

    pub(super) fn ticket_at(state: &State) -> Ticket {
        Ticket { lsn: state.stage.tail(), level: Durability::Sync }
    }

    /// The staged tail, for answers that say how things stand.
    pub(crate) fn seen_so_far(&self) -> Ticket {
        Self::ticket_at(&self.state.lock())
    }

    /// No job of this queue is granted any more, until it is resumed. Durable.
    pub(crate) fn pause(&self, queue: &str) -> Result<Ticket> {
        self.set_pause(namespace::PAUSE, queue, true)
    }

    /// Undoes [`pause`](Self::pause).
    pub(crate) fn resume(&self, queue: &str) -> Result<Ticket> {
        let ticket = self.set_pause(namespace::PAUSE, queue, false)?;
        self.wake_work();
        Ok(ticket)
    }

    /// No job of this kind is handed out any more: one that is reached is parked. Durable.
    pub(crate) fn pause_kind(&self, kind: &str) -> Result<Ticket> {
        self.set_pause(namespace::PAUSE_KIND, kind, true)
    }

    /// Undoes [`pause_kind`](Self::pause_kind): what was parked is ready again.
    pub(crate) fn resume_kind(&self, kind: &str) -> Result<Ticket> {
        self.set_pause(namespace::PAUSE_KIND, kind, false)?;
        self.unpark(&|parked| parked == kind)?;
        Ok(self.seen_so_far())
    }

    fn set_pause(&self, namespace: u8, name: &str, paused: bool) -> Result<Ticket> {
        let cell = CellRecord {
            namespace,
            key: name.as_bytes(),
            value: paused.then_some(&[1_u8][..]),
            until: None,
            carried: false,
        };
        let bytes = entries_len([&staging::Entry::new(0, &Record::Cell(cell.clone()))]);
        self.attempt(|state| {
            if state.pauses(namespace).contains(name) == paused {
                return Ok(Try::Done(planted!(
                    PauseAnswersAtOnce,
                    Ticket { lsn: crate::ids::Lsn(0), level: Durability::Sync },
                    Self::ticket_at(state)
                )));
            }
            if !self.make_room(state, bytes, Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            let (place, lsn) = self.put_one(state, staging::Entry::new(0, &Record::Cell(cell.clone())));
            self.file_cell(state, &cell, place)?;
            if paused {
                state.pauses(namespace).insert(name.to_owned());
            } else {
                state.pauses(namespace).remove(name);
            }
            self.tell_pause(state, namespace, name, paused);
            Ok(Try::Done(Ticket { lsn, level: Durability::Sync }))
        })
    }

    /// The limits of a queue from now on. What they count is in the log; they themselves are the program's to say.
    pub(crate) fn set_limits(&self, queue: &str, limits: super::limits::Limits) {
        self.state.lock().lines.set_limits(queue, limits);
        self.wake_work();
    }

    /// Queues that are paused, by name.
    pub(crate) fn paused(&self) -> Vec<String> {
        self.state.lock().paused.iter().cloned().collect()
    }

    /// Kinds that are paused, by name.
    pub(crate) fn paused_kinds(&self) -> Vec<String> {
        self.state.lock().paused_kinds.iter().cloned().collect()
    }
}

/// A job as it was read, with what tells whether it has moved since.
pub(super) struct Seen {
    entry: Entry,
    token: Option<Token>,
    pub(super) envelope: Envelope,
    pub(super) args: Vec<u8>,
}

impl Seen {
    /// As the index says now, of a job whose newest record holds this.
    fn new(state: &State, id: JobId, entry: Entry, mut envelope: Envelope, args: Vec<u8>) -> Self {
        let lease = state.leases.get(&id);
        let since = lease.map_or(envelope.created_at, |lease| lease.since);
        as_it_stands(&state.books.index, id, &mut envelope, since);
        Self { entry, token: lease.map(|lease| lease.token), envelope, args }
    }

    /// Every change of a job moves its record, its phase or its lease.
    pub(super) fn still_stands(&self, state: &State, id: JobId) -> bool {
        planted!(OperatorDoesNotLookAgain)
            || state.books.index.get(id) == Some(self.entry)
                && state.leases.get(&id).map(|lease| lease.token) == self.token
    }
}

/// The disk did not give it back this time.
fn is_refused<T>(read: &Result<T>) -> bool {
    read.as_ref().is_err_and(|refused| refused.kind() == ErrorKind::Io)
}

/// Whoever runs the job hears of a wish to cancel it.
pub(super) fn tell_lease(state: &mut State, id: JobId, change: &Change) {
    if let (Change::Stand { envelope, .. }, Some(lease)) = (change, state.leases.get_mut(&id)) {
        lease.cancel = envelope.cancel_requested && !planted!(CancelNotToldToLease);
        state.watchers.stops(id);
    }
}

/// The other live job that holds the key this change would take.
pub(super) fn taken_key(state: &State, id: JobId, change: &Change) -> Option<JobId> {
    let hash = change.takes_key()?;
    state.books.index.unique(hash).filter(|holder| *holder != id && !planted!(RequeueIgnoresKey))
}
