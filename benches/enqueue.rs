//! Enqueue beside its floor: the same bytes appended and synced with `fdatasync`, in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures time and says what it saw"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Floor, JOB_BYTES, batch, batch_rate, dir, enqueue_rate, open, work};
use criterion::{Criterion, Throughput};

fn floors(c: &mut Criterion) {
    let dir = dir();
    let mut floor = Floor::new(dir.path());
    let mut group = c.benchmark_group("floor");
    group.throughput(Throughput::Elements(1));
    group.bench_function("single", |b| b.iter(|| floor.append(&[1; JOB_BYTES])));
    group.throughput(Throughput::Elements(1_000));
    let bytes = vec![1; JOB_BYTES * 1_000];
    group.bench_function("batch_1000_prefilled", |b| b.iter(|| floor.append(&bytes)));
}

fn enqueue(c: &mut Criterion) {
    let dir = dir();
    let backlog = open(&dir);
    let mut group = c.benchmark_group("enqueue");
    group.throughput(Throughput::Elements(1));
    let job = work();
    group.bench_function("1_thread", |b| b.iter(|| backlog.enqueue(&job).unwrap()));
    group.bench_function("64_threads", |b| {
        b.iter_custom(|n| {
            let each = n.div_ceil(64);
            let started = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        for _ in 0..each {
                            backlog.enqueue(&job).unwrap();
                        }
                    });
                }
            });
            started.elapsed().mul_f64(n as f64 / (each * 64) as f64)
        });
    });
    for jobs in [10, 100, 1_000, 10_000] {
        group.throughput(Throughput::Elements(jobs as u64));
        group.bench_function(format!("batch_{jobs}"), |b| {
            b.iter_batched(|| batch(jobs), |jobs| backlog.enqueue_all(jobs).unwrap(), criterion::BatchSize::SmallInput);
        });
    }
}

/// How long each measurement of a round takes.
const SPELL: Duration = Duration::from_millis(500);

/// The ratios of the README, from one run: floor and enqueue taken in turn, the median of five.
fn ratios() {
    let dir = dir();
    let backlog = open(&dir);
    let mut floor = Floor::new(dir.path());
    let bytes = vec![1; JOB_BYTES * 1_000];
    let mut rounds: Vec<[f64; 5]> = Vec::new();
    for _ in 0..5 {
        let single = floor.rate(&[1; JOB_BYTES], SPELL);
        let one = enqueue_rate(&backlog, 1, SPELL);
        let many = enqueue_rate(&backlog, 64, SPELL);
        let prefilled = floor.rate(&bytes, SPELL) * 1_000.0;
        let batches = batch_rate(&backlog, SPELL);
        rounds.push([single, one / single, many / single, prefilled, batches / prefilled]);
    }
    let median = |at: usize| {
        let mut column: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
        column.sort_by(f64::total_cmp);
        column[column.len() / 2]
    };
    println!("floor_single={:.0}/s enqueue_1/floor={:.2} enqueue_64/floor={:.1}", median(0), median(1), median(2));
    println!("floor_batch={:.0}/s enqueue_batch_1000/floor={:.2}", median(3), median(4));
}

fn main() {
    ratios();
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .configure_from_args();
    floors(&mut criterion);
    enqueue(&mut criterion);
    criterion.final_summary();
}
