//! What the benches share: a directory on the disk the target folder lies on, jobs of 200 bytes, and the floors.

#![allow(dead_code, reason = "each bench uses its part")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use backlog::{Backlog, Job, JobBuilder};
use tempfile::TempDir;

/// Args of one job, bytes of JSON.
pub(crate) const JOB_BYTES: usize = 200;

#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Work {
    pub(crate) text: String,
}

impl Job for Work {
    const KIND: &'static str = "bench_work";
}

/// A job whose JSON is [`JOB_BYTES`] long.
pub(crate) fn work() -> Work {
    Work { text: "x".repeat(JOB_BYTES - r#"{"text":""}"#.len()) }
}

/// Not in the system's temporary folder, which may be memory.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable")
}

pub(crate) fn open(dir: &TempDir) -> Backlog {
    Backlog::open(dir.path().join("jobs")).expect("a fresh directory opens")
}

pub(crate) fn batch(n: usize) -> Vec<JobBuilder> {
    let job = work();
    (0..n).map(|_| JobBuilder::new(&job)).collect()
}

pub(crate) fn fill(backlog: &Backlog, jobs: usize) {
    for _ in 0..jobs.div_ceil(1_000) {
        backlog.enqueue_all(batch(1_000)).expect("the disk has room");
    }
}

/// The floor: `bytes` written and synced with `fdatasync`, one after the other, into a file filled before.
pub(crate) struct Floor {
    file: File,
    at: u64,
}

const FLOOR_BYTES: u64 = 64 << 20;

impl Floor {
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join("floor");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("floor file");
        let zeros = vec![0_u8; 1 << 20];
        for piece in 0..FLOOR_BYTES >> 20 {
            file.write_all_at(&zeros, piece << 20).expect("floor fill");
        }
        file.sync_all().expect("floor sync");
        Self { file, at: 0 }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() as u64 > FLOOR_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at).expect("floor write");
        self.file.sync_data().expect("floor sync");
        self.at += bytes.len() as u64;
    }

    /// Appends per second of `bytes` each, over about `for_at_least`.
    pub(crate) fn rate(&mut self, bytes: &[u8], for_at_least: Duration) -> f64 {
        let started = Instant::now();
        let mut n = 0_u32;
        while started.elapsed() < for_at_least {
            self.append(bytes);
            n += 1;
        }
        f64::from(n) / started.elapsed().as_secs_f64()
    }
}

/// Jobs per second that `threads` enqueue one by one, each waiting for its own, over about `for_at_least`.
pub(crate) fn enqueue_rate(backlog: &Backlog, threads: usize, for_at_least: Duration) -> f64 {
    let started = Instant::now();
    let jobs: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let job = work();
                    let mut jobs = 0;
                    while started.elapsed() < for_at_least {
                        backlog.enqueue(&job).expect("enqueue");
                        jobs += 1;
                    }
                    jobs
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    jobs as f64 / started.elapsed().as_secs_f64()
}

/// Jobs per second in batches of 1,000, over about `for_at_least`.
pub(crate) fn batch_rate(backlog: &Backlog, for_at_least: Duration) -> f64 {
    let job = work();
    let batch: Vec<&Work> = (0..1_000).map(|_| &job).collect();
    let started = Instant::now();
    let mut jobs = 0_u32;
    while started.elapsed() < for_at_least {
        backlog.enqueue_many(batch.iter().copied()).expect("enqueue_many");
        jobs += 1_000;
    }
    f64::from(jobs) / started.elapsed().as_secs_f64()
}
