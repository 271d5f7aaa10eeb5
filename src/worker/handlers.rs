//! Which handler is for which kind, and what its answer makes of the job.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::{Failure, Then};
use super::outcome::{IntoOutcome, Outcome};
use crate::clock::Clock;
use crate::engine::{Grant, Settle};
use crate::error::{Error, Result};
use crate::job::ErrorCause;
use crate::limits::Scaled;
use crate::queue::{Job, JobBuilder, NameOf, check_name, parse_args};

/// What came of a run.
#[derive(Debug)]
pub(super) enum Ran {
    Done(Vec<JobBuilder>),
    Failed { message: String, cause: ErrorCause, retry_in: Option<Duration> },
    Snooze(Duration),
    Release,
    Bury(String),
    Park(String),
}

pub(super) type Handler = Box<dyn Fn(&Grant, Context) -> Ran + Send + Sync>;

/// A handler that takes typed args. Args that do not parse leave the job parked.
pub(super) fn typed<J, F, R>(handler: F) -> Handler
where
    J: Job + DeserializeOwned,
    F: Fn(J, Context) -> Result<R, Failure> + Send + Sync + 'static,
    R: IntoOutcome,
{
    Box::new(move |grant, cx| match parse_args::<J>(&grant.envelope.kind, grant.envelope.codec, &grant.args) {
        Ok(job) => Ran::of(handler(job, cx)),
        Err(e) => Ran::Park(e.to_string()),
    })
}

/// A handler that takes the bytes as they are.
pub(super) fn raw<F, R>(handler: F) -> Handler
where
    F: Fn(&[u8], Context) -> Result<R, Failure> + Send + Sync + 'static,
    R: IntoOutcome,
{
    Box::new(move |grant, cx| Ran::of(handler(&grant.args, cx)))
}

impl Ran {
    fn of<R: IntoOutcome>(answer: Result<R, Failure>) -> Self {
        match answer.map(R::into_outcome) {
            Ok(Outcome::Done) => Self::Done(Vec::new()),
            Ok(Outcome::DoneThen(follow_ups)) => Self::Done(follow_ups),
            Ok(Outcome::Snooze(delay)) => Self::Snooze(delay),
            Ok(Outcome::Release) => Self::Release,
            Ok(Outcome::Bury(reason)) => Self::Bury(reason),
            Err(failure) => match failure.into_parts() {
                (message, Then::Retry) => Self::failed(message),
                (message, Then::RetryIn(delay)) => {
                    Self::Failed { message, cause: ErrorCause::Failed, retry_in: Some(delay) }
                }
                (message, Then::Bury) => Self::Bury(message),
            },
        }
    }

    fn failed(message: String) -> Self {
        Self::Failed { message, cause: ErrorCause::Failed, retry_in: None }
    }

    /// The end of the run as the store takes it. Follow-ups that cannot be accepted are a failed attempt.
    pub(super) fn into_settle(self, took: Duration, clock: &dyn Clock, limits: Scaled) -> Settle {
        match self {
            Self::Done(jobs) => {
                let jobs: Result<Vec<_>> = jobs.into_iter().map(|job| job.into_new_job(clock, limits)).collect();
                match jobs {
                    Ok(_) if planted!(FollowUpsForgotten) => Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() },
                    Ok(follow_ups) => Settle::Ack { follow_ups, cells: Vec::new() },
                    Err(e) => Self::refused(&e).into_settle(took, clock, limits),
                }
            }
            Self::Failed { message, cause, retry_in } => {
                Settle::Nack { error: message, cause, retry_after: retry_in, duration: Some(took) }
            }
            Self::Snooze(delay) => Settle::Snooze(delay),
            Self::Release => Settle::Release,
            Self::Bury(reason) => Settle::Bury(reason),
            Self::Park(reason) => Settle::Park(reason),
        }
    }

    /// The handler succeeded, but its follow-ups were refused.
    pub(super) fn refused(e: &Error) -> Self {
        Self::failed(format!("the handler succeeded, but its follow-up jobs were refused: {e}"))
    }

    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Handlers by kind.
#[derive(Default)]
pub(super) struct Handlers {
    handlers: Vec<Handler>,
    by_kind: HashMap<String, usize>,
}

impl Handlers {
    /// Refuses a bad name and a kind that has a handler already.
    pub(super) fn add(&mut self, kinds: &[&str], handler: Handler) -> Result<()> {
        let at = self.handlers.len();
        for &kind in kinds {
            check_name(NameOf::Kind, kind)?;
            if self.by_kind.insert(kind.to_owned(), at).is_some() {
                return Err(Error::invalid(format!(
                    "two handlers for kind={kind:?}; give each kind and alias to one handler only"
                )));
            }
        }
        self.handlers.push(handler);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    pub(super) fn knows(&self, kind: &str) -> bool {
        self.by_kind.contains_key(kind)
    }

    /// Runs the handler of the job's kind. A panic is a failed attempt.
    pub(super) fn run(&self, grant: &Grant, cx: Context) -> Ran {
        let kind = grant.envelope.kind.as_str();
        let Some(handler) = self.by_kind.get(kind).and_then(|at| self.handlers.get(*at)) else {
            return Ran::Park(format!("no handler for kind={kind:?} in this program"));
        };
        match catch_unwind(AssertUnwindSafe(|| handler(grant, cx))) {
            Ok(ran) => ran,
            Err(panic) => {
                let message = format!("panicked: {}", panic_text(&*panic));
                // What was thrown may itself panic when it is dropped.
                if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    std::mem::forget(again);
                }
                let failed = Ran::Failed { message, cause: ErrorCause::Panicked, retry_in: None };
                planted!(PanicIsSuccess, Ran::Done(Vec::new()), failed)
            }
        }
    }
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
