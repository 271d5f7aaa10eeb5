//! The next jobs that a bulk verb meets, read outside the lock.
//!
//! # Invariants
//! * Bounded by jobs and by bytes, whatever is read: one record more than the bytes at most.
//!
//! Never here: what is done to them (`super::chunk`).

use crate::engine::Core;
use crate::engine::manage::Seen;
use crate::engine::sealed;
use crate::engine::state::State;
use crate::error::Result;
use crate::ids::{JobId, Phase};
use crate::index::{Entry, Index};
use crate::job::{BulkRun, namespace};

/// Jobs of one frame.
pub(super) const CHUNK_JOBS_MAX: usize = 1_000;
/// Record bytes of one frame; less in a small segment.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Entries of the index looked at under one hold of the lock.
const LOOKED_AT: usize = 4_096;

/// What was met, by id.
pub(in crate::engine) struct Found {
    /// Those that match, and those of which nobody can say.
    pub(super) jobs: Vec<(JobId, Result<Seen>)>,
    /// Ids up to it were looked at.
    pub(super) through: u64,
    pub(super) at_end: bool,
    /// The first one that was left for the next round.
    pub(super) spared: Option<u64>,
}

/// What the index offers.
struct Offered {
    ids: Vec<JobId>,
    bytes: usize,
    through: u64,
    at_end: bool,
    spared: Option<u64>,
}

impl Core {
    pub(super) fn chunk_bytes_max(&self) -> usize {
        CHUNK_BYTES_MAX.min(self.scaled.batch_bytes_max / 8)
    }

    /// The next matching jobs behind `run.through`, as many as one frame takes.
    pub(in crate::engine) fn next_matching(&self, run: &BulkRun) -> Result<Found> {
        let bytes_max = self.chunk_bytes_max();
        let mut found = Found { jobs: Vec::new(), through: run.through, at_end: false, spared: None };
        let mut bytes = 0;
        while !found.at_end && found.jobs.len() < CHUNK_JOBS_MAX && bytes < bytes_max {
            let (jobs, left) = (CHUNK_JOBS_MAX - found.jobs.len(), bytes_max - bytes);
            let offered = offer(&self.state.lock(), run, found.through, jobs, left);
            let before = found.jobs.len();
            found.spared = found.spared.into_iter().chain(offered.spared).min();
            for (id, seen) in self.see_many(&offered.ids)? {
                match self.is_meant(run, id, &seen) {
                    Some(true) => found.jobs.push((id, seen)),
                    Some(false) => {}
                    None => found.spared = found.spared.into_iter().chain([id.0]).min(),
                }
            }
            if found.jobs.len() > before {
                // Those that do not match are gone from memory, but their neighbours are counted with them.
                bytes += offered.bytes;
            }
            found.through = offered.through;
            found.at_end = offered.at_end;
        }
        Ok(found)
    }

    /// Whether the job is one to be met in this round, or cannot be read. `None`: in the next round.
    pub(super) fn is_meant(&self, run: &BulkRun, id: JobId, seen: &Result<Seen>) -> Option<bool> {
        let Ok(seen) = seen else { return Some(true) };
        let spared = run.spares_running() && seen.envelope.state.phase() == Phase::InFlight;
        match run.criteria.fits(&seen.envelope, &|| sealed::texts(id, &seen.envelope, self.keys())) {
            true if spared => None,
            fits => Some(fits),
        }
    }
}

/// Live jobs behind `through` that the index does not rule out.
fn offer(state: &State, run: &BulkRun, through: u64, jobs_max: usize, bytes_max: usize) -> Offered {
    let mut offered = Offered { ids: Vec::new(), bytes: 0, through, at_end: true, spared: None };
    let ceiling = planted!(BulkHasNoCeiling, u64::MAX, run.ceiling);
    let from = through.saturating_add(1).max(run.criteria.first.unwrap_or(0));
    for (looked, (id, entry)) in standing(&state.books.index, run.criteria.group, from).enumerate() {
        if id.0 >= ceiling || run.criteria.is_behind(id.0) {
            break;
        }
        if looked >= LOOKED_AT || offered.ids.len() >= jobs_max || offered.bytes >= bytes_max {
            offered.at_end = false;
            break;
        }
        offered.through = id.0;
        if run.criteria.phase.is_some_and(|phase| phase != entry.phase) {
            continue;
        }
        if run.spares_running() && entry.phase == Phase::InFlight {
            offered.spared = offered.spared.or(Some(id.0));
        } else {
            offered.ids.push(id);
            offered.bytes = offered.bytes.saturating_add(entry.place.len as usize);
        }
    }
    offered
}

/// Live jobs from an id on; of a group, those alone that were accepted as its members.
fn standing(index: &Index, group: Option<u64>, from: u64) -> Box<dyn Iterator<Item = (JobId, Entry)> + '_> {
    let Some(group) = group else { return Box::new(index.jobs_from(JobId(from))) };
    let keys = index.cell_keys_beginning(namespace::GROUP, &group.to_be_bytes()).into_iter();
    let runs = keys.filter_map(move |key| {
        let first = u64::from_be_bytes(key.get(8..)?.try_into().ok()?);
        let last = index.cell(namespace::GROUP, &key)?.value?.try_into().ok()?;
        Some((first, u64::from_be_bytes(last)))
    });
    let behind = runs.filter(move |(_, last)| *last >= from);
    Box::new(
        behind.flat_map(move |(first, last)| {
            index.jobs_from(JobId(first.max(from))).take_while(move |(id, _)| id.0 <= last)
        }),
    )
}
