//! An engine and its judge side by side: every verb goes to both, every answer is held against the oracle.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::simulated::Call;
use crate::engine::state::Life;
use crate::engine::{
    Acceptance, Cancelled, CellSet, Durability, Engine, Grant, LeaseKind, NewJob, Requeued, Settle, Ticket,
};
use crate::error::{Error, ErrorKind};
use crate::ids::{JobId, Phase};
use crate::testing::oracle::{self, Answer, CancelAnswer, Level, Op, Oracle, RequeueAnswer, Retry, Violation};

use super::view::{run_at_of, scan_agrees, view_of};
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
    deadlines: BTreeMap<(Duration, JobId), (u64, u64)>,
    pub(super) unwaited: Vec<(Ticket, Op)>,
    /// Granted and told to the oracle, but not handed out yet: the disk refused to read them.
    pub(super) unread: BTreeMap<(u64, u64), oracle::Grant>,
    /// Compaction has stopped in this life, after a fault.
    halted: bool,
}

pub(super) fn token(grant: &Grant) -> (u64, u64) {
    (grant.token.epoch, grant.token.counter)
}

fn told(job: &NewJob, level: Durability) -> oracle::NewJob {
    oracle::NewJob {
        queue: job.queue.clone(),
        priority: job.priority,
        unique: job.unique.clone(),
        run_at: job.run_at.map(|at| at.0),
        max_attempts: job.max_attempts,
        hold: job.hold,
        level: level_of(level),
        ..oracle::NewJob::new(&job.kind, &job.args)
    }
}

fn level_of(level: Durability) -> Level {
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

    fn reach(&mut self, op: Op, ticket: Ticket, wait: Wait) -> Step {
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

    /// What the engine must number the follow-ups of an ack with: it does not say.
    fn follow_up_answers(&self, parent: JobId, jobs: &[NewJob]) -> Vec<Answer> {
        let mut next = self.engine().state.lock().next_id;
        let live = self.oracle.view().jobs;
        let mut fresh: Vec<(&NewJob, JobId)> = Vec::new();
        let answer = |job| {
            let same = |kind: &str, key: &Option<String>, job: &NewJob| kind == job.kind && *key == job.unique;
            let holder = live.iter().find(|(id, other)| {
                **id != parent && other.phase != Phase::Dead && same(&other.kind, &other.unique, job)
            });
            let holder = holder.map(|(id, _)| *id);
            let holder = holder.or(fresh.iter().find(|(other, _)| same(&other.kind, &other.unique, job)).map(|f| f.1));
            if let (Some(_), Some(existing)) = (&job.unique, holder) {
                return Answer::Duplicate(existing);
            }
            fresh.push((job, JobId(next)));
            next += 1;
            Answer::New(JobId(next - 1))
        };
        jobs.iter().map(answer).collect()
    }

    /// The verdict on a lease, good or stale; the lease is given up.
    pub(super) fn settle(&mut self, grant: &Grant, how: Settle, wait: Wait) -> Step {
        let (id, token) = (grant.id, token(grant));
        let answers = match &how {
            Settle::Ack { follow_ups, .. } => self.follow_up_answers(id, follow_ups),
            _ => Vec::new(),
        };
        let ticket = self.engine().settle(grant, how.clone())?;
        let op = self.judge_settled(id, token, &how, &answers)?;
        self.deadlines.retain(|(_, held), _| *held != id || op.is_none());
        match (ticket, op) {
            (Some(ticket), Some(op)) => self.reach(op, ticket, wait),
            (None, None) => Ok(()),
            (Some(_), None) => broken(format!("C3: a stale lease of job={id} was accepted")),
            (None, Some(_)) => broken(format!("C3: the living lease of job={id} was refused")),
        }
    }

    fn judge_settled(&mut self, id: JobId, token: (u64, u64), how: &Settle, answers: &[Answer]) -> Step<Option<Op>> {
        let now = self.now_ms();
        let later = |after: &Duration| now + u64::try_from(after.as_millis()).unwrap();
        let op = match how {
            Settle::Ack { follow_ups, cells } => {
                let told: Vec<oracle::NewJob> = follow_ups.iter().map(|job| told(job, Durability::Sync)).collect();
                let cells: Vec<oracle::CellSet> = cells.iter().map(cell_told).collect();
                self.ids.extend(answers.iter().filter_map(|answer| match answer {
                    Answer::New(id) => Some(*id),
                    Answer::Duplicate(_) => None,
                }));
                self.oracle.ack(id, token, &told, answers, &cells)?
            }
            Settle::Nack { retry_after, .. } => {
                let curve = || Retry::Curve(run_at_of(self.engine(), id).unwrap_or_default());
                let retry = retry_after.as_ref().map_or_else(curve, |after| Retry::Asked(later(after)));
                self.oracle.nack(id, token, retry)?
            }
            Settle::Release => self.oracle.release(id, token),
            Settle::Snooze(after) => self.oracle.snooze(id, token, later(after)),
            Settle::Bury(_) => self.oracle.bury(id, token),
            Settle::Park(_) => self.oracle.park(id, token),
        };
        Ok(op)
    }

    pub(super) fn extend(&mut self, grant: &Grant, by: Duration) -> Step {
        let kept = self.engine().extend(grant.id, grant.token, by)?;
        let old = self.deadlines.iter().find(|((_, id), token)| *id == grant.id && **token == self::token(grant));
        let old = old.map(|(key, _)| *key);
        if kept != old.is_some() {
            return broken(format!("C3: extend of job={} said {kept}, deadline={old:?}", grant.id));
        }
        if let Some(old) = old {
            self.deadlines.remove(&old);
            self.deadlines.insert((self.world.clock.monotonic() + by, grant.id), token(grant));
        }
        Ok(())
    }

    pub(super) fn expire_leases(&mut self) -> Step {
        let expired = self.engine().expire_leases();
        let now = self.world.clock.monotonic();
        let due: Vec<_> = self.deadlines.range(..=(now, JobId(u64::MAX))).map(|(key, token)| (*key, *token)).collect();
        for (key, token) in &due {
            // After an error some may still stand.
            if expired.is_ok() || !self.engine().state.lock().deadlines.contains_key(key) {
                self.deadlines.remove(key);
                self.oracle.lease_expired(key.1, *token);
            }
        }
        if expired? != due.len() as u64 {
            return broken(format!("not all of {} leases expired that were due", due.len()));
        }
        Ok(())
    }

    pub(super) fn promote(&mut self) -> Step {
        let promoted = self.engine().promote_due()?;
        let due = self.oracle.promote();
        if promoted != due as u64 {
            return broken(format!("C6: {promoted} jobs were promoted, {due} were due"));
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: JobId, wait: Wait) -> Step {
        let (answer, ticket) = self.engine().cancel(id)?;
        let (right, op) = self.oracle.cancel(id);
        let same = matches!(
            (answer, right),
            (Cancelled::Done, CancelAnswer::Done)
                | (Cancelled::Requested, CancelAnswer::Requested)
                | (Cancelled::NotLive, CancelAnswer::NotLive)
        );
        if !same {
            return broken(format!("cancel of job={id} answered {answer:?}, right is {right:?}"));
        }
        self.reach(op, ticket, wait)
    }

    pub(super) fn requeue(&mut self, id: JobId, wait: Wait) -> Step {
        let (answer, ticket) = self.engine().requeue(id)?;
        let (right, op) = self.oracle.requeue(id);
        let answered = match answer {
            Requeued::Done => RequeueAnswer::Done,
            Requeued::Refused(phase) => RequeueAnswer::Refused(phase),
            Requeued::Duplicate(other) => RequeueAnswer::Duplicate(other),
            Requeued::NotLive => RequeueAnswer::NotLive,
        };
        if answered != right {
            return broken(format!("requeue of job={id} answered {answered:?}, right is {right:?}"));
        }
        self.reach(op, ticket, wait)
    }

    pub(super) fn pause(&mut self, queue: &str, paused: bool, wait: Wait) -> Step {
        let ticket = if paused { self.engine().pause(queue)? } else { self.engine().resume(queue)? };
        let op = if paused { self.oracle.pause(queue) } else { self.oracle.resume(queue) };
        self.reach(op, ticket, wait)
    }

    /// Everything staged is durable after it; without a working store it says so.
    pub(super) fn checkpoint(&mut self) -> Step {
        match self.engine().checkpoint() {
            Err(refused) if refused.kind() == ErrorKind::Io && refused.to_string().contains("index") => Ok(()),
            Err(other) => Err(other.into()),
            Ok(()) => {
                self.all_durable();
                Ok(())
            }
        }
    }

    pub(super) fn compact(&mut self) -> Step {
        let done = self.engine().compact_all();
        if done.is_err() && self.halted && self.engine().poisoned().is_none() {
            return Ok(());
        }
        self.halted |= done.is_err();
        Ok(done?)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.engine().state.lock().life == Life::Closed
    }

    /// A poisoned handle: nothing is acknowledged but what was durable before, and the disk is left alone.
    pub(super) fn refuses_everything(&mut self) -> Step {
        let calls = |judged: &Self| judged.world.disk.calls_of(&[Call::Write, Call::SyncData, Call::SyncDir]);
        let before = calls(self);
        for (ticket, op) in std::mem::take(&mut self.unwaited) {
            if self.engine().wait(ticket).is_ok() {
                self.oracle.acknowledge(op, level_of(ticket.level));
            }
        }
        let engine = self.engine();
        let enqueued = engine.enqueue(vec![super::world::job("no")], Durability::Sync).map(drop);
        let claimed = engine.claim(&[], 1, LeaseKind::Pool).map(drop);
        let ack = || Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() };
        let settled = self.leases.iter().map(|lease| engine.settle(lease, ack()).map(drop));
        for answer in [enqueued, claimed, engine.pause("default").map(drop), engine.promote_due().map(drop)]
            .into_iter()
            .chain(settled)
        {
            match answer {
                Err(refused) if matches!(refused.kind(), ErrorKind::Poisoned | ErrorKind::Closed) => {}
                other => return broken(format!("a poisoned handle answered {other:?}")),
            }
        }
        if calls(self) != before {
            return broken("a poisoned handle wrote or synced");
        }
        Ok(())
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

fn cell_told(cell: &CellSet) -> oracle::CellSet {
    (cell.namespace, cell.key.clone(), cell.value.clone())
}
