//! Claim and ack by hand and by a pool of workers, beside the floor of batches; jobs that wait for one reason or other.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures time and stops where it is wrong"
)]

mod common;
#[path = "common/quick.rs"]
mod quick;

use std::time::Duration;

use common::{Ending, Floor, JOB_BYTES, Outcome, cycle, drain, due, fill, fill_with, raw, run, works};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use quick::{dir, open, together};

/// Jobs of one iteration where a pool runs them.
const JOBS: usize = 10_000;
/// Jobs behind those that are retried.
const DEEP: usize = 200_000;

/// The least that jobs cost that come in batches of 1,000.
fn floor(group: &mut BenchmarkGroup<'_, WallTime>, floor: &mut Floor) {
    let bytes = raw(&works(JOB_BYTES)).concat();
    group.bench_function("floor", |b| {
        b.iter(|| (0..JOBS * JOB_BYTES / bytes.len()).for_each(|_| floor.append(&bytes).unwrap()));
    });
}

fn by_hand(c: &mut Criterion) {
    let dir = dir();
    let (backlog, works, mut floor) = (open(&dir), works(JOB_BYTES), Floor::new(dir.path()).unwrap());
    let (args, queue) = (raw(&works), backlog.queue("default"));
    let mut group = c.benchmark_group("claim_ack_by_hand");
    group.throughput(Throughput::Elements(1));
    group.bench_function("floor", |b| b.iter(|| floor.append(args.first().unwrap()).unwrap()));
    for threads in [1, 64] {
        group.bench_function(format!("{threads}_threads"), |b| {
            b.iter_custom(|n| {
                fill(&backlog, &works, usize::try_from(n.next_multiple_of(threads)).unwrap()).unwrap();
                together(threads, n, || queue.claim().unwrap().unwrap().ack().unwrap())
            });
        });
    }
}

/// Each iteration runs [`JOBS`] jobs to the last end on disk.
fn through_a_pool(c: &mut Criterion) {
    let dir = dir();
    let (backlog, works) = (open(&dir), works(JOB_BYTES));
    let mut group = c.benchmark_group("through_a_pool");
    group.throughput(Throughput::Elements(JOBS as u64)).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(1));
    floor(&mut group, &mut Floor::new(dir.path()).unwrap());
    let mut turns = |name: &str, turn: &dyn Fn() -> Outcome<Duration>| {
        group.bench_function(name, |b| b.iter_custom(|n| (0..n).map(|_| turn().unwrap()).sum()));
    };
    turns("claim_ack", &|| {
        fill(&backlog, &works, JOBS)?;
        drain(&backlog, JOBS)
    });
    turns("cycle", &|| cycle(&backlog, &works, JOBS));
    turns("mixed_priorities", &|| {
        let mut priorities = (-3..=3).cycle();
        fill_with(&backlog, &works, JOBS, |job| job.priority(priorities.next().unwrap_or(0)))?;
        drain(&backlog, JOBS)
    });
    turns("due_at_once", &|| {
        let mut lead = Duration::from_millis(200);
        loop {
            match due(&backlog, &works, JOBS, lead)? {
                Some(took) => return Ok(took),
                // The disk is slow today.
                None => lead *= 2,
            }
        }
    });
    fill(&backlog, &works, DEEP).unwrap();
    turns("retries_over_a_deep_backlog", &|| {
        fill(&backlog, &works, JOBS)?;
        run(&backlog, JOBS, Ending::Retry)
    });
}

fn main() {
    let mut criterion = quick::criterion();
    by_hand(&mut criterion);
    through_a_pool(&mut criterion);
    criterion.final_summary();
}
