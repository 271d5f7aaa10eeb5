//! When a failed job is tried again: a pure function of the failures so far and one random draw.

use std::time::Duration;

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Backoff {
    /// `n⁴ + 15 + rand(30) × (n + 1)` seconds after the failure that n failures preceded: 25 attempts span about three
    /// weeks. The default.
    #[default]
    Default,
    /// Always the same wait. Whole milliseconds are kept, rounded up.
    Fixed {
        /// The wait.
        delay: Duration,
    },
    /// `base × 2ⁿ`, at most `cap`. Whole milliseconds are kept, rounded up.
    Exponential {
        /// The wait after the first failure.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
}

impl Backoff {
    /// The wait after a failure that `failures` others preceded; `jitter` is any random number. Never overflows.
    // The default curve is Sidekiq's: its sidekiq_retry_in used rand(30) * (count + 1) + count ** 4 + 15 seconds,
    // count from 0 (Sidekiq wiki, "Error Handling").
    pub(crate) fn delay(&self, failures: u32, jitter: u64) -> Duration {
        match *self {
            Self::Default => {
                let n = u64::from(planted!(BackoffOneTooFar, failures + 1, failures));
                let spread = (jitter % 30).saturating_mul(n + 1);
                Duration::from_secs(n.saturating_pow(4).saturating_add(15).saturating_add(spread))
            }
            Self::Fixed { delay } => delay,
            Self::Exponential { base, cap } => {
                let factor = 2_u32.saturating_pow(failures);
                base.saturating_mul(factor).min(planted!(BackoffCapIgnored, Duration::MAX, cap))
            }
        }
    }
}
