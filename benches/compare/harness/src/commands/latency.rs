//! How long one job takes when jobs arrive at a rate of their own (an open loop), far below what the peer could take.
//!
//! # Invariants
//! * An arrival does not wait for the answers before it: enough producers stand ready, and one that was still busy when
//!   its job was due is charged from that moment on. How late a timer woke it is not the peer's fault and not counted.
//! * A job is charged once for its answer and once for its first handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::payload::{Maker, Work};
use crate::{Options, Peer};

/// Producers that take the arrivals in turn.
const PRODUCERS: usize = 16;
/// Before the first arrival: connections and workers come up.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long after the last arrival its handler may start.
const LAST_START: Duration = Duration::from_secs(5);
/// Between two looks whether all have started.
const LOOK: Duration = Duration::from_millis(10);

/// When something happened to each job, in nanoseconds since the first arrival was due; zero: not yet.
type Times = Arc<[AtomicU64]>;

/// `rate` jobs a second arrive: microseconds until each was answered, and until its handler started.
pub(super) fn latency(options: &Options, peer: &dyn Peer) -> Value {
    let jobs = (options.rate * options.seconds) as usize;
    let (called, answered, started) = (times(jobs), times(jobs), times(jobs));
    let maker = Arc::new(Maker::new(options.first, options.bytes));
    let zero = Instant::now() + WARM_UP;
    // The floor has no workers.
    if options.workers > 0 {
        let (started, maker) = (Arc::clone(&started), Arc::clone(&maker));
        let handler = move |work: Work| {
            let at = &started[maker.place(work.id)];
            // A job that runs twice has started the first time.
            _ = at.compare_exchange(0, since(zero), Ordering::Relaxed, Ordering::Relaxed);
        };
        peer.start_workers(options.workers, Arc::new(handler));
    }
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                let mut producer = peer.producer();
                loop {
                    let arrival = next.fetch_add(1, Ordering::Relaxed);
                    if arrival >= jobs as u64 {
                        break;
                    }
                    let due = Duration::from_secs_f64(arrival as f64 / options.rate);
                    let from = wait_until(zero, due);
                    let job = maker.make();
                    called[maker.place(job.id)].store(from.max(1), Ordering::Relaxed);
                    producer.one(&job);
                    answered[maker.place(job.id)].store(since(zero), Ordering::Relaxed);
                }
            });
        }
    });
    if options.workers > 0 {
        wait_for_all(&started);
    }
    json!({ "jobs": jobs, "answered_us": micros(&called, &answered), "started_us": micros(&called, &started) })
}

fn times(jobs: usize) -> Times {
    (0..jobs).map(|_| AtomicU64::new(0)).collect()
}

/// Sleeps until an arrival is due; says from when on it counts.
fn wait_until(zero: Instant, due: Duration) -> u64 {
    let Some(left) = (zero + due).checked_duration_since(Instant::now()) else { return nanos(due) };
    thread::sleep(left);
    since(zero)
}

fn wait_for_all(started: &Times) {
    let waiting = Instant::now();
    while waiting.elapsed() < LAST_START && started.iter().any(|at| at.load(Ordering::Relaxed) == 0) {
        thread::sleep(LOOK);
    }
}

fn since(zero: Instant) -> u64 {
    nanos(zero.elapsed())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a spell is short")
}

/// Of those that have both.
fn micros(from: &Times, to: &Times) -> Vec<u64> {
    let both = from.iter().zip(to.iter());
    let both = both.map(|(from, to)| (from.load(Ordering::Relaxed), to.load(Ordering::Relaxed)));
    both.filter(|&(_, to)| to > 0).map(|(from, to)| to.saturating_sub(from) / 1_000).collect()
}
