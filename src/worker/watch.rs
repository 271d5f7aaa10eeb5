//! What those who watch a pool hear of each run: a span (`tracing`), numbers (`metrics`). Without the features: nothing.
//!
//! # Invariants
//! * An end is told when the store has taken it: what is counted is what became of the job. Where it took none (the job
//!   was given back while it ran, the disk failed) none is told.
//! * Names, numbers and `traceparent` only; never args, never what an error says.
#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(unused_variables, dead_code, clippy::unused_self, reason = "each watcher asks for something else")
)]

#[cfg(feature = "metrics")]
use std::sync::Arc;
use std::time::Duration;

use super::tasks::RunFuture;
use crate::engine::{Grant, Settle};
use crate::job::ErrorCause;
use crate::queue::seam::JobStore;

/// How a run is about to end, in the words of those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    outcome: &'static str,
    /// What class of error it was, if the attempt failed.
    error: Option<&'static str>,
}

impl Verdict {
    /// What the store will make of it. Who watches is told by the word, so the rules are not asked again: a job whose last
    /// attempt fails is dead, and a wish to cancel is granted by every end but an ack.
    pub(super) fn of(store: &dyn JobStore, grant: &Grant, how: &Settle) -> Self {
        if !(cfg!(feature = "tracing") || cfg!(feature = "metrics")) {
            return Self { outcome: "", error: None };
        }
        let error = match how {
            Settle::Nack { cause: ErrorCause::Panicked, .. } => Some("panicked"),
            Settle::Nack { cause: ErrorCause::TimedOut, .. } => Some("timed_out"),
            Settle::Nack { .. } => Some("failed"),
            Settle::Bury(_) => Some("buried"),
            _ => None,
        };
        let outcome = match how {
            Settle::Ack { .. } => "completed",
            _ if store.cancel_requested(grant) => "cancelled",
            Settle::Nack { .. } if grant.attempt < grant.envelope.max_attempts => "failed",
            Settle::Nack { .. } | Settle::Bury(_) => "dead",
            Settle::Release => "released",
            Settle::Snooze(_) => "snoozed",
            Settle::Park(_) | Settle::SetAside(_) => "parked",
            Settle::Cancel => "cancelled",
        };
        Self { outcome, error }
    }
}

/// A run that is being watched.
pub(super) struct Watched {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    #[cfg(feature = "metrics")]
    labels: Labels,
}

impl Watched {
    /// `known`: whether there is a handler for its kind. Others share one name: whoever enqueues chooses them.
    pub(super) fn begin(grant: &Grant, known: impl Fn() -> bool) -> Self {
        // Nobody asks where nobody watches.
        let _ = (grant, &known);
        Self {
            #[cfg(feature = "tracing")]
            span: span_of(grant),
            #[cfg(feature = "metrics")]
            labels: Labels::begin(grant, known()),
        }
    }

    /// Runs inside the span.
    pub(super) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _inside = self.span.enter();
        run()
    }

    /// The future of an async handler, polled and dropped inside the span, whoever does that.
    pub(super) fn carried(&self, future: RunFuture) -> RunFuture {
        #[cfg(feature = "tracing")]
        if !self.span.is_disabled() {
            use tracing::Instrument as _;
            return Box::pin(future.instrument(self.span.clone()));
        }
        future
    }

    /// The store has taken its end.
    pub(super) fn ended(&self, verdict: Verdict, took: Duration) {
        #[cfg(feature = "tracing")]
        {
            self.span.record("backlog.job.outcome", verdict.outcome);
            if let Some(error) = verdict.error {
                self.span.record("error.type", error);
                self.span.record("otel.status_code", "ERROR");
            }
        }
        #[cfg(feature = "metrics")]
        self.labels.ended(verdict, took);
    }
}

#[cfg(feature = "tracing")]
fn span_of(grant: &Grant) -> tracing::Span {
    use tracing::field::Empty;
    let job = &grant.envelope;
    let span = tracing::info_span!(
        target: "backlog",
        "backlog.process",
        otel.name = Empty,
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = crate::telemetry::SYSTEM,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = job.queue.as_str(),
        messaging.message.id = %grant.id,
        backlog.job.kind = job.kind.as_str(),
        backlog.job.attempt = grant.attempt,
        backlog.job.outcome = Empty,
        traceparent = crate::telemetry::traceparent(&job.metadata),
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("process {}", job.queue));
    }
    span
}

#[cfg(feature = "metrics")]
struct Labels {
    queue: Arc<str>,
    kind: Arc<str>,
}

#[cfg(feature = "metrics")]
impl Labels {
    fn begin(grant: &Grant, known: bool) -> Self {
        let kind = if known { grant.envelope.kind.as_str() } else { "unknown" };
        let labels = Self { queue: grant.envelope.queue.as_str().into(), kind: kind.into() };
        labels.running().increment(1.0);
        labels
    }

    fn running(&self) -> metrics::Gauge {
        metrics::gauge!(crate::telemetry::meters::RUNNING, "queue" => self.queue.clone(), "kind" => self.kind.clone())
    }

    fn ended(&self, verdict: Verdict, took: Duration) {
        use crate::telemetry::meters::{RUN_SECONDS, RUNS};
        let (queue, kind, outcome) = (&self.queue, &self.kind, verdict.outcome);
        metrics::counter!(RUNS, "queue" => queue.clone(), "kind" => kind.clone(), "outcome" => outcome).increment(1);
        metrics::histogram!(RUN_SECONDS, "queue" => queue.clone(), "kind" => kind.clone()).record(took);
    }
}

#[cfg(feature = "metrics")]
impl Drop for Labels {
    fn drop(&mut self) {
        self.running().decrement(1.0);
    }
}
