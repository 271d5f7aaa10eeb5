//! The index in RAM: every change of a job, in all the trees it touches.
//!
//! # Invariants
//! * A job stands in `jobs` with its phase, and in exactly the tree of that phase: `held`, `scheduled`, `ready`,
//!   `in_flight`, or `dead` (dead and parked).
//! * A lane's count of a phase is the number of such jobs.
//! * A call that answers [`Mismatch`] changed nothing.

use super::keys::{InFlight, Key, LaneId, Mismatch};
use super::packed::Packed;
use super::trees::cells::Cells;
use super::trees::flights::Flights;
use super::trees::jobs::{Jobs, Slot};
use super::trees::lanes::Lanes;
use super::trees::runs::{self, Runs};
use super::trees::timed::{Timed, Waiting};
use super::trees::uniques::Uniques;
use crate::ids::{JobId, Millis, Phase, Place, Token};

/// Jobs promoted between two looks at the front of `scheduled`.
const PROMOTED_AT_A_TIME: usize = 1 << 13;

/// Ordered lookup of live jobs.
#[derive(Debug)]
pub(crate) struct Index {
    pub(super) jobs: Packed<Jobs>,
    pub(super) ready: Packed<Runs>,
    pub(super) scheduled: Packed<Timed>,
    pub(super) held: Packed<Timed>,
    pub(super) flying: Packed<Flights>,
    pub(super) dead: Packed<Timed>,
    pub(super) unique: Packed<Uniques>,
    pub(super) cells: Cells,
    pub(super) lanes: Lanes,
    /// The next freeze is whole: no store has seen this index yet.
    pub(super) unsaved: bool,
}

impl Index {
    /// Values of cells up to this length stay in RAM, bytes.
    pub(crate) const RESIDENT_BYTES_MAX: usize = 256;

    pub(crate) fn new() -> Self {
        Self::with_leaves(usize::MAX)
    }

    /// Leaves of at most `leaf_max` entries: tests make them small.
    pub(crate) fn with_leaves(leaf_max: usize) -> Self {
        Self {
            jobs: Packed::new(leaf_max),
            ready: Packed::new(leaf_max),
            scheduled: Packed::new(leaf_max),
            held: Packed::new(leaf_max),
            flying: Packed::new(leaf_max),
            dead: Packed::new(leaf_max),
            unique: Packed::new(leaf_max),
            cells: Cells::default(),
            lanes: Lanes::default(),
            unsaved: true,
        }
    }

    /// The number of a lane, given to it now if it is new.
    pub(crate) fn lane(&mut self, name: &str) -> LaneId {
        self.lanes.intern(name)
    }

    /// Lanes with a limit key in which something has changed since the last call; on an index that was just loaded, all
    /// may have.
    pub(crate) fn take_touched(&mut self) -> Vec<LaneId> {
        self.lanes.take_touched()
    }

    /// `Mismatch` if the job is there already.
    pub(crate) fn insert(&mut self, id: JobId, place: Place, careful: bool, key: Key) -> Result<(), Mismatch> {
        self.check_lane(id, key.lane())?;
        if !self.jobs.insert(id.0, Slot::new(place, key.phase(), careful)) {
            return Err(Mismatch { id, what: "the job is there already" });
        }
        if !self.enter(id, key) {
            self.jobs.remove(id.0);
            return Err(Mismatch { id, what: "the job's new key is there already" });
        }
        Ok(())
    }

    /// A newer record moves the job from one key to another; gives the old place.
    pub(crate) fn replace(
        &mut self,
        id: JobId,
        place: Place,
        careful: bool,
        old: &Key,
        new: Key,
    ) -> Result<Place, Mismatch> {
        self.check_lane(id, new.lane())?;
        let was = self.swap_slot(id, old.phase(), |slot| *slot = Slot::new(place, new.phase(), careful))?;
        if let Err(mismatch) = self.shift(id, old, new) {
            self.jobs.update(id.0, |slot| *slot = was);
            return Err(mismatch);
        }
        Ok(was.place())
    }

    /// Carried: only the place changes; gives the old one.
    pub(crate) fn relocate(&mut self, id: JobId, place: Place) -> Option<Place> {
        self.jobs.update(id.0, |slot| {
            let old = slot.place();
            slot.set_place(place);
            old
        })
    }

    /// The job ended; gives its place.
    pub(crate) fn remove(&mut self, id: JobId, old: &Key) -> Result<Place, Mismatch> {
        let phase = old.phase();
        let Some(was) = self.jobs.remove_if(id.0, |slot| slot.is(phase)) else {
            return Err(self.not_standing(id));
        };
        if !self.leave(id, old) {
            self.jobs.insert(id.0, was);
            return Err(Mismatch { id, what: "the key to remove is not there" });
        }
        Ok(was.place())
    }

    /// Ready → in flight; the place stays.
    pub(crate) fn claim(&mut self, id: JobId, lane: LaneId, priority: i16, token: Token) -> Result<(), Mismatch> {
        let was = self.swap_slot(id, Phase::Ready, |slot| slot.set_phase(Phase::InFlight))?;
        let (old, new) = (Key::Ready { lane, priority }, Key::InFlight { token, lane, priority });
        self.shift(id, &old, new).inspect_err(|_| {
            self.jobs.update(id.0, |slot| *slot = was);
        })
    }

    /// Scheduled → ready for every key up to `through`; the places stay.
    pub(crate) fn promote(&mut self, through: (Millis, JobId), mut moved: impl FnMut(LaneId, JobId)) {
        let mut due = Vec::new();
        loop {
            due.clear();
            self.scheduled.drain_through((through.0.0, through.1.0), PROMOTED_AT_A_TIME, &mut due);
            if due.is_empty() {
                return;
            }
            // By id, so that neighbours in `jobs` and `ready` are met together.
            due.sort_unstable_by_key(|entry| entry.0.1);
            for &((_, id), Waiting { lane, extra }) in &due {
                self.jobs.update(id, |slot| slot.set_phase(Phase::Ready));
                self.ready.insert_id(lane, runs::rank(extra.cast_signed()), id);
                self.lanes.sub(LaneId(lane), Phase::Scheduled);
                self.lanes.add(LaneId(lane), Phase::Ready);
                moved(LaneId(lane), JobId(id));
            }
        }
    }

    pub(crate) fn set_unique(&mut self, hash: u128, id: JobId) {
        if !self.unique.insert(hash, id.0) {
            self.unique.update(hash, |held| *held = id.0);
        }
    }

    /// Only if it still points at `id`.
    pub(crate) fn clear_unique(&mut self, hash: u128, id: JobId) {
        self.unique.remove_if(hash, |held| *held == id.0);
    }

    /// `None` clears the cell. Gives the old place.
    pub(crate) fn set_cell(
        &mut self,
        ns: u8,
        key: &[u8],
        value: Option<&[u8]>,
        until: Option<Millis>,
        place: Place,
    ) -> Option<Place> {
        match value {
            Some(value) => {
                let resident = Some(value).filter(|value| value.len() <= Self::RESIDENT_BYTES_MAX);
                self.cells.set(ns, key, resident, until, place)
            }
            None => self.cells.remove(ns, key),
        }
    }

    /// Takes away what belongs to a job: cells of these namespaces whose key begins with its id. Gives their places.
    pub(crate) fn take_cells_of(&mut self, namespaces: &[u8], id: JobId) -> Vec<Place> {
        let mut places = Vec::new();
        for &ns in namespaces {
            for key in self.cells.beginning(ns, &id.0.to_be_bytes()) {
                places.extend(self.cells.remove(ns, &key));
            }
        }
        places
    }

    /// Carried: only the place changes; gives the old one.
    pub(crate) fn relocate_cell(&mut self, ns: u8, key: &[u8], place: Place) -> Option<Place> {
        self.cells.relocate(ns, key, place)
    }

    fn check_lane(&self, id: JobId, lane: LaneId) -> Result<(), Mismatch> {
        if self.lanes.knows(lane) { Ok(()) } else { Err(Mismatch { id, what: "the lane is not of this index" }) }
    }

    fn not_standing(&self, id: JobId) -> Mismatch {
        let what = if self.jobs.get(id.0).is_some() { "the job stands in another phase" } else { "no such job" };
        Mismatch { id, what }
    }

    /// Changes the slot of a job that stands in `phase`; gives the slot as it was.
    fn swap_slot(&mut self, id: JobId, phase: Phase, change: impl FnOnce(&mut Slot)) -> Result<Slot, Mismatch> {
        let was = self.jobs.update(id.0, |slot| {
            slot.is(phase).then(|| {
                let was = *slot;
                change(slot);
                was
            })
        });
        was.flatten().ok_or_else(|| self.not_standing(id))
    }

    fn shift(&mut self, id: JobId, old: &Key, new: Key) -> Result<(), Mismatch> {
        if !self.leave(id, old) {
            return Err(Mismatch { id, what: "the key to remove is not there" });
        }
        if !self.enter(id, new) {
            self.enter(id, *old);
            return Err(Mismatch { id, what: "the job's new key is there already" });
        }
        Ok(())
    }

    /// Puts the job under its key and counts it; false if the key is taken.
    fn enter(&mut self, id: JobId, key: Key) -> bool {
        let entered = match key {
            Key::Held { lane } => self.held.insert((0, id.0), Waiting { lane: lane.0, extra: 0 }),
            Key::Scheduled { run_at, lane, priority } => {
                self.scheduled.insert((run_at.0, id.0), Waiting { lane: lane.0, extra: priority.cast_unsigned() })
            }
            Key::Ready { lane, priority } => self.ready.insert_id(lane.0, runs::rank(priority), id.0),
            Key::InFlight { token, lane, priority } => self.flying.insert(id.0, InFlight { token, lane, priority }),
            Key::Dead { at, lane } | Key::Parked { at, lane } => {
                self.dead.insert((at.0, id.0), Waiting { lane: lane.0, extra: u16::from(key.phase().code()) })
            }
        };
        if entered {
            self.lanes.add(key.lane(), key.phase());
        }
        entered
    }

    /// Takes the job from under its key; false if it is not exactly there.
    fn leave(&mut self, id: JobId, key: &Key) -> bool {
        let waiting = |lane: LaneId, extra| move |found: &Waiting| *found == Waiting { lane: lane.0, extra };
        let left = match *key {
            Key::Held { lane } => self.held.remove_if((0, id.0), waiting(lane, 0)).is_some(),
            Key::Scheduled { run_at, lane, priority } => {
                self.scheduled.remove_if((run_at.0, id.0), waiting(lane, priority.cast_unsigned())).is_some()
            }
            Key::Ready { lane, priority } => self.ready.remove_id(lane.0, runs::rank(priority), id.0),
            Key::InFlight { token, lane, priority } => {
                self.flying.remove_if(id.0, |found| *found == InFlight { token, lane, priority }).is_some()
            }
            Key::Dead { at, lane } | Key::Parked { at, lane } => {
                self.dead.remove_if((at.0, id.0), waiting(lane, u16::from(key.phase().code()))).is_some()
            }
        };
        if left {
            self.lanes.sub(key.lane(), key.phase());
        }
        left
    }
}
