//! The whole index on its way to the store and back.
//!
//! A load believes nothing: every value by its checksum, every tree by its digest, every leaf by its bounds and its
//! order; and then the trees by each other: the jobs of a phase are the entries of that phase's tree (by number and by
//! a sum over their ids), and a lane's counts, saved as they were kept, are what its jobs add up to.

use std::sync::Arc;

use super::delta::{Changes, Delta, Digest, INDEX_TREES, Leaves, LoadError, Snapshot, Tree, Values};
use super::packed::Packed;
use super::resident::Index;
use super::seal;
use super::trees::cells::Cells;
use super::trees::flights::Flights;
use super::trees::jobs::Jobs;
use super::trees::lanes::{Lanes, slot};
use super::trees::runs::Runs;
use super::trees::timed::{Timed, Waiting};
use super::trees::uniques::Uniques;
use crate::ids::Phase;

impl Index {
    /// What changed since the last freeze. The first freeze of an index that was not loaded is whole.
    pub(crate) fn freeze(&mut self) -> Delta {
        let whole = std::mem::take(&mut self.unsaved);
        self.freeze_trees(whole)
    }

    /// Everything, for a store that asked for it.
    pub(crate) fn freeze_whole(&mut self) -> Delta {
        self.unsaved = false;
        self.freeze_trees(true)
    }

    fn freeze_trees(&mut self, whole: bool) -> Delta {
        let trees: [Changes; INDEX_TREES] = [
            self.jobs.freeze(whole),
            self.ready.freeze(whole),
            self.scheduled.freeze(whole),
            self.held.freeze(whole),
            self.flying.freeze(whole),
            self.dead.freeze(whole),
            planted!(KeysNotSaved, Changes::default(), self.unique.freeze(whole)),
            self.cells.freeze(whole),
            self.lanes.freeze(whole),
        ];
        Delta { whole, trees }
    }

    /// The index as it was saved, or why it cannot be believed.
    pub(crate) fn load(snapshot: Snapshot) -> Result<Self, LoadError> {
        load(snapshot, usize::MAX).map_err(LoadError)
    }

    /// As [`load`](Self::load), with small leaves.
    #[cfg(test)]
    pub(super) fn load_with_leaves(snapshot: Snapshot, leaf_max: usize) -> Result<Self, LoadError> {
        load(snapshot, leaf_max).map_err(LoadError)
    }
}

fn load(mut snapshot: Snapshot, leaf_max: usize) -> Result<Index, String> {
    if let Some(damage) = snapshot.damage {
        return Err(damage);
    }
    let mut leaves = |tree: Tree| {
        let values = snapshot.trees.get_mut(tree as usize).map(std::mem::take).unwrap_or_default();
        let expected = snapshot.digests.get(tree as usize).copied().unwrap_or_default();
        unseal(tree, values, expected).map(Vec::into_iter)
    };
    let lanes = Lanes::load(leaves(Tree::Lanes)?)?;
    let mut census = Census { lanes: vec![[0; 6]; lanes.len()], ..Census::default() };
    let index = Index {
        jobs: Packed::<Jobs>::load(leaf_max, leaves(Tree::Jobs)?, |(id, slot)| census.job(*id, slot.phase()))?,
        ready: Packed::<Runs>::load(leaf_max, leaves(Tree::Ready)?, |((lane, _, first), len)| {
            census.run(*lane, *first, *len)
        })?,
        scheduled: Packed::<Timed>::load(leaf_max, leaves(Tree::Scheduled)?, |((_, id), waiting)| {
            census.key(*id, waiting.lane, Phase::Scheduled)
        })?,
        held: Packed::<Timed>::load(leaf_max, leaves(Tree::Held)?, |(key, waiting)| census.held(*key, *waiting))?,
        flying: Packed::<Flights>::load(leaf_max, leaves(Tree::InFlight)?, |(id, flight)| {
            census.key(*id, flight.lane.0, Phase::InFlight)
        })?,
        dead: Packed::<Timed>::load(leaf_max, leaves(Tree::Dead)?, |((_, id), waiting)| census.dead(*id, *waiting))?,
        unique: Packed::<Uniques>::load(leaf_max, leaves(Tree::Unique)?, |_| Ok(()))?,
        cells: Cells::load(leaves(Tree::Cells)?)?,
        lanes,
        unsaved: false,
    };
    census.check(&index.lanes)?;
    Ok(index)
}

/// Checks every value of a tree, and that none is missing.
fn unseal(tree: Tree, values: Values, expected: Digest) -> Result<Leaves, String> {
    let mut digest = Digest::default();
    let mut leaves = Vec::with_capacity(values.len());
    for (key, sealed) in values {
        let leaf = seal::open(tree, &key, &sealed)?.ok_or_else(|| format!("a removed leaf in tree={}", tree.name()))?;
        digest.add(seal::hash(tree, &key, leaf));
        leaves.push((key, Arc::from(leaf)));
    }
    if digest != expected && !planted!(HoledIndexTrusted) {
        return Err(format!(
            "tree={} is not as it was saved: values={} expected={}",
            tree.name(),
            digest.count,
            expected.count
        ));
    }
    Ok(leaves)
}

/// Counts the jobs twice, by `jobs` and by the trees of their phases.
#[derive(Default)]
struct Census {
    jobs: [Digest; 6],
    keys: [Digest; 6],
    /// Lane by lane, as found under the keys.
    lanes: Vec<[u64; 6]>,
}

impl Census {
    fn job(&mut self, id: u64, phase: Phase) -> Result<(), String> {
        self.jobs.get_mut(slot(phase)).ok_or("no such phase")?.add(mix(id));
        Ok(())
    }

    fn key(&mut self, id: u64, lane: u32, phase: Phase) -> Result<(), String> {
        self.keys.get_mut(slot(phase)).ok_or("no such phase")?.add(mix(id));
        *self.lane(lane)?.get_mut(slot(phase)).ok_or("no such phase")? += 1;
        Ok(())
    }

    fn run(&mut self, lane: u32, first: u64, len: u64) -> Result<(), String> {
        let ready = slot(Phase::Ready);
        let jobs = self.jobs.get(ready).map_or(0, |jobs| jobs.count);
        let keys = self.keys.get_mut(ready).ok_or("no such phase")?;
        // Before the ids are walked: a garbled length must not keep us here.
        if keys.count.checked_add(len).is_none_or(|all| all > jobs) {
            return Err("more ids are ready than jobs".into());
        }
        (first..=first.saturating_add(len.saturating_sub(1))).for_each(|id| keys.add(mix(id)));
        *self.lane(lane)?.get_mut(ready).ok_or("no such phase")? += len;
        Ok(())
    }

    fn held(&mut self, (at, id): (u64, u64), waiting: Waiting) -> Result<(), String> {
        if at != 0 || waiting.extra != 0 {
            return Err(format!("job={id} is held in no known way"));
        }
        self.key(id, waiting.lane, Phase::Held)
    }

    fn dead(&mut self, id: u64, waiting: Waiting) -> Result<(), String> {
        match u8::try_from(waiting.extra).ok().and_then(Phase::from_code) {
            Some(phase @ (Phase::Dead | Phase::Parked)) => self.key(id, waiting.lane, phase),
            _ => Err(format!("job={id} is dead in no known way")),
        }
    }

    fn lane(&mut self, lane: u32) -> Result<&mut [u64; 6], String> {
        self.lanes.get_mut(lane as usize).ok_or_else(|| format!("no such lane: {lane}"))
    }

    fn check(&self, lanes: &Lanes) -> Result<(), String> {
        for (phase, (jobs, keys)) in Phase::ALL.iter().zip(self.jobs.iter().zip(&self.keys)) {
            if jobs != keys && !planted!(CensusIgnored) {
                return Err(format!("{} {phase} jobs, but {} keys say so, or other ones", jobs.count, keys.count));
            }
        }
        for (lane, name) in lanes.iter() {
            let found = self.lanes.get(lane.0 as usize).copied().unwrap_or_default();
            if found != lanes.counts(lane) && !planted!(LaneCountsIgnored) {
                return Err(format!("a lane's counts are not its jobs: lane={name:?}"));
            }
        }
        Ok(())
    }
}

/// Spreads an id over all bits (splitmix64's last step), so that sums of ids do not collide by neighbourhood.
fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}
