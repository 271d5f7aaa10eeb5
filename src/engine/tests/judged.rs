//! An engine and its judge side by side: every verb goes to both, every answer is held against the oracle.
//!
//! Here: accepting and granting. Verdicts on leases stand in `settled`, what is done by name in `managed`, the ends and
//! beginnings of processes in `lives`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{Acceptance, Durability, Engine, Grant, LeaseKind, NewJob, Ticket};
use crate::error::Error;
use crate::ids::JobId;
use crate::testing::oracle::{self, Answer, Level, Op, Oracle, Violation};

use super::view::{scan_agrees, view_of};
use super::world::World;

/// Why a step did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// A promise was broken.
    Broken(String),
    /// The engine said no; whether it may is for the lane to judge.
    Failed(Error),
}

pub(super) type Step<T = ()> = Result<T, Stop>;

impl From<Violation> for Stop {
    fn from(broken: Violation) -> Self {
        Self::Broken(broken.to_string())
    }
}

impl From<Error> for Stop {
    fn from(refused: Error) -> Self {
        Self::Failed(refused)
    }
}

impl From<String> for Stop {
    fn from(broken: String) -> Self {
        Self::Broken(broken)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) => f.write_str(what),
            Self::Failed(why) => write!(f, "refused: {why:?}"),
        }
    }
}

pub(super) fn broken<T>(what: impl Into<String>) -> Step<T> {
    Err(Stop::Broken(what.into()))
}

/// How far a verb's caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// As the verb's own level says.
    Out,
    /// Only until the operating system has it.
    Written,
    /// Not now; perhaps later, see [`Judged::wait_for_earlier`].
    Not,
}

pub(super) struct Judged {
    pub(super) world: World,
    pub(super) engine: Option<Engine>,
    pub(super) oracle: Oracle,
    pub(super) ids: Vec<JobId>,
    pub(super) leases: Vec<Grant>,
    /// Leases that hold nothing any more.
    pub(super) stale: Vec<Grant>,
    pub(super) deadlines: BTreeMap<(Duration, JobId), (u64, u64)>,
    pub(super) unwaited: Vec<(Ticket, Op)>,
    /// Granted and told to the oracle, but not handed out yet: the disk refused to read them.
    pub(super) unread: BTreeMap<(u64, u64), oracle::Grant>,
    /// Compaction has stopped in this life, after a fault.
    pub(super) halted: bool,
}

pub(super) fn token(grant: &Grant) -> (u64, u64) {
    (grant.token.epoch, grant.token.counter)
}

pub(super) fn told(job: &NewJob, level: Durability) -> oracle::NewJob {
    oracle::NewJob {
        queue: job.queue.to_string(),
        priority: job.priority,
        unique: job.unique.clone(),
        until_started: job.rule.until_started,
        on_conflict: job.rule.on_conflict,
        expires_at: job.expires_at.map(|at| at.0),
        run_at: job.run_at.map(|at| at.0),
        max_attempts: job.max_attempts,
        hold: job.hold,
        level: level_of(level),
        ..oracle::NewJob::new(&job.kind, &job.args)
    }
}

pub(super) fn level_of(level: Durability) -> Level {
    match level {
        Durability::Sync => Level::Synced,
        Durability::Buffered => Level::Written,
    }
}

impl Judged {
    pub(super) fn on(world: World) -> Self {
        let mut oracle = Oracle::new();
        oracle.set_clock(world.clock.wall_ms());
        Self {
            world,
            engine: None,
            oracle,
            ids: Vec::new(),
            leases: Vec::new(),
            stale: Vec::new(),
            deadlines: BTreeMap::new(),
            unwaited: Vec::new(),
            unread: BTreeMap::new(),
            halted: false,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an open handle")
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.world.clock.wall_ms()
    }

    /// Nothing of the last process counts any more.
    pub(super) fn forget_leases(&mut self) {
        self.stale.append(&mut self.leases);
        let surplus = self.stale.len().saturating_sub(6);
        self.stale.drain(..surplus);
        self.deadlines.clear();
        self.unwaited.clear();
        self.unread.clear();
        self.halted = false;
    }

    /// The whole state is as it should be, counted and scanned.
    pub(super) fn compare(&self) -> Step {
        let found = view_of(self.engine())?;
        if let Some(difference) = self.oracle.view().difference(&found) {
            return broken(format!("the engine differs: {difference}"));
        }
        self.oracle.check()?;
        Ok(scan_agrees(self.engine(), &found)?)
    }

    pub(super) fn reach(&mut self, op: Op, ticket: Ticket, wait: Wait) -> Step {
        match wait {
            Wait::Out => {
                self.engine().wait(ticket)?;
                self.oracle.acknowledge(op, level_of(ticket.level));
            }
            Wait::Written => {
                self.engine().push()?;
                self.oracle.acknowledge(op, Level::Written);
            }
            Wait::Not => self.unwaited.push((ticket, op)),
        }
        Ok(())
    }

    pub(super) fn wait_for_earlier(&mut self, nth: usize) -> Step {
        let (ticket, op) = self.unwaited.swap_remove(nth);
        self.reach(op, ticket, Wait::Out)
    }

    /// Everything staged so far is durable.
    pub(super) fn all_durable(&mut self) {
        self.oracle.acknowledge(self.oracle.last_op(), Level::Synced);
    }

    pub(super) fn enqueue(&mut self, jobs: Vec<NewJob>, level: Durability, wait: Wait) -> Step {
        let told: Vec<oracle::NewJob> = jobs.iter().map(|job| told(job, level)).collect();
        let (enqueued, ticket) = self.engine().enqueue(jobs, level)?;
        let answers: Vec<Answer> = enqueued
            .iter()
            .map(|one| match one.acceptance {
                Acceptance::New => Answer::New(one.id),
                Acceptance::Duplicate(id) => Answer::Duplicate(id),
                Acceptance::Replaced(id) => Answer::Replaced(id),
                Acceptance::Rescheduled(id) => Answer::Rescheduled(id),
            })
            .collect();
        self.ids.extend(enqueued.iter().map(|one| one.id));
        let op = self.oracle.enqueue_many(&told, &answers)?;
        self.reach(op, ticket, wait)
    }

    pub(super) fn claim(&mut self, queues: &[&str], n: usize, lease: LeaseKind) -> Step<usize> {
        let names: Vec<String> = queues.iter().map(|&queue| queue.to_owned()).collect();
        let claimed = self.engine().claim(&names, n, lease);
        let grants = claimed.as_deref().unwrap_or_default();
        let mut told: Vec<oracle::Grant> = grants.iter().map(grant_told).collect();
        for grant in &told {
            if let Some(owed) = self.unread.get(&grant.token).filter(|owed| *owed != grant) {
                return broken(format!("granted first {owed:?}, then handed out as {grant:?}"));
            }
        }
        let late = told.len();
        told.retain(|grant| self.unread.remove(&grant.token).is_none());
        let late = late - told.len();
        let unread = self.newly_unread();
        told.extend(unread.values().cloned());
        told.sort_unstable_by_key(|grant| grant.token);
        self.oracle.set_elapsed(self.world.clock.monotonic());
        for id in self.newly_expired() {
            self.oracle.expired_when_reached(id)?;
        }
        if !told.is_empty() || (claimed.is_ok() && late == 0) {
            self.oracle.claim(queues, n, &told)?;
        }
        self.unread.extend(unread);
        if let LeaseKind::Hand(lasts) = lease {
            let until = self.world.clock.monotonic() + lasts;
            self.deadlines.extend(told.iter().map(|grant| ((until, grant.id), grant.token)));
        }
        let grants = claimed?;
        let n = grants.len();
        self.leases.extend(grants);
        Ok(n)
    }

    /// Jobs this claim reached after their time.
    fn newly_expired(&self) -> Vec<JobId> {
        let index = &self.engine().state.lock().books.index;
        let jobs = self.oracle.view().jobs;
        jobs.keys().copied().filter(|id| index.get(*id).is_none()).collect()
    }

    /// What this claim granted and could not read: it must be handed out as this by a later one.
    fn newly_unread(&self) -> BTreeMap<(u64, u64), oracle::Grant> {
        let state = self.engine().state.lock();
        let jobs = self.oracle.view().jobs;
        let mut unread = BTreeMap::new();
        for id in state.unread.iter().flatten().map(|pick| pick.id) {
            let (Some(lease), Some(job)) = (state.leases.get(&id), jobs.get(&id)) else { continue };
            let token = (lease.token.epoch, lease.token.counter);
            let (attempt, args) = (job.attempts + 1, job.args.clone());
            if !self.unread.contains_key(&token) {
                let idempotency_key = state.idempotency_key(id);
                unread.insert(token, oracle::Grant { id, token, attempt, idempotency_key, args });
            }
        }
        unread
    }
}

fn grant_told(grant: &Grant) -> oracle::Grant {
    oracle::Grant {
        id: grant.id,
        token: token(grant),
        attempt: grant.attempt,
        idempotency_key: grant.idempotency_key.clone(),
        args: grant.args.clone().into(),
    }
}
