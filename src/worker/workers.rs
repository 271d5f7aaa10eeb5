//! A running pool, and the ways it ends.

use std::fmt;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::hooks::Running;
use super::pool::Pool;
use super::signals::{self, Watch};
use crate::error::Result;
use crate::queue::Backlog;
use crate::queue::seam::AtShutdown;
use crate::sync::JoinHandle;

/// The exit status of a program whose disk failed: "input/output error" among the classic exit codes.
const EXIT_POISONED: i32 = 74;

/// What a pool does when the disk failed and nothing can be acknowledged any more.
///
/// In either case no job is claimed any more, running ones see [`is_cancelled`](crate::Context::is_cancelled), and
/// the directory stays locked until the last of them has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPoison {
    /// End the process with this status once the last run has returned, so that whoever supervises it starts it anew.
    Exit(i32),
    /// Stop the pool; the program decides.
    Keep,
}

/// How a pool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Jobs that were claimed but had not started: given back, no attempt spent.
    pub released: usize,
    /// Runs that did not return in time. After [`run_until_signal`](Workers::run_until_signal) their jobs were given
    /// back, no attempt spent; after [`stop`](Workers::stop) each run keeps its job until it returns, or until the
    /// program drops its last handle.
    pub still_running: usize,
}

/// Periodic entries fire as long as this is held.
#[cfg(feature = "cron")]
pub(super) type Periodic = Vec<Arc<crate::cron::Declared>>;
/// There are none.
#[cfg(not(feature = "cron"))]
pub(super) type Periodic = ();

/// A running pool of workers; made by [`WorkersBuilder::start`](crate::WorkersBuilder::start).
///
/// Keeps its backlog open. Dropping it stops claims, gives back what has not started, asks running jobs to end, and
/// does not wait for them.
#[must_use = "dropping it stops the workers"]
pub struct Workers {
    pub(super) pool: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
    hooks: Option<Running>,
    /// Dropped after the pool was told to stop; a pool over another store has none.
    home: Option<Backlog>,
    grace: Duration,
    periodic: Periodic,
}

impl Workers {
    pub(super) fn new(
        pool: Arc<Pool>,
        threads: Vec<JoinHandle<()>>,
        hooks: Option<Running>,
        home: Option<Backlog>,
        grace: Duration,
        periodic: Periodic,
    ) -> Self {
        if let Some(home) = &home {
            let pool: Arc<dyn AtShutdown> = pool.clone();
            home.tell_at_shutdown(Arc::downgrade(&pool) as Weak<dyn AtShutdown>);
        }
        Self { pool, threads, hooks, home, grace, periodic }
    }

    /// Stops: no more claims; running jobs may finish for `grace`, are then asked to end
    /// ([`is_cancelled`](crate::Context::is_cancelled)), and keep their jobs as long as they run. What finished is on
    /// disk when this returns.
    ///
    /// # Errors
    /// What had stopped the pool before, if anything did: `Poisoned`, `Unknown`.
    pub fn stop(mut self, grace: Duration) -> Result<Stopped> {
        let stopped = self.wind_down(grace, u32::MAX);
        self.result(stopped)
    }

    /// Runs until SIGTERM or SIGINT comes or the backlog is closed, then stops in order: no more claims, running jobs
    /// finish (25 s, or what [`grace`](crate::WorkersBuilder::grace) says; a second signal ends the wait), what is left
    /// is given back without spending an attempt, and everything is on disk. The program is then to end: if runs are
    /// left, this process claims no more, and a further signal ends it as if this had never been called.
    ///
    /// # Errors
    /// `Io`: the signals cannot be watched; the workers are stopped. `Poisoned`, `Unknown` with [`OnPoison::Keep`].
    pub fn run_until_signal(self) -> Result<Stopped> {
        let watch = self.watch_signals()?;
        self.run_watched(watch)
    }

    /// How many events the hooks ([`WorkersBuilder::on`](crate::WorkersBuilder::on)) missed because they fell behind.
    pub fn missed_events(&self) -> u64 {
        self.hooks.as_ref().map_or(0, Running::missed)
    }

    pub(super) fn watch_signals(&self) -> Result<Watch> {
        let pool = Arc::clone(&self.pool);
        signals::watch(move || pool.on_signal())
    }

    pub(super) fn run_watched(mut self, watch: Watch) -> Result<Stopped> {
        self.pool.default_policy(OnPoison::Exit(EXIT_POISONED));
        let signalled = self.pool.watch(
            None,
            |state| state.signals > 0 || state.threads == 0 || state.fault.is_some(),
            |state| state.signals > 0,
        );
        // Two may have come before this thread heard of the first.
        let stopped =
            self.wind_down(self.grace, planted!(SecondSignalUnheard, u32::MAX, if signalled { 2 } else { 1 }));
        self.pool.obey_policy();
        if stopped.still_running > 0 {
            if let Some(home) = &self.home {
                home.leave();
            }
            self.pool.release_running();
        }
        drop(watch);
        self.result(stopped)
    }

    /// Stops claims and waits until no thread is left, the time is up, or so many signals came.
    fn wind_down(&mut self, grace: Duration, signals: u32) -> Stopped {
        self.periodic = Periodic::default();
        self.pool.begin_stop();
        let over = self.pool.watch(
            Some(grace),
            |state| state.threads == 0 || state.signals >= signals,
            |state| state.threads == 0,
        );
        if over {
            for thread in mem::take(&mut self.threads) {
                // A thread of the pool catches what its handlers throw.
                let _ = thread.join();
            }
        } else {
            self.pool.flag();
        }
        if let Some(hooks) = self.hooks.take() {
            hooks.stop(grace);
        }
        self.pool.watch(
            None,
            |_| true,
            |state| Stopped { released: state.released, still_running: state.still_running() },
        )
    }

    fn result(&self, stopped: Stopped) -> Result<Stopped> {
        self.pool.watch(None, |_| true, |state| state.fault.clone()).map_or(Ok(stopped), Err)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.pool.flag();
        self.pool.begin_stop();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.watch(
            None,
            |_| true,
            |state| {
                f.debug_struct("Workers")
                    .field("threads", &state.threads)
                    .field("running", &state.still_running())
                    .finish_non_exhaustive()
            },
        )
    }
}
