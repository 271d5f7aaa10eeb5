//! persistent-queue on redb: `Durability::Group`, durable acks. A plain FIFO: no retries, no schedule, no batches.

use std::sync::Arc;

use compare_harness::{Handler, Options, Peer, Work, poll};
use persistent_queue::{Builder, Consumer, Durability, Producer, RedbStore};

/// So that a full queue never makes a producer wait.
const CAPACITY: usize = 100_000_000;

struct Fifo {
    producer: Producer<RedbStore>,
    consumer: Arc<Consumer<RedbStore>>,
}

impl Fifo {
    fn open(options: &Options) -> Self {
        let store = RedbStore::open(options.dir.join("queue.redb")).expect("the file opens");
        let builder = Builder::new(store).capacity(CAPACITY).durability(Durability::Group).durable_acks(true);
        let (producer, consumer) = builder.open().expect("the queue opens");
        Self { producer, consumer: Arc::new(consumer) }
    }
}

impl Peer for Fifo {
    fn producer(&self) -> Box<dyn compare_harness::Producer + '_> {
        Box::new(Push(&self.producer))
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        poll(workers, |_| {
            let (consumer, handler) = (Arc::clone(&self.consumer), Arc::clone(&handler));
            move || {
                let Some(item) = consumer.reserve().expect("reserve") else { return false };
                handler(Work::from_json(&item));
                item.ack().expect("ack");
                true
            }
        });
    }

    fn batches(&self) -> bool {
        false
    }
}

struct Push<'a>(&'a Producer<RedbStore>);

impl compare_harness::Producer for Push<'_> {
    fn one(&mut self, job: &Work) {
        self.0.push(&job.to_json()).expect("push");
    }

    fn many(&mut self, jobs: &[Work]) {
        jobs.iter().for_each(|job| self.one(job));
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Fifo::open(options)))
}
