//! The records that are no jobs. Each ends with a list of fields for what later releases add.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::bytes::{Bytes, Ids, List, Time48, put, take};
use super::{FieldV1, RemovesV1, VERSION, long, short, skip_added};
use crate::ids::Millis;
use crate::job::event::Ending;
use crate::job::record::{CellRecord, ClaimRun, Claimed, Counters, Due, Ended, Opened, Totals, kind};

/// Enough for every record here but long cells and claims of many.
const BODY_BYTES: usize = 96;

#[derive(Serialize, Deserialize)]
struct OpenedV1<'a> {
    epoch: u64,
    nonce: [u8; 16],
    first_id: u64,
    at: Time48,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct TotalsV1<'a> {
    epoch: u64,
    id_ceiling: u64,
    next_id: u64,
    trimmed_through: u64,
    enqueued: u64,
    completed: u64,
    cancelled: u64,
    expired: u64,
    discarded: u64,
    pruned: u64,
    claims: u64,
    failures: u64,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ClaimedV1<'a> {
    epoch: u64,
    first_counter: u64,
    at: Time48,
    #[serde(borrow)]
    runs: List<RunV1<'a>>,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RunV1<'a> {
    lane: &'a str,
    priority: i16,
    ids: Ids,
}

#[derive(Serialize, Deserialize)]
struct EndedV1<'a> {
    #[serde(borrow)]
    removes: RemovesV1<'a>,
    how: u8,
    unique: Option<[u8; 16]>,
    at: Time48,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DueV1<'a> {
    run_at: u64,
    id: u64,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct CellV1<'a> {
    namespace: u8,
    carried: bool,
    until: Option<u64>,
    #[serde(borrow)]
    key: Bytes<'a>,
    #[serde(borrow)]
    value: Option<Bytes<'a>>,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

fn body<T: Serialize>(stored: &T, extra_bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY_BYTES + extra_bytes);
    body.push(VERSION);
    put(stored, &mut body);
    body
}

fn read<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, DecodeError> {
    take(body).ok_or(DecodeError::Malformed { kind, what: "its parts do not fill the body" })
}

fn nothing_added<'a>() -> List<FieldV1<'a>> {
    List(Vec::new())
}

pub(in crate::job::codec) fn encode_opened(opened: &Opened) -> Vec<u8> {
    let Opened { epoch, nonce, first_id, at } = *opened;
    body(&OpenedV1 { epoch, nonce, first_id, at: Time48(at), added: nothing_added() }, 0)
}

pub(in crate::job::codec) fn decode_opened(body: &[u8]) -> Result<Opened, DecodeError> {
    let stored: OpenedV1<'_> = read(kind::OPENED, body)?;
    skip_added(kind::OPENED, &stored.added)?;
    Ok(Opened { epoch: stored.epoch, nonce: stored.nonce, first_id: stored.first_id, at: stored.at.0 })
}

pub(in crate::job::codec) fn encode_totals(totals: &Totals) -> Vec<u8> {
    let Totals { epoch, id_ceiling, next_id, trimmed_through, counters } = *totals;
    let Counters { enqueued, completed, cancelled, expired, discarded, pruned, claims, failures } = counters;
    let added = nothing_added();
    let stored = TotalsV1 {
        epoch,
        id_ceiling,
        next_id,
        trimmed_through,
        enqueued,
        completed,
        cancelled,
        expired,
        discarded,
        pruned,
        claims,
        failures,
        added,
    };
    body(&stored, 0)
}

pub(in crate::job::codec) fn decode_totals(body: &[u8]) -> Result<Totals, DecodeError> {
    let stored: TotalsV1<'_> = read(kind::TOTALS, body)?;
    skip_added(kind::TOTALS, &stored.added)?;
    Ok(Totals {
        epoch: stored.epoch,
        id_ceiling: stored.id_ceiling,
        next_id: stored.next_id,
        trimmed_through: stored.trimmed_through,
        counters: Counters {
            enqueued: stored.enqueued,
            completed: stored.completed,
            cancelled: stored.cancelled,
            expired: stored.expired,
            discarded: stored.discarded,
            pruned: stored.pruned,
            claims: stored.claims,
            failures: stored.failures,
        },
    })
}

pub(in crate::job::codec) fn encode_claimed(claimed: &Claimed) -> Vec<u8> {
    let runs = claimed.runs.iter().map(|run| RunV1 {
        lane: short(&run.queue),
        priority: run.priority,
        ids: Ids(run.ids.clone()),
    });
    let stored = ClaimedV1 {
        epoch: claimed.epoch,
        first_counter: claimed.first_counter,
        at: Time48(claimed.at),
        runs: List(runs.collect()),
        added: nothing_added(),
    };
    body(&stored, claimed.runs.iter().map(|run| run.ids.len()).sum())
}

pub(in crate::job::codec) fn decode_claimed(body: &[u8]) -> Result<Claimed, DecodeError> {
    let stored: ClaimedV1<'_> = read(kind::CLAIMED, body)?;
    skip_added(kind::CLAIMED, &stored.added)?;
    let runs = stored.runs.0.into_iter();
    Ok(Claimed {
        epoch: stored.epoch,
        first_counter: stored.first_counter,
        at: stored.at.0,
        runs: runs
            .map(|run| ClaimRun { queue: long(run.lane).to_owned(), priority: run.priority, ids: run.ids.0 })
            .collect(),
    })
}

pub(in crate::job::codec) fn encode_ended(ended: &Ended) -> Vec<u8> {
    let stored = EndedV1 {
        removes: RemovesV1::from_removes(Some(&ended.removes)),
        how: ending_code(ended.how),
        unique: ended.unique.map(u128::to_le_bytes),
        at: Time48(ended.at),
        added: nothing_added(),
    };
    body(&stored, 0)
}

pub(in crate::job::codec) fn decode_ended(body: &[u8]) -> Result<Ended, DecodeError> {
    let malformed = |what| DecodeError::Malformed { kind: kind::ENDED, what };
    let stored: EndedV1<'_> = read(kind::ENDED, body)?;
    skip_added(kind::ENDED, &stored.added)?;
    Ok(Ended {
        removes: stored.removes.into_removes().ok_or(malformed("it takes nothing away"))?,
        how: ending_of(stored.how).ok_or(malformed("unknown ending"))?,
        unique: stored.unique.map(u128::from_le_bytes),
        at: stored.at.0,
    })
}

pub(in crate::job::codec) fn encode_due(due: Due) -> Vec<u8> {
    body(&DueV1 { run_at: due.run_at.0, id: due.id, added: nothing_added() }, 0)
}

pub(in crate::job::codec) fn decode_due(body: &[u8]) -> Result<Due, DecodeError> {
    let stored: DueV1<'_> = read(kind::DUE, body)?;
    skip_added(kind::DUE, &stored.added)?;
    Ok(Due { run_at: Millis(stored.run_at), id: stored.id })
}

pub(in crate::job::codec) fn encode_cell(cell: &CellRecord<'_>) -> Vec<u8> {
    let stored = CellV1 {
        namespace: cell.namespace,
        carried: cell.carried,
        until: cell.until.map(|until| until.0),
        key: Bytes(cell.key),
        value: cell.value.map(Bytes),
        added: nothing_added(),
    };
    body(&stored, cell.key.len() + cell.value.map_or(0, <[u8]>::len))
}

pub(in crate::job::codec) fn decode_cell(body: &[u8]) -> Result<CellRecord<'_>, DecodeError> {
    let stored: CellV1<'_> = read(kind::CELL, body)?;
    skip_added(kind::CELL, &stored.added)?;
    Ok(CellRecord {
        namespace: stored.namespace,
        key: stored.key.0,
        value: stored.value.map(|value| value.0),
        until: stored.until.map(Millis),
        carried: stored.carried,
    })
}

fn ending_code(how: Ending) -> u8 {
    match how {
        Ending::Completed => 1,
        Ending::Cancelled => 2,
        Ending::Expired => 3,
        Ending::Discarded => 4,
        Ending::Pruned => 5,
    }
}

fn ending_of(code: u8) -> Option<Ending> {
    [Ending::Completed, Ending::Cancelled, Ending::Expired, Ending::Discarded, Ending::Pruned]
        .into_iter()
        .find(|&how| ending_code(how) == code)
}
