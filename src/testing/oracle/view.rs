//! How everything stands, in a form that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use super::Violation;
use crate::ids::{JobId, Phase};

/// What a live job looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Larger first.
    pub priority: i16,
    /// Where it stands.
    pub phase: Phase,
    /// When it becomes ready, milliseconds since 1970; only while it is scheduled.
    pub run_at: Option<u64>,
    /// Attempts spent; one that runs now is not counted.
    pub attempts: u32,
    /// Attempts it may spend.
    pub max_attempts: u32,
    /// How often a process ended while it ran.
    pub crashes: u32,
    /// Somebody cancelled it while it ran.
    pub cancel_requested: bool,
    /// Its unique key.
    pub unique: Option<String>,
    /// Its bytes.
    pub args: Arc<[u8]>,
}

/// Jobs since the beginning, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Accepted.
    pub enqueued: u64,
    /// Acknowledged.
    pub completed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Not started in time.
    pub expired: u64,
    /// Held and never confirmed.
    pub discarded: u64,
    /// Dead for too long.
    pub pruned: u64,
    /// Leases handed out.
    pub claims: u64,
}

impl Counters {
    /// C9: what was accepted is live or has ended.
    pub fn conserve(&self, live: usize) -> Result<(), Violation> {
        let ended = self.completed + self.cancelled + self.expired + self.discarded + self.pruned;
        if self.enqueued == ended + live as u64 {
            return Ok(());
        }
        Err(Violation::new(format!("C9: live={live} and {self:?}: jobs were made or lost")))
    }
}

/// Everything that must be the same after a crash, a rebuild of the index, or in a dump.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The live jobs.
    pub jobs: BTreeMap<JobId, JobView>,
    /// The cells that operations set: (namespace, key) → value. The backlog's own are left out.
    pub cells: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    /// The queues that are paused.
    pub paused: BTreeSet<String>,
    /// Totals.
    pub counters: Counters,
}

impl View {
    /// The first thing that differs, in words; `self` is what should be. `None`: nothing does.
    pub fn difference(&self, found: &Self) -> Option<String> {
        let job = unlike("job", &self.jobs, &found.jobs);
        let cell = || unlike("cell", &self.cells, &found.cells);
        let paused =
            || (self.paused != found.paused).then(|| format!("paused {:?}, should be {:?}", found.paused, self.paused));
        let counters = || {
            (self.counters != found.counters)
                .then(|| format!("found {:?}, should be {:?}", found.counters, self.counters))
        };
        job.or_else(cell).or_else(paused).or_else(counters)
    }
}

fn unlike<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    right: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Option<String> {
    let names: BTreeSet<&K> = right.keys().chain(found.keys()).collect();
    names.into_iter().find_map(|name| match (right.get(name), found.get(name)) {
        (Some(right), None) => Some(format!("{what} {name:?} is missing, should be {right:?}")),
        (None, Some(found)) => Some(format!("{what} {name:?} should not be there: {found:?}")),
        (Some(right), Some(found)) if right != found => {
            Some(format!("{what} {name:?} is {found:?}, should be {right:?}"))
        }
        _ => None,
    })
}
