//! effectum as it ships: SQLite with a rollback journal and `synchronous = NORMAL`, one writing thread that gathers
//! what waits, a tokio runtime of its own here.

use std::sync::Arc;

use compare_harness::{Handler, Options, Peer, Producer, Work};
use effectum::{Error, Job, JobRunner, Queue, RunningJob, Worker};
use tokio::runtime::{Builder, Runtime};

/// Tokio's threads beside those the handlers may block.
const THREADS: usize = 4;

struct Effectum {
    runtime: Runtime,
    queue: Queue,
}

#[derive(Clone)]
struct Handle(Handler);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

async fn handle(job: RunningJob, handle: Handle) -> Result<(), Error> {
    let work: Work = job.json_payload()?;
    (handle.0)(work);
    Ok(())
}

impl Effectum {
    fn open(options: &Options) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.workers + THREADS)
            .enable_all()
            .build()
            .expect("a runtime");
        let queue = runtime.block_on(Queue::new(&options.dir.join("effectum.db"))).expect("the file opens");
        Self { runtime, queue }
    }
}

impl Peer for Effectum {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        let workers = u16::try_from(workers).expect("few");
        let runner = JobRunner::builder("work", handle).build();
        let worker =
            Worker::builder(&self.queue, Handle(Arc::clone(&handler))).max_concurrency(workers).jobs([runner]).build();
        std::mem::forget(self.runtime.block_on(worker).expect("workers start"));
    }
}

fn job(work: &Work) -> Job {
    Job::builder("work").json_payload(work).expect("JSON").build()
}

impl Producer for &Effectum {
    fn one(&mut self, work: &Work) {
        self.runtime.block_on(self.queue.add_job(job(work))).expect("add_job");
    }

    fn many(&mut self, jobs: &[Work]) {
        self.runtime.block_on(self.queue.add_jobs(jobs.iter().map(job).collect())).expect("add_jobs");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Effectum::open(options)))
}
