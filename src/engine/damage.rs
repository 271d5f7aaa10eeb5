//! Damage met while serving: the job is put aside as dead, with file and offset, and service goes on (rule 15).
//!
//! # Invariants
//! * What cannot be read is noted in a cell, in the frame that buries the job. A replay may pass over a record whose
//!   body is damaged if and only if a note names its place: what stood there is superseded by the frame of the note.
//! * A segment that a note names is not recycled: when its turn to go comes it is renamed, for a person to look at.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Phase, Place, Token};
use crate::index::{Index, Key};
use crate::job::{
    Cause, CellRecord, Envelope, Record, Removes, Scope, State as JobState, Step, Unique, encode_job, namespace,
};
use crate::log::{Class, Raw};

use super::Core;
use super::books::Filed;
use super::groups::{self, Members};
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// The kind of a job whose record could not be read.
pub(crate) const KIND_DAMAGED: &str = "(damaged)";
/// A read the disk refused is tried this often before the place counts as damaged.
pub(super) const READ_TRIES: usize = 3;

/// The key of the note about a place; of length 0: about the segment it lies in.
pub(super) fn note_key(place: Place) -> Vec<u8> {
    [place.lsn.0.to_be_bytes(), u64::from(place.len).to_be_bytes()].concat()
}

/// Whether a note names exactly this place.
pub(super) fn is_noted(index: &Index, place: Place) -> bool {
    planted!(UnnotedHolePassed) || index.cell_place(namespace::DAMAGE, &note_key(place)).is_some()
}

fn note<'a>(key: &'a [u8], what: &'a str) -> CellRecord<'a> {
    CellRecord { namespace: namespace::DAMAGE, key, value: Some(what.as_bytes()), until: None, carried: false }
}

impl Core {
    /// Reads a record; what the disk refuses is tried again.
    pub(super) fn read_patiently(&self, place: Place, id: u64) -> Result<Raw> {
        let mut read = self.log.read(place, id);
        for _ in 1..READ_TRIES {
            match &read {
                Err(refused) if refused.kind() == ErrorKind::Io => read = self.log.read(place, id),
                _ => break,
            }
        }
        read
    }

    /// Buries a job in flight under this token whose record cannot be read.
    pub(super) fn put_aside(&self, id: JobId, token: Token, damage: &Error) -> Result<()> {
        self.bury_damaged(id, damage, |state| state.books.index.in_flight(id).is_some_and(|it| it.token == token))
    }

    /// Buries a job of any state whose record at `place` cannot be read. A job that somebody runs right now is left
    /// alone.
    pub(super) fn put_aside_at(&self, id: JobId, place: Place, damage: &Error) -> Result<()> {
        self.bury_damaged(id, damage, |state| {
            !state.leases.contains_key(&id) && state.books.index.get(id).is_some_and(|entry| entry.place == place)
        })
    }

    /// Its args stay where they are, in the noted segment.
    fn bury_damaged(&self, id: JobId, damage: &Error, still: impl Fn(&State) -> bool) -> Result<()> {
        let now = self.clock.now_ms();
        self.attempt(|state| {
            let index = &state.books.index;
            let (Some(entry), Some(key), true) = (index.get(id), index.key_of(id), still(state)) else {
                return Ok(Try::Done(()));
            };
            let lane = index.lane_name(key.lane());
            let mut envelope = Envelope::new(KIND_DAMAGED, now);
            let (queue, limit_key) = lane.split_once('\0').map_or((lane, None), |(queue, key)| (queue, Some(key)));
            queue.clone_into(&mut envelope.queue);
            envelope.limit_key = limit_key.map(str::to_owned);
            envelope.priority = priority_of(&key);
            envelope.state = JobState::Dead { at: now };
            envelope.reason = Some(damage.to_string());
            // The key itself is lost; that it is free again must be said.
            envelope.unique = index.unique_of(id).filter(|_| !planted!(DamagedKeepsItsKey)).map(|hash| Unique {
                hash,
                key: KIND_DAMAGED.to_owned(),
                scope: Scope::Live,
            });
            envelope.group = Members::of(index).group_of(id).filter(|_| !planted!(DamagedMemberNotCounted));
            let removes = removes_of(&key, lane);
            let step = (entry.phase != Phase::Dead).then_some(Step::Died);
            let (key, text) = (note_key(entry.place), damage.to_string());
            let cell = note(&key, &text);
            let entries = [
                Entry::job(id.0, encode_job(&envelope, Cause::Changed, Some(&removes), &[])),
                Entry::new(0, &Record::Cell(cell.clone())),
            ];
            let bytes = entries_len(&entries) + groups::room_of(state, id, envelope.group);
            if !self.make_room(state, bytes, Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            Self::note_member(state, id, envelope.group, step);
            let company = self.company(state, &[], &[]);
            let mut places = Vec::with_capacity(entries.len());
            self.put_refs(state, 0, entries.iter().chain(company.entries()), |_, place| places.push(place));
            if let [job, note, beside @ ..] = places.as_slice() {
                let (job, note) = (*job, *note);
                state.forget_lease(id);
                state.watchers.ended(id);
                self.pass_turn(state, id);
                let filed = Filed::of(Cause::Changed, Some(&removes), &envelope);
                state.books.job(id, job, &filed).inspect_err(|e| self.log.poison(e))?;
                self.file_cell(state, &cell, note)?;
                self.file_company(state, &company, beside.iter().copied())?;
            }
            Ok(Try::Done(()))
        })
    }

    /// A cell whose value cannot be read is given up; the note says where it stood.
    pub(super) fn clear_damaged_cell(&self, space: u8, key: &[u8], place: Place, damage: &Error) -> Result<()> {
        self.attempt(|state| {
            if state.books.index.cell_place(space, key) != Some(place) {
                return Ok(Try::Done(()));
            }
            let (note_key, text) = (note_key(place), damage.to_string());
            let cells = [
                CellRecord { namespace: space, key, value: None, until: None, carried: false },
                note(&note_key, &text),
            ];
            self.stage_cells(state, &cells)
        })
    }

    /// Notes that something in a segment cannot be read: it will be kept for a person.
    pub(super) fn note_segment(&self, start: Lsn, damage: &Error) -> Result<()> {
        let (key, text) = (note_key(Place { lsn: start, len: 0 }), damage.to_string());
        self.attempt(|state| self.stage_cells(state, &[note(&key, &text)]))
    }

    fn stage_cells(&self, state: &mut State, cells: &[CellRecord<'_>]) -> Result<Try<()>> {
        let entries: Vec<Entry> = cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.clone()))).collect();
        if !self.make_room(state, entries_len(&entries), Class::Carrying) {
            return Ok(Try::NoRoom(Class::Carrying));
        }
        let mut places = Vec::with_capacity(entries.len());
        self.put(state, 0, &entries, |_, place| places.push(place));
        for (cell, place) in cells.iter().zip(places) {
            self.file_cell(state, cell, place)?;
        }
        Ok(Try::Done(()))
    }

    /// Whether a note names something between these positions.
    pub(super) fn has_notes(&self, from: Lsn, to: Lsn) -> bool {
        let state = self.state.lock();
        let mut notes = state.books.index.cells(namespace::DAMAGE).filter_map(|(key, _)| key.first_chunk::<8>());
        notes.any(|lsn| (from.0..to.0).contains(&u64::from_be_bytes(*lsn)))
    }
}

fn priority_of(key: &Key) -> i16 {
    match *key {
        Key::Scheduled { priority, .. } | Key::Ready { priority, .. } | Key::InFlight { priority, .. } => priority,
        Key::Held { .. } | Key::Dead { .. } | Key::Parked { .. } => 0,
    }
}

fn removes_of(key: &Key, lane: &str) -> Removes {
    let queue = lane.to_owned();
    match *key {
        Key::Held { .. } => Removes::Held { queue },
        Key::Scheduled { run_at, priority, .. } => Removes::Scheduled { run_at, queue, priority },
        Key::Ready { priority, .. } => Removes::Ready { queue, priority },
        Key::InFlight { .. } => Removes::InFlight,
        Key::Dead { at, .. } => Removes::Dead { at, queue },
        Key::Parked { at, .. } => Removes::Parked { at, queue },
    }
}
