//! Damage met while serving: the job is put aside as dead, with file and offset (rule 15).
//!
//! # Invariants
//! * The damaged range is noted in a cell, in the frame that buries the job, so its segment is kept for a person
//!   when its turn to be removed comes.

use crate::error::{Error, Result};
use crate::ids::{JobId, Token};
use crate::job::{Cause, CellRecord, Envelope, Record, Removes, State as JobState, encode_job, namespace};
use crate::log::Class;

use super::Core;
use super::books::Filed;
use super::staging::{Entry, Try, entries_len};

/// The kind of a job whose record could not be read.
pub(crate) const KIND_DAMAGED: &str = "(damaged)";

impl Core {
    /// Buries a job in flight whose record cannot be read. Its args stay where they are, in the noted segment.
    pub(super) fn put_aside(&self, id: JobId, token: Token, damage: &Error) -> Result<()> {
        let now = self.clock.now_ms();
        self.attempt(|state| {
            let Some(entry) = state.books.index.get(id) else { return Ok(Try::Done(())) };
            let Some(flight) = state.books.index.in_flight(id).filter(|flight| flight.token == token) else {
                return Ok(Try::Done(()));
            };
            let mut envelope = Envelope::new(KIND_DAMAGED, now);
            state.books.index.lane_name(flight.lane).clone_into(&mut envelope.queue);
            envelope.priority = flight.priority;
            envelope.state = JobState::Dead { at: now };
            envelope.reason = Some(damage.to_string());
            let removes = Removes::InFlight;
            let key = [entry.place.lsn.0.to_be_bytes(), u64::from(entry.place.len).to_be_bytes()].concat();
            let text = damage.to_string();
            let cell = CellRecord {
                namespace: namespace::DAMAGE,
                key: &key,
                value: Some(text.as_bytes()),
                until: None,
                carried: false,
            };
            let entries = [
                Entry::job(id.0, encode_job(&envelope, Cause::Changed, Some(&removes), &[])),
                Entry::new(0, &Record::Cell(cell.clone())),
            ];
            if !self.make_room(state, entries_len(&entries), Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            let mut places = Vec::with_capacity(entries.len());
            self.put(state, 0, &entries, |_, place| places.push(place));
            if let [job, note] = *places.as_slice() {
                state.forget_lease(id);
                self.pass_turn(state, id);
                let filed = Filed::of(Cause::Changed, Some(&removes), &envelope);
                state.books.job(id, job, &filed).inspect_err(|e| self.log.poison(e))?;
                self.file_cell(state, &cell, note)?;
            }
            Ok(Try::Done(()))
        })
    }
}
