//! What those who watch hear of an enqueue: a span (`tracing`). Without the feature: nothing.
//!
//! # Invariants
//! * Names, numbers and `traceparent` only; never args.
#![cfg_attr(not(feature = "tracing"), allow(unused_variables, clippy::unused_self, reason = "nobody watches then"))]

use super::builder::JobBuilder;
use crate::engine::Enqueued;
use crate::error::Result;

/// An enqueue that is being watched.
pub(super) struct Sending {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Sending {
    /// Of one job.
    pub(super) fn one<On>(job: &JobBuilder<On>) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: spans::one(job.seen()),
        }
    }

    /// Of many in one commit.
    pub(super) fn many() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: spans::many(),
        }
    }

    /// Works inside the span, and says which jobs came of it.
    pub(super) fn of_one<T>(self, work: impl FnOnce() -> Result<T>, accepted: impl Fn(&T) -> Enqueued) -> Result<T> {
        let done = self.within(work);
        #[cfg(feature = "tracing")]
        if let Ok(done) = &done {
            spans::accepted(&self.span, accepted(done));
        }
        done
    }

    /// Works inside the span, and says how many jobs there were.
    pub(super) fn of_many(self, work: impl FnOnce() -> Result<Vec<Enqueued>>) -> Result<Vec<Enqueued>> {
        let done = self.within(work);
        #[cfg(feature = "tracing")]
        if let Ok(done) = &done {
            self.span.record("messaging.batch.message_count", done.len());
        }
        done
    }

    fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        #[cfg(feature = "tracing")]
        {
            let done = self.span.in_scope(work);
            if let Err(e) = &done {
                spans::failed(&self.span, e.kind());
            }
            done
        }
        #[cfg(not(feature = "tracing"))]
        work()
    }
}

#[cfg(feature = "tracing")]
mod spans {
    use tracing::field::Empty;
    use tracing::{Span, info_span};

    use crate::engine::{Enqueued, NewJob};
    use crate::error::ErrorKind;
    use crate::telemetry::{SYSTEM, traceparent};

    /// What is not recorded is not told.
    fn enqueue() -> Span {
        info_span!(
            target: "backlog",
            "backlog.enqueue",
            otel.name = "enqueue",
            otel.kind = "producer",
            otel.status_code = Empty,
            error.type = Empty,
            messaging.system = SYSTEM,
            messaging.operation.name = "enqueue",
            messaging.operation.type = "send",
            messaging.destination.name = Empty,
            messaging.message.id = Empty,
            messaging.batch.message_count = Empty,
            backlog.job.kind = Empty,
            backlog.job.duplicate = Empty,
            traceparent = Empty,
        )
    }

    /// `None`: what was asked for cannot be accepted.
    pub(super) fn one(job: Option<&NewJob>) -> Span {
        let span = enqueue();
        if let Some(job) = job
            && !span.is_disabled()
        {
            span.record("otel.name", format!("enqueue {}", job.queue));
            span.record("messaging.destination.name", &*job.queue);
            span.record("backlog.job.kind", &*job.kind);
            span.record("traceparent", traceparent(&job.metadata));
        }
        span
    }

    pub(super) fn many() -> Span {
        enqueue()
    }

    pub(super) fn accepted(span: &Span, accepted: Enqueued) {
        span.record("messaging.message.id", tracing::field::display(accepted.id));
        if !accepted.is_new() {
            span.record("backlog.job.duplicate", true);
        }
    }

    pub(super) fn failed(span: &Span, kind: ErrorKind) {
        span.record("error.type", tracing::field::debug(kind));
        span.record("otel.status_code", "ERROR");
    }
}
