//! A job on its way through a socket or a file: everything its builder can say, as one JSON object.
//!
//! # Invariants
//! * What is left out has the library's default; a name that is not known is refused, so that none is silently lost.
//! * A delay counts from its arrival.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::shape::{ArgsShape, unhex};
use crate::engine::{NewJob, OnConflict};
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::job::{Backoff, Codec};
use crate::queue::{JobBuilder, Moment, Unique};

/// A job as it is sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobLine {
    pub(crate) kind: String,
    /// Args that are JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<Box<RawValue>>,
    /// Args that are any bytes; or JSON that must stay as it is, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) args_hex: Option<String>,
    /// Default: JSON for `args`, bytes for `args_hex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) codec: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unique: Option<UniqueLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keep_result_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backoff: Option<BackoffLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hold: bool,
}

/// A unique key and its rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UniqueLine {
    pub(crate) key: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) until_started: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within_ms: Option<u64>,
    /// `keep`, `replace` or `reschedule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_conflict: Option<String>,
}

/// How long to wait after a failure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BackoffLine {
    Fixed { delay_ms: u64 },
    Exponential { base_ms: u64, cap_ms: u64 },
}

impl JobLine {
    /// What a builder says.
    pub(crate) fn of<On>(job: JobBuilder<On>) -> Result<Self> {
        let (job, run, expires) = job.told()?;
        if job.ties != crate::engine::Ties::default() {
            return Err(Error::invalid(
                "a job sent through the admin socket cannot belong to a group, nor wait `after` others; let the program that owns the directory enqueue it",
            ));
        }
        let moment = |moment: Option<Moment>| match moment {
            None => (None, None),
            Some(Moment::At(time)) => (Some(Millis::not_before(time).0), None),
            Some(Moment::In(delay)) => (None, Some(ms(delay))),
        };
        let ((run_at_ms, delay_ms), (expires_at_ms, expires_in_ms)) = (moment(run), moment(expires));
        let ArgsShape { codec, args, args_hex } = ArgsShape::of(job.codec, &job.args);
        Ok(Self {
            unique: unique_of(&job),
            kind: job.kind.into_owned(),
            args,
            args_hex,
            codec: Some(codec),
            queue: Some(job.queue.into_owned()),
            priority: Some(job.priority),
            max_attempts: Some(job.max_attempts),
            run_at_ms,
            delay_ms,
            expires_at_ms,
            expires_in_ms,
            timeout_ms: job.timeout.map(ms),
            keep_result_ms: job.keep_result.map(ms),
            limit_key: job.limit_key,
            backoff: match job.backoff {
                Backoff::Default => None,
                Backoff::Fixed { delay } => Some(BackoffLine::Fixed { delay_ms: ms(delay) }),
                Backoff::Exponential { base, cap } => {
                    Some(BackoffLine::Exponential { base_ms: ms(base), cap_ms: ms(cap) })
                }
            },
            tags: job.tags,
            metadata: job.metadata,
            hold: job.hold,
        })
    }

    /// The builder that says the same. Names and sizes are checked where it is enqueued.
    pub(crate) fn into_builder(self) -> Result<JobBuilder> {
        let (codec, args) = self.payload()?;
        let mut job = JobBuilder::raw(&self.kind, args, codec);
        if let Some(queue) = self.queue {
            job = job.queue(queue);
        }
        if let Some(priority) = self.priority {
            job = job.priority(priority);
        }
        if let Some(attempts) = self.max_attempts {
            job = job.max_attempts(attempts);
        }
        if let Some(unique) = self.unique {
            job = job.unique(unique.into_unique()?);
        }
        job = match (self.run_at_ms, self.delay_ms) {
            (None, None) => job,
            (Some(at), None) => job.run_at(Millis(at).to_system()),
            (None, Some(delay)) => job.delay(Duration::from_millis(delay)),
            (Some(_), Some(_)) => return Err(Error::invalid("run_at_ms and delay_ms both say when; give one of them")),
        };
        job = match (self.expires_at_ms, self.expires_in_ms) {
            (None, None) => job,
            (Some(at), None) => job.expires_at(Millis(at).to_system()),
            (None, Some(time)) => job.expires_in(Duration::from_millis(time)),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("expires_at_ms and expires_in_ms both say when; give one of them"));
            }
        };
        if let Some(timeout) = self.timeout_ms {
            job = job.timeout(Duration::from_millis(timeout));
        }
        if let Some(keep) = self.keep_result_ms {
            job = job.keep_result(Duration::from_millis(keep));
        }
        if let Some(key) = self.limit_key {
            job = job.limit_key(key);
        }
        job = match self.backoff {
            None => job,
            Some(BackoffLine::Fixed { delay_ms }) => {
                job.backoff(Backoff::Fixed { delay: Duration::from_millis(delay_ms) })
            }
            Some(BackoffLine::Exponential { base_ms, cap_ms }) => job.backoff(Backoff::Exponential {
                base: Duration::from_millis(base_ms),
                cap: Duration::from_millis(cap_ms),
            }),
        };
        job = self.tags.into_iter().fold(job, JobBuilder::tag);
        job = self.metadata.into_iter().fold(job, |job, (key, value)| job.metadata(key, value));
        Ok(if self.hold { job.hold() } else { job })
    }

    fn payload(&self) -> Result<(Codec, Vec<u8>)> {
        let (default, args) = match (&self.args, &self.args_hex) {
            (Some(json), None) => (Codec::Json, json.get().as_bytes().to_vec()),
            (None, Some(hex)) => {
                let bytes = unhex(hex).ok_or_else(|| Error::invalid("args_hex holds something that is not hex"))?;
                (Codec::Raw, bytes)
            }
            (None, None) => (Codec::Json, b"null".to_vec()),
            (Some(_), Some(_)) => return Err(Error::invalid("args and args_hex both stand there; give one of them")),
        };
        Ok((self.codec.map_or(default, Codec::from_code), args))
    }
}

impl UniqueLine {
    fn into_unique(self) -> Result<Unique> {
        let mut unique = Unique::key(self.key);
        unique = match (self.until_started, self.within_ms) {
            (false, None) => unique,
            (true, None) => unique.until_started(),
            (false, Some(period)) => unique.within(Duration::from_millis(period)),
            (true, Some(_)) => {
                return Err(Error::invalid("until_started and within_ms both say how long the key holds; give one"));
            }
        };
        Ok(unique.on_conflict(match self.on_conflict.as_deref() {
            None | Some("keep") => OnConflict::Keep,
            Some("replace") => OnConflict::Replace,
            Some("reschedule") => OnConflict::Reschedule,
            Some(other) => {
                return Err(Error::invalid(format!("on_conflict={other:?} is none of keep, replace, reschedule")));
            }
        }))
    }
}

fn unique_of(job: &NewJob) -> Option<UniqueLine> {
    let key = job.unique.clone()?;
    let on_conflict = match job.rule.on_conflict {
        OnConflict::Keep => None,
        OnConflict::Replace => Some("replace".to_owned()),
        OnConflict::Reschedule => Some("reschedule".to_owned()),
    };
    Some(UniqueLine { key, until_started: job.rule.until_started, within_ms: job.rule.period.map(ms), on_conflict })
}

/// Rounded up: nothing is early, and what is more than nothing stays so.
fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
