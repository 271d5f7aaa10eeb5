//! Reopening after a stop that was not clean, to the first claim.
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
use criterion::Criterion;

/// Pending jobs behind each reopen.
const PENDING: [usize; 2] = [10_000, 1_000_000];

fn reopen(c: &mut Criterion) {
    let mut group = c.benchmark_group("recovery");
    for pending in PENDING {
        let dir = dir();
        let backlog = open(&dir);
        fill(&backlog, pending);
        drop(backlog);
        group.bench_function(format!("unclean_{pending}_pending_to_first_claim"), |b| {
            b.iter_custom(|n| {
                let mut took = Duration::ZERO;
                for _ in 0..n {
                    let started = Instant::now();
                    let backlog = open(&dir);
                    let lease = backlog.queue("default").claim().unwrap().unwrap();
                    took += started.elapsed();
                    lease.release().unwrap();
                }
                took
            });
        });
    }
}

fn main() {
    let mut criterion =
        Criterion::default().measurement_time(Duration::from_secs(5)).sample_size(10).configure_from_args();
    reopen(&mut criterion);
    criterion.final_summary();
}
