//! How a run hears that it should end, without asking again and again.
//!
//! # Invariants
//! * Whoever waits is woken by the cancel itself, the end of the run, its timeout, the pool's grace or poison; nobody
//!   polls.
//! * A wake-up says only that it is time to look: what is answered is what
//!   [`is_cancelled`](super::Context::is_cancelled) says.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::context::Context;
use crate::engine::{Watch, call_all};
use crate::sync::{AtomicBool, Mutex};

/// Said once for all runs of a pool: it stops, or nothing more can be acknowledged.
#[derive(Default)]
pub(super) struct Flag {
    raised: AtomicBool,
    watches: Mutex<Vec<Arc<Watch>>>,
}

impl Flag {
    pub(super) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    pub(super) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        let watches = std::mem::take(&mut *self.watches.lock());
        planted!(GraceWakesNobody, drop(watches), call_all(&watches));
    }
}

/// Listens for the word to stop as long as it lives.
struct Listening {
    cx: Context,
    watch: Arc<Watch>,
    deadline: Option<Duration>,
}

impl Listening {
    /// The watch is also called at `deadline`, on the monotonic clock.
    fn new(cx: &Context, deadline: Option<Duration>) -> Self {
        Self { cx: cx.clone(), watch: Arc::default(), deadline }
    }

    /// Sits down where the word will come from. `false`: it has come.
    fn listen(&self) -> bool {
        let flag = self.cx.flag();
        {
            let mut watches = flag.watches.lock();
            if !watches.iter().any(|watch| Arc::ptr_eq(watch, &self.watch)) {
                watches.push(Arc::clone(&self.watch));
            }
        }
        let listens = self.cx.store().watch_stop(self.cx.grant(), self.deadline, &self.watch);
        // Raised before it sat down?
        listens && !self.cx.is_cancelled()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.cx.flag().watches.lock().retain(|watch| !Arc::ptr_eq(watch, &self.watch));
        self.cx.store().forget_watch(self.cx.grant(), self.deadline, &self.watch);
    }
}

impl Context {
    /// Resolves when the run should end: see [`is_cancelled`](Self::is_cancelled). Also when the run is over. On any
    /// executor, also in tasks of the program's own.
    ///
    /// ```
    /// # use backlog::{Context, Failure};
    /// # async fn upload() -> Result<(), Failure> { Ok(()) }
    /// async fn handle(cx: Context) -> Result<(), Failure> {
    ///     // Whichever is first; tokio::select! and the like do the same.
    ///     smol::future::or(upload(), async {
    ///         cx.cancelled().await;
    ///         Err(Failure::new("cancelled"))
    ///     })
    ///     .await
    /// }
    /// # let _ = handle;
    /// ```
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let deadline = self.time_left().map(|left| self.store().clock().monotonic().saturating_add(left));
        let listening = Listening::new(self, deadline);
        poll_fn(move |task| {
            if listening.cx.is_cancelled() {
                return Poll::Ready(());
            }
            if listening.watch.is_free(task) && !listening.listen() {
                return Poll::Ready(());
            }
            Poll::Pending
        })
    }

    /// Blocks until the run should end ([`is_cancelled`](Self::is_cancelled)), at most this long; whether it should. So a
    /// blocking handler pauses and still hears of a cancel at once.
    pub fn wait_cancelled(&self, timeout: Duration) -> bool {
        let clock = self.store().clock();
        let until = clock.monotonic().saturating_add(timeout);
        let listening = Listening::new(self, None);
        loop {
            if self.is_cancelled() || !listening.listen() {
                return true;
            }
            let rest = until.saturating_sub(clock.monotonic());
            let rest = self.time_left().map_or(rest, |left| left.min(rest));
            if !listening.watch.sit(Some(rest)) {
                return self.is_cancelled();
            }
        }
    }
}
