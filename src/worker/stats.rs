//! What a pool is doing, for those who look: which runs are under way, and which of them should have ended.
//!
//! # Invariants
//! * Looking changes nothing and keeps nothing alive; the store is asked outside the pool's lock.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::pool::Pool;
use super::workers::Workers;
use crate::ids::JobId;

/// A pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Threads that have not ended.
    pub threads: usize,
    /// Jobs that were claimed and wait for a thread.
    pub waiting: usize,
    /// Runs that have not returned, the longest one first.
    pub running: Vec<RunningJob>,
    /// No more claims: the pool was told to stop, or its disk failed.
    pub stopping: bool,
}

/// A run that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// The job's number.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// The queue it came from.
    pub queue: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long it has been running.
    pub running_for: Duration,
    /// How long its [`timeout`](crate::JobBuilder::timeout) has been over; `None`: it is not, or there is none.
    pub overdue: Option<Duration>,
    /// Whether [`Context::is_cancelled`](crate::Context::is_cancelled) says so for another reason than the timeout:
    /// somebody cancelled the job, the pool's grace is over, or its disk failed.
    pub cancelled: bool,
}

impl RunningJob {
    /// Whether it should have ended and has not: its time is over, or it was asked to end. It takes up a thread, and its
    /// job is not granted again, until it returns.
    pub fn is_stuck(&self) -> bool {
        self.overdue.is_some() || self.cancelled
    }
}

impl PoolStats {
    /// The runs that should have ended and have not.
    pub fn stuck(&self) -> impl Iterator<Item = &RunningJob> {
        self.running.iter().filter(|run| run.is_stuck())
    }
}

/// Looks at a pool from elsewhere, also while [`run_until_signal`](Workers::run_until_signal) has it; made by
/// [`Workers::monitor`]. Keeps neither the pool nor its backlog open.
#[derive(Debug, Clone)]
pub struct Monitor(Weak<Pool>);

impl Monitor {
    /// What the pool is doing; `None`: it has ended.
    pub fn stats(&self) -> Option<PoolStats> {
        self.0.upgrade().map(|pool| pool.stats())
    }
}

impl Workers {
    /// What the pool is doing now. Among the runs are those that are stuck: past their timeout or cancelled, and still
    /// not back.
    ///
    /// ```
    /// # use backlog::{Backlog, Context, Job};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Greet { name: String }
    /// # impl Job for Greet { const KIND: &'static str = "greet"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let workers = backlog.workers().handle(|_: Greet, _: Context| Ok(())).start()?;
    /// for run in workers.stats().stuck() {
    ///     eprintln!("{} {} should have ended: {:?}", run.kind, run.id, run.running_for);
    /// }
    /// # workers.stop(std::time::Duration::from_secs(25))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// The same from elsewhere: for a health check beside [`run_until_signal`](Self::run_until_signal).
    pub fn monitor(&self) -> Monitor {
        Monitor(Arc::downgrade(&self.pool))
    }
}
