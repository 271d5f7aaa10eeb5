//! Enqueueing for a while, and what many turns of it say together.

use std::time::{Duration, Instant};

use backlog::{Backlog, Enqueued};

use super::jobs::{BATCH, Work, raw_job};

/// Jobs per second that `threads` enqueue one by one, each waiting for its own, over about `spell`.
pub(crate) fn enqueue_rate(backlog: &Backlog, works: &[Work], threads: usize, spell: Duration) -> backlog::Result<f64> {
    let started = Instant::now();
    let jobs = std::thread::scope(|scope| {
        let enqueue = || {
            let mut jobs = 0_u32;
            for work in works.iter().cycle().take_while(|_| started.elapsed() < spell) {
                backlog.enqueue(work)?;
                jobs += 1;
            }
            Ok(jobs)
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(enqueue)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<backlog::Result<u32>>()
    })?;
    Ok(f64::from(jobs) / started.elapsed().as_secs_f64())
}

/// Batches of one turn: as many as fill a segment of the log, so that every turn pays for a new one.
const BATCHES: u32 = 140;

/// Jobs per second of one thread in batches, the making of their JSON counted.
pub(crate) fn enqueue_batch_rate(backlog: &Backlog, works: &[Work]) -> backlog::Result<f64> {
    batch_rate(|| backlog.enqueue_many(works))
}

/// The same where the bytes of the args are there already; copying them counts.
pub(crate) fn enqueue_raw_batch_rate(backlog: &Backlog, args: &[Vec<u8>]) -> backlog::Result<f64> {
    batch_rate(|| backlog.enqueue_all(args.iter().map(|args| raw_job(args))))
}

fn batch_rate(commit: impl Fn() -> backlog::Result<Vec<Enqueued>>) -> backlog::Result<f64> {
    let started = Instant::now();
    for _ in 0..BATCHES {
        commit()?;
    }
    Ok(f64::from(BATCHES) * BATCH as f64 / started.elapsed().as_secs_f64())
}

/// The middle one; of an even number the upper of the two. NaN of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 50)
}

/// The value that `percent` of a hundred do not exceed. NaN of nothing.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
