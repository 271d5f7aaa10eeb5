//! Records to bytes and back: the only place on this floor that calls bincode.

use std::borrow::Cow;
use std::fmt;

use super::envelope::{Codec, Envelope, lane_name};
use super::record::{Cause, Record, Removes};
use super::state::State;
use crate::ids::Millis;

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
    /// [`Envelope::holds_unique`].
    pub(crate) unique: Option<u128>,
    /// [`Envelope::careful`].
    pub(crate) careful: bool,
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
    let _ = record;
    unimplemented!()
}

/// The body of a job record; one allocation for a job that asks for nothing special.
pub(crate) fn encode_job(envelope: &Envelope, cause: Cause, removes: Option<&Removes>, args: &[u8]) -> Vec<u8> {
    let _ = (envelope, cause, removes, args);
    unimplemented!()
}

/// Reads a record body back. Never panics, whatever the bytes; allocates at most a few times their length.
pub(crate) fn decode(kind: u8, body: &[u8]) -> Result<Record<'_>, DecodeError> {
    let _ = (kind, body);
    unimplemented!()
}

/// Reads what replay needs of a job record's body. Never panics.
pub(crate) fn peek(body: &[u8]) -> Result<Peek<'_>, DecodeError> {
    let _ = body;
    unimplemented!()
}
