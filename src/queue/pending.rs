//! The news that a job is on disk, as a future that needs no runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::engine::Enqueued;
use crate::engine::{Engine, Ticket};
use crate::error::Result;

/// Tells when an enqueue has reached its durability. The job is already on its way: dropping this gives up the
/// news, not the job.
///
/// Completed by the same sync that completes waiting threads; any executor will do, and none is needed to make
/// progress. After it has answered, it answers the same again.
#[must_use = "without the answer nobody knows whether the job is on disk"]
pub struct Enqueueing(State);

enum State {
    Waits { engine: Arc<Engine>, answer: Enqueued, ticket: Ticket },
    Over(Result<Enqueued>),
}

impl Enqueueing {
    pub(super) fn waits(engine: Arc<Engine>, answer: Enqueued, ticket: Ticket) -> Self {
        Self(State::Waits { engine, answer, ticket })
    }

    pub(super) fn over(answer: Result<Enqueued>) -> Self {
        Self(State::Over(answer))
    }
}

impl Future for Enqueueing {
    type Output = Result<Enqueued>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &self.0 {
            State::Over(answer) => return Poll::Ready(answer.clone()),
            State::Waits { engine, answer, ticket } => match engine.poll_wait(*ticket, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reached) => reached.map(|()| *answer),
            },
        };
        self.0 = State::Over(answer.clone());
        Poll::Ready(answer)
    }
}

impl std::fmt::Debug for Enqueueing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            State::Waits { answer, .. } => f.debug_tuple("Waits").field(&answer.id).finish(),
            State::Over(answer) => f.debug_tuple("Over").field(answer).finish(),
        }
    }
}
