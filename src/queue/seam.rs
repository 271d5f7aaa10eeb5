//! The narrow door through which a pool of workers takes jobs: bytes in, bytes out.
//!
//! A second store with the same promises must be able to stand behind the same handlers, so a pool uses nothing of a
//! backlog but this. A store whose leases run out extends those of running jobs by itself; here they do not run out.
//!
//! # Invariants
//! * A granted job is not granted again before it is settled, or the process ends.
//! * Settling never waits for the disk; who needs to know waits for the mark he was given.
//!
//! Never here: handlers, threads, types of args.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::backlog::{Backlog, leaving};
use crate::clock::Clock;
use crate::engine::{CellSet, Durability, Engine, Events, Grant, LeaseKind, Settle, Ticket, Watch};
use crate::error::Result;
use crate::ids::JobId;
use crate::limits::Scaled;
use crate::sync::AtomicBool;

/// What a pool of workers needs of a store.
pub(crate) trait JobStore: Send + Sync {
    /// Up to `n` ready jobs; of several queues the first that has any, of none named every queue.
    fn claim_many(&self, queues: &[String], n: usize) -> Result<Vec<Grant>>;
    /// Ends runs; one answer each, in order. `None`: the run was not the job's any more.
    fn settle_many(&self, endings: Vec<(Arc<Grant>, Settle)>) -> Vec<Result<Option<Ticket>>>;
    /// Waits until what the mark stands for is on disk.
    fn wait(&self, mark: Ticket) -> Result<()>;
    /// The same for a task.
    fn poll_wait(&self, mark: Ticket, cx: &mut Context<'_>) -> Poll<Result<()>>;
    /// Keeps cells for a run, all or none. `None`: the job is not this run's any more.
    fn note(&self, grant: &Grant, cells: &[CellSet], level: Durability) -> Result<Option<Ticket>>;
    /// What was kept for a job, as its run kept it.
    fn noted(&self, grant: &Grant, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// The progress a run kept for its job.
    fn progress(&self, id: JobId) -> Result<Option<Vec<u8>>>;
    /// Waits until a job may be ready, or `give_up` says so; asked again at every nudge.
    fn wait_for_work(&self, queues: &[String], give_up: &dyn Fn() -> bool) -> Result<()>;
    /// Makes everyone who waits for work ask his `give_up` again.
    fn nudge(&self);
    /// Whether this run should end: somebody cancelled the job, or nothing can be acknowledged any more.
    fn cancel_requested(&self, grant: &Grant) -> bool;
    /// The watch is called when that changes, when the run is over, and at `deadline` on the monotonic clock; perhaps for
    /// nothing. `false`: the run should end.
    fn watch_stop(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>) -> bool;
    /// Nobody sits there any more.
    fn forget_watch(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>);
    /// What happens from now on; at most so many events wait.
    fn events(&self, buffered: usize) -> Events;
    /// For how long a queue's oldest ready job has been ready. `None`: there is no such queue.
    fn ready_age(&self, queue: &str) -> Option<Duration>;
    /// Parked jobs whose kind fits come back.
    fn unpark(&self, fits: &dyn Fn(&str) -> bool) -> Result<u64>;
    /// The clock runs are measured by.
    fn clock(&self) -> &dyn Clock;
    /// The limits follow-up jobs are checked against.
    fn limits(&self) -> Scaled;
}

/// Somebody who must give back what he holds when the program lets go of its last handle.
pub(crate) trait AtShutdown: Send + Sync {
    /// Gives back every job that still runs, its attempt not spent.
    fn release_running(&self);
}

/// A backlog's engine as a pool sees it. Holds no handle: a pool's threads do not keep the program's backlog open.
struct EngineStore {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    leaving: Arc<AtomicBool>,
}

impl Backlog {
    /// This backlog behind the seam.
    pub(crate) fn as_store(&self) -> Arc<dyn JobStore> {
        let shared = &self.shared;
        Arc::new(EngineStore {
            engine: shared.engine.clone(),
            clock: shared.clock.clone(),
            leaving: self.leaving_flag(),
        })
    }
}

impl JobStore for EngineStore {
    fn claim_many(&self, queues: &[String], n: usize) -> Result<Vec<Grant>> {
        if self.leaving.load(Ordering::SeqCst) {
            return Err(leaving());
        }
        self.engine.claim(queues, n, LeaseKind::Pool)
    }

    fn settle_many(&self, endings: Vec<(Arc<Grant>, Settle)>) -> Vec<Result<Option<Ticket>>> {
        endings.into_iter().map(|(grant, how)| self.engine.settle(&grant, how)).collect()
    }

    fn wait(&self, mark: Ticket) -> Result<()> {
        self.engine.wait(mark)?;
        self.engine.tell_durable();
        Ok(())
    }

    fn poll_wait(&self, mark: Ticket, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.engine.poll_wait(mark, cx)
    }

    fn note(&self, grant: &Grant, cells: &[CellSet], level: Durability) -> Result<Option<Ticket>> {
        self.engine.note(grant, cells, level)
    }

    fn noted(&self, grant: &Grant, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.engine.noted(grant, namespace, key)
    }

    fn progress(&self, id: JobId) -> Result<Option<Vec<u8>>> {
        self.engine.progress(id)
    }

    fn wait_for_work(&self, queues: &[String], give_up: &dyn Fn() -> bool) -> Result<()> {
        self.engine.wait_for_work(queues, None, give_up).map(|_| ())
    }

    fn nudge(&self) {
        self.engine.nudge();
    }

    fn cancel_requested(&self, grant: &Grant) -> bool {
        self.engine.cancel_requested(grant.id, grant.token)
    }

    fn watch_stop(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>) -> bool {
        self.engine.watch_stop(grant.id, grant.token, deadline, watch)
    }

    fn forget_watch(&self, grant: &Grant, deadline: Option<Duration>, watch: &Arc<Watch>) {
        self.engine.forget_stop(grant.id, deadline, watch);
    }

    fn events(&self, buffered: usize) -> Events {
        self.engine.events(buffered)
    }

    fn ready_age(&self, queue: &str) -> Option<Duration> {
        self.engine.ready_age(queue)
    }

    fn unpark(&self, fits: &dyn Fn(&str) -> bool) -> Result<u64> {
        self.engine.unpark(fits)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn limits(&self) -> Scaled {
        self.engine.limits()
    }
}
