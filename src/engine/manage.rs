//! What an operator does to a job or a queue by name: cancel, requeue, confirm, discard, pause, resume.
//!
//! # Invariants
//! * The job's record is read outside the lock; under it the place is compared again (rule 9).
//! * "Already so" answers carry a ticket too: they wait for the staged state they looked at (rule 6).

use crate::error::Result;
use crate::ids::{JobId, Phase, Token};
use crate::job::{CellRecord, Envelope, Event, Record, namespace};
use crate::log::Class;

use super::Core;
use super::books::as_it_stands;
use super::claim::open_job;
use super::commit::Ticket;
use super::look::Source;
use super::settings::Durability;
use super::settle::Change;
use super::staging::{Entry, Try, entries_len};
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
                let fitting = self.see(id)?.is_some_and(|seen| planted!(UnparksEveryKind) || fits(&seen.envelope.kind));
                if fitting {
                    let (answer, _) = self.change_by_id(id, &Event::Unpark { now: self.clock.now_ms() })?;
                    unparked += u64::from(matches!(answer, Answer::Changed(_)));
                }
            }
        }
        Ok(unparked)
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
            let (mut envelope, args) = open_job(&read?).map_err(|what| self.log.damaged(entry.place, what))?;
            let lease = state.leases.get(&id);
            let since = lease.map_or(envelope.created_at, |lease| lease.since);
            as_it_stands(&state.books.index, id, &mut envelope, since);
            return Ok(Some(Seen { entry, token: lease.map(|lease| lease.token), envelope, args }));
        }
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
            if !self.make_room(state, bytes, change.class()) {
                return Ok(Try::NoRoom(change.class()));
            }
            if let (Change::Stand { envelope, .. }, Some(lease)) = (change, state.leases.get_mut(&id)) {
                lease.cancel = envelope.cancel_requested && !planted!(CancelNotToldToLease);
                state.watchers.stops(id);
            }
            let lsn = self.file_change(state, id, change)?;
            self.tell(state, id, &seen.envelope, change);
            let ticket = Ticket { lsn, level: Durability::Sync };
            Ok(Try::Done(Some((Answer::Changed(seen.entry.phase), ticket))))
        })
    }

    fn ticket_at(state: &State) -> Ticket {
        Ticket { lsn: state.stage.tail(), level: Durability::Sync }
    }

    /// The staged tail, for answers that say how things stand.
    pub(super) fn seen_so_far(&self) -> Ticket {
        Self::ticket_at(&self.state.lock())
    }

    /// No job of this queue is granted any more, until it is resumed. Durable.
    pub(crate) fn pause(&self, queue: &str) -> Result<Ticket> {
        self.set_pause(queue, true)
    }

    /// Undoes [`pause`](Self::pause).
    pub(crate) fn resume(&self, queue: &str) -> Result<Ticket> {
        let ticket = self.set_pause(queue, false)?;
        self.wake_work();
        Ok(ticket)
    }

    fn set_pause(&self, queue: &str, paused: bool) -> Result<Ticket> {
        let cell = CellRecord {
            namespace: namespace::PAUSE,
            key: queue.as_bytes(),
            value: paused.then_some(&[1_u8][..]),
            until: None,
            carried: false,
        };
        let bytes = entries_len([&Entry::new(0, &Record::Cell(cell.clone()))]);
        self.attempt(|state| {
            if state.paused.contains(queue) == paused {
                return Ok(Try::Done(planted!(
                    PauseAnswersAtOnce,
                    Ticket { lsn: crate::ids::Lsn(0), level: Durability::Sync },
                    Self::ticket_at(state)
                )));
            }
            if !self.make_room(state, bytes, Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            let (place, lsn) = self.put_one(state, Entry::new(0, &Record::Cell(cell.clone())));
            self.file_cell(state, &cell, place)?;
            if paused {
                state.paused.insert(queue.to_owned());
            } else {
                state.paused.remove(queue);
            }
            self.tell_pause(state, queue, paused);
            Ok(Try::Done(Ticket { lsn, level: Durability::Sync }))
        })
    }

    /// Queues that are paused, by name.
    pub(crate) fn paused(&self) -> Vec<String> {
        self.state.lock().paused.iter().cloned().collect()
    }
}

/// A job as it was read, with what tells whether it has moved since.
pub(super) struct Seen {
    entry: crate::index::Entry,
    token: Option<Token>,
    pub(super) envelope: Envelope,
    pub(super) args: Vec<u8>,
}

impl Seen {
    /// Every change of a job moves its record, its phase or its lease.
    pub(super) fn still_stands(&self, state: &State, id: JobId) -> bool {
        planted!(OperatorDoesNotLookAgain)
            || state.books.index.get(id) == Some(self.entry)
                && state.leases.get(&id).map(|lease| lease.token) == self.token
    }
}

/// The other live job that holds the key this change would take.
fn taken_key(state: &State, id: JobId, change: &Change) -> Option<JobId> {
    let Change::Stand { envelope, .. } = change else { return None };
    let hash = envelope.holds_unique()?;
    state.books.index.unique(hash).filter(|holder| *holder != id && !planted!(RequeueIgnoresKey))
}
