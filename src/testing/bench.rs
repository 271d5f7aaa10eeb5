//! A whole backlog for one test: in memory, with a clock you move, on the thread of the test.
//!
//! ```
//! use backlog::testing;
//! use backlog::{Context, Job};
//! use std::time::Duration;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Remind { user: u64 }
//! impl Job for Remind { const KIND: &'static str = "remind"; }
//!
//! let mut bench = testing::backlog();
//! bench.enqueue_in(Duration::from_secs(3600), &Remind { user: 7 })?;           // what the program does
//! bench.assert_enqueued::<Remind>().at(bench.now() + Duration::from_secs(3600)).count(1);
//!
//! let workers = || bench.workers().handle(|_: Remind, _: Context| Ok(()));     // the program's own handlers
//! assert!(bench.drain(workers())?.is_empty(), "not due yet");
//! bench.advance(Duration::from_secs(3600))?;
//! assert_eq!(bench.drain(workers())?.completed(), 1);
//! bench.assert_not_enqueued::<Remind>();
//! # Ok::<(), backlog::Error>(())
//! ```
//!
//! # Invariants
//! * Nothing is shared between two benches: tests run beside each other.
//! * The same calls give the same answers, ids and backoffs included: no thread, no clock, no entropy of the system.
//!
//! Never here: crashes at every operation ([`everywhere`](super::everywhere)).

mod drain;
mod faults;
mod inline;
mod journal;
mod look;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, ManualClock};
use crate::disk::simulated::SimDisk;
use crate::error::Result;
use crate::queue::{Backlog, Options};
use crate::random::SeededRandom;

pub use drain::Drained;
pub use journal::{DrainedRun, RunEnd};
pub use look::{EnqueuedJob, Standing};

/// 2023-11-14 22:13:20 UTC.
const START_MS: u64 = 1_700_000_000_000;
/// Short enough to be made in no time, long enough for args of 64 KiB.
const SEGMENT_BYTES: u32 = 1 << 20;
/// After this long a committer has synced what nobody waits for.
const LAZY: Duration = Duration::from_secs(1);

/// An empty backlog in memory, for one test: [`Bench::new`].
pub fn backlog() -> Bench {
    Bench::new()
}

/// A backlog in memory with its disk, its clock and its randomness, for one test. It stands for the [`Backlog`] it holds
/// (`bench.enqueue(…)`), and a `&Bench` is accepted where a `&Backlog` is. See the [module](self) for an example.
///
/// It has no threads: run handlers with [`drain`](Self::drain) or [`run_inline`](Self::run_inline), not with
/// [`start`](crate::WorkersBuilder::start). Time stands still between calls of [`advance`](Self::advance).
pub struct Bench {
    backlog: Backlog,
    options: Options,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    seed: u64,
    /// Processes that ended here before.
    lives: u64,
}

impl Bench {
    /// With every default, but short segments: args are at most 64 KiB. The clock stands at 2023-11-14 22:13:20 UTC.
    ///
    /// # Panics
    /// Never, unless the crate is broken.
    pub fn new() -> Self {
        Self::with(Options::new().segment_bytes(SEGMENT_BYTES), 1).expect("an empty simulated disk opens")
    }

    /// With settings of your own, and a seed for what is drawn (backoffs, keys); another seed draws other numbers. Pass
    /// [`Options::new`] for segments as long as those of a real directory, 100 MB of memory, and args of 1 MiB.
    ///
    /// # Errors
    /// `Invalid`: a setting is out of range.
    pub fn with(options: Options, seed: u64) -> Result<Self> {
        let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(START_MS)));
        let options = options.lock_wait(Duration::ZERO);
        let backlog = open(&options, &disk, &clock, seed, 0)?;
        Ok(Self { backlog, options, disk, clock, seed, lives: 0 })
    }

    /// The backlog, to be cloned into handlers and into the program under test.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// What its wall clock shows.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Its clock, to be cloned into handlers that take their time.
    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// Time goes on: what is due becomes ready, leases taken by hand run out, the log is tidied, and after a second what
    /// nobody waits for is synced. No handler runs: [`drain`](Self::drain) does that.
    ///
    /// # Errors
    /// `Full`, `Poisoned`, `Closed`.
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.clock.advance(by);
        self.backlog.serve()?;
        if by >= LAZY { self.backlog.commit_lazily() } else { Ok(()) }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Bench {
    type Target = Backlog;

    fn deref(&self) -> &Backlog {
        &self.backlog
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("now", &self.now()).field("seed", &self.seed).finish_non_exhaustive()
    }
}

fn open(options: &Options, disk: &SimDisk, clock: &Arc<ManualClock>, seed: u64, life: u64) -> Result<Backlog> {
    let random = SeededRandom::new(seed.wrapping_mul(31).wrapping_add(life));
    let backlog = options.clone().open_inline(Arc::new(disk.clone()), Arc::clone(clock) as _, Arc::new(random))?;
    // As with threads, segments are prepared before the first job comes: a fault meets the job and not them.
    backlog.serve()?;
    Ok(backlog)
}
