//! The lives of one pass through a scenario: processes, one after the other, on what each left to the next.
//!
//! # Invariants
//! * One life at a time, each on a disk of its own: what a life leaks reaches none that comes later.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::report::Strike;
use crate::clock::ManualClock;
use crate::disk::simulated::{Burnt, CrashMode, Died, Moment, MomentKind, SimDisk};
use crate::error::{Error, Result};
use crate::queue::{Backlog, Options};
use crate::random::SeededRandom;
use crate::testing::passing::time_passes;
use crate::worker::{Failure, WorkersBuilder};

const START_MS: u64 = 1_700_000_000_000;
/// A scenario that runs more jobs in one go is taken to run for ever.
const RUNS_MAX: u64 = 10_000;
/// After this long a committer has synced what nobody waits for.
const LAZY: Duration = Duration::from_secs(1);

/// The crashes of one pass: the first in the runs, the others one by one while it is finished.
pub(super) struct Plan {
    pub(super) strikes: Vec<Strike>,
    pub(super) seed: u64,
    pub(super) model: Vec<Life>,
}

/// A process that is over.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) disk: SimDisk,
    pub(super) moments: Arc<[Moment]>,
}

impl Life {
    /// The moment after the last.
    pub(super) fn end(&self) -> Moment {
        Moment { ops: self.disk.ops(), kind: MomentKind::Before }
    }
}

/// What is left of a pass.
#[derive(Default)]
pub(super) struct Over {
    pub(super) lives: Vec<Life>,
    /// Moments of the first life that finished.
    pub(super) finishing: u64,
    /// Why this is no scenario.
    pub(super) refused: Option<String>,
}

/// One pass through a scenario. See the [module](super) for an example.
pub struct Scenario {
    options: Options,
    plan: Plan,
    clock: Arc<ManualClock>,
    /// What the next life finds, or what the one under way has.
    disk: Arc<Mutex<SimDisk>>,
    under_way: RefCell<Option<Backlog>>,
    /// Moments left to the first crash; `None`: it was.
    left: Cell<Option<u64>>,
    over: RefCell<Over>,
}

impl Scenario {
    pub(super) fn new(options: Options, plan: Plan) -> Self {
        Self {
            options: options.lock_wait(Duration::ZERO),
            left: Cell::new(plan.strikes.first().map(|strike| strike.moment)),
            plan,
            clock: Arc::new(ManualClock::new(START_MS)),
            disk: Arc::default(),
            under_way: RefCell::default(),
            over: RefCell::default(),
        }
    }

    /// The life of a process that may die anywhere in it: opens the directory and gives it to `life`. `None`: it died.
    /// When `life` returns the process ends as one that returns from `main` does; close the backlog by a clone if the
    /// program does. May be called several times; one of them dies.
    ///
    /// # Errors
    /// What `life` answered, or why the directory does not open. Pass it on.
    pub fn run<T>(&self, life: impl FnOnce(&Backlog) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
        let strike = self.plan.strikes.first().filter(|_| self.left.get().is_some());
        let (lived, burnt) = self.live(self.left.get(), strike.map(|strike| strike.mode), life)?;
        let passed = burnt.moments.len() as u64;
        self.left.set(if burnt.died { None } else { self.left.get().map(|left| left.saturating_sub(passed)) });
        let ended = Life { disk: self.over_disk(), moments: burnt.moments.into() };
        self.compare(&ended, burnt.died)?;
        self.over.borrow_mut().lives.push(ended);
        self.begin_next(strike.filter(|_| burnt.died).map(|strike| strike.mode));
        lived
    }

    /// The life after the crash, which does not die, and does what is left to do: on the image a crash left, or on
    /// what the last run left. With [`again`](super::CrashEverywhere::again) it dies too, and is called once more.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn finish<T>(&self, mut life: impl FnMut(&Backlog) -> Result<T, Failure>) -> Result<T, Failure> {
        match (self.left.take(), self.plan.strikes.first()) {
            (Some(0), Some(at_the_end)) => self.begin_next(Some(at_the_end.mode)),
            (Some(_), _) => return Err(self.refuse("it did fewer operations than before: it does not repeat itself")),
            _ => {}
        }
        let again = self.plan.strikes.get(1..).unwrap_or_default();
        for strike in again.iter().map(Some).chain([None]) {
            let (lived, burnt) =
                self.live(strike.map(|strike| strike.moment), strike.map(|strike| strike.mode), &mut life)?;
            self.over.borrow_mut().finishing = burnt.moments.len() as u64;
            self.begin_next(strike.filter(|_| burnt.died).map(|strike| strike.mode));
            if let Some(lived) = lived? {
                return Ok(lived);
            }
        }
        Err(self.refuse("it died without a crash; please report this"))
    }

    /// Runs jobs with these handlers on this thread until none is left, as a pool with one thread would: retries,
    /// snoozed and scheduled jobs too, for which the clock moves on. Gives how many ran.
    ///
    /// # Errors
    /// As [`WorkersBuilder::start`], and `Invalid`: no life is under way, or the jobs never end.
    pub fn drain(&self, workers: WorkersBuilder) -> Result<u64> {
        let backlog = self.backlog()?;
        let mut passing = time_passes(&backlog, &self.clock);
        let drained = workers.drain(&mut |ran| {
            if ran > RUNS_MAX {
                return Err(Error::invalid(format!("runs={ran} and jobs are still due; does one come back for ever?")));
            }
            passing(ran)
        });
        // A pool takes what a handler throws, a crash too, for a failed attempt.
        self.over_disk().must_live();
        drained
    }

    /// Time goes on: what is due becomes ready, leases taken by hand run out, the log is tidied, and after a second
    /// what nobody waits for is synced.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`, and `Invalid`: no life is under way.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let backlog = self.backlog()?;
        self.clock.advance(by);
        backlog.serve()?;
        if by >= LAZY { backlog.commit_lazily() } else { Ok(()) }
    }

    /// The clock of all lives.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Places of your own where the process may die: between two effects, say, that no operation on the disk parts.
    pub fn crash_point(&self) -> CrashPoint {
        CrashPoint(Arc::clone(&self.disk))
    }

    fn backlog(&self) -> Result<Backlog> {
        self.under_way.borrow().clone().ok_or_else(|| Error::invalid("outside of run and finish there is no backlog"))
    }

    /// Opens the directory, lets `life` live, dies at moment `left` at the latest.
    fn live<T>(
        &self,
        left: Option<u64>,
        mode: Option<CrashMode>,
        life: impl FnOnce(&Backlog) -> Result<T, Failure>,
    ) -> Result<(Result<Option<T>, Failure>, Burnt), Failure> {
        debug_assert_eq!(left.is_some(), mode.is_some());
        if self.under_way.borrow().is_some() {
            return Err(Failure::new("one life at a time: run and finish cannot stand inside each other"));
        }
        let disk = self.over_disk();
        disk.light(left.unwrap_or(u64::MAX));
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let backlog = self.open(&disk)?;
            *self.under_way.borrow_mut() = Some(backlog.clone());
            let lived = life(&backlog);
            drop(self.under_way.borrow_mut().take());
            drop(backlog);
            lived
        }));
        let burnt = disk.put_out();
        drop(self.under_way.borrow_mut().take());
        if burnt.strangers {
            return Err(self.refuse("another thread touched the backlog: run workers with scenario.drain(…)"));
        }
        match lived {
            Err(panic) if !panic.is::<Died>() => resume_unwind(panic),
            Ok(lived) if !burnt.died => Ok((lived.map(Some), burnt)),
            _ => Ok((Ok(None), burnt)),
        }
    }

    fn open(&self, disk: &SimDisk) -> Result<Backlog> {
        let life = self.over.borrow().lives.len() as u64;
        let random = SeededRandom::new(self.plan.seed.wrapping_mul(31).wrapping_add(life));
        self.options.clone().open_inline(Arc::new(disk.clone()), Arc::clone(&self.clock) as _, Arc::new(random))
    }

    fn over_disk(&self) -> SimDisk {
        self.disk.lock().clone()
    }

    /// The next life finds what the last one left; `None`: all that was written.
    fn begin_next(&self, mode: Option<CrashMode>) {
        let mut disk = self.disk.lock();
        *disk = disk.crash_image(disk.ops(), mode.unwrap_or(CrashMode::KeepAll));
    }

    /// Whether this life did what it did before any crash, as far as it came.
    fn compare(&self, ended: &Life, died: bool) -> Result<(), Failure> {
        let nth = self.over.borrow().lives.len();
        let Some(model) = self.plan.model.get(nth) else {
            let crashed = self.plan.strikes.is_empty() || self.left.get().is_none();
            return if crashed {
                Ok(())
            } else {
                Err(self.refuse("it has more runs than before: it does not repeat itself"))
            };
        };
        // After the crash everything may differ.
        if !died && self.left.get().is_none() {
            return Ok(());
        }
        let (before, now) = (model.disk.trace(), ended.disk.trace());
        for (n, op) in now.iter().enumerate() {
            match before.get(n) {
                Some(same) if same == op => {}
                other => {
                    let other = other.map_or_else(|| "none".to_owned(), ToString::to_string);
                    return Err(self.refuse(&format!("it does not repeat itself: operation {n} was {other}, is {op}")));
                }
            }
        }
        Ok(())
    }

    fn refuse(&self, why: &str) -> Failure {
        self.over.borrow_mut().refused.get_or_insert_with(|| why.to_owned());
        Failure::new(why)
    }

    pub(super) fn over(&self) -> Over {
        self.over.take()
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").finish_non_exhaustive()
    }
}

/// Places of your own where a process may die; made by [`Scenario::crash_point`]. Clone it into handlers.
#[derive(Debug, Clone)]
pub struct CrashPoint(Arc<Mutex<SimDisk>>);

impl CrashPoint {
    /// The process may die here.
    pub fn here(&self) {
        let disk = self.0.lock().clone();
        // Outside of a life, or on another thread, nothing dies.
        let _ = disk.moment();
    }
}
