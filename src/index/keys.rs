//! The words the engine and the index speak: where a job stands, and what stands there.

use std::fmt;

use crate::ids::{JobId, Millis, Phase, Place, Token};

/// An interned lane: a queue, or a queue and a limit key. Local to one index and saved with it; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneId(pub(crate) u32);

/// Where a job stands beside its entry in `jobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Held { lane: LaneId },
    Scheduled { run_at: Millis, lane: LaneId, priority: i16 },
    Ready { lane: LaneId, priority: i16 },
    InFlight { token: Token, lane: LaneId, priority: i16 },
    Dead { at: Millis, lane: LaneId },
    Parked { at: Millis, lane: LaneId },
}

impl Key {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Key::Held { .. } => Phase::Held,
            Key::Scheduled { .. } => Phase::Scheduled,
            Key::Ready { .. } => Phase::Ready,
            Key::InFlight { .. } => Phase::InFlight,
            Key::Dead { .. } => Phase::Dead,
            Key::Parked { .. } => Phase::Parked,
        }
    }

    pub(crate) fn lane(&self) -> LaneId {
        match *self {
            Key::Held { lane }
            | Key::Scheduled { lane, .. }
            | Key::Ready { lane, .. }
            | Key::InFlight { lane, .. }
            | Key::Dead { lane, .. }
            | Key::Parked { lane, .. } => lane,
        }
    }
}

/// What `jobs` knows of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its newest record.
    pub(crate) place: Place,
    pub(crate) phase: Phase,
    /// Not for batch claims: it crashed before, or stands at its last attempt.
    pub(crate) careful: bool,
}

/// A ready job, as [`pick_ready`](super::Index::pick_ready) offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) id: JobId,
    pub(crate) priority: i16,
    pub(crate) place: Place,
    pub(crate) careful: bool,
}

/// The lease of a job in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) token: Token,
    pub(crate) lane: LaneId,
    pub(crate) priority: i16,
}

/// A cell: its newest record, its value if small enough to be resident, and until when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    pub(crate) place: Place,
    /// `None`: longer than [`super::Index::RESIDENT_BYTES_MAX`], read it from the log.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) until: Option<Millis>,
}

/// The index does not stand as the caller says. The call that returned it changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) id: JobId,
    pub(crate) what: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index disagrees with the log: job={}: {}", self.id, self.what)
    }
}
