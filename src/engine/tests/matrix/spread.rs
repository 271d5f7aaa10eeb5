//! Many cases on all processors, counted by what came of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::testing::effort::{budget, counted};

/// The allowed results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Reported,
    Identical,
    TailDropped,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) reported: u64,
    pub(super) identical: u64,
    pub(super) dropped: u64,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reported => self.reported += 1,
            Outcome::Identical => self.identical += 1,
            Outcome::TailDropped => self.dropped += 1,
        }
    }

    pub(super) fn all(&self) -> u64 {
        self.reported + self.identical + self.dropped
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            reported: self.reported + other.reported,
            identical: self.identical + other.identical,
            dropped: self.dropped + other.dropped,
        }
    }

    pub(super) fn tell(&self, what: &str) {
        counted(what, self.all());
        println!("  {what}: {self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reported={} identical={} tail dropped={}", self.reported, self.identical, self.dropped)
    }
}

/// One in so many: `BACKLOG_MATRIX_STEP`, or by the effort asked for.
pub(super) fn stride(quick: u64, full: u64) -> usize {
    budget("BACKLOG_MATRIX_STEP", quick, full) as usize
}

fn only() -> Option<u64> {
    std::env::var("BACKLOG_MATRIX_ONLY").ok()?.parse().ok()
}

/// Judges the cases, each by its number.
pub(super) fn spread(
    name: &str,
    cases: impl Iterator<Item = u64>,
    judge: impl Fn(u64) -> Result<Outcome, String> + Sync,
) -> Tally {
    let cases: Vec<u64> = only().map_or_else(|| cases.collect(), |only| vec![only]);
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed) as usize;
            let Some(case) = cases.get(at).copied() else { return tally };
            let replay = format!("{name}: BACKLOG_MATRIX_ONLY={case}");
            match catch_unwind(AssertUnwindSafe(|| judge(case))) {
                Ok(Ok(outcome)) => tally.add(outcome),
                Ok(Err(why)) => panic!("{replay}: {why}"),
                Err(_) => panic!("{replay}: panicked"),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let tallies = handles.into_iter().map(|handle| handle.join().expect("a case failed; its line stands above"));
        tallies.fold(Tally::default(), Tally::and)
    })
}
