//! The numbers and words every floor shares: newtypes for each number that is not a count.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A job's number: increasing from call to call, never reused, with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|_| Error::invalid(format!("not a job id: {text:?}; job ids are whole numbers")))
    }
}

/// A group's number: drawn at random, below 2⁵³, so that JSON keeps it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for GroupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse()
            .map(Self)
            .map_err(|_| Error::invalid(format!("not a group id: {text:?}; group ids are whole numbers")))
    }
}

/// The number of an audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditId(pub u64);

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A byte position in the log: segment base + offset. Zero is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Lsn(pub(crate) u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A segment's number; the first is 1. Its base is `id × segment_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub(crate) u64);

/// Where a record lies: its first byte and its length, header included, padding not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) lsn: Lsn,
    pub(crate) len: u32,
}

/// The fencing token of a lease: which opening of the directory gave it, and its number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) epoch: u64,
    pub(crate) counter: u64,
}

/// Milliseconds since 1970 on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    /// Times before 1970 count as 1970, times beyond the range as its end.
    pub(crate) fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The first whole millisecond that is not before `time`: what must wait for it is not early.
    pub(crate) fn not_before(time: SystemTime) -> Self {
        let floor = Self::from_system(time);
        let is_whole = floor.to_system() >= time || planted!(MomentsRoundedDown);
        if is_whole { floor } else { Self(floor.0.saturating_add(1)) }
    }

    pub(crate) fn to_system(self) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.0)).unwrap_or(UNIX_EPOCH)
    }

    /// Rounded up to the next whole millisecond, so nothing is ever early.
    pub(crate) fn after(self, delay: Duration) -> Self {
        let ms = delay.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

/// The states a live job stands in. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Durable, but not claimable until confirmed or discarded.
    Held,
    /// Waits for its `run_at`.
    Scheduled,
    /// Waits for a worker.
    Ready,
    /// Claimed; somebody holds its lease.
    InFlight,
    /// Out of attempts, buried, or damaged; kept for a person to look at.
    Dead,
    /// Its kind or its args are unknown here; comes back when a handler appears.
    Parked,
}

impl Phase {
    /// All of them, in the order of their stored numbers.
    pub const ALL: [Phase; 6] =
        [Phase::Held, Phase::Scheduled, Phase::Ready, Phase::InFlight, Phase::Dead, Phase::Parked];

    /// The stored number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Phase::Held => 1,
            Phase::Scheduled => 2,
            Phase::Ready => 3,
            Phase::InFlight => 4,
            Phase::Dead => 5,
            Phase::Parked => 6,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.code() == code)
    }

    /// The word for it, as the docs and the JSON use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Held => "held",
            Phase::Scheduled => "scheduled",
            Phase::Ready => "ready",
            Phase::InFlight => "in_flight",
            Phase::Dead => "dead",
            Phase::Parked => "parked",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_between_two_milliseconds_is_not_reached_by_the_first() {
        let at = |micros| Millis::not_before(UNIX_EPOCH + Duration::from_micros(micros)).0;
        assert_eq!([at(0), at(1), at(999), at(1_000), at(1_001)], [0, 1, 1, 1, 2]);
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40) + Duration::from_nanos(1);
        assert!(Millis::not_before(far).to_system() >= far);
        assert_eq!(Millis::not_before(UNIX_EPOCH - Duration::from_nanos(1)).0, 0);
    }
}
