//! honker with `synchronous = FULL` set through `with_conn` (it ships with NORMAL); batches in one transaction.

use std::sync::Arc;

use compare_harness::{Handler, Options, Peer, Producer, Work, poll};
use honker::{Database, EnqueueOpts, Queue, QueueOpts};

struct Honker {
    database: Database,
    queue: Queue,
}

impl Honker {
    fn open(options: &Options) -> Self {
        let database = Database::open(options.dir.join("honker.db")).expect("the file opens");
        database.with_conn(|conn| conn.execute_batch("PRAGMA synchronous = FULL")).expect("FULL");
        let queue = database.queue("work", QueueOpts::default());
        Self { database, queue }
    }
}

impl Peer for Honker {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        poll(workers, |worker| {
            let (queue, handler, name) = (self.queue.clone(), Arc::clone(&handler), format!("worker-{worker}"));
            move || {
                let Some(job) = queue.claim_one(&name).expect("claim") else { return false };
                handler(Work::from_json(&job.payload));
                job.ack().expect("ack");
                true
            }
        });
    }
}

impl Producer for &Honker {
    fn one(&mut self, job: &Work) {
        self.queue.enqueue(job, EnqueueOpts::default()).expect("enqueue");
    }

    fn many(&mut self, jobs: &[Work]) {
        let transaction = self.database.transaction().expect("begin");
        for job in jobs {
            self.queue.enqueue_tx(&transaction, job, EnqueueOpts::default()).expect("enqueue");
        }
        transaction.commit().expect("commit");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Honker::open(options)))
}
