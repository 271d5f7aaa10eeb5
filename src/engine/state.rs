//! What stands under the one engine lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{JobId, Lsn, Millis, Token};
use crate::index::LaneId;
use crate::job::namespace;
use crate::log::Stage;

use super::books::Books;
use super::bulk::Bulks;
use super::claim::Picked;
use super::groups::Groups;
use super::history::History;
use super::lines::{Lines, queue_of};
use super::settings::Durability;
use super::suspects::Turns;
use super::watch::Watchers;

/// Whether verbs are still taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// `close` has begun: no new verb.
    Closed,
}

/// A lease this process has given out.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseState {
    pub(super) token: Token,
    pub(super) since: Millis,
    /// Somebody asked to cancel the job; the record says so too.
    pub(super) cancel: bool,
    /// On the monotonic clock; only for leases taken by hand.
    pub(super) deadline: Option<Duration>,
}

/// What an opening of the directory left behind for the ids it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) nonce: [u8; 16],
    /// Ids from here up to the epoch's first were never given.
    pub(super) gap_from: u64,
}

impl Epoch {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&self.nonce[..], &self.gap_from.to_be_bytes()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (nonce, gap) = bytes.split_first_chunk::<16>()?;
        Some(Self { nonce: *nonce, gap_from: u64::from_be_bytes(gap.try_into().ok()?) })
    }
}

pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) books: Books,
    pub(super) next_id: u64,
    /// Ids below it may be used: its record is durable.
    pub(super) ceiling: u64,
    /// A higher ceiling that is staged, and where its record ends.
    pub(super) raised: Option<(u64, Lsn)>,
    pub(super) unreached: Unreached,
    pub(super) next_counter: u64,
    /// Queues by name; the cells are the truth, this is their shadow.
    pub(super) paused: BTreeSet<String>,
    pub(super) paused_kinds: BTreeSet<String>,
    pub(super) leases: HashMap<JobId, LeaseState>,
    /// Granted, but the disk refused to read them: each claim's handed out together by a later one.
    pub(super) unread: VecDeque<Vec<Picked>>,
    /// By first id; the cells are the truth, this is their shadow.
    pub(super) epochs: BTreeMap<u64, Epoch>,
    pub(super) deadlines: BTreeMap<(Duration, JobId), Token>,
    /// How far compaction itself has moved the staged tail in this run.
    pub(super) carried_bytes: u64,
    pub(super) life: Life,
    /// When upkeep looks at the scheduled jobs next; an earlier one rings it.
    pub(super) alarm: Millis,
    /// The staged tail at upkeep's last look: when it has moved, the compactor is woken.
    pub(super) upkeep_tail: Lsn,
    /// Position of the newest checkpoint that was saved.
    pub(super) checkpoint: Lsn,
    pub(super) turns: Turns,
    pub(super) lines: Lines,
    pub(super) groups: Groups,
    /// Dead and parked jobs up to here were looked at for pruning; the beginning, if all of them were.
    pub(super) dead_looked_at: (Millis, JobId),
    /// No audit record has this number, nor a higher one.
    pub(super) next_audit: u64,
    pub(super) bulks: Bulks,
    pub(super) watchers: Watchers,
    pub(super) history: History,
}

/// New jobs that have not reached the level they were accepted at: not claimable yet.
///
/// Nearly always ids and positions rise together, so one queue in order says it all and a job costs no second index
/// operation. A call that reserved its ids comes behind others with higher ones: its batch stands at its place by id, and
/// is forgotten when those before it are.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    batches: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    first: JobId,
    last: JobId,
    end: Lsn,
    level: Durability,
}

/// The marks a level is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) written: Lsn,
    pub(super) durable: Lsn,
}

impl Marks {
    fn reached(self, level: Durability, end: Lsn) -> bool {
        match level {
            Durability::Sync => self.durable >= end,
            Durability::Buffered => self.written >= end,
        }
    }
}

impl Unreached {
    pub(super) fn add(&mut self, first: JobId, last: JobId, end: Lsn, level: Durability) {
        let batch = Batch { first, last, end, level };
        let at = self.batches.partition_point(|other| other.first < first);
        if at == self.batches.len() || planted!(UnreachedOutOfOrder) {
            self.batches.push_back(batch);
        } else {
            self.batches.insert(at, batch);
        }
    }

    pub(super) fn contains(&self, id: JobId, marks: Marks) -> bool {
        let at = self.batches.partition_point(|batch| planted!(UnreachedOffByOne, batch.last <= id, batch.last < id));
        self.batches.get(at).is_some_and(|batch| batch.first <= id && !marks.reached(batch.level, batch.end))
    }

    /// Forgets what has arrived. `true`: something became claimable.
    pub(super) fn release(&mut self, marks: Marks) -> bool {
        let mut any = false;
        while self.batches.front().is_some_and(|batch| marks.reached(batch.level, batch.end)) {
            self.batches.pop_front();
            any = true;
        }
        // Behind a batch that waits for its sync, a written one may be claimable already.
        any || !planted!(NotReleasedBehindABatch)
            && self.batches.iter().take(64).any(|batch| marks.reached(batch.level, batch.end))
    }
}

impl State {
    /// The queues a claim on these may be granted from, in its order: not the paused ones. All by name if none is given.
    pub(super) fn open_queues(&mut self, queues: &[String]) -> Vec<Arc<str>> {
        let open = |name: &str| planted!(PauseIgnored) || !self.paused.contains(name);
        if queues.is_empty() || planted!(ClaimsFromAnyQueue) {
            self.lines.refresh(&mut self.books.index, 0);
            return self.lines.queues().filter(|name| open(name)).cloned().collect();
        }
        queues.iter().filter(|name| open(name)).map(|name| name.as_str().into()).collect()
    }

    /// The shadow of these cells.
    pub(super) fn pauses(&mut self, of: u8) -> &mut BTreeSet<String> {
        if of == namespace::PAUSE_KIND { &mut self.paused_kinds } else { &mut self.paused }
    }

    /// Whether a claim on these queues asks for this lane.
    pub(super) fn asks(&self, queues: &[String], lane: LaneId) -> bool {
        let queue = queue_of(self.books.index.lane_name(lane));
        let asked = queues.is_empty() || planted!(ClaimsFromAnyQueue) || queues.iter().any(|name| name == queue);
        asked && (planted!(PauseIgnored) || !self.paused.contains(queue))
    }

    /// Leases that somebody holds: all but those that could not be handed out yet.
    pub(super) fn leases_held(&self) -> usize {
        let unread = self.unread.iter().flatten().filter(|pick| super::claim::holds(self, pick)).count();
        self.leases.len().saturating_sub(unread)
    }

    /// Takes a lease out of the process's own book; the index is the caller's business.
    pub(super) fn forget_lease(&mut self, id: JobId) {
        self.watchers.stops(id);
        if let Some(lease) = self.leases.remove(&id)
            && let Some(deadline) = lease.deadline
        {
            planted!(DeadlineOutlivesLease, None, self.deadlines.remove(&(deadline, id)));
        }
    }

    /// The same for every attempt of a job, and for no other job of any directory (rule 7).
    pub(super) fn idempotency_key(&self, id: JobId) -> String {
        let nonce = self.epochs.range(..=id.0).next_back().map_or([0; 16], |(_, epoch)| epoch.nonce);
        format!("{:032x}-{}", u128::from_be_bytes(nonce), id.0)
    }

    /// Whether an id below `next_id` was never given to a job that was kept.
    pub(super) fn in_a_gap(&self, id: JobId) -> bool {
        in_a_gap(&self.epochs, id)
    }
}

/// Whether no job with this id was ever durable, as the openings tell.
pub(super) fn in_a_gap(epochs: &BTreeMap<u64, Epoch>, id: JobId) -> bool {
    let next = id.0.checked_add(1).and_then(|after| epochs.range(after..).next());
    next.is_some_and(|(_, epoch)| epoch.gap_from <= id.0 && !planted!(GapsForgotten))
}
