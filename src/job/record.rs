//! What the log keeps, as the program sees it. The bytes are drawn in `codec`.
//!
//! Wherever a record names a `queue` beside a priority it names the *lane* ([`Envelope::lane`]): the queue, or queue
//! and limit key with a NUL byte between. So replay finds an index key without reading another record.

use std::borrow::Cow;
use std::fmt;

use super::envelope::Envelope;
use super::event::Ending;
use crate::ids::Millis;

/// Record kinds, as stored in the record header. Zero is invalid. They never change meaning.
pub(crate) mod kind {
    /// An opening of the directory.
    pub(crate) const OPENED: u8 = 1;
    /// Absolute totals and ceilings, first frame of each segment.
    pub(crate) const TOTALS: u8 = 2;
    /// A job in full, as it stands from here on.
    pub(crate) const JOB: u8 = 3;
    /// Ready jobs claimed.
    pub(crate) const CLAIMED: u8 = 4;
    /// The end of a job.
    pub(crate) const ENDED: u8 = 5;
    /// Scheduled jobs become ready.
    pub(crate) const DUE: u8 = 6;
    /// A cell set or cleared.
    pub(crate) const CELL: u8 = 7;
}

/// Namespaces of cells. They never change meaning.
#[allow(dead_code, reason = "part of the format: some belong to rooms that are still to come")]
pub(crate) mod namespace {
    /// Queue name → paused.
    pub(crate) const PAUSE: u8 = 1;
    /// First id of an epoch, big-endian → its nonce.
    pub(crate) const EPOCH: u8 = 2;
    /// Cron entry → its last firing.
    pub(crate) const CRON: u8 = 3;
    /// Limit key → token bucket.
    pub(crate) const BUCKET: u8 = 4;
    /// Group id, big-endian → its counts and callbacks. Behind it the first id of a run of members, big-endian → the
    /// last one.
    pub(crate) const GROUP: u8 = 5;
    /// Hash of a unique key with a period → the job that has it; until the period ends.
    pub(crate) const PERIOD: u8 = 6;
    /// Job id, big-endian, and step name → the step's value.
    pub(crate) const STEP: u8 = 7;
    /// Job id, big-endian → where a long job stands.
    pub(crate) const CHECKPOINT: u8 = 8;
    /// Job id, big-endian → its result; until it is kept no longer.
    pub(crate) const RESULT: u8 = 9;
    /// Time and number → what an operator did.
    pub(crate) const AUDIT: u8 = 10;
    /// Time slot → counts of the chart.
    pub(crate) const CHART: u8 = 11;
    /// Bulk verb → how far it is.
    pub(crate) const BULK: u8 = 12;
    /// Damaged range → what was noted about it.
    pub(crate) const DAMAGE: u8 = 13;
    /// Kind → paused.
    pub(crate) const PAUSE_KIND: u8 = 14;
    /// Job id, big-endian → percent and text.
    pub(crate) const PROGRESS: u8 = 15;
    /// Parent's id and child's id, big-endian → the child waits for the parent. The child is the callback of a group
    /// whose number is its id and the highest bit.
    pub(crate) const AFTER: u8 = 16;
    /// Cells of these are what a job's own runs kept: another one that takes its place begins without them.
    pub(crate) const OF_ITS_RUNS: [u8; 3] = [STEP, CHECKPOINT, PROGRESS];
    /// Cells of these belong to the job whose id their key begins with: its end takes them away.
    pub(crate) const OF_A_JOB: [u8; 4] = [STEP, CHECKPOINT, PROGRESS, AFTER];
    /// One cell: the token under which a suspect runs alone.
    pub(crate) const ALONE: u8 = 17;
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, and never stored")]
pub(crate) enum Record<'a> {
    Opened(Opened),
    Totals(Totals),
    Job(JobRecord<'a>),
    Claimed(Claimed),
    Ended(Ended),
    Due(Due),
    Cell(CellRecord<'a>),
}

/// The directory was opened; what was in flight before is orphaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Rises by one with each opening.
    pub(crate) epoch: u64,
    /// Drawn for this opening; part of every idempotency key made in it.
    pub(crate) nonce: [u8; 16],
    /// The first id this opening may give.
    pub(crate) first_id: u64,
    /// When; stored in 48 bits.
    pub(crate) at: Millis,
}

/// Where everything absolute stands; replay counts on from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) epoch: u64,
    /// Ids below this may have been given.
    pub(crate) id_ceiling: u64,
    /// The next id; exact only behind a clean close.
    pub(crate) next_id: u64,
    /// Segments up to this one may be gone.
    pub(crate) trimmed_through: u64,
    pub(crate) counters: Counters,
}

/// Jobs since the directory was made, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub(crate) enqueued: u64,
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    pub(crate) expired: u64,
    pub(crate) discarded: u64,
    pub(crate) pruned: u64,
    /// Leases handed out.
    pub(crate) claims: u64,
    /// Attempts that failed, crashes included.
    pub(crate) failures: u64,
}

/// A job in full.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct JobRecord<'a> {
    /// Why it was written.
    pub(crate) cause: Cause,
    /// The index key it takes away; none for a new job and a carried one.
    pub(crate) removes: Option<Removes>,
    pub(crate) envelope: Envelope,
    pub(crate) args: Cow<'a, [u8]>,
}

/// Why a job's record was written. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The job is new.
    Enqueued,
    /// It changed.
    Changed,
    /// The process ended while it ran.
    Interrupted,
    /// Compaction copied it: nothing changes but the place.
    Carried,
    /// Another job took its place under its id: what it kept beside itself goes.
    Replaced,
}

/// An index key that a record takes away, as it stood. `queue` is the lane's name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Removes {
    Held {
        queue: String,
    },
    Scheduled {
        run_at: Millis,
        queue: String,
        priority: i16,
    },
    Ready {
        queue: String,
        priority: i16,
    },
    /// The index knows token and lane by the job's id.
    InFlight,
    Dead {
        at: Millis,
        queue: String,
    },
    Parked {
        at: Millis,
        queue: String,
    },
}

impl Removes {
    /// The key under which the index holds `job` as it stands.
    pub(crate) fn of(job: &Envelope) -> Self {
        use super::state::State;
        let queue = job.lane().into_owned();
        match job.state {
            State::Held => Self::Held { queue },
            State::Scheduled { run_at } => Self::Scheduled { run_at, queue, priority: job.priority },
            State::Ready => Self::Ready { queue, priority: job.priority },
            State::InFlight { .. } => Self::InFlight,
            State::Dead { at } => Self::Dead { at, queue },
            State::Parked { at } => Self::Parked { at, queue },
        }
    }
}

/// Ready jobs were claimed, in this order; tokens count on through all runs. At most `BATCH_JOBS_MAX` jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) epoch: u64,
    /// The counter of the first job's token.
    pub(crate) first_counter: u64,
    /// When.
    pub(crate) at: Millis,
    pub(crate) runs: Vec<ClaimRun>,
}

/// Claimed jobs of one lane and priority. `queue` is the lane's name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClaimRun {
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) ids: Vec<u64>,
}

/// A job is over. Its id stands in the record header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The index key it takes away.
    pub(crate) removes: Removes,
    pub(crate) how: Ending,
    /// The hash of the unique key it frees.
    pub(crate) unique: Option<u128>,
    /// When; stored in 48 bits.
    pub(crate) at: Millis,
}

/// Everything scheduled up to and with this key becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) run_at: Millis,
    pub(crate) id: u64,
}

/// A cell set to a value, or cleared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CellRecord<'a> {
    pub(crate) namespace: u8,
    pub(crate) key: &'a [u8],
    /// `None` clears it.
    pub(crate) value: Option<&'a [u8]>,
    /// May be dropped from this time on.
    pub(crate) until: Option<Millis>,
    /// Compaction copied it: nothing changes but the place.
    pub(crate) carried: bool,
}

/// A lane's name without its limit key, which is a caller's.
fn shown(lane: &str) -> &str {
    lane.split('\0').next().unwrap_or_default()
}

impl fmt::Debug for Removes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { queue } => write!(f, "Held({})", shown(queue)),
            Self::Scheduled { run_at, queue, priority } => {
                write!(f, "Scheduled({}, {}, priority {priority})", run_at.0, shown(queue))
            }
            Self::Ready { queue, priority } => write!(f, "Ready({}, priority {priority})", shown(queue)),
            Self::InFlight => f.write_str("InFlight"),
            Self::Dead { at, queue } => write!(f, "Dead({}, {})", at.0, shown(queue)),
            Self::Parked { at, queue } => write!(f, "Parked({}, {})", at.0, shown(queue)),
        }
    }
}

impl fmt::Debug for ClaimRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimRun")
            .field("queue", &shown(&self.queue))
            .field("priority", &self.priority)
            .field("ids", &self.ids)
            .finish()
    }
}

impl fmt::Debug for JobRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRecord")
            .field("cause", &self.cause)
            .field("removes", &self.removes)
            .field("envelope", &self.envelope)
            .field("args_bytes", &self.args.len())
            .finish()
    }
}

impl fmt::Debug for CellRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellRecord")
            .field("namespace", &self.namespace)
            .field("key_bytes", &self.key.len())
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .field("until", &self.until)
            .field("carried", &self.carried)
            .finish()
    }
}
