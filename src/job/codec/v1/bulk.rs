//! The values of the cells of a bulk verb and of an audit record.
//!
//! # Invariants
//! * A bulk verb is read, and gone on with, whole: a criterion that this release does not know would match more jobs than
//!   were meant. So any field it does not know is refused.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::bytes::{Bytes, List, put, take};
use super::{FieldV1, VERSION, skip_added};
use crate::ids::{Millis, Phase};
use crate::job::bulk::{Audit, BulkCounts, BulkRun, BulkVerb, Criteria};
use crate::job::record::kind;

mod tag {
    pub(super) const QUEUE: u8 = 1;
    pub(super) const KIND: u8 = 2;
    pub(super) const TAG: u8 = 3;
    pub(super) const ERROR: u8 = 4;
    pub(super) const SINCE: u8 = 5;
    pub(super) const BEFORE: u8 = 6;
    pub(super) const PHASE: u8 = 7;
    pub(super) const GROUP: u8 = 8;
    pub(super) const KIND_LIKE: u8 = 9;
    pub(super) const PRIORITY: u8 = 10;
    pub(super) const FIRST: u8 = 11;
    pub(super) const LAST: u8 = 12;
}

#[derive(Serialize, Deserialize)]
struct BulkV1<'a> {
    who: &'a str,
    #[serde(borrow)]
    verb: VerbV1<'a>,
    #[serde(borrow)]
    criteria: List<FieldV1<'a>>,
    ceiling: u64,
    second_round: bool,
    spared: Option<u64>,
    through: u64,
    counts: CountsV1,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct AuditV1<'a> {
    who: &'a str,
    what: &'a str,
    counts: Option<CountsV1>,
    #[serde(borrow)]
    added: List<FieldV1<'a>>,
}

#[derive(Serialize, Deserialize)]
enum VerbV1<'a> {
    Requeue,
    Cancel,
    Move { queue: &'a str },
    SetPriority { priority: i16 },
    Reschedule { run_at: u64 },
}

#[derive(Serialize, Deserialize)]
struct CountsV1 {
    changed: u64,
    requested: u64,
    refused: u64,
    running: u64,
    duplicate: u64,
    unreadable: u64,
}

fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { kind: kind::CELL, what }
}

fn cell<T: Serialize>(stored: &T) -> Vec<u8> {
    let mut value = vec![VERSION];
    put(stored, &mut value);
    value
}

pub(in crate::job::codec) fn encode(run: &BulkRun) -> Vec<u8> {
    let BulkRun { who, verb, criteria, ceiling, second_round, spared, through, counts } = run;
    let fields = fields_of(criteria);
    cell(&BulkV1 {
        who,
        verb: match verb {
            BulkVerb::Requeue => VerbV1::Requeue,
            BulkVerb::Cancel => VerbV1::Cancel,
            BulkVerb::Move { queue } => VerbV1::Move { queue },
            BulkVerb::SetPriority { priority } => VerbV1::SetPriority { priority: *priority },
            BulkVerb::Reschedule { run_at } => VerbV1::Reschedule { run_at: run_at.0 },
        },
        criteria: List(fields.iter().map(|(tag, value)| FieldV1 { tag: *tag, value: Bytes(value) }).collect()),
        ceiling: *ceiling,
        second_round: *second_round,
        spared: *spared,
        through: *through,
        counts: counts_out(counts),
        added: List(Vec::new()),
    })
}

pub(in crate::job::codec) fn decode(value: &[u8]) -> Result<BulkRun, DecodeError> {
    let stored: BulkV1<'_> = take(value).ok_or(malformed("a bulk verb's parts do not fill its cell"))?;
    if let Some(field) = stored.added.0.first() {
        return Err(DecodeError::UnknownField { kind: kind::CELL, tag: field.tag });
    }
    Ok(BulkRun {
        who: stored.who.to_owned(),
        verb: match stored.verb {
            VerbV1::Requeue => BulkVerb::Requeue,
            VerbV1::Cancel => BulkVerb::Cancel,
            VerbV1::Move { queue } => BulkVerb::Move { queue: queue.to_owned() },
            VerbV1::SetPriority { priority } => BulkVerb::SetPriority { priority },
            VerbV1::Reschedule { run_at } => BulkVerb::Reschedule { run_at: Millis(run_at) },
        },
        criteria: criteria_of(&stored.criteria)?,
        ceiling: stored.ceiling,
        second_round: stored.second_round,
        spared: stored.spared,
        through: stored.through,
        counts: counts_in(&stored.counts),
    })
}

pub(in crate::job::codec) fn encode_audit(audit: &Audit) -> Vec<u8> {
    let Audit { who, what, counts } = audit;
    cell(&AuditV1 { who, what, counts: counts.as_ref().map(counts_out), added: List(Vec::new()) })
}

pub(in crate::job::codec) fn decode_audit(value: &[u8]) -> Result<Audit, DecodeError> {
    let stored: AuditV1<'_> = take(value).ok_or(malformed("an audit record's parts do not fill its cell"))?;
    skip_added(kind::CELL, &stored.added)?;
    Ok(Audit {
        who: stored.who.to_owned(),
        what: stored.what.to_owned(),
        counts: stored.counts.as_ref().map(counts_in),
    })
}

fn stored<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(value, &mut bytes);
    bytes
}

fn fields_of(criteria: &Criteria) -> Vec<(u8, Vec<u8>)> {
    let Criteria { queue, kind, tag, error, since, before, phase, group, kind_like, priority, first, last } = criteria;
    let text = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
    let number = |number: Option<u64>| number.map(|number| stored(&number));
    let fields = [
        (tag::QUEUE, text(queue)),
        (tag::KIND, text(kind)),
        (tag::TAG, text(tag)),
        (tag::ERROR, text(error)),
        (tag::SINCE, number(since.map(|time| time.0))),
        (tag::BEFORE, number(before.map(|time| time.0))),
        (tag::PHASE, phase.map(|phase| vec![phase.code()])),
        (tag::GROUP, number(*group)),
        (tag::KIND_LIKE, text(kind_like)),
        (tag::PRIORITY, priority.map(|range| stored(&range))),
        (tag::FIRST, number(*first)),
        (tag::LAST, number(*last)),
    ];
    fields.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

fn criteria_of(fields: &List<FieldV1<'_>>) -> Result<Criteria, DecodeError> {
    if !fields.0.is_sorted_by(|a, b| a.tag < b.tag) {
        return Err(malformed("criteria out of order"));
    }
    let text = |value: &Bytes<'_>| {
        String::from_utf8(value.0.to_vec()).map(Some).map_err(|_| malformed("a criterion's text is no UTF-8"))
    };
    let number = |value: &Bytes<'_>| take::<u64>(value.0).map(Some).ok_or(malformed("a criterion is no number"));
    let mut criteria = Criteria::default();
    for FieldV1 { tag, value } in &fields.0 {
        match *tag {
            tag::QUEUE => criteria.queue = text(value)?,
            tag::KIND => criteria.kind = text(value)?,
            tag::TAG => criteria.tag = text(value)?,
            tag::ERROR => criteria.error = text(value)?,
            tag::SINCE => criteria.since = number(value)?.map(Millis),
            tag::BEFORE => criteria.before = number(value)?.map(Millis),
            tag::PHASE => {
                let phase = <[u8; 1]>::try_from(value.0).ok().and_then(|[code]| Phase::from_code(code));
                criteria.phase = Some(phase.ok_or(malformed("a criterion is no state"))?);
            }
            tag::GROUP => criteria.group = number(value)?,
            tag::KIND_LIKE => criteria.kind_like = text(value)?,
            tag::PRIORITY => {
                criteria.priority = Some(take(value.0).ok_or(malformed("a criterion is no range of priorities"))?);
            }
            tag::FIRST => criteria.first = number(value)?,
            tag::LAST => criteria.last = number(value)?,
            tag => return Err(DecodeError::UnknownField { kind: kind::CELL, tag }),
        }
    }
    Ok(criteria)
}

fn counts_out(counts: &BulkCounts) -> CountsV1 {
    let BulkCounts { changed, requested, refused, running, duplicate, unreadable } = *counts;
    CountsV1 { changed, requested, refused, running, duplicate, unreadable }
}

fn counts_in(stored: &CountsV1) -> BulkCounts {
    let CountsV1 { changed, requested, refused, running, duplicate, unreadable } = *stored;
    BulkCounts { changed, requested, refused, running, duplicate, unreadable }
}
