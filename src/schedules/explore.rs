//! Runs a piece of work under one schedule after the other, each decided by a seed.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::yard::{Template, Yard};
use crate::engine::Engine;
use crate::sync::scheduled::let_time_pass;
use crate::testing::effort::{budget, counted};

/// Schedules for each promise.
const QUICK: u64 = 300;
const FULL: u64 = 10_000;
/// More steps than any schedule needs: beyond them somebody runs in circles.
const STEPS_MAX: usize = 50_000;
const STACK_BYTES: usize = 256 << 10;

/// Tries `work` under many schedules. Each begins in a copy of the directory that `before` left, closed in order.
pub(super) fn explore(
    before: impl Fn(&Engine) + Send + Sync + 'static,
    work: impl Fn(&Arc<Yard>) + Send + Sync + 'static,
) {
    let template = Template::make(before);
    let work = Arc::new(work);
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let yard = Arc::new(Yard::new(&template, seed));
        let (inside, work) = (Arc::clone(&yard), Arc::clone(&work));
        let tried = catch_unwind(AssertUnwindSafe(|| {
            under(seed, move || {
                inside.let_time_pass();
                work(&inside);
                let_time_pass(None);
            });
            yard.afterwards();
        }));
        if let Err(failure) = tried {
            // A test's thread bears its name.
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("schedules");
            println!(
                "replay: BACKLOG_SCHEDULE={seed} RUSTFLAGS=\"--cfg backlog_shuttle\" \
                 cargo test --release --lib {test} -- --nocapture"
            );
            resume_unwind(failure);
        }
    }
    counted("schedules", count);
}

/// Runs `work` once, in the order the seed decides.
pub(super) fn under(seed: u64, work: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    Runner::new(Order::new(seed), config).run(work);
}

fn seeds() -> std::ops::Range<u64> {
    match env::var("BACKLOG_SCHEDULE").ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..budget("BACKLOG_SCHEDULES", QUICK, FULL),
    }
}

/// Who runs next.
#[derive(Debug)]
struct Order {
    seed: u64,
    rng: fastrand::Rng,
    way: Way,
    begun: bool,
    /// Choices so far, count.
    choices: usize,
}

#[derive(Debug)]
enum Way {
    /// Anybody, at every step.
    Anybody,
    /// Mostly whoever runs already.
    Mostly,
    /// Probabilistic concurrency testing: the highest rank runs; at a few moments who runs falls below all others.
    Ranked { ranks: Vec<u64>, falls: Vec<usize>, lowest: u64 },
}

impl Order {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let way = match seed % 4 {
            0 => Way::Anybody,
            1 => Way::Mostly,
            _ => {
                let length = 1 << rng.u32(5..12);
                let falls = (0..rng.usize(1..5)).map(|_| rng.usize(1..length)).collect();
                Way::Ranked { ranks: Vec::new(), falls, lowest: u64::from(u32::MAX) }
            }
        };
        Self { seed, rng, way, begun: false, choices: 0 }
    }
}

impl Scheduler for Order {
    fn new_execution(&mut self) -> Option<Schedule> {
        (!std::mem::replace(&mut self.begun, true)).then(|| Schedule::new(self.seed))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
        if let [only] = runnable {
            return Some(only.id());
        }
        self.choices += 1;
        let anybody = |rng: &mut fastrand::Rng| runnable[rng.usize(..runnable.len())].id();
        let current = current.filter(|current| runnable.iter().any(|task| task.id() == *current));
        match &mut self.way {
            Way::Anybody => Some(anybody(&mut self.rng)),
            Way::Mostly => match current {
                Some(current) if !yields && self.rng.u8(..8) != 0 => Some(current),
                _ => Some(anybody(&mut self.rng)),
            },
            Way::Ranked { ranks, falls, lowest } => {
                let newest = runnable.iter().map(|task| usize::from(task.id())).max().unwrap_or(0);
                while ranks.len() <= newest {
                    ranks.push(self.rng.u64(..) | 1 << 32);
                }
                if let Some(current) = current
                    && (yields || falls.contains(&self.choices))
                {
                    *lowest -= 1;
                    ranks[usize::from(current)] = *lowest;
                }
                runnable.iter().map(|task| task.id()).max_by_key(|id| ranks[usize::from(*id)])
            }
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.u64(..)
    }
}
