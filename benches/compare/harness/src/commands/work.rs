//! The commands with workers.

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::enqueue::give;
use crate::payload::{Maker, Work};
use crate::{Options, Peer};

/// Jobs enqueued and not yet handled, above which the producer rests: enough that no worker waits for it.
const AHEAD: u64 = 10_000;
/// Producers beside the workers, for a peer that takes one job at a time.
const PRODUCERS: usize = 16;
/// How long a producer rests when it is ahead.
const REST: Duration = Duration::from_micros(200);

/// Workers claim, handle and settle while producers keep them supplied; counts what was handled.
pub(super) fn cycle(options: &Options, peer: &dyn Peer) -> Value {
    let maker = Maker::new(options.first, options.bytes);
    let (producers, batch) = if peer.batches() { (1, 1_000) } else { (PRODUCERS, 1) };
    let (given, done) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&done);
    peer.start_workers(options.workers, Arc::new(move |_| _ = count.fetch_add(1, Ordering::Relaxed)));
    let started = Instant::now();
    let over = || match options.jobs {
        Some(jobs) => done.load(Ordering::Relaxed) >= jobs,
        None => started.elapsed() >= options.spell(),
    };
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                let mut producer = peer.producer();
                while !over() {
                    let before = given.load(Ordering::Relaxed);
                    let enough = options.jobs.is_some_and(|jobs| before >= jobs);
                    if enough || before >= done.load(Ordering::Relaxed) + AHEAD {
                        thread::sleep(REST);
                        continue;
                    }
                    given.fetch_add(batch, Ordering::Relaxed);
                    let jobs: Vec<Work> = (0..batch).map(|_| maker.make()).collect();
                    give(&mut *producer, &jobs);
                }
            });
        }
    });
    let (jobs, seconds) = (done.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    json!({ "jobs": jobs, "seconds": seconds, "per_second": jobs as f64 / seconds })
}

/// Starts every job and ends none, printing what it holds; the runner ends it with SIGKILL.
pub(super) fn hold(options: &Options, peer: &dyn Peer) -> Value {
    print_each(options, peer, || {
        loop {
            thread::park();
        }
    })
}

/// Runs every job and prints what it saw; the runner ends it.
pub(super) fn drain(options: &Options, peer: &dyn Peer) -> Value {
    print_each(options, peer, || ())
}

fn print_each(options: &Options, peer: &dyn Peer, then: impl Fn() + Send + Sync + 'static) -> Value {
    let handler = Arc::new(move |work: Work| {
        writeln!(std::io::stdout(), "{}", work.id).expect("the runner reads");
        then();
    });
    peer.start_workers(options.workers, handler);
    loop {
        thread::park();
    }
}

/// From before opening until the first handler runs, and until so many different jobs have run.
pub(super) fn recover(options: &Options, open: &dyn Fn(&Options) -> &'static dyn Peer) -> Value {
    let jobs = options.jobs.unwrap_or(1);
    let (saw, seen) = mpsc::channel();
    let started = Instant::now();
    let peer = open(options);
    let opened = started.elapsed();
    peer.start_workers(options.workers, Arc::new(move |work: Work| _ = saw.send((work.id, Instant::now()))));
    let mut ids = HashSet::new();
    let (mut first, mut last) = (None, None);
    while let Some(left) = options.spell().checked_sub(started.elapsed()) {
        let Ok((id, at)) = seen.recv_timeout(left) else { break };
        first.get_or_insert(at - started);
        if ids.insert(id) && ids.len() as u64 == jobs {
            last = Some(at - started);
            break;
        }
    }
    let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    json!({ "opened_ms": ms(Some(opened)), "first_ms": ms(first), "all_ms": ms(last), "seen": ids.len() })
}
