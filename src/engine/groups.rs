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
//! * A bare end stays possible on a full disk: leases and edges keep the room of these cells (`room`).
//!
//! Never here: what the counts mean (`job::group`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{GroupId, JobId, Millis, Phase, Place};
use crate::index::Index;
use crate::job::{
    Ending, Envelope, GROUP_BYTES_MAX, Group, Record, Role, State as JobState, Step, Verdict, decode_group,
    encode_group, namespace,
};
use crate::log::Class;

use super::Core;
use super::commit::Ticket;
use super::enqueue::{Enqueued, NewJob, Prepared};
use super::settings::Durability;
use super::settle::{CellSet, Change};
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// How long the counts of a finished group are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Finished groups whose counts are kept, count.
const KEPT_MAX: usize = 10_000;
/// Cells cleared in one frame.
const CLEARED_MAX: usize = 500;
/// The groups of jobs that wait for others bear the job's id and this bit; all others are below it.
const OF_A_WAITING_JOB: u64 = 1 << 63;
/// Ids of other groups have so many bits: exact also in JSON.
const ID_BITS: u32 = 53;
/// What a group's cell takes in a frame, at most, bytes.
pub(super) const CELL_ROOM: usize = GROUP_BYTES_MAX + 48;
/// What a run of members or an edge takes in a frame, at most, bytes.
const MARK_ROOM: usize = 64;

const _: () = assert!(GROUP_BYTES_MAX <= Index::RESIDENT_BYTES_MAX, "the index holds every group itself");

/// When a job that waits for others is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnParentFailure {
    /// A dead parent is waited for: it may be requeued. When a parent ends without having succeeded (cancelled, expired,
    /// discarded or pruned) the waiting job is discarded. The default.
    #[default]
    Wait,
    /// As `Wait`, but the death of a parent discards the waiting job too.
    Discard,
    /// Runs as soon as every parent has ended or is dead, whatever became of them.
    Run,
}

/// One for whom a new job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    Known(JobId),
    /// The job of this place in the same call.
    Nth(usize),
}

/// How a new job belongs to others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ties {
    /// The group it is a member of.
    pub(crate) group: Option<GroupId>,
    /// The new group it is a callback of.
    pub(crate) callback: Option<(GroupId, Role)>,
    /// For whom it waits.
    pub(crate) after: Option<Vec<Parent>>,
    /// What their failure means.
    pub(crate) on_failure: OnParentFailure,
}

impl Ties {
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// It stands held until its group lets it go.
    pub(super) fn hold(&self) -> bool {
        self.callback.is_some() || self.after.is_some()
    }
}

/// A group as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its number.
    pub id: GroupId,
    /// It was not sealed yet, and does not complete before.
    pub open: bool,
    /// Members it ever had.
    pub total: u64,
    /// Members that are neither over nor dead.
    pub pending: u64,
    /// Members whose handler was done.
    pub succeeded: u64,
    /// Members that are dead now; they may be requeued.
    pub dead: u64,
    /// Members that were cancelled.
    pub cancelled: u64,
    /// Members that ended unstarted at their `expires_at`.
    pub expired: u64,
    /// Members that were held, and discarded.
    pub discarded: u64,
    /// Members that were dead for longer than the retention.
    pub pruned: u64,
    /// When it was made.
    pub created_at: SystemTime,
    /// Since when nothing more can happen to it.
    pub finished_at: Option<SystemTime>,
}

impl GroupStatus {
    fn new(id: GroupId, group: &Group) -> Self {
        Self {
            id,
            open: !group.sealed,
            total: group.total,
            pending: group.pending(),
            succeeded: group.succeeded,
            dead: group.dead,
            cancelled: group.cancelled,
            expired: group.expired,
            discarded: group.discarded,
            pruned: group.pruned,
            created_at: group.created_at.to_system(),
            finished_at: group.finished_at.map(Millis::to_system),
        }
    }

    /// It is sealed, and every member is over or dead.
    pub fn is_complete(&self) -> bool {
        !self.open && self.pending == 0
    }
}

/// What became of a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sealed {
    /// It completes when its last member is over or dead; at once if that is so already.
    Done,
    /// Somebody sealed it before.
    Already,
    /// There is no such group: it finished long ago, or its id was never given.
    NotFound,
}

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

    fn note(&mut self, index: &Index, id: u64, group: &Group) {
        if group.judged().any(|callback| is_held(index, callback.id)) {
            self.due.insert(id);
        }
        if let Some(at) = group.finished_at {
            // Nobody asks for the group of a job that waited.
            self.finished.insert((if id < OF_A_WAITING_JOB { at } else { Millis(0) }, id));
        }
    }

    /// Finished long ago, or before many others. A callback that could not be let go yet is found by its group alone.
    fn to_forget(&self, now: Millis) -> Vec<(Millis, u64)> {
        let surplus = self.finished.len().saturating_sub(KEPT_MAX);
        let old = self.finished.iter().enumerate().take_while(|(nth, (at, _))| *nth < surplus || at.after(KEPT) <= now);
        old.map(|(_, group)| *group).filter(|(_, id)| !self.due.contains(id)).take(CLEARED_MAX).collect()
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

/// The group of which a job is a member, by its id alone: for one whose record cannot be read.
pub(super) fn group_of_member(index: &Index, id: JobId) -> Option<u64> {
    let runs = index.cells(namespace::GROUP).filter_map(|(key, cell)| Some((unpair(key)?, cell.value?)));
    let mut holding = runs.filter_map(|((group, first), last)| {
        let last = u64::from_be_bytes(last.try_into().ok()?);
        (first <= id.0 && id.0 <= last).then_some(group)
    });
    holding.next().filter(|_| !planted!(DamagedMemberNotCounted))
}

/// Groups whose counts change with this job: its own, and those of jobs that wait for it.
fn groups_of(index: &Index, id: JobId, group: Option<u64>) -> impl Iterator<Item = u64> {
    let edges = index.cell_keys_beginning(namespace::AFTER, &id.0.to_be_bytes());
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

/// What the groups of new jobs take in their frame, at most, bytes.
pub(super) fn room_of_new(jobs: &[Prepared]) -> usize {
    let ties = jobs.iter().filter_map(|job| job.ties.as_deref());
    let of_one = |ties: &Ties| {
        let member = if ties.group.is_some() { CELL_ROOM + MARK_ROOM } else { 0 };
        let waits = ties.after.as_ref().map_or(0, |parents| CELL_ROOM + MARK_ROOM * parents.len());
        member + waits
    };
    // Neighbours in one group share its cells.
    let mut last = None;
    ties.map(|ties| {
        let shared = ties.group.is_some() && ties.group == last && ties.after.is_none();
        last = ties.group;
        if shared { 0 } else { of_one(ties) }
    })
    .sum()
}

/// Bytes that all edges together keep for the ends of their parents.
pub(super) fn owed_to_edges(index: &Index) -> u64 {
    index.cell_count(namespace::AFTER).saturating_mul(CELL_ROOM as u64)
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
                touched.wait(job.id(), ties, answers, state.next_id, now, &mut company);
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

    /// Whether every new job may have the ties it asks for; a refusal leaves no trace.
    pub(super) fn check_ties(&self, state: &State, jobs: &[Prepared], born: &[(GroupId, bool)]) -> Result<()> {
        let mut looked = BTreeSet::new();
        let mut waiting: BTreeMap<JobId, usize> = BTreeMap::new();
        for ties in jobs.iter().filter_map(|job| job.ties.as_deref()) {
            if let Some(id) = ties.group
                && looked.insert(id)
                && !born.iter().any(|(new, _)| *new == id)
            {
                let group = read(&state.books.index, id.0).ok_or_else(|| {
                    Error::invalid(format!("group={id} is not known: it finished long ago, or was never made"))
                })?;
                if !group.takes_members() && !planted!(OverGroupTakesMembers) {
                    return Err(Error::invalid(format!(
                        "group={id} is complete and takes no more jobs; add them while it is open or a member is pending"
                    )));
                }
            }
            for parent in ties.after.iter().flatten() {
                if let Parent::Known(id) = *parent {
                    let more = waiting.entry(id).or_default();
                    *more += 1;
                    check_parent(state, id, *more, self.scaled.after_max)?;
                }
            }
        }
        Ok(())
    }

    /// A number no group has had.
    pub(crate) fn draw_group_id(&self) -> Result<GroupId> {
        loop {
            let id = self.random.u64()? >> (u64::BITS - ID_BITS);
            if id != 0 && read(&self.state.lock().books.index, id).is_none() {
                return Ok(GroupId(id));
            }
        }
    }

    /// Makes groups and accepts jobs in one frame; a group is open unless it is sealed at once.
    pub(crate) fn accept_with_groups(
        &self,
        born: &[(GroupId, bool)],
        mut jobs: Vec<Prepared>,
        level: Durability,
    ) -> Result<(Vec<Enqueued>, Ticket)> {
        let bytes = entries_len(jobs.iter().map(Prepared::entry)) + room_of_new(&jobs) + born.len() * CELL_ROOM;
        self.check_frame(bytes)?;
        self.attempt(|state| {
            self.check_ties(state, &jobs, born)?;
            if let Some(later) = self.ids_run_short(state, jobs.len()) {
                return Ok(later);
            }
            if !self.make_room(state, bytes, Class::Ordinary) {
                return Ok(Try::NoRoom(Class::Ordinary));
            }
            let now = self.clock.now_ms();
            state.groups.changed.extend(born.iter().map(|(id, sealed)| (id.0, Group::new(now, *sealed))));
            let (answers, end) = self.stage_new(state, std::mem::take(&mut jobs), &[], &mut Vec::new(), level)?;
            Ok(Try::Done((answers, Ticket { lsn: end, level })))
        })
    }

    /// All members are named: it completes when none is pending.
    pub(crate) fn seal_group(&self, id: GroupId) -> Result<(Sealed, Ticket)> {
        self.attempt(|state| {
            let Some(mut group) = read(&state.books.index, id.0).filter(|_| id.0 < OF_A_WAITING_JOB) else {
                return Ok(Try::Done((Sealed::NotFound, Self::ticket_at(state))));
            };
            if group.sealed {
                return Ok(Try::Done((Sealed::Already, Self::ticket_at(state))));
            }
            if !self.make_room(state, entries_len([]) + CELL_ROOM, Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            group.sealed = true;
            state.groups.changed.insert(id.0, group);
            let company = self.company(state, &[], &[]);
            let lsn = self.stage_company(state, &company)?;
            Ok(Try::Done((Sealed::Done, Ticket { lsn, level: Durability::Sync })))
        })
    }

    fn stage_company(&self, state: &mut State, company: &Company) -> Result<crate::ids::Lsn> {
        let mut places = Vec::with_capacity(company.entries.len());
        let end = self.put(state, 0, &company.entries, |_, place| places.push(place));
        self.file_company(state, company, places)?;
        Ok(end)
    }

    /// Every group that is known, by its number.
    pub(crate) fn groups(&self) -> Vec<GroupStatus> {
        let state = self.state.lock();
        let cells = state.books.index.cells(namespace::GROUP).filter_map(|(key, cell)| Some((key, cell.value?)));
        let known = cells.filter_map(|(key, value)| {
            let id = u64::from_be_bytes(key.try_into().ok()?);
            let group = decode_group(value).ok()?;
            (id < OF_A_WAITING_JOB).then(|| GroupStatus::new(GroupId(id), &group))
        });
        known.collect()
    }

    /// The group as it stands. `None`: it finished long ago, or was never made.
    pub(crate) fn group_status(&self, id: GroupId) -> Option<GroupStatus> {
        let group = read(&self.state.lock().books.index, id.0)?;
        (id.0 < OF_A_WAITING_JOB).then(|| GroupStatus::new(id, &group))
    }

    /// Callbacks that are due are let go, those that never will be are discarded. Gives how many.
    pub(crate) fn release_callbacks(&self) -> Result<u64> {
        let due: Vec<u64> = self.state.lock().groups.due.iter().copied().collect();
        let (mut released, mut refused) = (0, None);
        for id in due {
            match self.release_of(id) {
                Ok(count) => released += count,
                Err(why) => refused = Some(why),
            }
        }
        refused.map_or(Ok(released), Err)
    }

    fn release_of(&self, id: u64) -> Result<u64> {
        let mut released = 0;
        let group = read(&self.state.lock().books.index, id);
        for callback in group.iter().flat_map(Group::judged) {
            let Some(entry) = self.state.lock().books.index.get(callback.id) else { continue };
            if entry.phase != Phase::Held {
                continue;
            }
            let done = match callback.verdict {
                Verdict::Void => self.discard(callback.id),
                Verdict::Due | Verdict::Waits => self.confirm(callback.id),
            };
            match done {
                Ok(_) => released += 1,
                Err(damage) if damage.kind() == ErrorKind::Corrupt => {
                    self.put_aside_at(callback.id, entry.place, &damage)?;
                }
                Err(refused) => return Err(refused),
            }
        }
        self.state.lock().groups.due.remove(&id);
        Ok(released)
    }

    /// Groups that finished long ago are forgotten. Gives how many.
    pub(crate) fn forget_groups(&self) -> Result<usize> {
        let mut forgotten = 0;
        loop {
            let now = self.clock.now_ms();
            match self.attempt(|state| self.forget_some(state, now))? {
                Some(groups) => forgotten += groups,
                None => return Ok(forgotten),
            }
        }
    }

    /// Clears the cells of groups that finished first, each group's own cell last, and gives how many went whole. `None`:
    /// none is to be forgotten now.
    fn forget_some(&self, state: &mut State, now: Millis) -> Result<Try<Option<usize>>> {
        let mut company = Company::default();
        let mut gone = Vec::new();
        for (at, id) in state.groups.to_forget(now) {
            let mut keys = state.books.index.cell_keys_beginning(namespace::GROUP, &id.to_be_bytes());
            keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
            let whole = keys.len() <= CLEARED_MAX.saturating_sub(company.cells.len());
            if !whole && !company.is_empty() {
                break;
            }
            for key in keys.into_iter().take(CLEARED_MAX) {
                company.set(namespace::GROUP, key.into_vec(), None);
            }
            gone.extend(whole.then_some((at, id)));
        }
        if !company.is_empty() {
            if !self.make_room(state, entries_len(&company.entries), Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            self.stage_company(state, &company)?;
        }
        for group in &gone {
            state.groups.finished.remove(group);
        }
        Ok(Try::Done((!company.is_empty() || !gone.is_empty()).then_some(gone.len())))
    }

    /// Whether every group counts what its members are: by their records, one by one.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn check_groups(&self) -> std::result::Result<(), String> {
        use super::look::Source;
        let mut found: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let ids: Vec<JobId> = self.state.lock().books.index.jobs_from(JobId(0)).map(|(id, _)| id).collect();
        for id in ids {
            let Some((envelope, _)) = self.job(id).map_err(|e| e.to_string())? else { continue };
            let index = &self.state.lock().books.index;
            for group in groups_of(index, id, envelope.group) {
                let (pending, dead) = found.entry(group).or_default();
                *if matches!(envelope.state, JobState::Dead { .. }) { dead } else { pending } += 1;
            }
        }
        let state = self.state.lock();
        for (key, _) in state.books.index.cells(namespace::GROUP) {
            let Ok(key) = <[u8; 8]>::try_from(key) else { continue };
            let id = u64::from_be_bytes(key);
            let group = read(&state.books.index, id).ok_or(format!("group={id} cannot be read"))?;
            let found = found.remove(&id).unwrap_or_default();
            if (group.pending(), group.dead) != found {
                return Err(format!("group={id} has {found:?} members pending and dead, and says {group:?}"));
            }
        }
        found.first_key_value().map_or(Ok(()), |(id, found)| Err(format!("group={id} is gone, and has {found:?}")))
    }
}

fn check_parent(state: &State, id: JobId, more: usize, limit: usize) -> Result<()> {
    if id.0 == 0 || id.0 >= state.next_id || state.in_a_gap(id) {
        return Err(Error::invalid(format!("after={id}: no job has had this id; give ids that an enqueue answered")));
    }
    let waiting = more + state.books.index.cell_keys_beginning(namespace::AFTER, &id.0.to_be_bytes()).len();
    if waiting > limit {
        return Err(Error::too_large(format!(
            "after={id}: waiting={waiting} limit={limit}; put the jobs that wait for it behind one that does"
        )));
    }
    Ok(())
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
        for run in jobs.chunk_by(|a, b| a.group() == b.group()) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let Some(id) = first.group() else { continue };
            let Some(group) = self.get(id.0) else { continue };
            let (first, last) = group.add(first.id().0, last.id().0);
            company.set(namespace::GROUP, pair(id.0, first), Some(key_of(last)));
        }
    }

    /// A job that waits: the callback of a group of those it waits for. One that is over already does not keep it.
    fn wait(
        &mut self,
        child: JobId,
        ties: &Ties,
        answers: &[Enqueued],
        next_id: u64,
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
            if phase.is_none() && parent.0 < next_id {
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

impl Parent {
    fn id(self, answers: &[Enqueued]) -> Option<JobId> {
        match self {
            Self::Known(id) => Some(id),
            Self::Nth(nth) => answers.get(nth).map(|answer| answer.id),
        }
    }
}

impl NewJob {
    /// It waits for these too.
    pub(crate) fn wait_for(&mut self, parents: impl IntoIterator<Item = JobId>) {
        self.ties.after.get_or_insert_default().extend(parents.into_iter().map(Parent::Known));
    }

    /// It waits for the job of the place `nth` of the same call too.
    pub(crate) fn behind(&mut self, nth: usize) {
        self.ties.after.get_or_insert_default().push(Parent::Nth(nth));
    }
}
