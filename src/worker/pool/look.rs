//! Looking at a pool's runs.
//!
//! # Invariants
//! * The store is asked outside the lock. It calls a run that has ended cancelled, so what it says counts only of runs
//!   that are still there afterwards: a run leaves `running` before it is settled.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Pool, Running};
use crate::worker::stats::{PoolStats, RunningJob};

impl Pool {
    /// What it is doing.
    pub(in crate::worker) fn stats(&self) -> PoolStats {
        let runs: BTreeMap<usize, Running> = self.state.lock().running.clone();
        let now = self.store.clock().monotonic();
        let mut seen: Vec<_> = runs.into_iter().map(|(slot, run)| (slot, self.seen(&run, now), run)).collect();
        let state = self.state.lock();
        if !planted!(EndedRunsShown) {
            seen.retain(|(slot, _, run)| state.running.get(slot).is_some_and(|now| now.is(run)));
        }
        let mut running: Vec<RunningJob> = seen.into_iter().map(|(_, seen, _)| seen).collect();
        running.sort_by_key(|run| Reverse(run.running_for));
        PoolStats { threads: state.threads, waiting: state.waiting.len(), running, stopping: state.stopping }
    }

    fn seen(&self, run: &Running, now: Duration) -> RunningJob {
        let job = &run.grant.envelope;
        let running_for = now.saturating_sub(run.since);
        let timeout = job.timeout_ms.map(Duration::from_millis);
        let over = timeout.and_then(|timeout| running_for.checked_sub(timeout));
        let flagged = self.flagged.is_raised();
        RunningJob {
            id: run.grant.id,
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            attempt: run.grant.attempt,
            running_for,
            overdue: planted!(OverdueRunsUnseen, None, over),
            cancelled: flagged || planted!(CancelledRunsUnseen, false, self.store.cancel_requested(&run.grant)),
        }
    }
}
