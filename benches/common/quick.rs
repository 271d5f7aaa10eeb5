//! How the benches run: seconds, not minutes; on the disk that the target folder lies on.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::{Duration, Instant};

use backlog::Backlog;
use criterion::Criterion;
use tempfile::TempDir;

pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Not in the system's temporary folder, which may be memory.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable")
}

pub(crate) fn open(dir: &TempDir) -> Backlog {
    Backlog::open(dir.path().join("jobs")).expect("a fresh directory opens")
}

/// How long `threads` take to call `verb` `n` times together.
pub(crate) fn together<T>(threads: u64, n: u64, verb: impl Fn() -> T + Sync) -> Duration {
    let each = n.div_ceil(threads);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| drop(verb())));
        }
    });
    started.elapsed().mul_f64(n as f64 / (each * threads) as f64)
}
