//! Groups of jobs, and jobs that wait for others: what a frame that changes members says of their groups.
//!
//! A group is one cell (its counts and its callbacks) and one cell for each run of ids that are its members. A job that
//! waits `after` others is the callback of a group of its own, whose members are named by one cell each (an *edge*).
//! Callbacks and waiting jobs are accepted held, with everything else. The frame that ends, kills or revives a member
//! sets the cells of its groups; once a cell says that a callback is due, or never will be, the callback is let go or
//! discarded like any held job.
//!
//! # Invariants
//! * Counts change in the very frame that changes the member, whatever changes it. Every such frame goes through
//!   [`note_member`](Core::note_member) and [`company`](Core::company).
//! * A callback that is judged and still held is looked after until it is not: by upkeep, and from the next open on. That
//!   it is held is the only sign that it was not let go yet, so none is let go twice.
//! * A bare end stays possible on a full disk: every lease keeps the room of its group's cell (`room`); what edges
//!   take comes from the reserve, which holds hundreds of thousands. (To keep room for each edge was tried: what is kept so
//!   is far more than what is used, and stops the carrier.)
//!
//! Never here: what the counts mean (`job::group`).

mod callbacks;
#[cfg(any(test, feature = "testing"))]
mod check;
mod ties;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{GroupId, JobId, Lsn, Millis, Phase, Place};
use crate::index::Index;
use crate::job::{
    Ending, Envelope, GROUP_BYTES_MAX, Group, Record, Role, State as JobState, Step, decode_group, encode_group,
    namespace,
};

use super::Core;
use super::enqueue::{Enqueued, Prepared};
use super::settle::{CellSet, Change};
use super::staging::Entry;
use super::state::State;

pub use ties::OnParentFailure;
#[cfg(test)]
pub(super) use ties::Parent;
pub(crate) use ties::Ties;
pub(super) use ties::room_of_new;
pub use verbs::{GroupSealed, GroupStatus};

/// The groups of jobs that wait for others bear the job's id and this bit; all others are below it.
const OF_A_WAITING_JOB: u64 = 1 << 63;
/// What a group's cell takes in a frame, at most, bytes.
pub(super) const CELL_ROOM: usize = GROUP_BYTES_MAX + 48;
/// What a run of members or an edge takes in a frame, at most, bytes.
const MARK_ROOM: usize = 64;

const _: () = assert!(GROUP_BYTES_MAX <= Index::RESIDENT_BYTES_MAX, "the index holds every group itself");

/// What stands under the lock beside the cells; all but the first two is their shadow.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// New or changed otherwise than by a member, for the frame that is staged next.
    pub(super) changed: BTreeMap<u64, Group>,
    /// What happened to members, for the frame that is staged next.
    steps: Vec<(u64, Step)>,
    /// With a callback that is judged and may still be held.
    due: BTreeSet<u64>,
    finished: BTreeSet<(Millis, u64)>,
}

impl Groups {
    /// As the cells say.
    pub(super) fn of(index: &Index) -> Result<Self> {
        let mut groups = Self::default();
        for (key, cell) in index.cells(namespace::GROUP) {
            let Ok(key) = <[u8; 8]>::try_from(key) else { continue };
            let id = u64::from_be_bytes(key);
            let group = cell.value.and_then(|value| decode_group(value).ok()).ok_or_else(|| {
                Error::new(
                    ErrorKind::NewerFormat,
                    format!("the cell of group {id} cannot be read; open the directory with a newer release"),
                )
            })?;
            planted!(CallbackLetGoInOneLifeOnly, (), groups.note(index, id, &group));
        }
        Ok(groups)
    }

    /// New groups, for the frame that is staged next.
    pub(super) fn bear(&mut self, born: &[(GroupId, bool)], now: Millis) {
        self.changed.extend(born.iter().map(|(id, sealed)| (id.0, Group::new(now, *sealed))));
    }

    fn note(&mut self, index: &Index, id: u64, group: &Group) {
        if group.judged().any(|callback| is_held(index, callback.id)) {
            self.due.insert(id);
        }
        if let Some(at) = group.finished_at {
            // Nobody asks for the group of a job that waited.
            self.finished.insert((if id < OF_A_WAITING_JOB { at } else { Millis(0) }, id));
        }
    }
}

/// The cells that a frame brings for the groups of the jobs it changes.
#[derive(Default)]
pub(super) struct Company {
    cells: Vec<CellSet>,
    entries: Vec<Entry>,
    groups: Vec<(u64, Group)>,
}

impl Company {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn set(&mut self, namespace: u8, key: Vec<u8>, value: Option<Vec<u8>>) {
        let cell = CellSet { namespace, key, value, until: None };
        self.entries.push(Entry::new(0, &Record::Cell(cell.record())));
        self.cells.push(cell);
    }
}

fn is_held(index: &Index, id: JobId) -> bool {
    index.get(id).is_some_and(|entry| entry.phase == Phase::Held)
}

fn key_of(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn pair(first: u64, second: u64) -> Vec<u8> {
    [first.to_be_bytes(), second.to_be_bytes()].concat()
}

/// Two numbers from a key of 16 bytes.
fn unpair(key: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*first), u64::from_be_bytes(second.try_into().ok()?)))
}

fn read(index: &Index, id: u64) -> Option<Group> {
    index.cell(namespace::GROUP, &id.to_be_bytes())?.value.and_then(|value| decode_group(value).ok())
}

/// The groups of jobs by their ids alone: for those whose records cannot be read, or are not.
pub(super) struct Members {
    /// By first id: last id, group.
    runs: BTreeMap<u64, (u64, u64)>,
}

impl Members {
    pub(super) fn of(index: &Index) -> Self {
        let runs = index.cells(namespace::GROUP).filter_map(|(key, cell)| {
            let (group, first) = unpair(key)?;
            Some((first, (u64::from_be_bytes(cell.value?.try_into().ok()?), group)))
        });
        Self { runs: runs.collect() }
    }

    pub(super) fn group_of(&self, id: JobId) -> Option<u64> {
        let (_, (last, group)) = self.runs.range(..=id.0).next_back()?;
        (id.0 <= *last).then_some(*group)
    }
}

/// Groups whose counts change with this job: its own, and those of jobs that wait for it.
fn groups_of(index: &Index, id: JobId, group: Option<u64>) -> impl Iterator<Item = u64> {
    let edges = edges_of(index, id);
    let waiting = edges.into_iter().filter_map(|key| unpair(&key).map(|(_, child)| child | OF_A_WAITING_JOB));
    group.into_iter().chain(waiting)
}

/// What a change means for the groups of a job that stood as `before`.
pub(super) fn step_of(before: &Envelope, change: &Change) -> Option<Step> {
    let was_dead = matches!(before.state, JobState::Dead { .. });
    match change {
        Change::End(ended) => Some(Step::Ended { how: ended.how, was_dead }),
        Change::Stand { envelope, .. } => match (was_dead, matches!(envelope.state, JobState::Dead { .. })) {
            (false, true) => Some(Step::Died),
            (true, false) => Some(Step::Revived),
            _ => None,
        },
    }
}

/// What a job's groups take in the frame of its end, at most, bytes.
pub(super) fn room_of(state: &State, id: JobId, group: Option<u64>) -> usize {
    groups_of(&state.books.index, id, group).count().saturating_mul(CELL_ROOM)
}

/// [`room_of`] in a frame that changes other jobs too: groups that are `known` already have theirs.
pub(super) fn room_beside(state: &State, id: JobId, group: Option<u64>, known: &mut BTreeSet<u64>) -> usize {
    groups_of(&state.books.index, id, group).filter(|group| known.insert(*group)).count().saturating_mul(CELL_ROOM)
}

/// What new groups take in their frame, at most, bytes.
pub(super) fn room_of_born(born: &[(GroupId, bool)]) -> usize {
    born.len().saturating_mul(CELL_ROOM)
}

/// Who waits for a job.
fn edges_of(index: &Index, id: JobId) -> Vec<Box<[u8]>> {
    // Asked at every end of every job; mostly there is no edge at all.
    if index.cell_count(namespace::AFTER) == 0 {
        return Vec::new();
    }
    index.cell_keys_beginning(namespace::AFTER, &id.0.to_be_bytes())
}

impl Core {
    /// A step of a job for its groups, in the frame that is staged next.
    pub(super) fn note_member(state: &mut State, id: JobId, group: Option<u64>, step: Option<Step>) {
        let Some(step) = step else { return };
        for group in groups_of(&state.books.index, id, group) {
            state.groups.steps.push((group, step));
        }
    }

    /// What the frame that is staged next brings for groups: of the steps noted, and of new jobs that have their ids.
    /// `answers` are those of all jobs of the call.
    pub(super) fn company(&self, state: &mut State, jobs: &[Prepared], answers: &[Enqueued]) -> Company {
        let mut company = Company::default();
        if state.groups.steps.is_empty() && state.groups.changed.is_empty() && jobs.iter().all(|job| job.ties.is_none())
        {
            return company;
        }
        let now = self.clock.now_ms();
        let steps = std::mem::take(&mut state.groups.steps);
        let mut touched = Touched { groups: std::mem::take(&mut state.groups.changed), index: &state.books.index };
        touched.take_members(jobs, &mut company);
        for job in jobs {
            let Some(ties) = job.ties.as_deref() else { continue };
            if let Some((group, role)) = ties.callback
                && let Some(group) = touched.get(group.0)
            {
                group.name_callback(role, job.id());
            }
            if ties.after.is_some() {
                let comes = |id| {
                    let here = jobs.binary_search_by_key(&id, Prepared::id).is_ok();
                    here && !planted!(ParentOfTheCallIsOver) || id.0 >= state.next_id
                };
                touched.wait(job.id(), ties, answers, &comes, now, &mut company);
            }
        }
        for (id, step) in steps {
            if let Some(group) = touched.get(id) {
                planted!(MemberEndNotCounted, (), group.step(step));
            }
        }
        for (id, mut group) in touched.groups {
            group.conclude(now);
            company.set(namespace::GROUP, key_of(id), Some(encode_group(&group)));
            company.groups.push((id, group));
        }
        company
    }

    /// The books' part of a company whose records lie at these places.
    pub(super) fn file_company(
        &self,
        state: &mut State,
        company: &Company,
        places: impl IntoIterator<Item = Place>,
    ) -> Result<()> {
        for (cell, place) in company.cells.iter().zip(places) {
            self.file_cell(state, &cell.record(), place)?;
        }
        let State { groups, books, .. } = state;
        for (id, group) in &company.groups {
            groups.note(&books.index, *id, group);
        }
        if !state.groups.due.is_empty() {
            self.upkeep.ring();
        }
        Ok(())
    }

    /// Stages a company alone; room was made.
    fn stage_company(&self, state: &mut State, company: &Company) -> Result<Lsn> {
        let mut places = Vec::with_capacity(company.entries.len());
        let end = self.put(state, 0, &company.entries, |_, place| places.push(place));
        self.file_company(state, company, places)?;
        Ok(end)
    }
}

/// Groups that one frame changes.
struct Touched<'a> {
    groups: BTreeMap<u64, Group>,
    index: &'a Index,
}

impl Touched<'_> {
    fn get(&mut self, id: u64) -> Option<&mut Group> {
        if !self.groups.contains_key(&id) {
            self.groups.insert(id, read(self.index, id)?);
        }
        self.groups.get_mut(&id)
    }

    /// New members, one run of ids after the other.
    fn take_members(&mut self, jobs: &[Prepared], company: &mut Company) {
        // Reserved ids have gaps where a job was a duplicate.
        let neighbours = |a: &Prepared, b: &Prepared| {
            a.group() == b.group() && (b.id().0 == a.id().0 + 1 || planted!(GapsAreMembers))
        };
        for run in jobs.chunk_by(neighbours) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let Some(id) = first.group() else { continue };
            let Some(group) = self.get(id.0) else { continue };
            let (first, last) = group.add(first.id().0, last.id().0);
            company.set(namespace::GROUP, pair(id.0, first), Some(key_of(last)));
        }
    }

    /// A job that waits: the callback of a group of those it waits for. One that is over already does not keep it; one that
    /// `comes` is accepted in the very same frame.
    fn wait(
        &mut self,
        child: JobId,
        ties: &Ties,
        answers: &[Enqueued],
        comes: &dyn Fn(JobId) -> bool,
        now: Millis,
        company: &mut Company,
    ) {
        let mut parents: Vec<JobId> = ties.after.iter().flatten().filter_map(|parent| parent.id(answers)).collect();
        parents.sort_unstable();
        parents.dedup();
        let mut group = Group::new(now, true);
        group.strict = ties.on_failure == OnParentFailure::Discard;
        let role = if ties.on_failure == OnParentFailure::Run { Role::Complete } else { Role::Success };
        group.name_callback(role, child);
        for parent in parents {
            group.total += 1;
            let phase = self.index.get(parent).map(|entry| entry.phase);
            if phase.is_none() && !comes(parent) {
                group.step(Step::Ended { how: Ending::Completed, was_dead: false });
                continue;
            }
            if phase == Some(Phase::Dead) {
                group.step(Step::Died);
            }
            company.set(namespace::AFTER, pair(parent.0, child.0), Some(Vec::new()));
        }
        self.groups.insert(child.0 | OF_A_WAITING_JOB, group);
    }
}
