//! What can happen to a job, and what comes of it.

use std::fmt;

use super::envelope::{AttemptError, Envelope};
use crate::ids::{Millis, Phase, Token};

/// Something that happens to a live job. Times and random draws come with it.
#[derive(Clone, PartialEq, Eq)]
#[allow(dead_code, reason = "the whole table of what can happen; some belong to rooms that are still to come")]
pub(crate) enum Event {
    /// Somebody takes it under the lease `token`.
    Claim { token: Token, now: Millis },
    /// Its `run_at` has come.
    Due,
    /// Its handler is done.
    Ack,
    /// Its attempt failed. `retry_at` overrides the job's backoff.
    Nack { error: AttemptError, jitter: u64, now: Millis, retry_at: Option<Millis> },
    /// Its holder gives it back untried.
    Release { now: Millis },
    /// Its holder wants it back at `until`, untried.
    Snooze { until: Millis, now: Millis },
    /// Never run it again, but keep it.
    Bury { reason: String, now: Millis },
    /// Somebody does not want it any more.
    Cancel,
    /// Somebody wants it to run again from the first attempt.
    Requeue { now: Millis },
    /// The process ended while it ran.
    Interrupted { now: Millis, alone: bool },
    /// A lease taken by hand ran out.
    LeaseExpired { now: Millis },
    /// Nobody here can run it.
    Park { reason: String, now: Millis },
    /// Somebody here can run it now.
    Unpark { now: Millis },
    /// The hold is lifted.
    Confirm { now: Millis },
    /// The hold ends in nothing.
    Discard,
    /// Its `expires_at` has come.
    Expire,
    /// It was dead for long enough.
    Prune,
    /// Its `run_at` is moved, while it waits.
    Reschedule { run_at: Millis, now: Millis },
    /// It is put into another queue, or given another priority, in the state it has.
    Move { queue: Option<String>, priority: Option<i16>, now: Millis },
}

impl Event {
    /// The word for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Due => "due",
            Self::Ack => "ack",
            Self::Nack { .. } => "nack",
            Self::Release { .. } => "release",
            Self::Snooze { .. } => "snooze",
            Self::Bury { .. } => "bury",
            Self::Cancel => "cancel",
            Self::Requeue { .. } => "requeue",
            Self::Interrupted { .. } => "interrupted",
            Self::LeaseExpired { .. } => "lease_expired",
            Self::Park { .. } => "park",
            Self::Unpark { .. } => "unpark",
            Self::Confirm { .. } => "confirm",
            Self::Discard => "discard",
            Self::Expire => "expire",
            Self::Prune => "prune",
            Self::Reschedule { .. } => "reschedule",
            Self::Move { .. } => "move",
        }
    }
}

/// Only the word: reasons and error texts are a caller's.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What comes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, and never stored")]
pub(crate) enum Next {
    /// The job lives on, as this.
    Stands(Envelope),
    /// The job is over.
    Ends(Ending),
    /// Not in this state; nothing happens.
    Refused(Refusal),
}

/// How a job ended. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its handler acknowledged it.
    Completed,
    /// Cancelled, at once or at the end of the attempt that ran.
    Cancelled,
    /// Not started before its `expires_at`.
    Expired,
    /// Held and never confirmed.
    Discarded,
    /// Dead for longer than the retention.
    Pruned,
}

/// An event that a state does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The word for the event.
    pub(crate) event: &'static str,
    /// The state that refused it.
    pub(crate) phase: Phase,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event={} refused: the job is {}", self.event, self.phase)
    }
}
