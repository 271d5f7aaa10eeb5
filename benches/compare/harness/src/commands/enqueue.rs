//! The commands that only put jobs in.

use std::io::Write;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::payload::{Maker, Work};
use crate::{Options, Peer, Producer};

/// Threads that fill a peer which takes one job at a time.
const FILLERS: usize = 64;

/// `threads` enqueue, each waiting for its own jobs: until the spell is over, or so many jobs are in.
pub(super) fn enqueue(options: &Options, peer: &dyn Peer) -> Value {
    let maker = Maker::new(options.first, options.bytes);
    let ready = Barrier::new(options.threads + 1);
    let (spells, seconds) = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| {
                let share = options.jobs.map(|jobs| share(jobs, options.threads, thread));
                let (maker, ready) = (&maker, &ready);
                scope.spawn(move || Spell::run(peer, maker, options, share, ready))
            })
            .collect();
        ready.wait();
        let started = Instant::now();
        let spells: Vec<Spell> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        (spells, started.elapsed().as_secs_f64())
    });
    let jobs: u64 = spells.iter().map(|spell| spell.jobs).sum();
    let mut calls: Vec<Duration> = spells.into_iter().flat_map(|spell| spell.calls).collect();
    calls.sort_unstable();
    json!({
        "jobs": jobs, "seconds": seconds, "per_second": jobs as f64 / seconds,
        "call_p50_us": percentile(&calls, 50), "call_p99_us": percentile(&calls, 99),
    })
}

/// So many jobs, in the fastest durable way the peer has.
pub(super) fn fill(options: &Options, peer: &dyn Peer) -> Value {
    let (threads, batch) = if peer.batches() { (1, 1_000) } else { (FILLERS, 1) };
    enqueue(&Options { threads, batch, ..options.clone() }, peer)
}

/// Enqueues for ever and prints each id once it was accepted; the runner ends it with SIGKILL.
pub(super) fn accept(options: &Options, peer: &dyn Peer) -> Value {
    let maker = Maker::new(options.first, options.bytes);
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                let mut producer = peer.producer();
                loop {
                    let job = maker.make();
                    producer.one(&job);
                    writeln!(std::io::stdout(), "{}", job.id).expect("the runner reads");
                }
            });
        }
    });
    unreachable!("its threads never end")
}

/// What one thread did.
struct Spell {
    jobs: u64,
    calls: Vec<Duration>,
}

impl Spell {
    fn run(peer: &dyn Peer, maker: &Maker, options: &Options, share: Option<u64>, ready: &Barrier) -> Self {
        let mut producer = peer.producer();
        // Connecting is no part of enqueuing.
        ready.wait();
        let started = Instant::now();
        let mut spell = Self { jobs: 0, calls: Vec::new() };
        while share.map_or(started.elapsed() < options.spell(), |share| spell.jobs < share) {
            let batch = share.map_or(options.batch as u64, |share| (share - spell.jobs).min(options.batch as u64));
            let jobs: Vec<Work> = (0..batch).map(|_| maker.make()).collect();
            let called = Instant::now();
            give(&mut *producer, &jobs);
            spell.calls.push(called.elapsed());
            spell.jobs += batch;
        }
        spell
    }
}

pub(super) fn give(producer: &mut dyn Producer, jobs: &[Work]) {
    match jobs {
        [job] => producer.one(job),
        jobs => producer.many(jobs),
    }
}

fn share(jobs: u64, threads: usize, thread: usize) -> u64 {
    let (threads, thread) = (threads as u64, thread as u64);
    jobs / threads + u64::from(thread < jobs % threads)
}

fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let at = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    Some(sorted[at].as_secs_f64() * 1e6)
}
