//! Reopening to the first claim, beside the reading of the same files.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures time and stops where it is wrong"
)]

mod common;
#[path = "common/quick.rs"]
mod quick;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use backlog::Backlog;
use common::{JOB_BYTES, fill, works};
use criterion::{Criterion, SamplingMode};
use quick::{dir, open};

/// Pending jobs behind each reopen.
const PENDING: [usize; 2] = [10_000, 1_000_000];

fn reopen(c: &mut Criterion) {
    let works = works(JOB_BYTES);
    for pending in PENDING {
        let dir = dir();
        fill(&open(&dir), &works, pending).unwrap();
        let_go(dir.path());
        let mut group = c.benchmark_group(format!("reopen_{pending}"));
        group.sampling_mode(SamplingMode::Flat);
        let log = dir.path().join("jobs").join("log");
        group.bench_function("floor_reading_the_log", |b| b.iter(|| read_all(&log)));
        let turns = |after: fn(Backlog)| {
            let dir = &dir;
            move |n| {
                (0..n)
                    .map(|_| {
                        let started = Instant::now();
                        let backlog = open(dir);
                        let lease = backlog.queue("default").claim().unwrap().unwrap();
                        let took = started.elapsed();
                        lease.release().unwrap();
                        after(backlog);
                        let_go(dir.path());
                        took
                    })
                    .sum::<Duration>()
            }
        };
        group.bench_function("unclean_to_first_claim", |b| b.iter_custom(turns(drop)));
        group.bench_function("clean_to_first_claim", |b| b.iter_custom(turns(|backlog| backlog.close().unwrap())));
    }
}

/// What was dropped ends on another thread: until then its files change, and waiting for it is no part of the next.
fn let_go(dir: &Path) {
    File::open(dir.join("jobs").join("lock")).unwrap().lock().unwrap();
}

fn read_all(log: &Path) -> usize {
    let files = std::fs::read_dir(log).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap().len());
    files.sum()
}

fn main() {
    let mut criterion = quick::criterion();
    reopen(&mut criterion);
    criterion.final_summary();
}
