//! Enqueue beside its floor: the same bytes appended and synced with `fdatasync`, in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures time and stops where it is wrong"
)]

mod common;
#[path = "common/quick.rs"]
mod quick;

use common::{Floor, JOB_BYTES, raw, works};
use criterion::{BatchSize, Criterion, Throughput};
use quick::{dir, open, together};

/// Names and bytes of JSON of the jobs that come one by one.
const SIZES: [(&str, usize); 2] = [("200B", JOB_BYTES), ("4KiB", 4 << 10)];

fn one_by_one(c: &mut Criterion) {
    for (name, bytes) in SIZES {
        let dir = dir();
        let (backlog, works, mut floor) = (open(&dir), works(bytes), Floor::new(dir.path()).unwrap());
        let (args, work) = (raw(&works), works.first().unwrap());
        let mut group = c.benchmark_group(format!("enqueue_{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("floor", |b| b.iter(|| floor.append(args.first().unwrap()).unwrap()));
        for threads in [1, 8, 64] {
            group.bench_function(format!("{threads}_threads"), |b| {
                b.iter_custom(|n| together(threads, n, || backlog.enqueue(work).unwrap()));
            });
        }
    }
}

fn in_batches(c: &mut Criterion) {
    let dir = dir();
    let (backlog, works, mut floor) = (open(&dir), works(JOB_BYTES), Floor::new(dir.path()).unwrap());
    let mut group = c.benchmark_group("enqueue_in_batches");
    for jobs in [10, 100, 1_000, 10_000] {
        let batch: Vec<_> = works.iter().cycle().take(jobs).collect();
        let bytes = raw(&works).concat().repeat(jobs.div_ceil(works.len()));
        let bytes = bytes.get(..jobs * JOB_BYTES).unwrap();
        group.throughput(Throughput::Elements(jobs as u64));
        group.bench_function(format!("floor_{jobs}"), |b| b.iter(|| floor.append(bytes).unwrap()));
        group.bench_function(format!("batch_{jobs}"), |b| {
            b.iter_batched(
                || batch.iter().copied(),
                |batch| backlog.enqueue_many(batch).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
}

fn main() {
    let mut criterion = quick::criterion();
    one_by_one(&mut criterion);
    in_batches(&mut criterion);
    criterion.final_summary();
}
