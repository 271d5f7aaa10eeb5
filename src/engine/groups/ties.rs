//! How a new job belongs to others: the group it joins, the group that calls it back, the jobs it waits for.
//!
//! # Invariants
//! * Ties are checked under the lock before anything is staged; a refusal leaves no trace.
//!
//! Never here: what becomes of the counts (`super`).

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Core;
use crate::engine::enqueue::{Enqueued, NewJob, Prepared};
use crate::engine::state::State;
use crate::error::{Error, Result};
use crate::ids::{GroupId, JobId};
use crate::job::Role;

use super::{CELL_ROOM, MARK_ROOM, edges_of, read};

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
    pub(in crate::engine) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// It stands held until its group lets it go.
    pub(in crate::engine) fn hold(&self) -> bool {
        self.callback.is_some() || self.after.is_some()
    }
}

/// What the groups of new jobs take in their frame, at most, bytes.
pub(in crate::engine) fn room_of_new(jobs: &[Prepared]) -> usize {
    let ties = jobs.iter().filter_map(|job| job.ties.as_deref());
    // A duplicate among them leaves a gap, and behind it a run of its own.
    let runs = jobs.iter().filter(|job| job.is_reserved() && job.group().is_some()).count();
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
    .sum::<usize>()
        + runs * MARK_ROOM
}

impl Core {
    /// Whether every new job may have the ties it asks for; a refusal leaves no trace.
    pub(in crate::engine) fn check_ties(
        &self,
        state: &State,
        jobs: &[Prepared],
        born: &[(GroupId, bool)],
    ) -> Result<()> {
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
                    check_parent(state, id, *more, self.scaled.jobs_after_one)?;
                }
            }
        }
        Ok(())
    }
}

fn check_parent(state: &State, id: JobId, more: usize, limit: usize) -> Result<()> {
    if id.0 == 0 || id.0 >= state.next_id || state.in_a_gap(id) {
        return Err(Error::invalid(format!("after={id}: no job has had this id; give ids that an enqueue answered")));
    }
    let waiting = more + edges_of(&state.books.index, id).len();
    if waiting > limit {
        return Err(Error::too_large(format!(
            "after={id}: waiting={waiting} limit={limit}; put the jobs that wait for it behind one that does"
        )));
    }
    Ok(())
}

impl Parent {
    pub(super) fn id(self, answers: &[Enqueued]) -> Option<JobId> {
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
