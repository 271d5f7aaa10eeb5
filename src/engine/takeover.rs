//! Unique keys beyond "while it lives": who holds one for a period, and what an enqueue changes of a waiting holder.
//!
//! # Invariants
//! * The holder's record is read outside the lock; under it the holder is looked at again (rule 9).
//! * What is changed of a holder, the cell of a period and the new jobs of the call are one frame (P4).
//! * A job in flight, held, parked or dead is never changed here (rule 22).
//!
//! Never here: the plain case of a key that is free, or held and left alone (`enqueue`).

use crate::error::Result;
use crate::ids::{JobId, Millis, Phase, Place};
use crate::job::{self, Cause, CellRecord, Envelope, Event, Record, Removes, namespace};

use super::Core;
use super::enqueue::{Acceptance, Enqueued, OnConflict, Prepared};
use super::manage::Seen;
use super::settle::Change;
use super::staging::Entry;
use super::state::State;

/// The cell that keeps a key for a period: hash → id of the job that has it.
pub(super) struct Period {
    key: [u8; 16],
    value: [u8; 8],
    until: Millis,
    pub(super) entry: Entry,
}

impl Period {
    pub(super) fn new(hash: u128, until: Millis) -> Self {
        let (key, value) = (hash.to_be_bytes(), [0; 8]);
        Self { key, value, until, entry: Entry::new(0, &Record::Cell(record(&key, &value, until))) }
    }

    /// The job is numbered: the cell can name it. Its length stays.
    pub(super) fn give(&mut self, id: JobId) {
        self.value = id.0.to_be_bytes();
        self.entry = Entry::new(0, &Record::Cell(self.record()));
    }

    pub(super) fn record(&self) -> CellRecord<'_> {
        record(&self.key, &self.value, self.until)
    }
}

fn record<'a>(key: &'a [u8], value: &'a [u8], until: Millis) -> CellRecord<'a> {
    CellRecord { namespace: namespace::PERIOD, key, value: Some(value), until: Some(until), carried: false }
}

/// Who keeps others out: the live job that has the key, else the job whose period is not over.
pub(super) fn holder(state: &State, hash: u128, now: Millis) -> Option<JobId> {
    let index = &state.books.index;
    index.unique(hash).or_else(|| {
        let cell = index.cell(namespace::PERIOD, &hash.to_be_bytes())?;
        let lasts = cell.until.is_some_and(|until| until > now) && !planted!(PeriodForgotten);
        let id = cell.value.and_then(|value| value.try_into().ok())?;
        lasts.then(|| JobId(u64::from_be_bytes(id)))
    })
}

/// What an enqueue does to the waiting job that holds its key.
pub(super) struct Takeover {
    how: OnConflict,
    /// The new job as it would stand, and its args if they are wanted.
    envelope: Envelope,
    args: Vec<u8>,
    looked: Option<Looked>,
}

/// The holder as it was read, and what becomes of it.
struct Looked {
    id: JobId,
    seen: Seen,
    change: Change,
    entry: Entry,
}

impl Takeover {
    /// `None`: the holder is left alone.
    pub(super) fn asked(how: OnConflict, envelope: &Envelope, args: &[u8]) -> Option<Box<Self>> {
        let args = match how {
            OnConflict::Keep => return None,
            OnConflict::Replace => args.to_vec(),
            OnConflict::Reschedule => Vec::new(),
        };
        envelope.unique.as_ref()?;
        Some(Box::new(Self { how, envelope: envelope.clone(), args, looked: None }))
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        self.looked.as_ref().map(|looked| &looked.entry)
    }

    /// Whether it is ready to be staged for this holder.
    pub(super) fn is_of(&self, state: &State, id: JobId) -> bool {
        self.looked.as_ref().is_some_and(|looked| looked.id == id && looked.seen.still_stands(state, id))
    }

    pub(super) fn answer(&self, id: JobId) -> Enqueued {
        let acceptance = match self.how {
            OnConflict::Replace => Acceptance::Replaced(id),
            OnConflict::Keep | OnConflict::Reschedule => Acceptance::Rescheduled(id),
        };
        Enqueued::of(id, acceptance)
    }

    /// Brings the books forward; its record lies at `place`.
    pub(super) fn file(&self, core: &Core, state: &mut State, place: Place) -> Result<()> {
        match &self.looked {
            Some(looked) => {
                core.book_change(state, looked.id, &looked.change, place)?;
                core.tell(state, looked.id, &looked.seen.envelope, &looked.change);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&self, core: &Core, id: JobId, seen: &Seen) -> Result<Change> {
        if self.how == OnConflict::Replace {
            let removes = Removes::of(&seen.envelope);
            let mut envelope = self.envelope.clone();
            envelope.created_at = seen.envelope.created_at;
            // The key stays with the terms it was taken on.
            envelope.unique.clone_from(&seen.envelope.unique);
            // Whoever waits for the id goes on waiting for it; the new job joins no group by it.
            envelope.group = seen.envelope.group;
            envelope.changed_at = Some(core.clock.now_ms());
            // Under the id they will stand under.
            let args = core.seal_args(id, &envelope, &self.args)?;
            let args = planted!(ReplaceKeepsTheArgs, &seen.args[..], &*args);
            let body = job::encode_job(&envelope, Cause::Replaced, Some(&removes), args);
            return Ok(Change::Stand { envelope: Box::new(envelope), cause: Cause::Replaced, removes, body });
        }
        let now = core.clock.now_ms();
        let event = Event::Reschedule { run_at: self.envelope.run_at.unwrap_or(now), now };
        core.change_of(&seen.envelope, &event, &seen.args)
    }
}

fn waits(phase: Phase) -> bool {
    matches!(phase, Phase::Scheduled | Phase::Ready)
}

/// The waiting live job that holds this one's key.
fn waiting_holder(state: &State, job: &Prepared) -> Option<JobId> {
    let id = state.books.index.unique(job.unique?.0)?;
    state.books.index.get(id).filter(|entry| waits(entry.phase)).map(|_| id)
}

/// Whether a holder that is to be changed was not read yet, or has moved since.
pub(super) fn must_look(state: &State, jobs: &[Prepared]) -> bool {
    jobs.iter().any(|job| {
        let Some(takeover) = &job.takeover else { return false };
        waiting_holder(state, job).is_some_and(|id| !takeover.is_of(state, id))
    })
}

impl Core {
    /// Reads the waiting holders that these jobs ask to change.
    pub(super) fn look_at_holders(&self, jobs: &mut [Prepared]) -> Result<()> {
        for job in jobs.iter_mut().filter(|job| job.takeover.is_some()) {
            let holder = waiting_holder(&self.state.lock(), job);
            let Some(takeover) = &mut job.takeover else { continue };
            takeover.looked = None;
            let Some(id) = holder else { continue };
            let Some(seen) = self.see(id)?.filter(|seen| waits(seen.envelope.state.phase())) else { continue };
            let change = takeover.change(self, id, &seen)?;
            let entry = change.entry(id);
            takeover.looked = Some(Looked { id, seen, change, entry });
        }
        Ok(())
    }
}
