//! Everything that can be read out of a directory, byte for byte.

use std::collections::BTreeMap;

use crate::engine::{Core, Counts, Source};
use crate::error::Error;
use crate::ids::{JobId, Millis, Phase};
use crate::job::{Envelope, namespace};

/// What is live: jobs in full, cells, counts.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) jobs: BTreeMap<JobId, (Envelope, Vec<u8>)>,
    /// But for the nonces of the openings: each opening adds one.
    pub(super) cells: BTreeMap<(u8, Vec<u8>), (Vec<u8>, Option<Millis>)>,
    pub(super) counts: Counts,
}

/// Something that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    Job(JobId),
    Cell(u8, Vec<u8>),
}

/// What is live and does not read back.
pub(super) type Troubles = Vec<(Thing, Error)>;

impl Served {
    pub(super) fn read(source: &impl Source, counts: Counts) -> (Self, Troubles) {
        let (mut jobs, mut cells, mut troubles) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut from = Some(JobId(0));
        while let Some(start) = from {
            let ids = source.ids_from(start, None);
            from = ids.last().map(|last| JobId(last.0 + 1));
            for id in ids {
                match source.job(id) {
                    Ok(Some(job)) => drop(jobs.insert(id, job)),
                    Ok(None) => {}
                    Err(trouble) => troubles.push((Thing::Job(id), trouble)),
                }
            }
        }
        for (space, key) in source.cell_keys().into_iter().filter(|(space, _)| *space != namespace::EPOCH) {
            match source.cell_value(space, &key) {
                Ok(Some(value)) => drop(cells.insert((space, key), value)),
                Ok(None) => {}
                Err(trouble) => troubles.push((Thing::Cell(space, key), trouble)),
            }
        }
        (Self { jobs, cells, counts }, troubles)
    }

    /// The first thing that differs, but for those that are excused. `self` is what should be.
    pub(super) fn difference(&self, found: &Self, excused: &dyn Fn(&Thing) -> bool) -> Option<String> {
        let ids = self.jobs.keys().chain(found.jobs.keys().filter(|id| !self.jobs.contains_key(id)));
        for id in ids.filter(|id| !excused(&Thing::Job(**id))) {
            let (right, wrong) = (self.jobs.get(id), found.jobs.get(id));
            if right != wrong {
                return Some(format!("job {id} is {wrong:?}, should be {right:?}"));
            }
        }
        let keys = self.cells.keys().chain(found.cells.keys().filter(|key| !self.cells.contains_key(*key)));
        for key in keys.filter(|(space, key)| !excused(&Thing::Cell(*space, key.clone()))) {
            let (right, wrong) = (self.cells.get(key), found.cells.get(key));
            if right != wrong {
                return Some(format!("cell {key:?} is {wrong:?}, should be {right:?}"));
            }
        }
        None
    }

    /// As [`difference`](Self::difference), with nothing excused, the counts included.
    pub(super) fn any_difference(&self, found: &Self) -> Option<String> {
        self.difference(found, &|_| false).or_else(|| {
            (self.counts != found.counts).then(|| format!("counts are {:?}, should be {:?}", found.counts, self.counts))
        })
    }

    /// Without the jobs that a process held, whom its end interrupts.
    pub(super) fn at_rest(&self) -> impl Iterator<Item = (&JobId, &(Envelope, Vec<u8>))> {
        self.jobs.iter().filter(|(_, (envelope, _))| envelope.state.phase() != Phase::InFlight)
    }
}

/// The keys that handlers make their effects idempotent with.
pub(super) fn idempotency_keys(core: &Core) -> BTreeMap<JobId, String> {
    let state = core.state.lock();
    let jobs = state.books.index.jobs_from(JobId(0));
    jobs.map(|(id, _)| (id, state.idempotency_key(id))).collect()
}
