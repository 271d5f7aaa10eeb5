//! What stands far in the future must not cost what happens now: enqueues at random moments over many that are scheduled,
//! and short jobs beside large ones, so that the compactor has to carry those.
//!
//! `BACKLOG_BENCH_BEHIND` says how many jobs are scheduled behind (10,000,000 need 2.5 GB), `BACKLOG_BENCH_BESIDE` how many
//! of 4 KiB stand beside (600,000 are 2.5 GB).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures time and stops where it is wrong"
)]

mod common;
#[path = "common/quick.rs"]
mod quick;

use std::time::{Duration, Instant, SystemTime};

use common::{BATCH, Floor, JOB_BYTES, cycle, fill_with, raw, works};
use criterion::{Criterion, SamplingMode, Throughput};
use quick::{dir, open};

const MONTH_MS: u64 = 30 * 24 * 3600 * 1000;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Short jobs of one turn.
const SHORT: usize = 10_000;

fn asked(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |jobs| jobs.parse().expect("a number of jobs"))
}

fn random_moments(c: &mut Criterion) {
    let behind = asked("BACKLOG_BENCH_BEHIND", 1_000_000);
    let dir = dir();
    let (backlog, works, mut floor) = (open(&dir), works(JOB_BYTES), Floor::new(dir.path()).unwrap());
    let (start, mut random) = (SystemTime::now() + YEAR, fastrand::Rng::with_seed(1));
    let mut moment = || start + Duration::from_millis(random.u64(0..MONTH_MS));
    fill_with(&backlog, &works, behind, |job| job.run_at(moment())).unwrap();
    let mut group = c.benchmark_group(format!("scheduled_over_{behind}"));
    group.throughput(Throughput::Elements(BATCH as u64));
    let bytes = raw(&works).concat();
    group.bench_function("floor", |b| b.iter(|| floor.append(&bytes).unwrap()));
    group.bench_function("batch_1000_at_random_moments", |b| {
        b.iter_custom(|n| {
            let started = Instant::now();
            fill_with(&backlog, &works, usize::try_from(n).unwrap() * BATCH, |job| job.run_at(moment())).unwrap();
            started.elapsed()
        });
    });
}

fn beside_large_ones(c: &mut Criterion) {
    let beside = asked("BACKLOG_BENCH_BESIDE", 60_000);
    let dir = dir();
    let (backlog, short, large) = (open(&dir), works(JOB_BYTES), works(4 << 10));
    let mut group = c.benchmark_group(format!("short_jobs_beside_{beside}_of_4KiB"));
    group.throughput(Throughput::Elements(SHORT as u64)).sampling_mode(SamplingMode::Flat);
    let turn = |n| (0..n).map(|_| cycle(&backlog, &short, SHORT).unwrap()).sum();
    group.bench_function("nothing_beside", |b| b.iter_custom(turn));
    let far = SystemTime::now() + YEAR;
    fill_with(&backlog, &large, beside, |job| job.run_at(far)).unwrap();
    group.bench_function("beside_them", |b| b.iter_custom(turn));
}

fn main() {
    let mut criterion = quick::criterion();
    random_moments(&mut criterion);
    beside_large_ones(&mut criterion);
    criterion.final_summary();
}
