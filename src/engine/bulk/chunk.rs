//! One frame of a bulk verb: what becomes of each job it met, decided outside the lock and compared under it.
//!
//! # Invariants
//! * A frame takes a run of the jobs met, from the first one on, and says that it is through with them.
//! * What ends jobs and what makes them grow are frames of their own: on a full disk each goes as far as it may alone.
//!
//! Never here: which jobs are met (`super::reading`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::Core;
use crate::engine::commit::Ticket;
use crate::engine::groups;
use crate::engine::manage::{Seen, taken_key, tell_lease};
use crate::engine::settings::Durability;
use crate::engine::settle::{CellSet, Change, Filing};
use crate::engine::staging::{Entry, Try, entries_len};
use crate::engine::state::State;
use crate::engine::{audit, bulk};
use crate::error::Result;
use crate::ids::{AuditId, JobId, Phase};
use crate::job::{Audit, BulkCounts, BulkRun, BulkVerb, Envelope, Record, encode_bulk, namespace};
use crate::log::Class;

use super::reading::{CHUNK_JOBS_MAX, Found};

/// The jobs met, and what becomes of them.
struct Chunk {
    jobs: VecDeque<Prepared>,
    through: u64,
    at_end: bool,
}

struct Prepared {
    id: JobId,
    fate: Fate,
}

#[expect(clippy::large_enum_variant, reason = "nearly always the large one")]
enum Fate {
    Changes {
        seen: Seen,
        change: Change,
        entry: Entry,
    },
    /// Its state does not take the verb, or it stands so already.
    Refused,
    Running,
    Unreadable,
}

/// What one frame holds.
struct Plan<'a> {
    /// Jobs of the chunk that are through with it.
    taken: usize,
    filings: Vec<Filing<'a>>,
    counts: BulkCounts,
    class: Class,
    /// For what the changes mean to groups, bytes.
    room: usize,
}

/// What came of an attempt at a frame.
struct Staged {
    taken: usize,
    /// As the cell has it, if there was a frame.
    run: BulkRun,
    over: Option<Ticket>,
}

impl Core {
    /// Brings a bulk verb forward by the next jobs, mostly in one frame. The ticket is that of its last frame.
    pub(in crate::engine) fn bulk_step(&self, number: AuditId, run: &mut BulkRun) -> Result<Option<Ticket>> {
        let found = self.next_matching(run)?;
        self.bulk_step_with(number, run, found)
    }

    /// With what was read.
    pub(in crate::engine) fn bulk_step_with(
        &self,
        number: AuditId,
        run: &mut BulkRun,
        found: Found,
    ) -> Result<Option<Ticket>> {
        run.spare(found.spared);
        let jobs = found.jobs.into_iter().map(|(id, seen)| self.judge(run, id, seen));
        let mut chunk = Chunk { jobs: jobs.collect(), through: found.through, at_end: found.at_end };
        loop {
            let staged = self.stage_chunk(number, run, &chunk)?;
            *run = staged.run;
            chunk.jobs.drain(..staged.taken);
            if staged.over.is_some() || chunk.jobs.is_empty() {
                return Ok(staged.over);
            }
            self.look_again(run, &mut chunk)?;
        }
    }

    fn judge(&self, run: &BulkRun, id: JobId, seen: Result<Seen>) -> Prepared {
        let fate = match seen {
            Err(_) => Fate::Unreadable,
            Ok(seen) => self.fate_of(run, id, seen),
        };
        Prepared { id, fate }
    }

    fn fate_of(&self, run: &BulkRun, id: JobId, seen: Seen) -> Fate {
        let event = run.verb.event(self.clock.now_ms());
        match self.change_of(&seen.envelope, &event, &seen.args) {
            Err(_) if seen.envelope.state.phase() == Phase::InFlight => Fate::Running,
            Err(_) => Fate::Refused,
            Ok(change) if stands_so(&seen.envelope, &change) => Fate::Refused,
            Ok(change) => {
                let entry = change.entry(id);
                Fate::Changes { seen, change, entry }
            }
        }
    }

    /// Reads those again that have moved since.
    fn look_again(&self, run: &mut BulkRun, chunk: &mut Chunk) -> Result<()> {
        let moved: BTreeSet<JobId> = {
            let state = self.state.lock();
            chunk.jobs.iter().filter(|job| !job.stands(&state)).map(|job| job.id).collect()
        };
        let ids: Vec<JobId> = moved.iter().copied().collect();
        let mut again = BTreeMap::new();
        for (id, seen) in self.see_many(&ids)? {
            match self.is_meant(run, id, &seen) {
                Some(true) => drop(again.insert(id, seen)),
                Some(false) => {}
                None => run.spare(Some(id.0)),
            }
        }
        for job in std::mem::take(&mut chunk.jobs) {
            if !moved.contains(&job.id) {
                chunk.jobs.push_back(job);
            } else if let Some(seen) = again.remove(&job.id) {
                chunk.jobs.push_back(self.judge(run, job.id, seen));
            }
        }
        Ok(())
    }

    /// As many jobs from the first one on as one frame takes; none, if the first has moved.
    fn plan<'a>(&self, state: &State, run: &BulkRun, chunk: &'a Chunk) -> Plan<'a> {
        let mut plan =
            Plan { taken: 0, filings: Vec::new(), counts: BulkCounts::default(), class: Class::Closing, room: 0 };
        let (mut groups, mut keys, mut bytes) = (BTreeSet::new(), BTreeSet::new(), 0);
        for job in &chunk.jobs {
            match &job.fate {
                Fate::Refused => plan.counts.refused += 1,
                Fate::Running => plan.counts.running += 1,
                Fate::Unreadable => plan.counts.unreadable += 1,
                Fate::Changes { seen, change, entry } => {
                    if !seen.still_stands(state, job.id) {
                        break;
                    }
                    let key = change.takes_key();
                    if taken_key(state, job.id, change).is_some() || key.is_some_and(|key| keys.contains(&key)) {
                        plan.counts.duplicate += 1;
                        plan.taken += 1;
                        continue;
                    }
                    let room = groups::room_beside(state, job.id, seen.envelope.group, &mut groups);
                    bytes += entries_len([entry]) + room;
                    let first = plan.filings.is_empty();
                    if !first && (bytes > self.chunk_bytes_max() || change.class() != plan.class) {
                        break;
                    }
                    keys.extend(key.filter(|_| !planted!(BulkForgetsItsOwnKeys)));
                    plan.room += room;
                    plan.class = change.class();
                    let asked = run.verb == BulkVerb::Cancel && matches!(change, Change::Stand { .. });
                    *(if asked { &mut plan.counts.requested } else { &mut plan.counts.changed }) += 1;
                    plan.filings.push(Filing { id: job.id, before: &seen.envelope, change, entry });
                }
            }
            plan.taken += 1;
        }
        plan
    }

    fn stage_chunk(&self, number: AuditId, run: &BulkRun, chunk: &Chunk) -> Result<Staged> {
        debug_assert!(chunk.jobs.len() <= CHUNK_JOBS_MAX);
        self.attempt(|state| {
            let plan = self.plan(state, run, chunk);
            let (next, over) = brought_forward(run, chunk, &plan);
            let cells = self.cells_of(state, number, &next, over, next == *run);
            let staged = |run, over| Staged { taken: plan.taken, run, over };
            if cells.is_empty() {
                return Ok(Try::Done(staged(next, None)));
            }
            let set: Vec<Entry> = cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.record()))).collect();
            let bytes = entries_len(plan.filings.iter().map(|filing| filing.entry).chain(&set)) + plan.room;
            if !self.make_room(state, bytes, plan.class) {
                return Ok(Try::NoRoom(plan.class));
            }
            for filing in &plan.filings {
                tell_lease(state, filing.id, filing.change);
            }
            let lsn = self.file_changes(state, &plan.filings, &cells)?;
            let ticket = Ticket { lsn, level: Durability::Sync };
            Ok(Try::Done(staged(next, over.then_some(ticket))))
        })
    }

    /// What the frame says of the verb itself; nothing, if it is no further than before. What changes no job says so too:
    /// who goes on with it has nothing but the cell.
    fn cells_of(&self, state: &State, number: AuditId, run: &BulkRun, over: bool, idle: bool) -> Vec<CellSet> {
        let own = |value| CellSet { namespace: namespace::BULK, key: bulk::key_of(number), value, until: None };
        if !over {
            let value = || planted!(BulkLeavesNoCell, None, Some(encode_bulk(run)));
            return (!idle).then(|| own(value())).into_iter().collect();
        }
        let audit = Audit { who: run.who.clone(), what: run.what(), counts: Some(run.counts) };
        let mut cells = vec![audit::cell(self.clock.now_ms(), number, &audit)];
        if state.books.index.cell_place(namespace::BULK, &bulk::key_of(number)).is_some() {
            cells.extend((!planted!(BulkCellOutlivesIt)).then(|| own(None)));
        }
        cells
    }
}

impl Prepared {
    fn stands(&self, state: &State) -> bool {
        match &self.fate {
            Fate::Changes { seen, .. } => seen.still_stands(state, self.id),
            Fate::Refused | Fate::Running | Fate::Unreadable => true,
        }
    }
}

/// Whether nothing would change but the time of the change.
fn stands_so(before: &Envelope, change: &Change) -> bool {
    let Change::Stand { envelope, .. } = change else { return false };
    **envelope == Envelope { changed_at: envelope.changed_at, ..before.clone() }
}

/// How far the verb is behind this frame, and whether that was its last.
fn brought_forward(run: &BulkRun, chunk: &Chunk, plan: &Plan<'_>) -> (BulkRun, bool) {
    let mut next = run.clone();
    next.counts.add(&plan.counts);
    let all = plan.taken == chunk.jobs.len();
    if all {
        next.through = chunk.through;
    } else if let Some(last) = plan.taken.checked_sub(1).and_then(|nth| chunk.jobs.get(nth)) {
        next.through = last.id.0;
    }
    let over = all && chunk.at_end && !next.begin_second_round();
    (next, over)
}
