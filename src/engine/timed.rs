//! A service of the floors above that acts when the clock says so, under upkeep's timer.
//!
//! # Invariants
//! * One instant: when the service wants its next turn (rule 18). It is asked each time upkeep goes to sleep.
//! * Whoever gives it an earlier one rings upkeep, always: it may be on its way to bed.

use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Result;
use crate::ids::Millis;

use super::Core;

/// What acts when the clock says so. Its state lies in cells; here it is asked, never told.
pub(crate) trait Timed: Send + Sync {
    /// Does what is due; gives how many jobs came of it. Nothing due: costs next to nothing.
    fn turn(&self, core: &Core) -> Result<u64>;
    /// When something is due next; `None`: not before it rings.
    fn next(&self) -> Option<Millis>;
}

impl Core {
    /// Gives turns to `service` as long as the handle lives. The first one given stays.
    pub(crate) fn keep_time(&self, service: Arc<dyn Timed>) {
        self.timed.get_or_init(|| service);
    }

    /// The service's turn.
    pub(crate) fn turn_timed(&self) -> Result<u64> {
        self.timed.get().map_or(Ok(0), |service| service.turn(self))
    }

    pub(super) fn timed_next(&self) -> Option<Millis> {
        self.timed.get()?.next()
    }

    /// The clock this handle goes by.
    pub(crate) fn clock(&self) -> &(dyn Clock + 'static) {
        &*self.clock
    }
}
