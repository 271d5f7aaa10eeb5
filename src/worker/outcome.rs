//! What a handler that did not fail makes of its job.

use std::time::Duration;

use serde::Serialize;

use crate::queue::{Done, JobBuilder};

/// What a handler that did not fail makes of its job. `()` is [`Done`](Outcome::Done).
///
/// ```
/// use backlog::{Failure, Outcome};
/// use std::time::Duration;
///
/// fn poll(ready: bool) -> Result<Outcome, Failure> {
///     if ready { Ok(Outcome::Done) } else { Ok(Outcome::Snooze(Duration::from_secs(30))) }
/// }
/// # assert!(poll(true).is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// The job is completed.
    Done,
    /// The job is completed and these are enqueued, in one commit: both or neither. If they cannot be (a bad name, a
    /// full disk) the attempt failed.
    DoneThen(Vec<JobBuilder>),
    /// The job is completed and leaves a result, follow-up jobs, or both.
    DoneWith(Done),
    /// Not now: scheduled after this wait, the attempt not spent. Below 1 s only the first time in a row.
    Snooze(Duration),
    /// Not here: ready again, the attempt not spent. From the second time in a row it waits 1 s first.
    Release,
    /// Not ever: dead, with this reason.
    Bury(String),
    /// Not ever, and nothing is kept: the job is cancelled.
    Cancel,
}

impl Outcome {
    /// The job is completed with this result, which is kept as long as the job says: see [`Done::with`].
    pub fn done_with<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::DoneWith(Done::with(value))
    }
}

/// What a handler may return inside `Ok`.
pub trait IntoOutcome {
    /// What it makes of the job.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl IntoOutcome for Done {
    fn into_outcome(self) -> Outcome {
        Outcome::DoneWith(self)
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}
