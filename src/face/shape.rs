//! The answers, as JSON: what a client reads, and what `--json` shows.
//!
//! # Invariants
//! * Fields are added, never renamed; times are milliseconds since 1970, states the words of `Phase`.
//! * An answer says nothing of the way it was reached: that stands beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::engine::{
    Acceptance, BulkDone, Cancelled, Changed, Confirmed, Enqueued, Event, JobInfo, PastJob, QueueCounts, Requeued, What,
};
use crate::ids::{JobId, Millis, Phase};
use crate::job::{Codec, Ending};

/// A job without its args.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobShape {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) priority: i16,
    pub(crate) created_at_ms: u64,
    pub(crate) run_at_ms: Option<u64>,
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) attempts: u32,
    pub(crate) max_attempts: u32,
    pub(crate) crashes: u32,
    pub(crate) cancel_requested: bool,
    pub(crate) unique: Option<String>,
    pub(crate) limit_key: Option<String>,
    pub(crate) group: Option<u64>,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) reason: Option<String>,
    pub(crate) errors: Vec<String>,
    /// Its args are sealed, under the key of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<String>,
}

impl JobShape {
    pub(crate) fn of(job: JobInfo) -> Self {
        let ms = |time: std::time::SystemTime| Millis::from_system(time).0;
        Self {
            id: job.id.0,
            kind: job.kind,
            queue: job.queue,
            state: job.phase.as_str().to_owned(),
            priority: job.priority,
            created_at_ms: ms(job.created_at),
            run_at_ms: job.run_at.map(ms),
            expires_at_ms: job.expires_at.map(ms),
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            crashes: job.crashes,
            cancel_requested: job.cancel_requested,
            unique: job.unique,
            limit_key: job.limit_key,
            group: job.group.map(|group| group.0),
            tags: job.tags,
            metadata: job.metadata,
            reason: job.reason,
            errors: job.errors,
            sealed: job.sealed,
        }
    }

    /// What went wrong last.
    #[cfg(any(feature = "cli", feature = "console"))]
    pub(crate) fn trouble(&self) -> Option<&str> {
        let (reason, error) = (self.reason.as_deref(), self.errors.last().map(String::as_str));
        if self.state == "parked" { reason.or(error) } else { error.or(reason) }
    }
}

/// Args as they can be shown: JSON as it is, everything else byte for byte in hex.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ArgsShape {
    /// 1: JSON, 2: bytes, others are the program's own.
    pub(crate) codec: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) args_hex: Option<String>,
}

impl ArgsShape {
    pub(crate) fn of(codec: Codec, args: &[u8]) -> Self {
        // A line is what frames an answer.
        let plain = |raw: &&RawValue| !raw.get().contains(['\n', '\r']);
        let json = match codec {
            Codec::Json => serde_json::from_slice::<&RawValue>(args).ok().filter(plain),
            Codec::Raw | Codec::Other(_) => None,
        };
        // Blanks around the value are not in it.
        let json = json.filter(|raw| raw.get().len() == args.len());
        Self { codec: codec.code(), args_hex: json.is_none().then(|| hex(args)), args: json.map(ToOwned::to_owned) }
    }
}

/// `status`: `live` with the job, `finished`, `lost` or `unknown`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShowShape {
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<JobShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<ArgsShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<ProgressShape>,
}

/// How far a job said it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgressShape {
    pub(crate) percent: u8,
    pub(crate) text: String,
}

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExportShape {
    pub(crate) job: JobShape,
    pub(crate) args: ArgsShape,
}

/// Something that happened; `what` is the word for it, the rest what it says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventShape {
    pub(crate) at_ms: u64,
    pub(crate) what: String,
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    pub(crate) queue: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Phase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until_ms: Option<u64>,
    /// Events that this listener missed so far.
    pub(crate) missed: u64,
}

impl EventShape {
    pub(crate) fn of(event: &Event, missed: u64) -> Self {
        let ms = |time: std::time::SystemTime| Some(Millis::from_system(time).0);
        let mut shape = Self {
            at_ms: Millis::from_system(event.at).0,
            what: String::new(),
            id: event.job.map(|id| id.0),
            kind: event.kind.to_string(),
            queue: event.queue.to_string(),
            state: None,
            attempt: None,
            took_ms: None,
            until_ms: None,
            missed,
        };
        let what = match event.what {
            What::Enqueued { phase } => {
                shape.state = Some(phase);
                "enqueued"
            }
            What::Started { attempt } => {
                shape.attempt = Some(attempt);
                "started"
            }
            What::Completed { attempt, took } => {
                shape.attempt = Some(attempt);
                shape.took_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                "completed"
            }
            What::Failed { attempt, .. } => {
                shape.attempt = Some(attempt);
                "failed"
            }
            What::Retried { run_at } => {
                shape.until_ms = run_at.and_then(ms);
                "retried"
            }
            What::Died { attempts } => {
                shape.attempt = Some(attempts);
                "died"
            }
            What::Snoozed { until } => {
                shape.until_ms = ms(until);
                "snoozed"
            }
            What::Released => "released",
            What::CancelRequested => "cancel_requested",
            What::Cancelled => "cancelled",
            What::Expired => "expired",
            What::Discarded => "discarded",
            What::Parked => "parked",
            What::Requeued => "requeued",
            What::Confirmed => "confirmed",
            What::QueuePaused => "queue_paused",
            What::QueueResumed => "queue_resumed",
            What::KindPaused => "kind_paused",
            What::KindResumed => "kind_resumed",
        };
        what.clone_into(&mut shape.what);
        shape
    }
}

/// A page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListShape {
    pub(crate) jobs: Vec<JobShape>,
    /// Ask for those after this one; `None`: that was all.
    pub(crate) next_after: Option<u64>,
}

/// Jobs of one queue.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct QueueShape {
    pub(crate) paused: bool,
    pub(crate) held: u64,
    pub(crate) scheduled: u64,
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
    pub(crate) dead: u64,
    pub(crate) parked: u64,
}

impl QueueShape {
    pub(crate) fn of(counts: QueueCounts, paused: bool) -> Self {
        let QueueCounts { held, scheduled, ready, in_flight, dead, parked } = counts;
        Self { paused, held, scheduled, ready, in_flight, dead, parked }
    }
}

/// Jobs by queue and state, and what became of those that ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatsShape {
    pub(crate) queues: BTreeMap<String, QueueShape>,
    pub(crate) total: QueueShape,
    pub(crate) paused_kinds: Vec<String>,
    pub(crate) enqueued: u64,
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    pub(crate) expired: u64,
    pub(crate) discarded: u64,
    pub(crate) pruned: u64,
}

/// Jobs of one kind that failed alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FailureShape {
    pub(crate) kind: String,
    /// The first line of the last error, numbers as `#`.
    pub(crate) error: String,
    pub(crate) dead: u64,
    pub(crate) parked: u64,
    /// Waiting for another attempt.
    pub(crate) retrying: u64,
    /// The newest of them.
    pub(crate) last_id: u64,
}

/// How many.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CountShape {
    pub(crate) jobs: u64,
}

/// A job that ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PastShape {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) how: String,
    pub(crate) attempts: u32,
    pub(crate) created_at_ms: u64,
    pub(crate) ended_at_ms: u64,
    pub(crate) took_ms: Option<u64>,
}

impl PastShape {
    pub(crate) fn of(past: &PastJob) -> Self {
        let how = match past.how {
            Ending::Completed => "completed",
            Ending::Cancelled => "cancelled",
            Ending::Expired => "expired",
            Ending::Discarded => "discarded",
            Ending::Pruned => "pruned",
        };
        Self {
            id: past.id.0,
            kind: past.kind.to_string(),
            queue: past.queue.to_string(),
            how: how.to_owned(),
            attempts: past.attempts,
            created_at_ms: Millis::from_system(past.created_at).0,
            ended_at_ms: Millis::from_system(past.ended_at).0,
            took_ms: past.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// What became of an enqueue: `new`, `duplicate`, `replaced` or `rescheduled`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EnqueuedShape {
    pub(crate) id: u64,
    pub(crate) acceptance: String,
}

impl EnqueuedShape {
    pub(crate) fn of(accepted: Enqueued) -> Self {
        let acceptance = match accepted.acceptance {
            Acceptance::New => "new",
            Acceptance::Duplicate(_) => "duplicate",
            Acceptance::Replaced(_) => "replaced",
            Acceptance::Rescheduled(_) => "rescheduled",
        };
        Self { id: accepted.id.0, acceptance: acceptance.to_owned() }
    }

    pub(crate) fn into_enqueued(self) -> Enqueued {
        let id = JobId(self.id);
        let acceptance = match self.acceptance.as_str() {
            "duplicate" => Acceptance::Duplicate(id),
            "replaced" => Acceptance::Replaced(id),
            "rescheduled" => Acceptance::Rescheduled(id),
            _ => Acceptance::New,
        };
        Enqueued::of(id, acceptance)
    }
}

/// The answer to an enqueue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AcceptedShape {
    pub(crate) jobs: Vec<EnqueuedShape>,
}

/// What became of a change: `done`, `requested`, `refused` with the state, `duplicate` with the holder, `not_live`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeShape {
    pub(crate) outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Phase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<u64>,
}

impl ChangeShape {
    pub(crate) fn word(outcome: &str) -> Self {
        Self { outcome: outcome.to_owned(), state: None, holder: None }
    }

    fn refused(state: Phase) -> Self {
        Self { state: Some(state), ..Self::word("refused") }
    }
}

impl From<Cancelled> for ChangeShape {
    fn from(answer: Cancelled) -> Self {
        Self::word(match answer {
            Cancelled::Done => "done",
            Cancelled::Requested => "requested",
            Cancelled::NotLive => "not_live",
        })
    }
}

impl From<Requeued> for ChangeShape {
    fn from(answer: Requeued) -> Self {
        match answer {
            Requeued::Done => Self::word("done"),
            Requeued::Refused(state) => Self::refused(state),
            Requeued::Duplicate(id) => Self { holder: Some(id.0), ..Self::word("duplicate") },
            Requeued::NotLive => Self::word("not_live"),
        }
    }
}

impl From<Changed> for ChangeShape {
    fn from(answer: Changed) -> Self {
        match answer {
            Changed::Done => Self::word("done"),
            Changed::Refused(state) => Self::refused(state),
            Changed::NotLive => Self::word("not_live"),
        }
    }
}

impl From<Confirmed> for ChangeShape {
    fn from(answer: Confirmed) -> Self {
        match answer {
            Confirmed::Done => Self::word("done"),
            Confirmed::Refused(state) => Self::refused(state),
            Confirmed::NotLive => Self::word("not_live"),
        }
    }
}

/// What became of all jobs that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AllShape {
    /// The number of its audit record.
    pub(crate) audit: u64,
    pub(crate) changed: u64,
    /// Running, and asked to stop.
    pub(crate) requested: u64,
    /// So already, or in a state in which that cannot be done.
    pub(crate) refused: u64,
    pub(crate) running: u64,
    /// Another job holds the unique key.
    pub(crate) duplicate: u64,
    pub(crate) unreadable: u64,
}

impl AllShape {
    pub(crate) fn of(done: BulkDone) -> Self {
        let BulkDone { audit, changed, requested, refused, running, duplicate, unreadable } = done;
        Self { audit: audit.0, changed, requested, refused, running, duplicate, unreadable }
    }
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// And back. `None`: not written so.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok().filter(|two| two.len() == 2)?, 16).ok()).collect()
}
