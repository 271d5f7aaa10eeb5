//! Compaction of a segment that cannot be walked: the index says what lives in it, each record is read by itself.
//!
//! # Invariants
//! * Everything that can be read is carried; what cannot is put aside with a note, and the segment is kept.
//! * A disk that gives back nothing at all is out of order and convicts no record; then compaction waits for the next
//!   run.
//!
//! Never here: when a segment goes (`planner`).

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Place};
use crate::index::Index;
use crate::job::CellRecord;

use super::Core;
use super::compact::{Compactor, Load, Parcel, unpack};
use super::planner::{Live, View, Walk};

/// Bytes read before they are carried.
const CHUNK_BYTES: u64 = 1 << 20;

/// What the index says of one place.
enum Living {
    Job(JobId, Place),
    /// With the value, where the index holds it itself.
    Cell(u8, Vec<u8>, Place, Option<Load>),
}

impl Living {
    fn place(&self) -> Place {
        match self {
            Living::Job(_, place) | Living::Cell(_, _, place, _) => *place,
        }
    }
}

impl Core {
    /// Empties the oldest segment without walking it. `false`: a job of it runs whose record is lost; its end comes
    /// first.
    pub(super) fn salvage(&self, compactor: &mut Compactor, view: &View) -> Result<bool> {
        let from = self.log.first_frame(view.oldest);
        let living = living_between(&self.state.lock().books.index, from, view.oldest_end);
        if view.ledger == Live::default() {
            compactor.found_strays(living.len() as u64);
        } else {
            let lost = self.carry_readable(&living)?;
            let is_dead_disk = lost.len() == living.len() && lost.iter().all(|(_, why)| why.kind() == ErrorKind::Io);
            if let (true, Some((_, why))) = (is_dead_disk, lost.first()) {
                return Err(why.clone());
            }
            for (place, why) in lost.iter().filter(|_| !planted!(LostRecordsNotBuried)) {
                self.give_up(place, why)?;
            }
        }
        // A sector that did not read is mended by the next writing; other damage is kept for a person.
        if let Some(damage) = compactor.damage().filter(|damage| damage.kind() == ErrorKind::Corrupt) {
            self.note_segment(from, &damage)?;
        }
        let state = self.state.lock();
        let rest = living_between(&state.books.index, from, view.oldest_end);
        if !rest.is_empty() && view.ledger != Live::default() {
            return Ok(false);
        }
        compactor.walked(Walk::Complete { at: state.stage.tail(), strays: compactor.strays() }, view.oldest_end);
        Ok(true)
    }

    /// Carries what can be read; gives the rest.
    fn carry_readable<'a>(&self, living: &'a [Living]) -> Result<Vec<(&'a Living, Error)>> {
        let (mut lost, mut parcels, mut bytes) = (Vec::new(), Vec::new(), 0);
        for one in living {
            match self.load(one) {
                Ok(load) => {
                    bytes += u64::from(one.place().len);
                    parcels.push(Parcel { from: one.place(), load });
                }
                Err(why) if matches!(why.kind(), ErrorKind::Corrupt | ErrorKind::Io) => lost.push((one, why)),
                Err(other) => return Err(other),
            }
            if bytes >= CHUNK_BYTES {
                self.carry(std::mem::take(&mut parcels))?;
                bytes = 0;
            }
        }
        self.carry(parcels)?;
        Ok(lost)
    }

    fn load(&self, one: &Living) -> Result<Load> {
        let id = match one {
            Living::Cell(_, _, _, Some(held)) => return Ok(held.clone()),
            Living::Cell(..) => 0,
            Living::Job(id, _) => id.0,
        };
        let raw = self.read_patiently(one.place(), id)?;
        unpack(raw.kind, id, &raw.body).map_err(|what| self.log.damaged(one.place(), what))
    }

    fn give_up(&self, one: &Living, why: &Error) -> Result<()> {
        match one {
            Living::Job(id, place) => self.put_aside_at(*id, *place, why),
            Living::Cell(space, key, place, _) => self.clear_damaged_cell(*space, key, *place, why),
        }
    }
}

/// Every job and cell whose newest record lies there.
fn living_between(index: &Index, from: Lsn, to: Lsn) -> Vec<Living> {
    let inside = |place: Place| from <= place.lsn && place.lsn < to;
    let jobs = index.jobs_from(JobId(0)).filter(|(_, entry)| inside(entry.place));
    let cells = index.all_cells().filter(|(_, _, cell)| inside(cell.place));
    let held = |namespace: u8, key: &[u8], value: &[u8], until| {
        Load::of_cell(&CellRecord { namespace, key, value: Some(value), until, carried: true })
    };
    jobs.map(|(id, entry)| Living::Job(id, entry.place))
        .chain(cells.map(|(space, key, cell)| {
            Living::Cell(space, key.to_vec(), cell.place, cell.value.map(|value| held(space, key, value, cell.until)))
        }))
        .collect()
}
