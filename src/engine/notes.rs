//! What a running job keeps beside itself: values of its steps, where it stands, how far it is.
//!
//! # Invariants
//! * Only the token that was granted last may write (P5).
//! * Cells whose key begins with a job's id go with its end, in the books' own replay of that end.

use crate::error::Result;
use crate::ids::Place;
use crate::job::Record;
use crate::log::Class;

use super::Core;
use super::claim::Grant;
use super::commit::Ticket;
use super::settings::Durability;
use super::settle::{CellSet, check_cells, held};
use super::staging::{Entry, Try, entries_len};

impl Core {
    /// Sets cells in one frame, for a job in flight. `None`: the lease is stale, nothing happened.
    pub(crate) fn note(&self, grant: &Grant, cells: &[CellSet], level: Durability) -> Result<Option<Ticket>> {
        let cells = &*self.seal_cells(grant, cells)?;
        check_cells(cells)?;
        let entries: Vec<Entry> = cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.record()))).collect();
        let bytes = entries_len(&entries);
        self.check_frame(bytes)?;
        self.attempt(|state| {
            if held(state, grant.id, grant.token).is_none() {
                return Ok(Try::Done(None));
            }
            if !self.make_room(state, bytes, Class::Ordinary) {
                return Ok(Try::NoRoom(Class::Ordinary));
            }
            let mut places: Vec<Place> = Vec::with_capacity(entries.len());
            let end = self.put(state, 0, &entries, |_, place| places.push(place));
            for (cell, place) in cells.iter().zip(places) {
                self.file_cell(state, &cell.record(), place)?;
            }
            Ok(Try::Done(Some(Ticket { lsn: end, level })))
        })
    }
}
