//! What a drain did: a store that notes how each run ended, between the pool and the backlog.
//!
//! # Invariants
//! * It hears of an end after the backlog has decided it: what is noted is what became of the job, not what was asked.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::engine::{CellSet, Durability, Events, Grant, JobInfo, Settle, Status, Ticket, Watch};
use crate::error::{Error, Result};
use crate::ids::{JobId, Phase};
use crate::limits::Scaled;
use crate::queue::Backlog;
use crate::queue::seam::JobStore;

/// A run of a [drain](super::Bench::drain), and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainedRun {
    /// The job's number.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// The queue it came from.
    pub queue: String,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// How it ended.
    pub end: RunEnd,
}

/// What became of a job at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// It is done.
    Completed,
    /// The attempt failed; the next one comes then.
    Failed {
        /// What the handler said.
        error: String,
        /// Not before.
        retry_at: SystemTime,
    },
    /// It is dead: buried, or that was its last attempt.
    Dead {
        /// The reason, or what the last attempt failed of.
        why: String,
    },
    /// Put off, the attempt not spent.
    Snoozed {
        /// Not before.
        until: SystemTime,
    },
    /// Given back, the attempt not spent.
    Released,
    /// Nobody here can run it: no handler for its kind, or args that do not parse.
    Parked {
        /// Why.
        why: String,
    },
    /// It is over, not done.
    Cancelled,
}

impl fmt::Display for DrainedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} {:?} attempt {}: ", self.id, self.kind, self.attempt)?;
        match &self.end {
            RunEnd::Completed => f.write_str("completed"),
            RunEnd::Failed { error, .. } => write!(f, "failed, to be tried again: {error}"),
            RunEnd::Dead { why } => write!(f, "dead: {why}"),
            RunEnd::Snoozed { .. } => f.write_str("snoozed"),
            RunEnd::Released => f.write_str("released"),
            RunEnd::Parked { why } => write!(f, "parked: {why}"),
            RunEnd::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// The backlog's store, with somebody who takes notes.
pub(super) struct Journal {
    store: Arc<dyn JobStore>,
    backlog: Backlog,
    runs_max: usize,
    runs: Mutex<Vec<DrainedRun>>,
}

impl Journal {
    pub(super) fn new(backlog: &Backlog, runs_max: usize) -> Arc<Self> {
        Arc::new(Self { store: backlog.as_store(), backlog: backlog.clone(), runs_max, runs: Mutex::default() })
    }

    pub(super) fn take(&self) -> Vec<DrainedRun> {
        std::mem::take(&mut *self.runs.lock())
    }

    fn note(&self, grant: &Grant, how: &Settle) -> Result<()> {
        let end = match self.backlog.inspect(grant.id)? {
            _ if matches!(how, Settle::Ack { .. }) => RunEnd::Completed,
            Status::Live(job) => end_of(*job, how),
            _ => RunEnd::Cancelled,
        };
        self.runs.lock().push(DrainedRun {
            id: grant.id,
            kind: grant.envelope.kind.clone(),
            queue: grant.envelope.queue.clone(),
            attempt: grant.attempt,
            end,
        });
        Ok(())
    }
}

fn end_of(job: JobInfo, how: &Settle) -> RunEnd {
    let error = job.errors.last().cloned().unwrap_or_default();
    match (job.phase, how) {
        (Phase::Dead, Settle::Nack { .. }) => RunEnd::Dead { why: error },
        (Phase::Dead, _) => RunEnd::Dead { why: job.reason.unwrap_or(error) },
        (Phase::Parked, _) => RunEnd::Parked { why: job.reason.unwrap_or_default() },
        (_, Settle::Nack { .. }) => RunEnd::Failed { error, retry_at: job.run_at.unwrap_or(SystemTime::UNIX_EPOCH) },
        (_, Settle::Snooze(_)) => RunEnd::Snoozed { until: job.run_at.unwrap_or(SystemTime::UNIX_EPOCH) },
        _ => RunEnd::Released,
    }
}

impl JobStore for Journal {
    fn claim_many(&self, queues: &[String], n: usize) -> Result<Vec<Grant>> {
        let runs = self.runs.lock().len();
        if runs >= self.runs_max {
            return Err(Error::invalid(format!("runs={runs} and jobs are still due; does one come back for ever?")));
        }
        self.store.claim_many(queues, n)
    }

    fn settle_many(&self, endings: Vec<(Arc<Grant>, Settle)>) -> Vec<Result<Option<Ticket>>> {
        let mut answers = Vec::with_capacity(endings.len());
        for (grant, how) in endings {
            let settled = self.store.settle_many(vec![(Arc::clone(&grant), how.clone())]).pop();
            answers.push(match settled.unwrap_or(Ok(None)) {
                Ok(Some(mark)) => self.note(&grant, &how).map(|()| Some(mark)),
                other => other,
            });
        }
        answers
    }

    fn wait(&self, mark: Ticket) -> Result<()> {
        self.store.wait(mark)
    }

    fn poll_wait(&self, mark: Ticket, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.store.poll_wait(mark, cx)
    }

    fn note(&self, grant: &Grant, cells: &[CellSet], level: Durability) -> Result<Option<Ticket>> {
        self.store.note(grant, cells, level)
    }

    fn noted(&self, grant: &Grant, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store.noted(grant, namespace, key)
    }

    fn progress(&self, id: JobId) -> Result<Option<Vec<u8>>> {
        self.store.progress(id)
    }

    fn wait_for_work(&self, queues: &[String], give_up: &dyn Fn() -> bool) -> Result<()> {
        self.store.wait_for_work(queues, give_up)
    }

    fn nudge(&self) {
        self.store.nudge();
    }

    fn cancel_requested(&self, grant: &Grant) -> bool {
        self.store.cancel_requested(grant)
    }

    fn watch_stop(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>) -> bool {
        self.store.watch_stop(grant, deadline, watch)
    }

    fn forget_watch(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>) {
        self.store.forget_watch(grant, deadline, watch);
    }

    fn events(&self, buffered: usize) -> Events {
        self.store.events(buffered)
    }

    fn ready_age(&self, queue: &str) -> Option<Duration> {
        self.store.ready_age(queue)
    }

    fn unpark(&self, fits: &dyn Fn(&str) -> bool) -> Result<u64> {
        self.store.unpark(fits)
    }

    fn clock(&self) -> &dyn Clock {
        self.store.clock()
    }

    fn limits(&self) -> Scaled {
        self.store.limits()
    }
}
