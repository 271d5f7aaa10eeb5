//! Backlog as its README shows it: `Durability::Sync`, typed jobs, the worker pool.

mod prepared;

use std::borrow::Cow;

use backlog::{Backlog, Context, Job};
use compare_harness::{Handler, Options, Peer, Producer, Work};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Args<'a>(Cow<'a, Work>);

impl Job for Args<'_> {
    const KIND: &'static str = "work";
}

struct Opened(Backlog);

impl Peer for Opened {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        let handle = move |args: Args<'static>, _: Context| {
            handler(args.0.into_owned());
            Ok(())
        };
        let workers = self.0.workers().handle(handle).concurrency(workers).start().expect("workers start");
        std::mem::forget(workers);
    }
}

impl Producer for &Opened {
    fn one(&mut self, job: &Work) {
        self.0.enqueue(&Args(Cow::Borrowed(job))).expect("enqueue");
    }

    fn many(&mut self, jobs: &[Work]) {
        let jobs: Vec<Args> = jobs.iter().map(|job| Args(Cow::Borrowed(job))).collect();
        self.0.enqueue_many(&jobs).expect("enqueue_many");
    }
}

fn open(options: &Options) -> Box<dyn Peer> {
    Box::new(Opened(Backlog::open(options.dir.join("jobs")).expect("the folder opens")))
}

fn main() {
    compare_harness::run_prepared(open, prepared::bytes)
}
