//! What the log says: index, ledger and totals, brought forward record by record.
//!
//! The verbs and the replay call the same functions here, so the state after a verb and the state after a crash
//! cannot differ.
//!
//! # Invariants
//! * A pure function of the records in log order: no clock, no randomness, no I/O.
//! * A record about a job that stands nowhere is about one whose older record was compacted away or is damaged; the
//!   record that keeps or ends it follows. Such ids are *owed* until then, and none may be owed at the log's end.
//!
//! Never here: deciding whether something may happen (that is `job::next` and the verbs).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Millis, Phase, Place, Token};
use crate::index::{Index, Key, LaneId, Mismatch};
use crate::job::{
    Cause, CellRecord, Claimed, Counters, Due, Ended, Ending, Envelope, Peek, Record, Removes, State, Totals, namespace,
};

use super::ledger::Ledger;

/// Index, ledger and totals at one position of the log.
pub(crate) struct Books {
    pub(crate) index: Index,
    pub(crate) ledger: Ledger,
    pub(crate) totals: Totals,
    owed: BTreeSet<JobId>,
    suspects: BTreeMap<JobId, Suspect>,
}

/// Where a job stands in line that was in flight at two crashes or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspect {
    pub(crate) lane: LaneId,
    pub(crate) priority: i16,
}

/// What the books need of a full job record.
pub(crate) struct Filed<'a> {
    pub(crate) cause: Cause,
    pub(crate) removes: Option<&'a Removes>,
    pub(crate) lane: Cow<'a, str>,
    pub(crate) state: State,
    pub(crate) priority: i16,
    pub(crate) careful: bool,
    pub(crate) suspect: bool,
    /// The hash of its unique key, and whether the job keeps others out as it stands.
    pub(crate) unique: Option<(u128, bool)>,
}

impl<'a> Filed<'a> {
    pub(crate) fn of(cause: Cause, removes: Option<&'a Removes>, envelope: &'a Envelope) -> Self {
        Self {
            cause,
            removes,
            lane: envelope.lane(),
            state: envelope.state,
            priority: envelope.priority,
            careful: envelope.careful(),
            suspect: envelope.is_suspect(),
            unique: envelope.key_claim(),
        }
    }

    pub(crate) fn of_peek(peek: &'a Peek<'a>) -> Self {
        Self {
            cause: peek.cause,
            removes: peek.removes.as_ref(),
            lane: peek.lane(),
            state: peek.state,
            priority: peek.priority,
            careful: peek.careful,
            suspect: peek.suspect,
            unique: peek.unique,
        }
    }
}

impl Books {
    pub(crate) fn new(index: Index, ledger: Ledger, totals: Totals, suspects: BTreeMap<JobId, Suspect>) -> Self {
        Self { index, ledger, totals, owed: BTreeSet::new(), suspects }
    }

    pub(crate) fn fresh(segment_bytes: u32) -> Self {
        Self::new(Index::new(), Ledger::new(segment_bytes), Totals::default(), BTreeMap::new())
    }

    fn counters(&mut self) -> &mut Counters {
        &mut self.totals.counters
    }

    /// Takes in one record read from the log.
    pub(crate) fn replay(&mut self, id: u64, record: &Record<'_>, place: Place) -> Result<()> {
        match record {
            Record::Opened(opened) => self.totals.epoch = opened.epoch,
            Record::Totals(totals) => self.totals = *totals,
            Record::Job(job) => {
                let filed = Filed::of(job.cause, job.removes.as_ref(), &job.envelope);
                self.job(JobId(id), place, &filed)?;
            }
            Record::Claimed(claimed) => self.claimed(claimed)?,
            Record::Ended(ended) => self.ended(JobId(id), ended)?,
            Record::Due(due) => self.due(due, |_, _| {}),
            Record::Cell(cell) => self.cell(cell, place)?,
        }
        Ok(())
    }

    /// A full record: a new job, or the newest word about one.
    pub(crate) fn job(&mut self, id: JobId, place: Place, filed: &Filed<'_>) -> Result<()> {
        let lane = self.index.lane(&filed.lane);
        let key = key_of(&filed.state, lane, filed.priority);
        // Of a new job the insertion says whether it stands already: a look-up less.
        let standing = if filed.cause == Cause::Enqueued { None } else { self.index.get(id) };
        let old = match (filed.cause, standing) {
            (Cause::Carried, Some(_)) => self.index.relocate(id, place),
            (_, None) => {
                self.owed.remove(&id);
                self.index.insert(id, place, filed.careful, key).map_err(|e| mismatch(id, &e))?;
                None
            }
            (_, Some(_)) => {
                let removes = filed.removes.ok_or_else(|| disagree(id, "replaced without saying what"))?;
                let old = self.key_removed(id, removes).ok_or_else(|| disagree(id, "not where its record says"))?;
                Some(self.index.replace(id, place, filed.careful, &old, key).map_err(|e| mismatch(id, &e))?)
            }
        };
        self.ledger.add(place);
        self.drop_old(id, old)?;
        self.count(id, filed);
        if filed.cause == Cause::Replaced && !planted!(ReplacedKeepsItsSteps) {
            self.take_cells_of(&namespace::OF_ITS_RUNS, id)?;
        }
        if filed.suspect {
            self.suspects.insert(id, Suspect { lane, priority: filed.priority });
        } else {
            self.suspects.remove(&id);
        }
        match filed.unique {
            Some((hash, true)) => self.index.set_unique(hash, id),
            Some((hash, false)) => self.index.clear_unique(hash, id),
            None => {}
        }
        Ok(())
    }

    /// A full record that cannot be read and that a later one, which came with a note of it, supersedes (rule 15).
    pub(crate) fn unreadable(&mut self, id: JobId) -> Result<()> {
        match self.index.key_of(id) {
            Some(key) => {
                let old = self.index.remove(id, &key).map_err(|e| mismatch(id, &e))?;
                self.drop_old(id, Some(old))?;
            }
            // Ids rise: this was its first record. (Not those that were reserved: one of them that is damaged is not counted.)
            None if id.0 >= self.totals.next_id => {
                self.counters().enqueued += 1;
                self.totals.next_id = id.0.saturating_add(1);
            }
            None => {}
        }
        self.suspects.remove(&id);
        self.owed.insert(id);
        Ok(())
    }

    fn count(&mut self, id: JobId, filed: &Filed<'_>) {
        match filed.cause {
            Cause::Enqueued => {
                self.counters().enqueued += 1;
                self.totals.next_id = self.totals.next_id.max(id.0.saturating_add(planted!(NextIdForgotten, 0, 1)));
            }
            Cause::Interrupted => self.counters().failures += 1,
            Cause::Carried if planted!(CarriedCountsAsNew) => self.counters().enqueued += 1,
            Cause::Changed | Cause::Carried | Cause::Replaced => {}
        }
    }

    fn drop_old(&mut self, id: JobId, old: Option<Place>) -> Result<()> {
        match old {
            Some(_) if planted!(OldPlaceNotDropped) => Ok(()),
            Some(old) if !self.ledger.drop(old) => Err(disagree(id, "its old record was not counted")),
            _ => Ok(()),
        }
    }

    /// Grants: ready → in flight, with tokens counted on through the runs.
    pub(crate) fn claimed(&mut self, claimed: &Claimed) -> Result<()> {
        let mut counter = claimed.first_counter;
        for run in &claimed.runs {
            let lane = self.index.lane(&run.queue);
            for &id in &run.ids {
                let id = JobId(id);
                let token = Token { epoch: claimed.epoch, counter };
                counter += planted!(TokensRepeatInABatch, 0, 1);
                self.counters().claims += 1;
                if self.index.get(id).is_none() {
                    self.owed.insert(id);
                } else {
                    self.index.claim(id, lane, run.priority, token).map_err(|e| mismatch(id, &e))?;
                }
            }
        }
        Ok(())
    }

    fn take_cells_of(&mut self, namespaces: &[u8], id: JobId) -> Result<()> {
        for place in self.index.take_cells_of(namespaces, id) {
            if !self.ledger.drop(place) {
                return Err(disagree(id, "what it kept beside itself was not counted"));
            }
        }
        Ok(())
    }

    /// The end of a job.
    pub(crate) fn ended(&mut self, id: JobId, ended: &Ended) -> Result<()> {
        if self.index.get(id).is_none() {
            self.owed.remove(&id);
        } else {
            let key = self.key_removed(id, &ended.removes).ok_or_else(|| disagree(id, "not where its end says"))?;
            let old = self.index.remove(id, &key).map_err(|e| mismatch(id, &e))?;
            self.drop_old(id, Some(old))?;
            if let Some(hash) = ended.unique
                && !planted!(KeyKeptByEnded)
            {
                self.index.clear_unique(hash, id);
            }
        }
        self.suspects.remove(&id);
        self.take_cells_of(planted!(CellsOutliveTheirJob, &[], &namespace::OF_A_JOB), id)?;
        let counters = self.counters();
        match ended.how {
            Ending::Completed => counters.completed += planted!(CompletedNotCounted, 0, 1),
            Ending::Cancelled => counters.cancelled += 1,
            Ending::Expired => counters.expired += 1,
            Ending::Discarded => counters.discarded += 1,
            Ending::Pruned => counters.pruned += 1,
        }
        Ok(())
    }

    /// Everything scheduled up to a key becomes ready.
    pub(crate) fn due(&mut self, due: &Due, moved: impl FnMut(LaneId, JobId)) {
        let run_at = planted!(PromotesBeyondTheMark, Millis(u64::MAX), due.run_at);
        self.index.promote((run_at, JobId(due.id)), moved);
    }

    /// A cell is set, cleared, or carried.
    pub(crate) fn cell(&mut self, cell: &CellRecord<'_>, place: Place) -> Result<()> {
        let old = if cell.carried && self.index.cell_place(cell.namespace, cell.key).is_some() {
            self.index.relocate_cell(cell.namespace, cell.key, place)
        } else {
            self.index.set_cell(cell.namespace, cell.key, cell.value, cell.until, place)
        };
        if cell.value.is_some() || planted!(ClearedCellCounted) {
            self.ledger.add(place);
        }
        match old {
            Some(old) if !self.ledger.drop(old) => Err(Error::new(
                ErrorKind::Corrupt,
                "corrupt: a cell's old record was not counted; reopen to rebuild the index",
            )),
            _ => Ok(()),
        }
    }

    /// The index key a record takes away. `None`: the job is in another place than the record says.
    fn key_removed(&mut self, id: JobId, removes: &Removes) -> Option<Key> {
        Some(match removes {
            Removes::Held { queue } => Key::Held { lane: self.index.lane(queue) },
            Removes::Scheduled { run_at, queue, priority } => {
                Key::Scheduled { run_at: *run_at, lane: self.index.lane(queue), priority: *priority }
            }
            Removes::Ready { queue, priority } => Key::Ready { lane: self.index.lane(queue), priority: *priority },
            Removes::InFlight => {
                let flight = self.index.in_flight(id)?;
                Key::InFlight { token: flight.token, lane: flight.lane, priority: flight.priority }
            }
            Removes::Dead { at, queue } => Key::Dead { at: *at, lane: self.index.lane(queue) },
            Removes::Parked { at, queue } => Key::Parked { at: *at, lane: self.index.lane(queue) },
        })
    }

    /// Live jobs that were in flight at two crashes or more, whatever state they are in.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = (JobId, Suspect)> + '_ {
        self.suspects.iter().map(|(id, suspect)| (*id, *suspect))
    }

    pub(crate) fn suspect(&self, id: JobId) -> Option<Suspect> {
        self.suspects.get(&id).copied()
    }

    /// Whether ledger, index and counters add up (C9).
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let live = self.index.len();
        let cells = self.index.all_cells().count() as u64;
        if self.ledger.records() != live + cells {
            return Err(format!("ledger={} but jobs={live} cells={cells}", self.ledger.records()));
        }
        let counters = &self.totals.counters;
        let ended = counters.completed + counters.cancelled + counters.expired + counters.discarded + counters.pruned;
        if counters.enqueued != live + ended {
            return Err(format!("enqueued={} but live={live} ended={ended}", counters.enqueued));
        }
        let by_state: u64 = self.index.totals().iter().sum();
        if by_state != live {
            return Err(format!("by state={by_state} but live={live}"));
        }
        if let Some(id) = self.suspects.keys().find(|id| self.index.get(**id).is_none()) {
            return Err(format!("job={id} is a suspect and not live"));
        }
        Ok(())
    }

    /// Ids that were spoken of but never shown: at the log's end there may be none.
    pub(crate) fn owed(&self) -> impl Iterator<Item = JobId> + '_ {
        self.owed.iter().copied()
    }
}

pub(crate) fn key_of(state: &State, lane: LaneId, priority: i16) -> Key {
    match *state {
        State::Held => Key::Held { lane },
        State::Scheduled { run_at } => Key::Scheduled { run_at, lane, priority },
        State::Ready => Key::Ready { lane, priority },
        State::InFlight { token, .. } => Key::InFlight { token, lane, priority },
        State::Dead { at } => Key::Dead { at, lane },
        State::Parked { at } => Key::Parked { at, lane },
    }
}

/// The envelope of a job as it stands now: `Due` and `Claimed` move a job without writing it again.
pub(crate) fn as_it_stands(index: &Index, id: JobId, envelope: &mut Envelope, now: Millis) {
    let Some(entry) = index.get(id) else { return };
    if entry.phase == envelope.state.phase() {
        return;
    }
    match entry.phase {
        Phase::Ready => envelope.state = State::Ready,
        Phase::InFlight => {
            if let Some(flight) = index.in_flight(id) {
                envelope.state = State::InFlight { token: flight.token, since: now };
            }
        }
        // The other states are entered only by a full record, so the envelope says them itself.
        Phase::Held | Phase::Scheduled | Phase::Dead | Phase::Parked => {}
    }
}

fn mismatch(id: JobId, why: &Mismatch) -> Error {
    disagree(id, &why.to_string())
}

fn disagree(id: JobId, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("corrupt: log and index disagree: job={id}: {what}; reopen to rebuild the index"),
    )
}
