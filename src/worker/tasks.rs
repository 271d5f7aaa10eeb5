//! Runs of async handlers: a future, polled on the pool's own thread or by the executor the program named.
//!
//! The pool's thread stays with its run either way: it waits, settles what came of it, and sees to the timeout. So a
//! run is the pool's as long as its future exists, whoever polls it.
//!
//! # Invariants
//! * Every run ends in exactly one outcome, also if its future panics or its executor drops it.
//! * When the thread goes on, the future is gone: the job may be granted again.
//!
//! Never here: what outcomes mean, who claims.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::handlers::{Ran, panicked};
use crate::clock::Clock;
use crate::sync::{Condvar, Mutex};

/// A future that an executor runs to its end; nobody waits for its value.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What an async handler gives.
pub(super) type RunFuture = Pin<Box<dyn Future<Output = Ran> + Send>>;
/// Hands a future to an executor.
pub(super) type Spawn = Arc<dyn Fn(BoxFuture) + Send + Sync>;

/// How long a run may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) timeout: Duration,
    /// On the monotonic clock.
    deadline: Duration,
}

impl Limit {
    pub(super) fn from(since: Duration, timeout: Duration) -> Self {
        Self { timeout, deadline: since.saturating_add(timeout) }
    }

    pub(super) fn left(&self, clock: &dyn Clock) -> Duration {
        self.deadline.saturating_sub(clock.monotonic())
    }
}

/// Runs the future to its end, or drops it when its time is over.
pub(super) fn run(future: RunFuture, spawn: Option<&Spawn>, limit: Option<Limit>, clock: &dyn Clock) -> Ran {
    let seat = Arc::new(Seat::default());
    let mut task = Box::pin(Task { future: Some(future), seat: Arc::clone(&seat) });
    let Some(spawn) = spawn else {
        let waker = Waker::from(Arc::clone(&seat));
        while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            seat.wait(limit, clock, |state| std::mem::take(&mut state.woken));
        }
        return seat.take();
    };
    // The task goes with a spawner that panics, and ends its run on the way.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| spawn(task))) {
        drop(panicked(panic));
    }
    seat.wait(limit, clock, |state| state.ended.is_some());
    seat.take()
}

/// Where the pool's thread and whoever polls the future meet.
#[derive(Default)]
struct Seat {
    state: Mutex<SeatState>,
    news: Condvar,
}

#[derive(Default)]
struct SeatState {
    woken: bool,
    /// Its time, which is over: the future is to be dropped at its next turn.
    overdue: Option<Duration>,
    /// Of the task, while somebody else polls it.
    waker: Option<Waker>,
    ended: Option<Ran>,
}

impl Seat {
    /// Waits until `enough`. When its time is over the task is told, and drops the future at its next turn.
    fn wait(&self, limit: Option<Limit>, clock: &dyn Clock, enough: impl Fn(&mut SeatState) -> bool) {
        let mut state = self.state.lock();
        while !enough(&mut state) {
            let rest = limit.filter(|_| state.overdue.is_none()).map(|limit| (limit.left(clock), limit.timeout));
            match rest {
                Some((rest, timeout)) if rest.is_zero() => {
                    state.overdue = Some(timeout);
                    state.woken = true;
                    if let Some(waker) = state.waker.take() {
                        drop(state);
                        waker.wake();
                        state = self.state.lock();
                    }
                }
                Some((rest, _)) => {
                    let _ = self.news.wait_for(&mut state, rest);
                }
                None => self.news.wait(&mut state),
            }
        }
    }

    fn end(&self, ran: Ran) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(ran);
        // It may hold this seat.
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        self.news.notify_all();
    }

    fn take(&self) -> Ran {
        self.state.lock().ended.take().unwrap_or(Ran::Release)
    }
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.state.lock().woken = true;
        self.news.notify_all();
    }
}

/// The future of a run as an executor sees it.
struct Task {
    future: Option<RunFuture>,
    seat: Arc<Seat>,
}

impl Task {
    /// Drops the future, which may run code of the handler, before the thread goes on.
    fn end(&mut self, ran: Ran) {
        let future = self.future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        self.seat.end(dropped.err().map_or(ran, panicked));
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = self.seat.state.lock();
            if let Some(timeout) = state.overdue.filter(|_| !planted!(OverdueRunGoesOn)) {
                drop(state);
                self.end(Ran::stopped_at(timeout));
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
        }
        let Some(future) = self.future.as_mut() else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(ran)) => self.end(ran),
            Err(panic) => self.end(panicked(panic)),
        }
        Poll::Ready(())
    }
}

impl Drop for Task {
    /// An executor that lets go of a run has shut down: the job is given back.
    fn drop(&mut self) {
        if self.future.is_some() {
            self.end(Ran::Release);
        }
    }
}
