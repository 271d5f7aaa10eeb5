//! rustqueue on redb, one transaction and one sync per call: `RedbDurability::Immediate`, its default. A tokio runtime of
//! its own here.

use std::sync::Arc;
use std::time::Duration;

use compare_harness::{Handler, Options, Peer, Producer, Work, poll};
use rustqueue::QueueManager;
use rustqueue::engine::queue::BatchPushItem;
use rustqueue::storage::RedbStorage;
use tokio::runtime::{Builder, Runtime};

const QUEUE: &str = "work";
/// What its housekeeping does by default: jobs that nobody has spoken of for so long are given out again.
const STALLED_AFTER_MS: u64 = 30_000;
const TICK: Duration = Duration::from_secs(1);
const THREADS: usize = 4;

struct RustQueue {
    runtime: Arc<Runtime>,
    queue: Arc<QueueManager>,
}

impl RustQueue {
    fn open(options: &Options) -> Self {
        let threads = options.workers + THREADS;
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
        let storage = RedbStorage::new(options.dir.join("queue.redb")).expect("the file opens");
        Self { runtime: Arc::new(runtime), queue: Arc::new(QueueManager::new(Arc::new(storage))) }
    }
}

impl Peer for RustQueue {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        let queue = Arc::clone(&self.queue);
        self.runtime.spawn(async move {
            loop {
                queue.detect_stalls(STALLED_AFTER_MS).await.expect("detect_stalls");
                tokio::time::sleep(TICK).await;
            }
        });
        poll(workers, |_| {
            let (runtime, queue, handler) = (Arc::clone(&self.runtime), Arc::clone(&self.queue), Arc::clone(&handler));
            move || {
                let Some(job) = runtime.block_on(queue.pull(QUEUE, 1)).expect("pull").pop() else { return false };
                handler(serde_json::from_value(job.data).expect("JSON of a work"));
                runtime.block_on(queue.ack(job.id, None)).expect("ack");
                true
            }
        });
    }
}

fn data(work: &Work) -> serde_json::Value {
    serde_json::to_value(work).expect("work is JSON")
}

impl Producer for &RustQueue {
    fn one(&mut self, work: &Work) {
        self.runtime.block_on(self.queue.push(QUEUE, "work", data(work), None)).expect("push");
    }

    fn many(&mut self, jobs: &[Work]) {
        let item = |work| BatchPushItem { name: "work".to_owned(), data: data(work), options: None };
        self.runtime.block_on(self.queue.push_batch(QUEUE, jobs.iter().map(item).collect())).expect("push_batch");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(RustQueue::open(options)))
}
