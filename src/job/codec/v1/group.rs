//! The value of a group's cell. Ends with a list of fields for what later releases add.
//!
//! # Invariants
//! * Never longer than [`GROUP_BYTES_MAX`], so that the index keeps it in RAM and a lease can keep room for it.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::bytes::{List, put, take};
use super::{FieldV1, VERSION, skip_added};
use crate::ids::{JobId, Millis};
use crate::job::group::{Callback, Group, Verdict};
use crate::job::record::kind;

/// Version, two flags, nine numbers of nine bytes, an end, three callbacks, two ids, no fields.
pub(crate) const GROUP_BYTES_MAX: usize = 1 + 2 + 8 * 9 + 10 + 3 * 11 + 19 + 1;

#[derive(Serialize, Deserialize)]
struct GroupV1<'a> {
    sealed: bool,
    strict: bool,
    created_at: u64,
    finished_at: Option<u64>,
    total: u64,
    succeeded: u64,
    dead: u64,
    cancelled: u64,
    expired: u64,
    discarded: u64,
    pruned: u64,
    success: Option<(u64, u8)>,
    complete: Option<(u64, u8)>,
    death: Option<(u64, u8)>,
    newest: Option<(u64, u64)>,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

pub(in crate::job::codec) fn encode(group: &Group) -> Vec<u8> {
    let [success, complete, death] = group.callbacks.map(|callback| callback.map(|it| (it.id.0, code(it.verdict))));
    let stored = GroupV1 {
        sealed: group.sealed,
        strict: group.strict,
        created_at: group.created_at.0,
        finished_at: group.finished_at.map(|at| at.0),
        total: group.total,
        succeeded: group.succeeded,
        dead: group.dead,
        cancelled: group.cancelled,
        expired: group.expired,
        discarded: group.discarded,
        pruned: group.pruned,
        success,
        complete,
        death,
        newest: group.newest,
        added: List(Vec::new()),
    };
    let mut value = Vec::with_capacity(GROUP_BYTES_MAX);
    value.push(VERSION);
    put(&stored, &mut value);
    value
}

pub(in crate::job::codec) fn decode(value: &[u8]) -> Result<Group, DecodeError> {
    let malformed = |what| DecodeError::Malformed { kind: kind::CELL, what };
    let stored: GroupV1<'_> = take(value).ok_or(malformed("a group's parts do not fill its cell"))?;
    skip_added(kind::CELL, &stored.added)?;
    let callback = |stored: Option<(u64, u8)>| {
        let Some((id, code)) = stored else { return Ok(None) };
        let verdict = verdict_of(code).ok_or(malformed("unknown verdict on a callback"))?;
        Ok(Some(Callback { id: JobId(id), verdict }))
    };
    Ok(Group {
        sealed: stored.sealed,
        strict: stored.strict,
        created_at: Millis(stored.created_at),
        finished_at: stored.finished_at.map(Millis),
        total: stored.total,
        succeeded: stored.succeeded,
        dead: stored.dead,
        cancelled: stored.cancelled,
        expired: stored.expired,
        discarded: stored.discarded,
        pruned: stored.pruned,
        callbacks: [callback(stored.success)?, callback(stored.complete)?, callback(stored.death)?],
        newest: stored.newest,
    })
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Waits => 1,
        Verdict::Due => 2,
        Verdict::Void => 3,
    }
}

fn verdict_of(stored: u8) -> Option<Verdict> {
    [Verdict::Waits, Verdict::Due, Verdict::Void].into_iter().find(|&verdict| code(verdict) == stored)
}
