//! Claim and ack by hand: one at a time, and many at a time.
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

use common::{dir, fill, open};
use criterion::{Criterion, Throughput};

fn claim_ack(c: &mut Criterion) {
    let dir = dir();
    let backlog = open(&dir);
    let queue = backlog.queue("default");
    let mut group = c.benchmark_group("claim_ack");
    group.throughput(Throughput::Elements(1));
    group.bench_function("1_thread", |b| {
        b.iter_custom(|n| {
            fill(&backlog, usize::try_from(n).unwrap());
            let started = Instant::now();
            for _ in 0..n {
                queue.claim().unwrap().unwrap().ack().unwrap();
            }
            started.elapsed()
        });
    });
    group.bench_function("64_threads", |b| {
        b.iter_custom(|n| {
            let each = n.div_ceil(64);
            fill(&backlog, usize::try_from(each * 64).unwrap());
            let started = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        for _ in 0..each {
                            queue.claim().unwrap().unwrap().ack().unwrap();
                        }
                    });
                }
            });
            started.elapsed().mul_f64(n as f64 / (each * 64) as f64)
        });
    });
}

fn main() {
    let mut criterion =
        Criterion::default().measurement_time(Duration::from_secs(3)).sample_size(10).configure_from_args();
    claim_ack(&mut criterion);
    criterion.final_summary();
}
