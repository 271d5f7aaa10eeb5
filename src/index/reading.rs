//! Looking things up in the index; nothing here changes it.

use super::keys::{Cell, Entry, InFlight, Key, LaneId, Pick};
use super::packed::Iter;
use super::resident::Index;
use super::trees::jobs::{Jobs, Slot};
use super::trees::runs;
use crate::ids::{JobId, Millis, Phase, Place};

/// Entries stepped over before a lookup starts afresh elsewhere.
const STEPS_MAX: usize = 128;

fn entry(slot: Slot) -> Entry {
    Entry { place: slot.place(), phase: slot.phase(), careful: slot.careful() }
}

impl Index {
    /// The name, `""` for a lane that is not of this index.
    pub(crate) fn lane_name(&self, lane: LaneId) -> &str {
        self.lanes.name(lane).unwrap_or_default()
    }

    /// All lanes there ever were, in the order of their numbers.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (LaneId, &str)> {
        self.lanes.iter()
    }

    pub(crate) fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn get(&self, id: JobId) -> Option<Entry> {
        self.jobs.get(id.0).map(entry)
    }

    pub(crate) fn first_id_at_or_after(&self, id: JobId) -> Option<JobId> {
        self.jobs.iter_from(id.0).next().map(|(id, _)| JobId(id))
    }

    /// The best `n` ready jobs of a lane: priority high to low, then id. At the first id of a priority that is not
    /// `reached` the rest of that priority waits behind it.
    pub(crate) fn pick_ready(&self, lane: LaneId, n: usize, reached: &dyn Fn(JobId) -> bool) -> Vec<Pick> {
        let mut picks = Vec::new();
        let mut slots = Slots { index: self, iter: None, ahead: None };
        let mut from = Some((lane.0, 0, 0));
        while let Some(start) = from.take() {
            for ((run_lane, rank, first), len) in self.ready.iter_from(start) {
                if run_lane != lane.0 || picks.len() >= n {
                    return picks;
                }
                let ids = first..=first.saturating_add(len.saturating_sub(1));
                let open = ids.take(n - picks.len()).take_while(|id| reached(JobId(*id)));
                let before = picks.len();
                for id in open {
                    let Some(slot) = slots.find(id) else { continue };
                    let priority = runs::priority(rank);
                    picks.push(Pick { id: JobId(id), priority, place: slot.place(), careful: slot.careful() });
                }
                let whole = (picks.len() - before) as u64 == len;
                if !whole && picks.len() < n {
                    from = rank.checked_add(1).map(|rank| (lane.0, rank, 0));
                    break;
                }
            }
        }
        picks
    }

    /// The first key of `scheduled`: when the next job is due.
    pub(crate) fn first_scheduled(&self) -> Option<(Millis, JobId)> {
        self.scheduled.first().map(|((at, id), _)| (Millis(at), JobId(id)))
    }

    /// The key through which at most `at_most` due jobs lie; `None` if none is due.
    pub(crate) fn due_key(&self, now: Millis, at_most: usize) -> Option<(Millis, JobId)> {
        let due = self.scheduled.iter().take_while(|((at, _), _)| *at <= now.0);
        due.take(at_most).last().map(|((at, id), _)| (Millis(at), JobId(id)))
    }

    pub(crate) fn in_flight(&self, id: JobId) -> Option<InFlight> {
        self.flying.get(id.0)
    }

    /// By id.
    pub(crate) fn in_flight_all(&self) -> impl Iterator<Item = (JobId, InFlight)> {
        self.flying.iter().map(|(id, flight)| (JobId(id), flight))
    }

    pub(crate) fn unique(&self, hash: u128) -> Option<JobId> {
        self.unique.get(hash).map(JobId)
    }

    pub(crate) fn cell(&self, ns: u8, key: &[u8]) -> Option<Cell<'_>> {
        self.cells.get(ns, key)
    }

    pub(crate) fn cell_place(&self, ns: u8, key: &[u8]) -> Option<Place> {
        self.cells.get(ns, key).map(|cell| cell.place)
    }

    /// Cells of one namespace, by key.
    pub(crate) fn cells(&self, ns: u8) -> impl Iterator<Item = (&[u8], Cell<'_>)> {
        self.cells.of(ns)
    }

    /// How many there are of one namespace.
    pub(crate) fn cell_count(&self, ns: u8) -> u64 {
        self.cells.count_of(ns)
    }

    /// Keys of one namespace that begin so.
    pub(crate) fn cell_keys_beginning(&self, ns: u8, prefix: &[u8]) -> Vec<Box<[u8]>> {
        self.cells.beginning(ns, prefix)
    }

    /// Cells that count no longer at `now`: (namespace, key), the first ones first.
    pub(crate) fn cells_over(&self, now: Millis) -> impl Iterator<Item = (u8, &[u8])> {
        self.cells.over(now)
    }

    /// Every cell of every namespace, in order.
    pub(crate) fn all_cells(&self) -> impl Iterator<Item = (u8, &[u8], Cell<'_>)> {
        self.cells.all()
    }

    /// Live jobs of a lane, in the order of [`Phase::ALL`].
    pub(crate) fn counts(&self, lane: LaneId) -> [u64; 6] {
        self.lanes.counts(lane)
    }

    /// Live jobs of all lanes, in the order of [`Phase::ALL`].
    #[allow(dead_code, reason = "for listing, pruning and statistics")]
    pub(crate) fn totals(&self) -> [u64; 6] {
        self.lanes.totals()
    }

    /// Live jobs.
    pub(crate) fn len(&self) -> u64 {
        self.jobs.len()
    }

    pub(crate) fn jobs_from(&self, id: JobId) -> impl Iterator<Item = (JobId, Entry)> {
        self.jobs.iter_from(id.0).map(|(id, slot)| (JobId(id), entry(slot)))
    }

    /// `(run_at, id, lane, priority)` in order, from a key on.
    pub(crate) fn scheduled_from(&self, from: (Millis, JobId)) -> impl Iterator<Item = (Millis, JobId, LaneId, i16)> {
        let entries = self.scheduled.iter_from((from.0.0, from.1.0));
        entries.map(|((at, id), waiting)| (Millis(at), JobId(id), LaneId(waiting.lane), waiting.extra.cast_signed()))
    }

    /// Dead and parked jobs by time: `(at, id, lane, phase)`, from a key on.
    pub(crate) fn dead_from(&self, from: (Millis, JobId)) -> impl Iterator<Item = (Millis, JobId, LaneId, Phase)> {
        let parked = u16::from(Phase::Parked.code());
        self.dead.iter_from((from.0.0, from.1.0)).map(move |((at, id), waiting)| {
            let phase = if waiting.extra == parked { Phase::Parked } else { Phase::Dead };
            (Millis(at), JobId(id), LaneId(waiting.lane), phase)
        })
    }

    /// Held jobs by id.
    pub(crate) fn held_from(&self, id: JobId) -> impl Iterator<Item = (JobId, LaneId)> {
        self.held.iter_from((0, id.0)).map(|((_, id), waiting)| (JobId(id), LaneId(waiting.lane)))
    }

    /// Ready jobs of a lane, best first: `(priority, id)`.
    pub(crate) fn ready(&self, lane: LaneId) -> impl Iterator<Item = (i16, JobId)> {
        let runs = self.ready.iter_from((lane.0, 0, 0)).take_while(move |((of, _, _), _)| *of == lane.0);
        runs.flat_map(|((_, rank, first), len)| {
            (first..=first.saturating_add(len.saturating_sub(1))).map(move |id| (runs::priority(rank), JobId(id)))
        })
    }

    /// The first ready job of each priority of a lane, best priority first, and where its record lies.
    pub(crate) fn ready_heads(&self, lane: LaneId) -> impl Iterator<Item = (JobId, Place)> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let ((of, rank, first), _) = self.ready.iter_from((lane.0, from?, 0)).next()?;
            from = rank.checked_add(1);
            (of == lane.0).then_some(JobId(first))
        })
        .filter_map(|id| Some((id, self.get(id)?.place)))
    }

    /// Under which key a job stands beside its entry in `jobs`. Looks through whole trees: for rare repairs.
    pub(crate) fn key_of(&self, id: JobId) -> Option<Key> {
        let zero = (Millis(0), JobId(0));
        match self.get(id)?.phase {
            Phase::Held => {
                self.held_from(id).next().filter(|(held, _)| *held == id).map(|(_, lane)| Key::Held { lane })
            }
            Phase::Scheduled => {
                let (run_at, _, lane, priority) = self.scheduled_from(zero).find(|(_, other, ..)| *other == id)?;
                Some(Key::Scheduled { run_at, lane, priority })
            }
            Phase::Ready => self.lanes().find_map(|(lane, _)| {
                let (priority, _) = self.ready(lane).find(|(_, other)| *other == id)?;
                Some(Key::Ready { lane, priority })
            }),
            Phase::InFlight => {
                let InFlight { token, lane, priority } = self.in_flight(id)?;
                Some(Key::InFlight { token, lane, priority })
            }
            phase => {
                let (at, _, lane, _) = self.dead_from(zero).find(|(_, other, ..)| *other == id)?;
                Some(if phase == Phase::Dead { Key::Dead { at, lane } } else { Key::Parked { at, lane } })
            }
        }
    }

    /// The hash of the unique key that a job holds. Looks through the whole tree: for rare repairs.
    pub(crate) fn unique_of(&self, id: JobId) -> Option<u128> {
        self.unique.iter().find(|(_, holder)| *holder == id.0).map(|(hash, _)| hash)
    }

    /// Own estimate of the heap bytes held.
    #[allow(dead_code, reason = "for listing, pruning and statistics")]
    pub(crate) fn ram_bytes(&self) -> usize {
        self.jobs.ram_bytes()
            + self.ready.ram_bytes()
            + self.scheduled.ram_bytes()
            + self.held.ram_bytes()
            + self.flying.ram_bytes()
            + self.dead.ram_bytes()
            + self.unique.ram_bytes()
            + self.cells.ram_bytes()
            + self.lanes.ram_bytes()
    }
}

/// Lookups of rising ids in `jobs`: neighbours cost a step, not a search.
struct Slots<'a> {
    index: &'a Index,
    iter: Option<Iter<'a, Jobs>>,
    ahead: Option<(u64, Slot)>,
}

impl Slots<'_> {
    fn find(&mut self, id: u64) -> Option<Slot> {
        if self.ahead.is_none_or(|(ahead, _)| ahead > id) || !self.step_to(id) {
            let mut iter = self.index.jobs.iter_from(id);
            self.ahead = iter.next();
            self.iter = Some(iter);
        }
        self.ahead.filter(|(ahead, _)| *ahead == id).map(|(_, slot)| slot)
    }

    /// Steps on to the first entry at or behind `id`, if it is near.
    fn step_to(&mut self, id: u64) -> bool {
        let Some(iter) = &mut self.iter else { return false };
        for _ in 0..STEPS_MAX {
            if self.ahead.is_none_or(|(ahead, _)| ahead >= id) {
                return self.ahead.is_some();
            }
            self.ahead = iter.next();
        }
        false
    }
}
