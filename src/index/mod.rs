//! Ordered lookup of live jobs: which job is next, which is due, where its newest record lies.
//!
//! [`Index`] is resident: sorted packed leaves in RAM, cut by key range. [`Keeper`] saves it between runs, so that
//! an open need not read the whole log; the saved form is derived, disposable and never believed unchecked.
//!
//! # Invariants
//! * Nothing here decides what happens to a job: the engine says which key goes and which comes, and a key that
//!   is not where it should be is a [`Mismatch`], never repaired in silence.
//! * A saved index is loaded whole and verified whole, or refused; there is no partly loaded index.
//!
//! Never here: log records, positions of segments, what a queue or a cell means, the clock.

mod delta;
mod folder;
mod keeper;
mod keys;
mod memory;
mod packed;
mod reading;
mod resident;
mod saving;
mod seal;
mod sled;
mod store;
mod trees;
mod trust;
mod varint;
mod versions;

pub(crate) use delta::{Meta, Snapshot};
pub(crate) use keeper::{Keeper, Patience};
#[cfg(test)]
pub(crate) use keys::{Cell, InFlight};
pub(crate) use keys::{Entry, Key, LaneId, Mismatch, Pick};
#[cfg(test)]
pub(crate) use memory::Lie;
pub(crate) use memory::MemoryHandle;
pub(crate) use resident::Index;
pub(crate) use trust::{Verdict, trust};

#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
