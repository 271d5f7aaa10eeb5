//! The job record: what every job has, then what it asked for, then its args.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::super::bytes::{Bytes, List, Time48, put, take};
use super::super::{DecodeError, Peek};
use super::fields::{self, Depth};
use super::{FieldV1, RemovesV1, VERSION, long, short};
use crate::job::envelope::{Codec, Envelope};
use crate::job::record::{Cause, JobRecord, Removes, kind};
use crate::job::state::State;

/// The fixed parts at their longest: version, cause, what is removed, lengths, time.
const HEAD_BYTES: usize = 40;

#[derive(Serialize, Deserialize)]
struct JobV1<'a> {
    cause: u8,
    #[serde(borrow)]
    removes: RemovesV1<'a>,
    kind: &'a str,
    queue: &'a str,
    created_at: Time48,
    #[serde(borrow)]
    fields: List<FieldV1<'a>>,
    #[serde(borrow)]
    args: Bytes<'a>,
}

pub(in crate::job::codec) fn encode(
    envelope: &Envelope,
    cause: Cause,
    removes: Option<&Removes>,
    args: &[u8],
) -> Vec<u8> {
    let written = fields::write(envelope);
    let stored = JobV1 {
        cause: cause_code(cause),
        removes: RemovesV1::from_removes(removes),
        kind: &envelope.kind,
        queue: short(&envelope.queue),
        created_at: Time48(envelope.created_at),
        fields: List(written.list(&envelope.extra)),
        args: Bytes(args),
    };
    let names = envelope.kind.len() + 2 * envelope.queue.len() + envelope.limit_key.as_ref().map_or(0, String::len);
    let room = HEAD_BYTES + names + written.stored_bytes() + args.len();
    let mut body = Vec::with_capacity(room);
    body.push(VERSION);
    put(&stored, &mut body);
    body
}

pub(in crate::job::codec) fn decode(body: &[u8]) -> Result<JobRecord<'_>, DecodeError> {
    let (stored, cause) = read(body)?;
    let mut envelope = Envelope::new(stored.kind, stored.created_at.0);
    if !stored.queue.is_empty() {
        stored.queue.clone_into(&mut envelope.queue);
    }
    fields::read(&stored.fields, Depth::All, &mut envelope)?;
    Ok(JobRecord { cause, removes: stored.removes.into_removes(), envelope, args: Cow::Borrowed(stored.args.0) })
}

pub(in crate::job::codec) fn peek(body: &[u8]) -> Result<Peek<'_>, DecodeError> {
    let (stored, cause) = read(body)?;
    let mut peek = Peek {
        cause,
        removes: stored.removes.into_removes(),
        kind: stored.kind,
        queue: long(stored.queue),
        limit_key: None,
        priority: 0,
        codec: Codec::Json,
        state: State::Ready,
        created_at: stored.created_at.0,
        unique: None,
        careful: false,
        suspect: false,
        args: stored.args.0,
    };
    if !stored.fields.0.is_empty() {
        let mut envelope = Envelope::new("", peek.created_at);
        fields::read(&stored.fields, Depth::Standing, &mut envelope)?;
        peek.limit_key = fields::limit_key(&stored.fields)?;
        peek.priority = envelope.priority;
        peek.codec = envelope.codec;
        peek.state = envelope.state;
        peek.unique = envelope.key_claim();
        peek.careful = envelope.careful();
        peek.suspect = envelope.is_suspect();
    }
    Ok(peek)
}

fn read(body: &[u8]) -> Result<(JobV1<'_>, Cause), DecodeError> {
    let malformed = |what| DecodeError::Malformed { kind: kind::JOB, what };
    let stored: JobV1<'_> = take(body).ok_or(malformed("its parts do not fill the body"))?;
    let cause = cause_of(stored.cause).ok_or(malformed("unknown cause"))?;
    Ok((stored, cause))
}

fn cause_code(cause: Cause) -> u8 {
    match cause {
        Cause::Enqueued => 1,
        Cause::Changed => 2,
        Cause::Interrupted => 3,
        Cause::Carried => 4,
        Cause::Replaced => 5,
    }
}

fn cause_of(code: u8) -> Option<Cause> {
    [Cause::Enqueued, Cause::Changed, Cause::Interrupted, Cause::Carried, Cause::Replaced]
        .into_iter()
        .find(|&cause| cause_code(cause) == code)
}
