//! Which handler is for which kind, and what its answer makes of the job.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::{Failure, Retry};
use super::outcome::{IntoOutcome, Outcome};
use super::tasks::{self, Limit, RunFuture, Spawn};
use super::watch::Watched;
use crate::clock::Clock;
use crate::engine::{Grant, Settle};
use crate::error::{Error, Result};
use crate::job::ErrorCause;
use crate::limits::Scaled;
use crate::queue::{Done, Job, NameOf, check_name, parse_args};

/// What came of a run.
#[derive(Debug)]
pub(super) enum Ran {
    Done(Done),
    Failed { failure: Failure, cause: ErrorCause },
    Cancel,
    Snooze(Duration),
    Release,
    Bury(String),
    Park(String),
}

/// What runs a job of its kind.
pub(super) enum Handler {
    Blocking(Act<Ran>),
    Async(Act<RunFuture>),
}

type Act<R> = Box<dyn Fn(&Grant, Context) -> R + Send + Sync>;

/// A handler that takes typed args. Args that do not parse leave the job parked.
pub(super) fn typed<J, F, R>(handler: F) -> Handler
where
    J: Job + DeserializeOwned,
    F: Fn(J, Context) -> Result<R, Failure> + Send + Sync + 'static,
    R: IntoOutcome,
{
    Handler::Blocking(Box::new(move |grant, cx| match parsed::<J>(grant) {
        Ok(job) => Ran::of(handler(job, cx)),
        Err(parked) => parked,
    }))
}

/// A handler that takes typed args and gives a future.
pub(super) fn typed_async<J, F, Fut, R>(handler: F) -> Handler
where
    J: Job + DeserializeOwned,
    F: Fn(J, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Failure>> + Send + 'static,
    R: IntoOutcome,
{
    Handler::Async(Box::new(move |grant, cx| match parsed::<J>(grant) {
        Ok(job) => {
            let answer = handler(job, cx);
            Box::pin(async move { Ran::of(answer.await) })
        }
        Err(parked) => Box::pin(std::future::ready(parked)),
    }))
}

fn parsed<J: Job + DeserializeOwned>(grant: &Grant) -> Result<J, Ran> {
    parse_args(&grant.envelope.kind, grant.envelope.codec, grant.plain_args()).map_err(|e| Ran::Park(e.to_string()))
}

/// A handler that takes the bytes as they are.
pub(super) fn raw<F, R>(handler: F) -> Handler
where
    F: Fn(&[u8], Context) -> Result<R, Failure> + Send + Sync + 'static,
    R: IntoOutcome,
{
    Handler::Blocking(Box::new(move |grant, cx| Ran::of(handler(grant.plain_args(), cx))))
}

impl Ran {
    fn of<R: IntoOutcome>(answer: Result<R, Failure>) -> Self {
        match answer.map(R::into_outcome) {
            Ok(Outcome::Done) => Self::Done(Done::new()),
            Ok(Outcome::DoneThen(follow_ups)) => Self::Done(Done::new().then(follow_ups)),
            Ok(Outcome::DoneWith(done)) => Self::Done(done),
            Ok(Outcome::Snooze(delay)) => Self::Snooze(delay),
            Ok(Outcome::Release) => Self::Release,
            Ok(Outcome::Bury(reason)) => Self::Bury(reason),
            Ok(Outcome::Cancel) => Self::Cancel,
            Err(failure) => Self::failed(failure),
        }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::Failed { failure, cause: ErrorCause::Failed }
    }

    /// What the program's rule makes of a failure that did not say itself what is to follow.
    pub(super) fn ruled(self, rule: impl FnOnce(&Failure) -> Option<Retry>) -> Self {
        let Self::Failed { failure, cause } = self else { return self };
        let failure = match rule(&failure).filter(|_| failure.is_undecided()) {
            Some(retry) => failure.then(retry),
            None => failure,
        };
        Self::Failed { failure, cause }
    }

    /// It was stopped when its time was over.
    pub(super) fn stopped_at(timeout: Duration) -> Self {
        let failure = Failure::new(format!("stopped at its timeout of {timeout:?}"));
        Self::Failed { failure, cause: ErrorCause::TimedOut }
    }

    /// A run that failed when its time was over failed for want of time.
    pub(super) fn timed(self, limit: Option<Limit>, took: Duration) -> Self {
        match self {
            Self::Failed { failure, cause: ErrorCause::Failed } if limit.is_some_and(|limit| took >= limit.timeout) => {
                Self::Failed { failure, cause: ErrorCause::TimedOut }
            }
            other => other,
        }
    }

    /// The end of the run as the store takes it. What it leaves and cannot be accepted is a failed attempt.
    pub(super) fn into_settle(self, grant: &Grant, took: Duration, clock: &dyn Clock, limits: Scaled) -> Settle {
        match self {
            Self::Done(done) => match done.into_ack(grant, clock, limits) {
                Ok(ack) => ack,
                Err(e) => Self::refused(&e).into_settle(grant, took, clock, limits),
            },
            Self::Failed { failure, cause } => match failure.into_parts() {
                (error, Retry::ByBackoff) => nack(error, cause, None, took),
                (error, Retry::In(wait)) => nack(error, cause, Some(wait), took),
                (error, Retry::Bury) => Settle::Bury(error),
                (_, Retry::Cancel) => Settle::Cancel,
            },
            Self::Cancel => Settle::Cancel,
            Self::Snooze(delay) => Settle::Snooze(delay),
            Self::Release => Settle::Release,
            Self::Bury(reason) => Settle::Bury(reason),
            Self::Park(reason) => Settle::Park(reason),
        }
    }

    /// The handler succeeded, but what it leaves was refused.
    pub(super) fn refused(e: &Error) -> Self {
        Self::failed(Failure::new(format!(
            "the handler succeeded, but its result or its follow-up jobs were refused: {e}"
        )))
    }

    /// Failed, and to be tried again.
    pub(super) fn is_retried(&self) -> bool {
        matches!(self, Self::Failed { failure, .. } if failure.is_retried())
    }
}

/// Handlers by kind.
#[derive(Default)]
pub(super) struct Handlers {
    acts: Vec<Handler>,
    by_kind: HashMap<String, usize>,
    /// Polls the futures of async handlers; none: the thread of the run does.
    pub(super) spawn: Option<Spawn>,
}

impl Handlers {
    /// Refuses a bad name and a kind that has a handler already.
    pub(super) fn add(&mut self, kinds: &[&str], handler: Handler) -> Result<()> {
        let at = self.acts.len();
        for &kind in kinds {
            check_name(NameOf::Kind, kind)?;
            if self.by_kind.insert(kind.to_owned(), at).is_some() {
                return Err(Error::invalid(format!(
                    "two handlers for kind={kind:?}; give each kind and alias to one handler only"
                )));
            }
        }
        self.acts.push(handler);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    pub(super) fn knows(&self, kind: &str) -> bool {
        self.by_kind.contains_key(kind)
    }

    /// Runs the handler of the job's kind; an async one no longer than its limit. A panic is a failed attempt.
    pub(super) fn run(
        &self,
        grant: &Grant,
        cx: Context,
        limit: Option<Limit>,
        clock: &dyn Clock,
        watched: &Watched,
    ) -> Ran {
        let kind = grant.envelope.kind.as_str();
        let Some(handler) = self.by_kind.get(kind).and_then(|at| self.acts.get(*at)) else {
            return Ran::Park(format!("no handler for kind={kind:?} in this program"));
        };
        let run = || match handler {
            Handler::Blocking(handler) => handler(grant, cx),
            Handler::Async(handler) => {
                tasks::run(watched.carried(handler(grant, cx)), self.spawn.as_ref(), limit, clock)
            }
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
    }
}

fn nack(error: String, cause: ErrorCause, retry_after: Option<Duration>, took: Duration) -> Settle {
    Settle::Nack { error, cause, retry_after, duration: Some(took) }
}

/// A failed attempt, and what was thrown is gone.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Ran {
    let failure = Failure::new(format!("panicked: {}", panic_text(&*panic)));
    // What was thrown may itself panic when it is dropped.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    planted!(PanicIsSuccess, Ran::Done(Done::new()), Ran::Failed { failure, cause: ErrorCause::Panicked })
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "with something that is not text"
    }
}
