//! What a job has beside kind, queue and args: one tagged field for each thing that is not at its default.
//!
//! Tags never change meaning. Spoken for, and kept unread until their release comes: 22 parents it waits for and what
//! their failure means, 23 what enqueued it (cron entry, group, job), 24 class and backtrace of errors by attempt,
//! 25 failures by error class, 26 the event that wrote the record.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::bytes::{Bytes, List, put, take};
use super::shapes::{
    ErrorV1, backoff_in, backoff_out, error_in, error_out, sealed_in, sealed_out, state_in, state_out, unique_in,
    unique_out,
};
use super::{FieldV1, MUST_UNDERSTAND};
use crate::job::envelope::{Codec, Envelope, Extra, MAX_ATTEMPTS_DEFAULT};
use crate::job::record::kind;

mod tag {
    pub(super) const STATE: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const CODEC: u8 = 3;
    pub(super) const RUN_AT: u8 = 4;
    pub(super) const ATTEMPTS: u8 = 5;
    pub(super) const MAX_ATTEMPTS: u8 = 6;
    pub(super) const CRASHES: u8 = 7;
    pub(super) const YIELDS: u8 = 8;
    pub(super) const CANCEL_REQUESTED: u8 = 9;
    pub(super) const UNIQUE: u8 = 10;
    pub(super) const TIMEOUT_MS: u8 = 11;
    pub(super) const EXPIRES_AT: u8 = 12;
    pub(super) const BACKOFF: u8 = 13;
    pub(super) const TAGS: u8 = 14;
    pub(super) const METADATA: u8 = 15;
    pub(super) const LIMIT_KEY: u8 = 16;
    pub(super) const GROUP: u8 = 17;
    pub(super) const KEEP_RESULT_MS: u8 = 18;
    pub(super) const ERRORS: u8 = 19;
    pub(super) const REASON: u8 = 20;
    pub(super) const CHANGED_AT: u8 = 21;
    // 128 was drawn for it once, with a number for the key, and never written.
    pub(super) const SEALED: u8 = super::MUST_UNDERSTAND + 1;
}

/// How much of the fields to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    All,
    /// Only what says where the job stands.
    Standing,
}

/// Fields on their way out.
pub(super) struct Written {
    bytes: Vec<u8>,
    fields: Vec<(u8, Range<usize>)>,
}

impl Written {
    fn put<T: Serialize>(&mut self, tag: u8, value: &T) {
        let start = self.bytes.len();
        put(value, &mut self.bytes);
        self.fields.push((tag, start..self.bytes.len()));
    }

    fn put_some<T: Serialize>(&mut self, tag: u8, value: Option<T>) {
        if let Some(value) = value {
            self.put(tag, &value);
        }
    }

    /// With those that were only kept, by rising tag.
    pub(super) fn list<'a>(&'a self, kept: &'a [Extra]) -> Vec<FieldV1<'a>> {
        let own = self
            .fields
            .iter()
            .map(|(tag, range)| FieldV1 { tag: *tag, value: Bytes(self.bytes.get(range.clone()).unwrap_or_default()) });
        let kept = kept.iter().map(|extra| FieldV1 { tag: extra.tag, value: Bytes(&extra.bytes) });
        let mut list: Vec<_> = own.chain(kept).collect();
        list.sort_by_key(|field| field.tag);
        list
    }

    /// About what they take in the record.
    pub(super) fn stored_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.fields.len()
    }
}

/// One field for each thing that is not at its default; allocates nothing if all are.
pub(super) fn write(job: &Envelope) -> Written {
    let mut out = Written { bytes: Vec::new(), fields: Vec::new() };
    let unless = |value: u32, default: u32| (value != default).then_some(value);
    out.put_some(tag::STATE, state_out(job.state));
    out.put_some(tag::PRIORITY, (job.priority != 0).then_some(job.priority));
    out.put_some(tag::CODEC, (job.codec != Codec::Json).then(|| job.codec.code()));
    out.put_some(tag::RUN_AT, job.run_at);
    out.put_some(tag::ATTEMPTS, unless(job.attempts, 0));
    out.put_some(tag::MAX_ATTEMPTS, unless(job.max_attempts, MAX_ATTEMPTS_DEFAULT));
    out.put_some(tag::CRASHES, unless(job.crashes, 0));
    out.put_some(tag::YIELDS, unless(job.yields, 0));
    out.put_some(tag::CANCEL_REQUESTED, job.cancel_requested.then_some(()));
    out.put_some(tag::UNIQUE, job.unique.as_ref().map(unique_out));
    out.put_some(tag::TIMEOUT_MS, job.timeout_ms);
    out.put_some(tag::EXPIRES_AT, job.expires_at);
    out.put_some(tag::BACKOFF, backoff_out(job.backoff));
    if !job.tags.is_empty() {
        out.put(tag::TAGS, &job.tags);
    }
    if !job.metadata.is_empty() {
        out.put(tag::METADATA, &job.metadata);
    }
    out.put_some(tag::LIMIT_KEY, job.limit_key.as_ref());
    out.put_some(tag::GROUP, job.group);
    out.put_some(tag::KEEP_RESULT_MS, job.keep_result_ms);
    if !job.errors.is_empty() {
        out.put(tag::ERRORS, &List(job.errors.iter().map(error_out).collect()));
    }
    out.put_some(tag::REASON, job.reason.as_ref());
    out.put_some(tag::CHANGED_AT, job.changed_at);
    out.put_some(tag::SEALED, job.sealed.as_ref().map(sealed_out));
    out
}

/// Puts what the fields say into `job`, which stands at the defaults.
pub(super) fn read(fields: &List<FieldV1<'_>>, depth: Depth, job: &mut Envelope) -> Result<(), DecodeError> {
    let mut before = 0;
    for field in &fields.0 {
        if field.tag <= before {
            return Err(malformed("fields out of order"));
        }
        before = field.tag;
        match standing(*field, job)? {
            Taken::Here => {}
            Taken::NotHere if depth == Depth::Standing && field.tag < MUST_UNDERSTAND => {}
            Taken::NotHere => other(*field, job)?,
        }
    }
    Ok(())
}

/// The limit key, borrowed.
pub(super) fn limit_key<'a>(fields: &List<FieldV1<'a>>) -> Result<Option<&'a str>, DecodeError> {
    fields.0.iter().find(|field| field.tag == tag::LIMIT_KEY).map(|field| value(field.value.0)).transpose()
}

enum Taken {
    Here,
    NotHere,
}

/// The fields that say where a job stands.
fn standing(field: FieldV1<'_>, job: &mut Envelope) -> Result<Taken, DecodeError> {
    let bytes = field.value.0;
    match field.tag {
        tag::STATE => job.state = state_in(&value(bytes)?),
        tag::PRIORITY => job.priority = value(bytes)?,
        tag::CODEC => job.codec = Codec::from_code(value(bytes)?),
        tag::ATTEMPTS => job.attempts = value(bytes)?,
        tag::MAX_ATTEMPTS => job.max_attempts = value(bytes)?,
        tag::CRASHES => job.crashes = value(bytes)?,
        tag::YIELDS => job.yields = value(bytes)?,
        tag::UNIQUE => job.unique = Some(unique_in(&value(bytes)?)),
        tag::EXPIRES_AT => job.expires_at = Some(value(bytes)?),
        tag::SEALED => job.sealed = Some(sealed_in(&value(bytes)?)),
        _ => return Ok(Taken::NotHere),
    }
    Ok(Taken::Here)
}

/// All the other fields.
fn other(field: FieldV1<'_>, job: &mut Envelope) -> Result<(), DecodeError> {
    let bytes = field.value.0;
    match field.tag {
        tag::RUN_AT => job.run_at = Some(value(bytes)?),
        tag::CANCEL_REQUESTED => {
            let () = value(bytes)?;
            job.cancel_requested = true;
        }
        tag::TIMEOUT_MS => job.timeout_ms = Some(value(bytes)?),
        tag::BACKOFF => job.backoff = backoff_in(&value(bytes)?),
        tag::TAGS => job.tags = value::<List<&str>>(bytes)?.0.into_iter().map(str::to_owned).collect(),
        tag::METADATA => job.metadata = owned_pairs(value(bytes)?),
        tag::LIMIT_KEY => job.limit_key = Some(text(bytes)?),
        tag::GROUP => job.group = Some(value(bytes)?),
        tag::KEEP_RESULT_MS => job.keep_result_ms = Some(value(bytes)?),
        tag::ERRORS => job.errors = value::<List<ErrorV1<'_>>>(bytes)?.0.iter().map(error_in).collect(),
        tag::REASON => job.reason = Some(text(bytes)?),
        tag::CHANGED_AT => job.changed_at = Some(value(bytes)?),
        tag if tag >= MUST_UNDERSTAND => return Err(DecodeError::UnknownField { kind: kind::JOB, tag }),
        tag => job.extra.push(Extra { tag, bytes: bytes.to_vec() }),
    }
    Ok(())
}

fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { kind: kind::JOB, what }
}

fn value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    take(bytes).ok_or(malformed("a field does not parse"))
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    value::<&str>(bytes).map(str::to_owned)
}

fn owned_pairs(pairs: List<(&str, &str)>) -> Vec<(String, String)> {
    pairs.0.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
