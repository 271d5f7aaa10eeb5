//! What a program does with groups: makes them, seals them, looks at them.
//!
//! Never here: what the frames of members do to them (`super`).

use std::time::SystemTime;

use serde::Serialize;

use crate::engine::Core;
use crate::engine::commit::Ticket;
use crate::engine::enqueue::{Beside, Enqueued, Prepared};
use crate::engine::settings::Durability;
use crate::engine::staging::{Try, entries_len};
use crate::error::{Error, Result};
use crate::ids::{GroupId, Millis};
use crate::job::{Group, decode_group, namespace};
use crate::log::Class;

use super::{CELL_ROOM, OF_A_WAITING_JOB, read};

/// Ids of groups have so many bits: exact also in JSON.
const ID_BITS: u32 = 53;

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
pub enum GroupSealed {
    /// It completes when its last member is over or dead; at once if that is so already.
    Done,
    /// Somebody sealed it before.
    Already,
    /// There is no such group: it finished long ago, or its id was never given.
    NotFound,
}

impl Core {
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
        jobs: Vec<Prepared>,
        level: Durability,
    ) -> Result<(Vec<Enqueued>, Ticket)> {
        let accepted = self.accept_beside(jobs, &Beside { born, ..Beside::default() }, level)?;
        accepted.ok_or_else(|| Error::invalid("nothing was compared and yet found changed; please report this"))
    }

    /// All members are named: it completes when none is pending.
    pub(crate) fn seal_group(&self, id: GroupId) -> Result<(GroupSealed, Ticket)> {
        self.attempt(|state| {
            let Some(mut group) = read(&state.books.index, id.0).filter(|_| id.0 < OF_A_WAITING_JOB) else {
                return Ok(Try::Done((GroupSealed::NotFound, Self::ticket_at(state))));
            };
            if group.sealed {
                return Ok(Try::Done((GroupSealed::Already, Self::ticket_at(state))));
            }
            if !self.make_room(state, entries_len([]) + CELL_ROOM, Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            group.sealed = true;
            state.groups.changed.insert(id.0, group);
            let company = self.company(state, &[], &[]);
            let lsn = self.stage_company(state, &company)?;
            Ok(Try::Done((GroupSealed::Done, Ticket { lsn, level: Durability::Sync })))
        })
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
}
