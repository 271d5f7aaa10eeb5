//! How much of a queue may run at a time and start in a time: the settings, and the arithmetic of a token bucket.
//!
//! A bucket is one number, the moment at which it will be full again (the "theoretical arrival time" of the generic
//! cell rate algorithm, ITU-T I.371): each start moves it on by one interval, and there is a token as long as it is not
//! further ahead than the bucket is deep. It is a cell, set in the frame of the grant that took the tokens.
//!
//! # Invariants
//! * A clock that goes back refills nothing and empties nothing: the number never stands further ahead than an empty
//!   bucket (rule 16).
//! * What runs is counted by the index, so a crash leaves no slot taken.
//!
//! Never here: who is granted (`claim`), which lanes there are (`lines`).

use std::time::Duration;

use crate::error::{Error, Result};

/// How much of a queue may run at a time and start in a time; given to [`Backlog::limit`](crate::Backlog::limit).
///
/// A key is what a job gave with [`JobBuilder::limit_key`](crate::JobBuilder::limit_key): a tenant, a provider. Limits by
/// key hold for each key on its own; jobs without a key know only the limits of the queue.
///
/// ```
/// # use backlog::{Backlog, Job, Limits};
/// # use std::time::Duration;
/// # #[derive(serde::Serialize)] struct Charge { sale: u64 }
/// # impl Job for Charge { const KIND: &'static str = "charge"; const QUEUE: &'static str = "billing"; }
/// # let dir = tempfile::tempdir()?;
/// let backlog = Backlog::open(dir.path().join("jobs"))?;
/// // Eight charges at a time, two for each provider, and each provider is asked a hundred times a second.
/// let limits = Limits::new().concurrency(8).key_concurrency(2).key_rate(100, Duration::from_secs(1));
/// backlog.limit("billing", limits)?;
/// backlog.job(&Charge { sale: 7 }).limit_key("acme").enqueue()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "does nothing until it is given to a queue"]
pub struct Limits {
    pub(super) concurrency: Option<u32>,
    pub(super) rate: Option<Rate>,
    pub(super) key_concurrency: Option<u32>,
    pub(super) key_rate: Option<Rate>,
}

impl Limits {
    /// No limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Jobs of the queue that run at a time; at least 1. Default: no limit.
    pub fn concurrency(mut self, jobs: u32) -> Self {
        self.concurrency = Some(jobs);
        self
    }

    /// Jobs of the queue that start in this time: a token bucket that holds `jobs` tokens and gets them back evenly over
    /// `per`. So twice as many may start in an unlucky span, and never more than `jobs` at once. Above zero, both. Default:
    /// no limit.
    pub fn rate(mut self, jobs: u32, per: Duration) -> Self {
        self.rate = Some(Rate { jobs, per });
        self
    }

    /// Jobs of one key that run at a time; at least 1. Default: no limit.
    pub fn key_concurrency(mut self, jobs: u32) -> Self {
        self.key_concurrency = Some(jobs);
        self
    }

    /// Jobs of one key that start in this time, as [`rate`](Self::rate). Default: no limit.
    pub fn key_rate(mut self, jobs: u32, per: Duration) -> Self {
        self.key_rate = Some(Rate { jobs, per });
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, jobs) in [("concurrency", self.concurrency), ("key_concurrency", self.key_concurrency)] {
            if jobs == Some(0) {
                return Err(Error::invalid(format!(
                    "{name}=0 would let nothing run; give at least 1, or pause the queue"
                )));
            }
        }
        for (name, rate) in [("rate", self.rate), ("key_rate", self.key_rate)] {
            if rate.is_some_and(|rate| rate.jobs == 0 || rate.interval() == 0) {
                return Err(Error::invalid(format!(
                    "{name}={rate:?} is out of range; give at least 1 job, and at least 1 ns for each"
                )));
            }
        }
        Ok(())
    }
}

/// Tokens and the time in which all of them come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    jobs: u32,
    per: Duration,
}

impl Rate {
    /// The time in which one token comes back, ns.
    fn interval(self) -> u64 {
        let each = self.per.as_nanos() / u128::from(self.jobs.max(1));
        u64::try_from(each).unwrap_or(u64::MAX)
    }

    fn depth(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.jobs))
    }

    /// From when on the bucket counts as full, as it stands at `now`.
    fn stands(self, full_at: Option<u64>, now: u64) -> u64 {
        let empty = now.saturating_add(self.depth());
        full_at.unwrap_or(now).clamp(now, planted!(BucketTrustsTheClock, u64::MAX, empty))
    }

    /// Tokens that are there.
    pub(super) fn tokens(self, full_at: Option<u64>, now: u64) -> usize {
        let missing = self.stands(full_at, now) - now;
        let left = self.depth().saturating_sub(missing) / self.interval().max(1);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// What the cell says when so many were taken.
    pub(super) fn taken(self, full_at: Option<u64>, now: u64, tokens: usize) -> u64 {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        self.stands(full_at, now).saturating_add(self.interval().saturating_mul(tokens))
    }

    /// When the next token is there.
    pub(super) fn next_at(self, full_at: Option<u64>, now: u64) -> u64 {
        self.stands(full_at, now).saturating_add(self.interval()).saturating_sub(self.depth())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_one_token_an_interval() {
        let rate = Rate { jobs: 4, per: Duration::from_secs(2) };
        let start = 50 * SECOND;
        assert_eq!(rate.tokens(None, start), 4);
        let full_at = Some(rate.taken(None, start, 4));
        assert_eq!(rate.tokens(full_at, start), 0);
        let next = rate.next_at(full_at, start);
        assert_eq!(next, start + SECOND / 2);
        assert_eq!((rate.tokens(full_at, next - 1), rate.tokens(full_at, next)), (0, 1));
        assert_eq!(rate.tokens(full_at, start + 100 * SECOND), 4, "it never holds more");
    }

    #[test]
    fn rule_16_a_clock_that_goes_back_by_a_year_costs_an_empty_bucket_at_most() {
        let rate = Rate { jobs: 4, per: Duration::from_secs(2) };
        let year = 365 * 24 * 3_600 * SECOND;
        let full_at = Some(rate.taken(None, 2 * year, 1));
        let back = year;
        assert_eq!(rate.tokens(full_at, back), 0);
        assert_eq!(rate.next_at(full_at, back), back + SECOND / 2);
    }
}
