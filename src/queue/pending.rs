//! The news that something is on disk, or ready, as futures that need no runtime.
//!
//! # Invariants
//! * What a verb does is done when it returns; a future only waits for the disk. Dropping it gives up the news.
//! * Completed by the same sync that completes waiting threads; any executor will do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::lane::Queue;
use super::lease::Lease;
use super::receipt::{LeaseError, Receipt};
use crate::engine::{Engine, Ticket};
use crate::error::Result;

/// Tells when what a verb did is on disk. It is already on its way: dropping this gives up the news, not the deed.
///
/// Any executor will do, and none is needed to make progress. After it has answered, it answers the same again.
#[must_use = "without the answer nobody knows whether it is on disk"]
pub struct Pending<T>(State<T>);

enum State<T> {
    Waits { engine: Arc<Engine>, answer: T, ticket: Ticket },
    Over(Result<T>),
}

impl<T> Pending<T> {
    pub(super) fn new(engine: &Arc<Engine>, done: Result<(T, Ticket)>) -> Self {
        Self(match done {
            Ok((answer, ticket)) => State::Waits { engine: Arc::clone(engine), answer, ticket },
            Err(e) => State::Over(Err(e)),
        })
    }

    pub(super) fn over(answer: Result<T>) -> Self {
        Self(State::Over(answer))
    }
}

impl<T: Clone + Unpin> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &self.0 {
            State::Over(answer) => return Poll::Ready(answer.clone()),
            State::Waits { engine, answer, ticket } => match engine.poll_wait(*ticket, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reached) => reached.map(|()| answer.clone()),
            },
        };
        self.0 = State::Over(answer.clone());
        Poll::Ready(answer)
    }
}

impl<T: fmt::Debug> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Waits { answer, .. } => f.debug_tuple("Waits").field(answer).finish(),
            State::Over(answer) => f.debug_tuple("Over").field(answer).finish(),
        }
    }
}

/// Tells when the end of a lease is on disk; made by [`Lease::ack_async`] and its like.
#[derive(Debug)]
#[must_use = "without the answer nobody knows whether it is on disk"]
pub struct Settling {
    lease: Option<Lease>,
    staged: Option<Result<Option<Ticket>>>,
}

impl Settling {
    pub(super) fn new(lease: Lease, staged: Result<Option<Ticket>>) -> Self {
        Self { lease: Some(lease), staged: Some(staged) }
    }
}

impl Future for Settling {
    type Output = std::result::Result<Receipt, LeaseError>;

    /// Must not be polled again after it has answered: then it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (Some(lease), Some(staged)) = (self.lease.take(), self.staged.take()) else { return Poll::Pending };
        let reached = match &staged {
            Ok(Some(ticket)) => match lease.poll_wait(*ticket, cx) {
                Poll::Pending => {
                    (self.lease, self.staged) = (Some(lease), Some(staged));
                    return Poll::Pending;
                }
                Poll::Ready(reached) => reached.map(|()| true),
            },
            Ok(None) => Ok(false),
            Err(e) => Err(e.clone()),
        };
        Poll::Ready(lease.ended(reached))
    }
}

/// Waits for a ready job of a queue and claims it; made by [`Queue::claim_async`]. Dropped, it has claimed nothing.
#[derive(Debug)]
#[must_use = "claims nothing until it is polled"]
pub struct Claiming<'q>(pub(super) &'q Queue);

impl Future for Claiming<'_> {
    type Output = Result<Lease>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Asked to be woken before it looks: nothing that comes in between is missed.
        self.0.wake_at_news(cx.waker());
        match self.0.claim() {
            Ok(Some(lease)) => Poll::Ready(Ok(lease)),
            Ok(None) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}
