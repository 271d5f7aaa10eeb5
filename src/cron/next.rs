//! Which moment an entry fires at next, across the days on which clocks change. Pure.
//!
//! # Invariants
//! * Hours that are named (`30 2 * * *`): once for each local time. One that does not exist fires at the moment the
//!   clocks go forward; one that exists twice fires the first time.
//! * Hours that are counted (the field begins with `*`): at every moment whose local time fits. What does not exist
//!   does not fire, what exists twice fires twice; so `*/15 * * * *` fires every 15 minutes on every day.
//! * Both ways `next(t) > t`, and nothing between the two fires.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::times::{Local, Times};
use crate::ids::Millis;

/// No two firings of cron text are nearer.
const MINUTE_MS: u64 = 60_000;

impl Times {
    /// The first firing after a moment. `None`: there is none before the year 5000.
    pub(crate) fn next(&self, after: Millis) -> Option<Millis> {
        match self {
            Self::Every { period_ms } => after.0.checked_add(*period_ms).map(Millis),
            Self::Cron(local) => {
                let after = Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
                let next = if planted!(HoursAlwaysNamed, false, local.counts_hours) {
                    local.next_counted(after)
                } else {
                    local.next_named(after)
                };
                u64::try_from(next?.as_millisecond()).ok().map(Millis)
            }
        }
    }

    /// Firings after `from` and up to `now`: the newest ones, at most `most`, in order. For a period they are counted
    /// from `from`.
    pub(crate) fn due(&self, from: Millis, now: Millis, most: usize) -> VecDeque<Millis> {
        match self {
            Self::Every { period_ms } => {
                let passed = now.0.saturating_sub(from.0) / period_ms;
                let first = passed.saturating_sub(most as u64);
                (first..passed).map(|nth| Millis(from.0.saturating_add((nth + 1).saturating_mul(*period_ms)))).collect()
            }
            Self::Cron(_) => {
                // Looks back a little at first: in years of downtime a minute's entry has millions of them.
                let mut back = MINUTE_MS.saturating_mul(most as u64);
                loop {
                    let start = from.max(Millis(now.0.saturating_sub(back)));
                    let mut found = VecDeque::new();
                    let mut next = self.next(start);
                    while let Some(at) = next.filter(|at| *at <= now) {
                        if found.len() == most {
                            found.pop_front();
                        }
                        found.push_back(at);
                        next = self.next(at);
                    }
                    if found.len() == most || start == from {
                        return found;
                    }
                    back = back.saturating_mul(2);
                }
            }
        }
    }

    /// How long one period is, as it stands after a moment.
    pub(crate) fn period_ms(&self, after: Millis) -> Option<u64> {
        let next = self.next(after)?;
        Some(self.next(next)?.0.saturating_sub(next.0))
    }
}

impl Local {
    fn next_named(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.zone.to_datetime(after);
        loop {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let at = first_moment_of(&self.zone, civil)?;
            // In the second run of an hour the times of the first have passed.
            if at > after {
                return Some(at);
            }
        }
    }

    /// Goes through the stretches of time in which the clocks do not change.
    fn next_counted(&self, after: Timestamp) -> Option<Timestamp> {
        let mut offset = self.zone.to_offset(after);
        let mut change = self.zone.following(after).next();
        let (mut from, mut inclusive) = (offset.to_datetime(after), false);
        loop {
            let civil = self.cron.find_next_occurrence(&from, inclusive).ok()?;
            let at = offset.to_timestamp(civil).ok()?;
            match change {
                Some(changed) if at >= changed.timestamp() => {
                    offset = changed.offset();
                    (from, inclusive) = (offset.to_datetime(changed.timestamp()), true);
                    change = self.zone.following(changed.timestamp()).next();
                }
                _ => return Some(at),
            }
        }
    }
}

/// The first moment at which clocks show this time, or at which they have passed it.
fn first_moment_of(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(civil).ok()
        }
        AmbiguousOffset::Gap { before, .. } => {
            // By the old offset: not before the change, less than the gap behind it.
            let behind = before.to_timestamp(civil).ok()?;
            let by_a_second = behind.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
            zone.preceding(by_a_second).next().map(|change| change.timestamp())
        }
    }
}
