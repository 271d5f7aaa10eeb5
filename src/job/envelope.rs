//! Everything about a job but its args.
//!
//! # Invariants
//! * A queue name is never empty and holds no NUL byte: the first is how the default queue is stored, the second
//!   parts queue and limit key in a lane's name.
//! * `errors` holds at most [`ERRORS_KEPT_MAX`], each text at most [`ERROR_BYTES_MAX`] bytes.
//! * `Debug` shows names, numbers and lengths; never error texts, metadata, tags or keys.

use std::borrow::Cow;
use std::fmt;

use super::retry::Backoff;
use super::state::State;
use crate::ids::Millis;
use crate::limits::{ERROR_BYTES_MAX, ERRORS_KEPT_MAX};

/// The queue of a job that names none.
pub(crate) const QUEUE_DEFAULT: &str = "default";
/// The attempts of a job that asks for no other number.
pub(crate) const MAX_ATTEMPTS_DEFAULT: u32 = 25;
/// From this many deaths of the process on, the jobs that ran at all of them are suspects.
const SUSPECT_CRASHES: u32 = 2;

/// A job without its args, as it stands after its newest record.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The job's written type name; never changes.
    pub(crate) kind: String,
    /// The queue it stands in (default: `default`).
    pub(crate) queue: String,
    /// Larger first (default: 0).
    pub(crate) priority: i16,
    /// How to read the args (default: JSON).
    pub(crate) codec: Codec,
    /// Where it stands.
    pub(crate) state: State,
    /// When it was accepted; stored in 48 bits, later times as their end.
    pub(crate) created_at: Millis,
    /// When its state last changed, if it ever did by a full record.
    pub(crate) changed_at: Option<Millis>,
    /// The `run_at` its enqueuer asked for, if any; never changes, but by a move.
    pub(crate) run_at: Option<Millis>,
    /// Attempts spent so far; one that runs now is number `attempts + 1`.
    pub(crate) attempts: u32,
    /// Attempts it may spend (default: 25).
    pub(crate) max_attempts: u32,
    /// How often a process ended while it ran; requeue clears it.
    pub(crate) crashes: u32,
    /// Releases and snoozes in a row.
    pub(crate) yields: u32,
    /// Somebody cancelled it while it ran.
    pub(crate) cancel_requested: bool,
    /// The key no other live job may have.
    pub(crate) unique: Option<Unique>,
    /// How long one attempt may take (default: no limit).
    pub(crate) timeout_ms: Option<u64>,
    /// Not started any more from this time on (default: never).
    pub(crate) expires_at: Option<Millis>,
    /// When to retry.
    pub(crate) backoff: Backoff,
    /// Words to search by.
    pub(crate) tags: Vec<String>,
    /// Carried for the enqueuer and his tracing; in his order.
    pub(crate) metadata: Vec<(String, String)>,
    /// The key its concurrency or rate is limited by; with the queue it makes the lane.
    pub(crate) limit_key: Option<String>,
    /// The group it belongs to.
    pub(crate) group: Option<u64>,
    /// How long its result is kept after it completes (default: not at all).
    pub(crate) keep_result_ms: Option<u64>,
    /// What went wrong in the last attempts, oldest first.
    pub(crate) errors: Vec<AttemptError>,
    /// Why it is dead or parked.
    pub(crate) reason: Option<String>,
    /// Which of its parts are encrypted, and under which key.
    pub(crate) sealed: Option<Sealed>,
    /// Fields a later release wrote: kept and written back as they are, by rising tag.
    pub(crate) extra: Vec<Extra>,
}

impl Envelope {
    /// A job of `kind` that is ready, with every default.
    pub(crate) fn new(kind: impl Into<String>, created_at: Millis) -> Self {
        Self {
            kind: kind.into(),
            queue: QUEUE_DEFAULT.to_owned(),
            priority: 0,
            codec: Codec::Json,
            state: State::Ready,
            created_at,
            changed_at: None,
            run_at: None,
            attempts: 0,
            max_attempts: MAX_ATTEMPTS_DEFAULT,
            crashes: 0,
            yields: 0,
            cancel_requested: false,
            unique: None,
            timeout_ms: None,
            expires_at: None,
            backoff: Backoff::Default,
            tags: Vec::new(),
            metadata: Vec::new(),
            limit_key: None,
            group: None,
            keep_result_ms: None,
            errors: Vec::new(),
            reason: None,
            sealed: None,
            extra: Vec::new(),
        }
    }

    /// The name of its lane: the queue, or queue and limit key with a NUL byte between.
    pub(crate) fn lane(&self) -> Cow<'_, str> {
        lane_name(&self.queue, self.limit_key.as_deref())
    }

    /// Its envelope must be looked at before it is claimed, and it is claimed alone: it crashed before, stands before
    /// its last attempt, may have expired, is sealed, or gives up its unique key at the start (then its claim is
    /// a full record too, for replay to see that the key is free).
    pub(crate) fn careful(&self) -> bool {
        (self.crashes > 0 && !planted!(SuspectInABatch))
            || self.attempts.saturating_add(planted!(LastAttemptInABatch, 0, 1)) >= self.max_attempts
            || self.expires_at.is_some()
            || self.unique.as_ref().is_some_and(|unique| unique.scope == Scope::UntilStarted)
            || self.sealed.is_some()
    }

    /// It was in flight at two crashes or more: any of them may have been its doing (rule 11).
    pub(crate) fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT_CRASHES
    }

    /// The hash of its unique key, if the job keeps others out as it stands. A dead job never does.
    pub(crate) fn holds_unique(&self) -> Option<u128> {
        let unique = self.unique.as_ref()?;
        let holds = match (unique.scope, self.state) {
            (_, State::Dead { .. }) | (Scope::Started, _) | (Scope::UntilStarted, State::InFlight { .. }) => false,
            (Scope::Live | Scope::Period { .. } | Scope::UntilStarted, _) => true,
        };
        let flies = planted!(KeyFreedAtClaim, matches!(self.state, State::InFlight { .. }), false);
        let freed = planted!(KeyFreedAtRetry, self.attempts > 0, flies);
        ((holds && !freed) || planted!(KeyKeptByDead)).then_some(unique.hash)
    }

    /// The hash of its unique key, and whether the job keeps others out as it stands.
    pub(crate) fn key_claim(&self) -> Option<(u128, bool)> {
        self.unique.as_ref().map(|unique| (unique.hash, self.holds_unique().is_some()))
    }

    /// Keeps one more error, its text cut to the limit, and lets go of the oldest beyond the limit.
    pub(crate) fn keep_error(&mut self, mut error: AttemptError) {
        cut(&mut error.message, ERROR_BYTES_MAX);
        self.errors.push(error);
        let surplus =
            self.errors.len().saturating_sub(planted!(ErrorsKeptOneTooMany, ERRORS_KEPT_MAX + 1, ERRORS_KEPT_MAX));
        self.errors.drain(..surplus);
    }
}

/// A lane's name: one for each (queue, limit key).
pub(crate) fn lane_name<'a>(queue: &'a str, limit_key: Option<&str>) -> Cow<'a, str> {
    match limit_key {
        None => Cow::Borrowed(queue),
        Some(key) => Cow::Owned(format!("{queue}\0{key}")),
    }
}

/// Cuts `text` to at most `bytes_max` bytes, never inside a character.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
}

/// How a job's args are written. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// JSON text. The default.
    #[default]
    Json,
    /// Bytes that only the handler understands.
    Raw,
    /// A codec of the caller's own, by its number, 3 or above.
    Other(u8),
}

impl Codec {
    /// The stored number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Json => 1,
            Self::Raw => 2,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Json,
            2 => Self::Raw,
            code => Self::Other(code),
        }
    }
}

/// A key that no second live job may have.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unique {
    /// Keyed hash of (kind, bucket, key).
    pub(crate) hash: u128,
    /// The key as the enqueuer gave it, to show.
    pub(crate) key: String,
    /// How long it keeps others out.
    pub(crate) scope: Scope,
}

/// How long a unique key keeps others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    /// Until the job ends or is dead.
    #[default]
    Live,
    /// Until it is claimed for the first time; the claim makes it `Started`.
    UntilStarted,
    /// While it is live, and by a cell of its own until this time.
    Period { until: Millis },
    /// Not any more: it was until the start.
    Started,
}

/// Which parts of a job are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The id of the key its args are sealed under.
    pub(crate) key: String,
    /// One bit for each sealed part: 1 args, 2 error texts and reason.
    pub(crate) parts: u8,
}

impl Sealed {
    /// Everything that can be.
    pub(crate) fn under(key: &str) -> Self {
        Self { key: key.to_owned(), parts: 3 }
    }
}

/// A field of an envelope this release has no name for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) tag: u8,
    pub(crate) bytes: Vec<u8>,
}

/// What went wrong in one attempt.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AttemptError {
    /// Which attempt, from 1.
    pub(crate) attempt: u32,
    /// When it ended; stored in 48 bits.
    pub(crate) at: Millis,
    /// What ended it.
    pub(crate) kind: ErrorCause,
    /// What the handler said, cut to [`ERROR_BYTES_MAX`] bytes.
    pub(crate) message: String,
    /// How long the attempt took, if somebody measured.
    pub(crate) duration_ms: Option<u64>,
}

/// What ended a failed attempt. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCause {
    /// The handler returned an error.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The attempt took longer than the job's timeout.
    TimedOut,
    /// The process ended while the job ran.
    Interrupted,
    /// A lease taken by hand ran out.
    LeaseExpired,
    /// The attempt was cancelled.
    Cancelled,
    /// The lease was dropped without a verdict.
    Abandoned,
    /// The job's bytes could not be read back.
    Damaged,
    /// A cause that a later release knows, by its number.
    Other(u8),
}

impl ErrorCause {
    /// The stored number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Panicked => 2,
            Self::TimedOut => 3,
            Self::Interrupted => 4,
            Self::LeaseExpired => 5,
            Self::Cancelled => 6,
            Self::Abandoned => 7,
            Self::Damaged => 8,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Failed,
            2 => Self::Panicked,
            3 => Self::TimedOut,
            4 => Self::Interrupted,
            5 => Self::LeaseExpired,
            6 => Self::Cancelled,
            7 => Self::Abandoned,
            8 => Self::Damaged,
            code => Self::Other(code),
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("kind", &self.kind)
            .field("queue", &self.queue)
            .field("priority", &self.priority)
            .field("codec", &self.codec)
            .field("state", &self.state)
            .field("created_at", &self.created_at)
            .field("changed_at", &self.changed_at)
            .field("run_at", &self.run_at)
            .field("attempts", &self.attempts)
            .field("max_attempts", &self.max_attempts)
            .field("crashes", &self.crashes)
            .field("yields", &self.yields)
            .field("cancel_requested", &self.cancel_requested)
            .field("unique", &self.unique)
            .field("timeout_ms", &self.timeout_ms)
            .field("expires_at", &self.expires_at)
            .field("backoff", &self.backoff)
            .field("tags", &self.tags.len())
            .field("metadata", &self.metadata.len())
            .field("limit_key_bytes", &self.limit_key.as_ref().map(String::len))
            .field("group", &self.group)
            .field("keep_result_ms", &self.keep_result_ms)
            .field("errors", &self.errors)
            .field("reason_bytes", &self.reason.as_ref().map(String::len))
            .field("sealed", &self.sealed)
            .field("extra", &self.extra)
            .finish()
    }
}

impl fmt::Debug for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unique")
            .field("hash", &format_args!("{:032x}", self.hash))
            .field("key_bytes", &self.key.len())
            .field("scope", &self.scope)
            .finish()
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extra").field("tag", &self.tag).field("bytes", &self.bytes.len()).finish()
    }
}

impl fmt::Debug for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptError")
            .field("attempt", &self.attempt)
            .field("at", &self.at)
            .field("kind", &self.kind)
            .field("message_bytes", &self.message.len())
            .field("duration_ms", &self.duration_ms)
            .finish()
    }
}
