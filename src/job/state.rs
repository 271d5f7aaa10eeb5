//! Where a live job stands.

use crate::ids::{Millis, Phase, Token};

/// A live job's state, with what belongs to it alone. A job that ended has no state: it has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Durable, not claimable until confirmed.
    Held,
    /// Becomes ready at `run_at`.
    Scheduled { run_at: Millis },
    /// Claimable.
    Ready,
    /// Under the lease `token` since `since`.
    InFlight { token: Token, since: Millis },
    /// Kept for a person since `at`.
    Dead { at: Millis },
    /// Waits for a handler, a key or a newer release since `at`.
    Parked { at: Millis },
}

impl State {
    /// The state without what belongs to it.
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Held => Phase::Held,
            Self::Scheduled { .. } => Phase::Scheduled,
            Self::Ready => Phase::Ready,
            Self::InFlight { .. } => Phase::InFlight,
            Self::Dead { .. } => Phase::Dead,
            Self::Parked { .. } => Phase::Parked,
        }
    }
}
