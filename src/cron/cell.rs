//! What an entry leaves on disk: the cell that every firing sets, in the frame of its job.
//!
//! ```text
//! key:   name of the set | NUL | name of the entry
//! value: version 1 u8 | from u64 | last u64, all ones: none | times as text      numbers big-endian, ms after 1970
//! ```
//!
//! # Invariants
//! * `from` is the moment up to which the entry has fired, or was not there: its next firing is the next of its times
//!   after that.

use crate::engine::CellSet;
use crate::ids::Millis;
use crate::job::namespace;

const VERSION: u8 = 1;
const NEVER: u64 = u64::MAX;

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) from: Millis,
    /// Its last firing that made a job.
    pub(super) last: Option<Millis>,
    /// Its times as text.
    pub(super) times: String,
}

impl Fired {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let last = self.last.map_or(NEVER, |last| last.0);
        [&[VERSION][..], &self.from.0.to_be_bytes(), &last.to_be_bytes(), self.times.as_bytes()].concat()
    }

    /// `None`: of a version that is not known here.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (from, rest) = rest.split_first_chunk()?;
        let (last, times) = rest.split_first_chunk()?;
        let last = u64::from_be_bytes(*last);
        Some(Self {
            from: Millis(u64::from_be_bytes(*from)),
            last: (last != NEVER).then_some(Millis(last)),
            times: std::str::from_utf8(times).ok()?.to_owned(),
        })
    }

    pub(super) fn set(&self, key: &[u8]) -> CellSet {
        CellSet { namespace: namespace::CRON, key: key.to_vec(), value: Some(self.to_bytes()), until: None }
    }
}

/// Names hold no control characters, so no two pairs of them make the same key.
pub(super) fn key(set: &str, entry: &str) -> Vec<u8> {
    [set.as_bytes(), &[0], entry.as_bytes()].concat()
}

/// What the keys of a set's entries begin with.
pub(super) fn prefix(set: &str) -> Vec<u8> {
    key(set, "")
}

/// The names of set and entry.
pub(super) fn names(key: &[u8]) -> Option<(String, String)> {
    let at = key.iter().position(|byte| *byte == 0)?;
    let (set, entry) = (key.get(..at)?, key.get(at + 1..)?);
    Some((String::from_utf8_lossy(set).into_owned(), String::from_utf8_lossy(entry).into_owned()))
}
