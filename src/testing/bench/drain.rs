//! Runs what is due on the test's own thread, and says what ran.

use std::fmt;

use super::Bench;
use super::journal::{DrainedRun, Journal, RunEnd};
use crate::error::Result;
use crate::queue::Job;
use crate::testing::passing::time_passes;
use crate::worker::WorkersBuilder;

/// A drain that runs more is taken to run for ever.
const RUNS_MAX: usize = 10_000;

/// What a [drain](Bench::drain) ran, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "says what failed"]
pub struct Drained {
    /// Every run and how it ended.
    pub runs: Vec<DrainedRun>,
}

impl Drained {
    /// How many runs.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether nothing was due.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Jobs that are done.
    pub fn completed(&self) -> usize {
        self.runs.iter().filter(|run| run.end == RunEnd::Completed).count()
    }

    /// Attempts that failed, the last ones of their jobs too.
    pub fn failed(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run.end, RunEnd::Failed { .. } | RunEnd::Dead { .. })).count()
    }

    /// The runs of jobs of `J`, in order.
    pub fn of<J: Job>(&self) -> impl Iterator<Item = &DrainedRun> {
        self.runs.iter().filter(|run| run.kind == J::KIND || J::ALIASES.contains(&run.kind.as_str()))
    }

    /// Gives itself back if every run completed its job.
    ///
    /// # Panics
    /// If one did not; the message names each with its error.
    #[track_caller]
    pub fn all_completed(self) -> Self {
        let others: Vec<String> =
            self.runs.iter().filter(|run| run.end != RunEnd::Completed).map(ToString::to_string).collect();
        assert!(
            others.is_empty(),
            "expected every job to be completed, but of runs={} these were not:\n  {}",
            self.len(),
            others.join("\n  ")
        );
        self
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "runs={} completed={} failed={}", self.len(), self.completed(), self.failed())
    }
}

impl Bench {
    /// Runs with these handlers everything that is due now, and what that enqueues, on this thread, one job at a time, in
    /// the order a pool of one thread has. Says what ran and how each ended. Time stands still: what is scheduled for
    /// later, a retry too, stays; [`drain_all`](Self::drain_all) runs that as well. If the pool names
    /// [queues](WorkersBuilder::queues), jobs of others stay.
    ///
    /// Outcomes, middleware, the rule for failures and state count as in a running pool; a panic is a failed attempt. So
    /// an assertion inside a handler does not fail the test by itself: look at the answer, or say
    /// [`all_completed`](Drained::all_completed).
    ///
    /// ```
    /// # use backlog::testing::{self, RunEnd};
    /// # use backlog::{Context, Failure, Job};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge { cents: u64 }
    /// # impl Job for Charge { const KIND: &'static str = "charge"; }
    /// let bench = testing::backlog();
    /// bench.enqueue(&Charge { cents: 5 })?;
    /// let drained = bench.drain(bench.workers().handle(|_: Charge, _: Context| -> Result<(), Failure> {
    ///     Err(Failure::new("declined").bury())
    /// }))?;
    /// assert_eq!(drained.runs[0].end, RunEnd::Dead { why: "declined".into() });
    /// # Ok::<(), backlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`WorkersBuilder::start`]; also `Invalid`: 10,000 runs and jobs are still due.
    pub fn drain(&self, workers: WorkersBuilder) -> Result<Drained> {
        self.backlog.serve()?;
        self.drain_while(workers, &mut |_| {
            let due = self.backlog.next_due().is_some_and(|wait| wait.is_zero());
            self.backlog.serve()?;
            Ok(due)
        })
    }

    /// [`drain`](Self::drain), and when nothing is due the clock moves on to what is due next: until nothing is
    /// scheduled. Retries run up to the last attempt, so that every job ends; jobs that are held, or that these handlers
    /// cannot run, stay.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub fn drain_all(&self, workers: WorkersBuilder) -> Result<Drained> {
        self.backlog.serve()?;
        self.drain_while(workers, &mut time_passes(&self.backlog, &self.clock))
    }

    fn drain_while(&self, workers: WorkersBuilder, rest: &mut dyn FnMut(u64) -> Result<bool>) -> Result<Drained> {
        let journal = Journal::new(&self.backlog, RUNS_MAX);
        workers.through(journal.clone()).drain(rest)?;
        Ok(Drained { runs: journal.take() })
    }
}
