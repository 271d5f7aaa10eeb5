//! Accepts jobs and sets cells in one frame, if cells still stand as their caller read them.
//!
//! # Invariants
//! * The cells are compared under the lock that stages the frame: of two callers who read the same, one writes.
//! * A cell is compared by its place, which no other record ever has: its value may be too long to stay in memory.
//!   Compaction moves it too; then its caller looks again, as rule 9 has it.
//!
//! Never here: what a cell means.

use crate::error::Result;
use crate::ids::Place;

use super::Core;
use super::commit::Ticket;
use super::enqueue::{Beside, Enqueued, Prepared};
use super::look::Source;
use super::settings::Durability;
use super::settle::CellSet;
use super::state::State;

/// A cell as it was read.
#[derive(Debug, Clone)]
pub(crate) struct SeenCell {
    pub(crate) namespace: u8,
    pub(crate) key: Vec<u8>,
    /// `None`: there was none.
    pub(crate) value: Option<Vec<u8>>,
    place: Option<Place>,
}

impl Core {
    /// Reads a cell, to write only if it still stands so.
    pub(crate) fn see_cell(&self, namespace: u8, key: &[u8]) -> Result<SeenCell> {
        loop {
            let place = || self.state.lock().books.index.cell_place(namespace, key);
            let before = place();
            let value = self.cell_value(namespace, key)?.map(|(value, _)| value);
            // What was set in between may be the value, and not stand at this place.
            if place() == before {
                return Ok(SeenCell { namespace, key: key.to_vec(), value, place: before });
            }
        }
    }

    /// Keys of one namespace that begin with `prefix`, in order.
    pub(crate) fn cell_keys_of(&self, namespace: u8, prefix: &[u8]) -> Vec<Vec<u8>> {
        let state = self.state.lock();
        let keys = state.books.index.cells(namespace).map(|(key, _)| key);
        keys.filter(|key| key.starts_with(prefix)).map(<[u8]>::to_vec).collect()
    }

    /// Accepts jobs and sets cells in one frame: all or nothing. `None`: one of the cells in `seen` does not stand as
    /// it was read, and nothing happened.
    pub(crate) fn accept_with(
        &self,
        jobs: Vec<Prepared>,
        cells: &[CellSet],
        seen: &[SeenCell],
        level: Durability,
    ) -> Result<Option<(Vec<Enqueued>, Ticket)>> {
        let stands = |state: &State| {
            let place_of = |cell: &SeenCell| state.books.index.cell_place(cell.namespace, &cell.key);
            seen.iter().all(|cell| place_of(cell) == cell.place) || planted!(CellsNotCompared)
        };
        self.accept_beside(jobs, &Beside { cells, stands: Some(&stands), ..Beside::default() }, level)
    }
}
