//! Counts what still lives in each segment, apart from the index (rule 3).
//!
//! # Invariants
//! * Fed by the same records as the index, but from their own places: a hole in one shows against the other.
//! * A segment that was removed is not counted any more; a place before the first counted one is a mistake.

use std::collections::BTreeMap;

use crate::ids::{Place, SegmentId};

/// What lives in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Living {
    /// Jobs and cells whose newest record lies there, count.
    pub(crate) records: u64,
    /// Their records, padding included, bytes.
    pub(crate) bytes: u64,
}

/// Living records per segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    segment_bytes: u64,
    segments: BTreeMap<SegmentId, Living>,
    bytes: u64,
}

impl Ledger {
    pub(crate) fn new(segment_bytes: u32) -> Self {
        Self { segment_bytes: u64::from(segment_bytes), segments: BTreeMap::new(), bytes: 0 }
    }

    /// A record became the newest of its job or cell.
    pub(crate) fn add(&mut self, place: Place) {
        let padded = padded(place);
        let segment = self.segment_of(place);
        let living = self.segments.entry(segment).or_default();
        living.records += 1;
        living.bytes += padded;
        self.bytes += padded;
    }

    /// A record is not the newest any more. `false`: nothing was counted there, the books disagree.
    #[must_use]
    pub(crate) fn drop(&mut self, place: Place) -> bool {
        let padded = padded(place);
        let segment = self.segment_of(place);
        let Some(living) = self.segments.get_mut(&segment) else { return false };
        let (Some(records), Some(bytes)) = (living.records.checked_sub(1), living.bytes.checked_sub(padded)) else {
            return false;
        };
        (living.records, living.bytes) = (records, bytes);
        self.bytes = self.bytes.saturating_sub(padded);
        if records == 0 {
            self.segments.remove(&segment);
        }
        true
    }

    pub(crate) fn living(&self, segment: SegmentId) -> Living {
        self.segments.get(&segment).copied().unwrap_or_default()
    }

    /// All living records, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All living records, count.
    pub(crate) fn records(&self) -> u64 {
        self.segments.values().map(|living| living.records).sum()
    }

    fn segment_of(&self, place: Place) -> SegmentId {
        SegmentId(place.lsn.0 / self.segment_bytes)
    }

    /// As numbers, for the checkpoint.
    pub(crate) fn to_words(&self) -> Vec<u64> {
        let mut words = vec![self.segment_bytes];
        for (segment, living) in &self.segments {
            words.extend([segment.0, living.records, living.bytes]);
        }
        words
    }

    /// Reads what [`to_words`](Self::to_words) wrote; `None` if it cannot be that.
    pub(crate) fn from_words(words: &[u64], segment_bytes: u32) -> Option<Self> {
        let (first, rest) = words.split_first()?;
        let mut ledger = Self::new(segment_bytes);
        if *first != ledger.segment_bytes || rest.len() % 3 != 0 {
            return None;
        }
        for chunk in rest.chunks_exact(3) {
            let &[segment, records, bytes] = chunk else { return None };
            ledger.segments.insert(SegmentId(segment), Living { records, bytes });
            ledger.bytes = ledger.bytes.checked_add(bytes)?;
        }
        Some(ledger)
    }
}

fn padded(place: Place) -> u64 {
    u64::from(place.len).next_multiple_of(8)
}
