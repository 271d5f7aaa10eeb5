//! The index in RAM.

use super::delta::{Delta, LoadError, Snapshot};
use super::keys::{Cell, Entry, InFlight, Key, LaneId, Mismatch, Pick};
use crate::ids::{JobId, Millis, Place, Token};

/// Ordered lookup of live jobs.
#[derive(Debug)]
pub(crate) struct Index;

#[allow(unused_variables, clippy::unused_self)]
impl Index {
    /// Values of cells up to this length stay in RAM, bytes.
    pub(crate) const RESIDENT_BYTES_MAX: usize = 256;

    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn lane(&mut self, name: &str) -> LaneId {
        unimplemented!()
    }
    pub(crate) fn find_lane(&self, name: &str) -> Option<LaneId> {
        unimplemented!()
    }
    /// The name, `""` for a lane that is not of this index.
    pub(crate) fn lane_name(&self, lane: LaneId) -> &str {
        unimplemented!()
    }
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (LaneId, &str)> {
        std::iter::empty()
    }
    /// `Mismatch` if the job is there already.
    pub(crate) fn insert(&mut self, id: JobId, place: Place, careful: bool, key: Key) -> Result<(), Mismatch> {
        unimplemented!()
    }
    /// Gives the old place.
    pub(crate) fn replace(
        &mut self,
        id: JobId,
        place: Place,
        careful: bool,
        old: &Key,
        new: Key,
    ) -> Result<Place, Mismatch> {
        unimplemented!()
    }
    pub(crate) fn relocate(&mut self, id: JobId, place: Place) -> Option<Place> {
        unimplemented!()
    }
    pub(crate) fn remove(&mut self, id: JobId, old: &Key) -> Result<Place, Mismatch> {
        unimplemented!()
    }
    pub(crate) fn claim(&mut self, id: JobId, lane: LaneId, priority: i16, token: Token) -> Result<(), Mismatch> {
        unimplemented!()
    }
    pub(crate) fn promote(&mut self, through: (Millis, JobId), moved: impl FnMut(LaneId, JobId)) {
        unimplemented!()
    }
    pub(crate) fn get(&self, id: JobId) -> Option<Entry> {
        unimplemented!()
    }
    pub(crate) fn first_id_at_or_after(&self, id: JobId) -> Option<JobId> {
        unimplemented!()
    }
    pub(crate) fn pick_ready(&self, lane: LaneId, n: usize, reached: &dyn Fn(JobId) -> bool) -> Vec<Pick> {
        unimplemented!()
    }
    pub(crate) fn first_scheduled(&self) -> Option<(Millis, JobId)> {
        unimplemented!()
    }
    pub(crate) fn due_key(&self, now: Millis, at_most: usize) -> Option<(Millis, JobId)> {
        unimplemented!()
    }
    pub(crate) fn in_flight(&self, id: JobId) -> Option<InFlight> {
        unimplemented!()
    }
    pub(crate) fn in_flight_all(&self) -> impl Iterator<Item = (JobId, InFlight)> {
        std::iter::empty()
    }
    pub(crate) fn unique(&self, hash: u128) -> Option<JobId> {
        unimplemented!()
    }
    pub(crate) fn set_unique(&mut self, hash: u128, id: JobId) {
        unimplemented!()
    }
    /// Only if it still points at `id`.
    pub(crate) fn clear_unique(&mut self, hash: u128, id: JobId) {
        unimplemented!()
    }
    /// Gives the old place.
    pub(crate) fn set_cell(
        &mut self,
        ns: u8,
        key: &[u8],
        value: Option<&[u8]>,
        until: Option<Millis>,
        place: Place,
    ) -> Option<Place> {
        unimplemented!()
    }
    pub(crate) fn cell(&self, ns: u8, key: &[u8]) -> Option<Cell<'_>> {
        unimplemented!()
    }
    pub(crate) fn cells(&self, ns: u8) -> impl Iterator<Item = (&[u8], Cell<'_>)> {
        std::iter::empty()
    }
    /// Every cell of every namespace, in order.
    pub(crate) fn all_cells(&self) -> impl Iterator<Item = (u8, &[u8], Cell<'_>)> {
        std::iter::empty()
    }
    pub(crate) fn cell_place(&self, ns: u8, key: &[u8]) -> Option<Place> {
        unimplemented!()
    }
    /// Carried: only the place changes.
    pub(crate) fn relocate_cell(&mut self, ns: u8, key: &[u8], place: Place) -> Option<Place> {
        unimplemented!()
    }
    /// Live jobs of a lane, in the order of [`crate::ids::Phase::ALL`].
    pub(crate) fn counts(&self, lane: LaneId) -> [u64; 6] {
        unimplemented!()
    }
    /// Live jobs of all lanes, in the order of [`crate::ids::Phase::ALL`].
    pub(crate) fn totals(&self) -> [u64; 6] {
        unimplemented!()
    }
    /// Live jobs.
    pub(crate) fn len(&self) -> u64 {
        unimplemented!()
    }
    pub(crate) fn jobs_from(&self, id: JobId) -> impl Iterator<Item = (JobId, Entry)> {
        std::iter::empty()
    }
    /// `(run_at, id, lane, priority)` in order, from a key on.
    pub(crate) fn scheduled_from(
        &self,
        from: (Millis, JobId),
    ) -> impl Iterator<Item = (Millis, JobId, LaneId, i16)> {
        std::iter::empty()
    }
    /// Dead and parked jobs by time: `(at, id, lane, phase)`, from a key on.
    pub(crate) fn dead_from(
        &self,
        from: (Millis, JobId),
    ) -> impl Iterator<Item = (Millis, JobId, LaneId, crate::ids::Phase)> {
        std::iter::empty()
    }
    /// Held jobs by id.
    pub(crate) fn held_from(&self, id: JobId) -> impl Iterator<Item = (JobId, LaneId)> {
        std::iter::empty()
    }
    /// Ready jobs of a lane, best first: `(priority, id)`.
    pub(crate) fn ready(&self, lane: LaneId) -> impl Iterator<Item = (i16, JobId)> {
        std::iter::empty()
    }
    /// Own estimate of the heap bytes held.
    pub(crate) fn ram_bytes(&self) -> usize {
        unimplemented!()
    }
    /// What changed since the last freeze. The first freeze of an index is whole.
    pub(crate) fn freeze(&mut self) -> Delta {
        unimplemented!()
    }
    /// Everything, for a store that asked for it.
    pub(crate) fn freeze_whole(&mut self) -> Delta {
        unimplemented!()
    }
    pub(crate) fn load(snapshot: Snapshot) -> Result<Self, LoadError> {
        unimplemented!()
    }
}
