//! Records to bytes and back. Only this module and those under it know bincode.
//!
//! A body is a version byte, then what that version's frozen structs say. The bytes are drawn in
//! `src/docs/format_records.md` and pinned by golden tests.
//!
//! # Invariants
//! * Whatever the bytes, decoding returns: no panic, and no allocation beyond a few times their length.
//! * Every byte of a body is accounted for; one too many is malformed.
//! * What a later release adds stands in tagged fields: below 128 this release keeps (jobs) or skips (the rest) what
//!   it does not know; from 128 on it refuses the record.
//!
//! Never here: checksums, lengths, positions: those are the frame's.

mod bytes;
mod v1;

use std::borrow::Cow;
use std::fmt;

use super::bulk::{Audit, BulkRun};
use super::envelope::{Codec, Envelope, lane_name};
use super::group::Group;
use super::record::{Cause, Record, Removes, kind};
use super::state::State;
use crate::ids::Millis;

pub(crate) use v1::group::GROUP_BYTES_MAX;

/// Bytes that are no record this release can read. Holds no bytes of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A record kind this release does not know.
    UnknownKind { kind: u8 },
    /// A version of a known kind that this release does not know.
    UnknownVersion { kind: u8, version: u8 },
    /// A field this release does not know, marked as one that must be understood.
    UnknownField { kind: u8, tag: u8 },
    /// Not what any release writes.
    Malformed { kind: u8, what: &'static str },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownKind { kind } => write!(f, "record kind={kind} is unknown; a newer release may read it"),
            Self::UnknownVersion { kind, version } => {
                write!(f, "record kind={kind} version={version} is unknown; a newer release may read it")
            }
            Self::UnknownField { kind, tag } => {
                write!(f, "record kind={kind} holds field={tag}, which must be understood; a newer release may read it")
            }
            Self::Malformed { kind, what } => write!(f, "record kind={kind} is malformed: {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A job record at a glance: what replay needs, without owning errors, tags, metadata or args.
#[derive(Clone)]
#[cfg_attr(not(test), allow(dead_code, reason = "replay takes what it needs; the tests compare all of it"))]
pub(crate) struct Peek<'a> {
    pub(crate) cause: Cause,
    pub(crate) removes: Option<Removes>,
    pub(crate) kind: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) limit_key: Option<&'a str>,
    pub(crate) priority: i16,
    pub(crate) codec: Codec,
    pub(crate) state: State,
    pub(crate) created_at: Millis,
    /// [`Envelope::key_claim`].
    pub(crate) unique: Option<(u128, bool)>,
    /// [`Envelope::careful`].
    pub(crate) careful: bool,
    /// [`Envelope::is_suspect`].
    pub(crate) suspect: bool,
    pub(crate) args: &'a [u8],
}

impl<'a> Peek<'a> {
    /// [`Envelope::lane`].
    pub(crate) fn lane(&self) -> Cow<'a, str> {
        lane_name(self.queue, self.limit_key)
    }
}

/// The record's kind, and its body.
pub(crate) fn encode(record: &Record<'_>) -> (u8, Vec<u8>) {
    match record {
        Record::Opened(opened) => (kind::OPENED, v1::rest::encode_opened(opened)),
        Record::Totals(totals) => (kind::TOTALS, v1::rest::encode_totals(totals)),
        Record::Job(job) => (kind::JOB, encode_job(&job.envelope, job.cause, job.removes.as_ref(), &job.args)),
        Record::Claimed(claimed) => (kind::CLAIMED, v1::rest::encode_claimed(claimed)),
        Record::Ended(ended) => (kind::ENDED, v1::rest::encode_ended(ended)),
        Record::Due(due) => (kind::DUE, v1::rest::encode_due(*due)),
        Record::Cell(cell) => (kind::CELL, v1::rest::encode_cell(cell)),
    }
}

/// The body of a job record; one allocation for a job that asks for nothing special.
pub(crate) fn encode_job(envelope: &Envelope, cause: Cause, removes: Option<&Removes>, args: &[u8]) -> Vec<u8> {
    v1::job::encode(envelope, cause, removes, args)
}

/// Reads a record body back. Never panics, whatever the bytes; allocates at most a few times their length.
pub(crate) fn decode(kind: u8, body: &[u8]) -> Result<Record<'_>, DecodeError> {
    let body = version_1(kind, body)?;
    match kind {
        kind::OPENED => v1::rest::decode_opened(body).map(Record::Opened),
        kind::TOTALS => v1::rest::decode_totals(body).map(Record::Totals),
        kind::JOB => v1::job::decode(body).map(Record::Job),
        kind::CLAIMED => v1::rest::decode_claimed(body).map(Record::Claimed),
        kind::ENDED => v1::rest::decode_ended(body).map(Record::Ended),
        kind::DUE => v1::rest::decode_due(body).map(Record::Due),
        kind::CELL => v1::rest::decode_cell(body).map(Record::Cell),
        _ => Err(DecodeError::UnknownKind { kind }),
    }
}

/// The value of a group's cell.
pub(crate) fn encode_group(group: &Group) -> Vec<u8> {
    v1::group::encode(group)
}

/// Reads the value of a group's cell back. Never panics.
pub(crate) fn decode_group(value: &[u8]) -> Result<Group, DecodeError> {
    v1::group::decode(version_1(kind::CELL, value)?)
}

/// The value of a bulk verb's cell.
pub(crate) fn encode_bulk(run: &BulkRun) -> Vec<u8> {
    v1::bulk::encode(run)
}

/// Reads the value of a bulk verb's cell back. Never panics.
pub(crate) fn decode_bulk(value: &[u8]) -> Result<BulkRun, DecodeError> {
    v1::bulk::decode(version_1(kind::CELL, value)?)
}

/// The value of an audit record's cell.
pub(crate) fn encode_audit(audit: &Audit) -> Vec<u8> {
    v1::bulk::encode_audit(audit)
}

/// Reads the value of an audit record's cell back. Never panics.
pub(crate) fn decode_audit(value: &[u8]) -> Result<Audit, DecodeError> {
    v1::bulk::decode_audit(version_1(kind::CELL, value)?)
}

/// Reads what replay needs of a job record's body. Never panics.
pub(crate) fn peek(body: &[u8]) -> Result<Peek<'_>, DecodeError> {
    v1::job::peek(version_1(kind::JOB, body)?)
}

/// What follows the version byte.
fn version_1(kind: u8, body: &[u8]) -> Result<&[u8], DecodeError> {
    if !(kind::OPENED..=kind::CELL).contains(&kind) {
        return Err(DecodeError::UnknownKind { kind });
    }
    match body.split_first() {
        Some((&v1::VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(DecodeError::UnknownVersion { kind, version }),
        None => Err(DecodeError::Malformed { kind, what: "empty body" }),
    }
}
