//! A crash at every disk operation of *your* program: does it do its work once, and does it do it at all?
//!
//! A backlog keeps its promises whenever the process dies. Whether a program built on it does depends on the program: a
//! handler that acknowledges before it acts loses the act, one that acts and cannot tell that it did acts twice.
//! [`crash_everywhere`] runs a scenario of yours on a simulated disk again and again, from an empty directory each
//! time, and lets the process die at another moment each time: before each operation on the disk, and after it while
//! the call has not yet returned; with each image of the disk that such a death can leave (killed: all that was written
//! stands; power lost: what was not synced is gone, torn, or there in part).
//!
//! ```
//! use backlog::testing::crash_everywhere;
//! use backlog::{Backlog, Context, Failure, Job, WorkersBuilder};
//! use std::{cell::Cell, collections::BTreeMap, sync::{Arc, Mutex}};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct ChargeCard { sale: u64 }
//! impl Job for ChargeCard { const KIND: &'static str = "charge_card"; }
//!
//! /// Stands outside: no crash of ours touches it. It charges once per key.
//! #[derive(Clone, Default)]
//! struct Bank(Arc<Mutex<BTreeMap<String, u64>>>);
//!
//! fn workers(backlog: &Backlog, bank: &Bank) -> WorkersBuilder {
//!     let bank = bank.clone();
//!     backlog.workers().handle(move |job: ChargeCard, cx: Context| {
//!         bank.0.lock().unwrap().insert(cx.idempotency_key().to_owned(), job.sale);
//!         Ok(())
//!     })
//! }
//!
//! let tried = crash_everywhere(|scenario| {
//!     let (bank, sold) = (Bank::default(), Cell::new(false));
//!     scenario.run(|backlog| {                                  // a process that dies somewhere in here
//!         backlog.enqueue(&ChargeCard { sale: 7 })?;
//!         sold.set(true);                                       // the customer was told
//!         scenario.drain(workers(backlog, &bank))?;
//!         Ok(())
//!     })?;
//!     scenario.finish(|backlog| {                               // the next process, on what the crash left
//!         scenario.drain(workers(backlog, &bank))?;
//!         Ok(())
//!     })?;
//!     let charged = bank.0.lock().unwrap().len();
//!     assert!(charged == 1 || (charged == 0 && !sold.get()), "charged {charged} times");
//!     Ok(())
//! });
//! assert!(tried.images > 100);
//!
//! // A wrong one: it acts after the ack. Died in between, the job is over and nobody was charged.
//! let found = backlog::testing::CrashEverywhere::new().find(|scenario| {
//!     let (charged, sold) = (Cell::new(0), Cell::new(false));
//!     let work = |backlog: &Backlog| {
//!         while let Some(lease) = backlog.queue("default").claim()? {
//!             lease.ack()?;
//!             charged.set(charged.get() + 1);
//!         }
//!         Ok(())
//!     };
//!     scenario.run(|backlog| {
//!         backlog.enqueue(&ChargeCard { sale: 7 })?;
//!         sold.set(true);
//!         work(backlog)
//!     })?;
//!     scenario.finish(work)?;
//!     match charged.get() {
//!         0 if sold.get() => Err(Failure::new("sold, and never charged")),
//!         _ => Ok(()),
//!     }
//! });
//! // the scenario fails when the process is killed after operation 34 (Write log/… [4424, +64)), before its call
//! // returned: sold, and never charged; to try this alone: BACKLOG_CRASH_AT=69-killed
//! println!("{}", found.unwrap_err());
//! ```
//!
//! # What dies, and what does not
//!
//! * What a [`run`](Scenario::run) makes dies with it: it is unwound, without a message, from inside the verb that
//!   touched the disk. What it borrowed from around it is the outside world and stays: the customer, the bank, another
//!   database.
//! * While it unwinds, destructors run. What yours do to the outside world a real crash would not have done. A std
//!   mutex that was held over a verb is poisoned.
//! * Who catches the unwinding is unwound again by his next verb, or told that the backlog is poisoned: nothing is
//!   accepted any more.
//!
//! # What a scenario must be
//!
//! * *Repeatable*: it does the same operations each time, up to the crash. Time stands still but for
//!   [`advance`](Scenario::advance) and [`drain`](Scenario::drain).
//! * *On one thread*: use [`drain`](Scenario::drain) where the program starts its workers. A scenario in which another
//!   thread touches the backlog is refused.
//!
//! Either is found out and told.

mod report;
mod scenario;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::disk::simulated::{CrashMode, MomentKind, Replayer, SimDisk};
use crate::queue::Options;
use crate::worker::{Failure, panic_text};

pub use report::{Found, Tried};
pub use scenario::{CrashPoint, Scenario};

use report::Strike;
use scenario::{Life, Plan};

/// Replays one image: what a [`Found`] names.
const VARIABLE: &str = "BACKLOG_CRASH_AT";
const SEGMENT_BYTES: u32 = 256 << 10;

/// Runs `scenario` with a crash at each operation and each image it can leave. See the [module](self).
///
/// # Panics
/// If the scenario fails, with a crash or without: by a panic of its own, or an `Err`. The message says where the crash
/// was and how to try it alone.
#[track_caller]
pub fn crash_everywhere(scenario: impl FnMut(&Scenario) -> Result<(), Failure>) -> Tried {
    match CrashEverywhere::new().find(scenario) {
        Ok(tried) => tried,
        Err(found) => panic!("{found}"),
    }
}

/// [`crash_everywhere`] with settings.
#[derive(Debug, Clone)]
#[must_use = "does nothing until it is given a scenario"]
pub struct CrashEverywhere {
    options: Options,
    seed: u64,
    again: u64,
    only: Option<String>,
}

impl CrashEverywhere {
    /// Every default.
    pub fn new() -> Self {
        Self { options: Options::new().segment_bytes(SEGMENT_BYTES), seed: 1, again: 0, only: None }
    }

    /// How the backlog is opened. Default: every default, in short segments, so that args are at most 16 KiB.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Chooses what is torn and lost where that is open, and the numbers a backlog draws. Default: 1.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// After each crash let [`finish`](Scenario::finish) crash too, at up to so many moments spread over it, and run
    /// again. Default: 0.
    pub fn again(mut self, moments: u64) -> Self {
        self.again = moments;
        self
    }

    /// Tries this one image only, as named by [`Found::at`]. Default: all, or the one in the environment variable
    /// `BACKLOG_CRASH_AT`.
    pub fn only(mut self, at: impl Into<String>) -> Self {
        self.only = Some(at.into());
        self
    }

    /// Runs `scenario` as [`crash_everywhere`] does, and gives what was found instead of panicking.
    ///
    /// # Errors
    /// The first image with which the scenario fails.
    pub fn find(&self, mut scenario: impl FnMut(&Scenario) -> Result<(), Failure>) -> Result<Tried, Found> {
        let mut hunt = Hunt { settings: self, scenario: &mut scenario, model: Vec::new(), tried: Tried::default() };
        let (lives, _) = hunt.attempt(&[])?;
        if lives.is_empty() {
            return Err(Found::plain("it never called run: nothing can crash"));
        }
        hunt.model = lives;
        match self.only.clone().or_else(|| std::env::var(VARIABLE).ok()) {
            Some(at) => hunt.only(&at)?,
            None => hunt.everywhere()?,
        }
        Ok(hunt.tried)
    }

    fn modes(&self, moment: u64) -> [(&'static str, CrashMode); 7] {
        let seed = self.seed ^ moment.wrapping_mul(0x9e37_79b9);
        [
            ("killed", CrashMode::KeepAll),
            ("unsynced-lost", CrashMode::DropUnsynced),
            ("torn", CrashMode::Torn { seed }),
            ("some-lost", CrashMode::Subset { seed }),
            ("bytes-lost", CrashMode::SizeKept { seed }),
            ("names-lost", CrashMode::Names { seed }),
            ("revived", CrashMode::Revived { seed }),
        ]
    }
}

impl Default for CrashEverywhere {
    fn default() -> Self {
        Self::new()
    }
}

/// One search.
struct Hunt<'a, S> {
    settings: &'a CrashEverywhere,
    scenario: &'a mut S,
    /// The lives of the scenario when nothing crashes.
    model: Vec<Life>,
    tried: Tried,
}

impl<S: FnMut(&Scenario) -> Result<(), Failure>> Hunt<'_, S> {
    fn everywhere(&mut self) -> Result<(), Found> {
        let mut first = 0;
        for (nth, life) in self.model.clone().into_iter().enumerate() {
            self.tried.operations += life.disk.ops();
            let mut replayer = life.disk.replayer();
            let mut images = (usize::MAX, Vec::new());
            let end = (nth + 1 == self.model.len()).then(|| life.end());
            for (moment, k) in life.moments.iter().copied().chain(end).zip(first..) {
                if images.0 != moment.ops {
                    replayer.advance_to(moment.ops);
                    images = (moment.ops, self.distinct(&replayer, k));
                }
                self.tried.moments += 1;
                for &(name, mode) in &images.1 {
                    self.strike(&Strike { moment: k, name, mode })?;
                }
            }
            first += life.moments.len() as u64;
        }
        Ok(())
    }

    /// The images that differ.
    fn distinct(&self, replayer: &Replayer, moment: u64) -> Vec<(&'static str, CrashMode)> {
        let mut images: Vec<SimDisk> = Vec::new();
        let mut modes = self.settings.modes(moment).to_vec();
        modes.retain(|(_, mode)| {
            let image = replayer.image(*mode);
            let new = !images.iter().any(|known| known.same_files(&image));
            images.push(image);
            new
        });
        modes
    }

    /// Crashes there, and inside what follows.
    fn strike(&mut self, first: &Strike) -> Result<(), Found> {
        let (_, finishing) = self.attempt(std::slice::from_ref(first))?;
        let moments = self.settings.again.min(finishing);
        for nth in 0..moments {
            // Spread over it, others after each crash.
            let moment = (nth * finishing / moments + first.moment) % finishing;
            let modes = self.settings.modes(moment);
            let pick = usize::try_from(first.moment + nth).unwrap_or(0) % modes.len();
            let Some(&(name, mode)) = modes.get(pick) else { continue };
            self.attempt(&[first.clone(), Strike { moment, name, mode }])?;
        }
        Ok(())
    }

    fn only(&mut self, at: &str) -> Result<(), Found> {
        let mut strikes = Vec::new();
        for part in at.split(',') {
            let named = part.split_once('-').and_then(|(moment, mode)| {
                let moment = moment.parse().ok()?;
                let (name, mode) = self.settings.modes(moment).into_iter().find(|(name, _)| *name == mode)?;
                Some(Strike { moment, name, mode })
            });
            strikes.push(named.ok_or_else(|| Found::plain(format!("{VARIABLE}={at:?} names no crash")))?);
        }
        self.attempt(&strikes).map(drop)
    }

    /// Runs the scenario once; gives its lives, and how many moments the first of those that finish it had.
    fn attempt(&mut self, strikes: &[Strike]) -> Result<(Vec<Life>, u64), Found> {
        let plan = Plan { strikes: strikes.to_vec(), seed: self.settings.seed, model: self.model.clone() };
        let scenario = Scenario::new(self.settings.options.clone(), plan);
        let ended = catch_unwind(AssertUnwindSafe(|| (self.scenario)(&scenario)));
        self.tried.images += u64::from(!strikes.is_empty());
        let over = scenario.over();
        let why = match (over.refused, ended) {
            (Some(refused), _) => refused,
            (None, Ok(Ok(()))) => return Ok((over.lives, over.finishing)),
            (None, Ok(Err(failure))) => failure.to_string(),
            (None, Err(panic)) => panic_text(&*panic).to_owned(),
        };
        Err(Found::new(strikes, self.place(strikes), why))
    }

    /// Where the first crash is, for people.
    fn place(&self, strikes: &[Strike]) -> Option<String> {
        let mut k = usize::try_from(strikes.first()?.moment).ok()?;
        for life in &self.model {
            let Some(moment) = life.moments.get(k) else {
                k -= life.moments.len();
                continue;
            };
            let op = |n: usize| life.disk.op(n).map(|op| op.to_string()).unwrap_or_default();
            return Some(match moment.kind {
                MomentKind::Before => format!("before operation {} ({})", moment.ops, op(moment.ops)),
                MomentKind::After => {
                    format!("after operation {} ({}), before its call returned", moment.ops - 1, op(moment.ops - 1))
                }
                MomentKind::Named => format!("at a point of its own, before operation {}", moment.ops),
            });
        }
        Some("at the end of its last run".to_owned())
    }
}
