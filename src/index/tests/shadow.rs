//! A perfect store of a few lines, to hold freezes and loads against; and a dump to compare indexes by.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{JobId, Lsn, Millis};
use crate::index::delta::{Delta, Digest, INDEX_TREES, Meta, Snapshot, Tree};
use crate::index::{Index, seal};

type ShadowTree = BTreeMap<Box<[u8]>, Arc<[u8]>>;

#[derive(Default, Clone)]
pub(super) struct Shadow {
    pub(super) trees: [ShadowTree; INDEX_TREES],
}

impl Shadow {
    pub(super) fn apply(&mut self, delta: &Delta) {
        for (tree, changes) in self.trees.iter_mut().zip(&delta.trees) {
            if delta.whole {
                tree.clear();
            }
            for key in &changes.removed {
                assert!(tree.remove(key).is_some(), "only saved keys are removed");
            }
            for (key, value) in &changes.puts {
                assert!(value.len() <= 4096 - 64, "values stay small");
                assert!(!changes.removed.contains(key));
                tree.insert(key.clone(), Arc::clone(value));
            }
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut digests = [Digest::default(); Tree::ALL.len()];
        let mut trees: [Vec<_>; INDEX_TREES] = Default::default();
        for (at, tree) in self.trees.iter().enumerate() {
            for (key, value) in tree {
                digests[at].add(seal::hash(Tree::ALL[at], key, value));
                trees[at].push((key.clone(), seal::seal(Tree::ALL[at], key, Some(value))));
            }
        }
        let meta = Meta { log_id: 1, index_lsn: Lsn(2), durable_lsn: Lsn(3), engine: vec![4] };
        Snapshot { meta, number: 1, digests, damage: None, trees }
    }
}

pub(super) fn assert_invariants(index: &Index) {
    index.jobs.assert_invariants();
    index.ready.assert_invariants();
    index.scheduled.assert_invariants();
    index.held.assert_invariants();
    index.flying.assert_invariants();
    index.dead.assert_invariants();
    index.unique.assert_invariants();
}

/// Everything an index answers, as lines.
pub(super) fn dump(index: &Index) -> Vec<String> {
    let mut lines = vec![format!("len {} totals {:?}", index.len(), index.totals())];
    lines.extend(index.jobs_from(JobId(0)).map(|job| format!("job {job:?}")));
    for (lane, name) in index.lanes() {
        lines.push(format!("lane {lane:?} {name:?} {:?}", index.counts(lane)));
        lines.extend(index.ready(lane).map(|ready| format!("ready {lane:?} {ready:?}")));
    }
    let start = (Millis(0), JobId(0));
    lines.extend(index.scheduled_from(start).map(|entry| format!("scheduled {entry:?}")));
    lines.extend(index.dead_from(start).map(|entry| format!("dead {entry:?}")));
    lines.extend(index.held_from(JobId(0)).map(|entry| format!("held {entry:?}")));
    lines.extend(index.in_flight_all().map(|entry| format!("in flight {entry:?}")));
    lines.extend(index.unique.iter().map(|entry| format!("unique {entry:?}")));
    lines.extend(index.all_cells().map(|cell| format!("cell {cell:?}")));
    lines.extend(index.cells_over(Millis(u64::MAX)).map(|cell| format!("timed cell {cell:?}")));
    lines
}

impl Shadow {
    /// What a perfect store holds of `index`.
    pub(super) fn of(index: &mut Index) -> Self {
        let mut shadow = Self::default();
        shadow.apply(&index.freeze_whole());
        shadow
    }
}
