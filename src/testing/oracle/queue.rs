//! The queue itself: jobs, cells, pauses and counters, and what the promises say of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::history::{Level, Op};
use super::view::{Counters, JobView, View};
use super::{CellSet, NewJob, Violation};
use crate::ids::{JobId, Phase};
use crate::job::namespace;

/// A live job.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) kind: String,
    pub(super) queue: String,
    pub(super) priority: i16,
    pub(super) unique: Option<String>,
    /// Its first start frees its key.
    pub(super) until_started: bool,
    pub(super) started: bool,
    pub(super) expires_at: Option<u64>,
    pub(super) phase: Phase,
    /// When it becomes ready, while it is scheduled.
    pub(super) run_at: Option<u64>,
    /// The time its enqueuer asked for.
    pub(super) asked_for: Option<u64>,
    pub(super) attempts: u32,
    pub(super) max_attempts: u32,
    pub(super) crashes: u32,
    /// Releases and snoozes in a row.
    pub(super) yields: u32,
    pub(super) cancel_requested: bool,
    /// Its lease, while it is in flight.
    pub(super) token: Option<(u64, u64)>,
    pub(super) args: Arc<[u8]>,
    pub(super) accepted: Op,
    pub(super) level: Level,
}

impl Live {
    fn new(job: &NewJob, accepted: Op) -> Self {
        Self {
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            priority: job.priority,
            unique: job.unique.clone(),
            until_started: job.until_started && job.unique.is_some(),
            started: false,
            expires_at: job.expires_at,
            phase: Phase::Held,
            run_at: None,
            asked_for: job.run_at,
            attempts: 0,
            max_attempts: job.max_attempts,
            crashes: 0,
            yields: 0,
            cancel_requested: false,
            token: None,
            args: Arc::clone(&job.args),
            accepted,
            level: job.level,
        }
    }

    pub(super) fn make_ready(&mut self) {
        self.stand(Phase::Ready, None);
    }

    pub(super) fn schedule(&mut self, run_at: u64) {
        self.stand(Phase::Scheduled, Some(run_at));
    }

    pub(super) fn die(&mut self) {
        self.stand(Phase::Dead, None);
    }

    pub(super) fn stand(&mut self, phase: Phase, run_at: Option<u64>) {
        self.phase = phase;
        self.run_at = run_at;
        self.token = None;
    }

    /// One more attempt is spent. `false`: it was the last, and the job is dead.
    pub(super) fn spend_attempt(&mut self) -> bool {
        self.attempts += 1;
        self.yields = 0;
        if self.attempts >= self.max_attempts {
            self.die();
        }
        self.attempts < self.max_attempts
    }

    /// It may only be granted alone: rule 11, or what it says must be looked at first.
    pub(super) fn goes_alone(&self) -> bool {
        self.crashes > 0
            || self.attempts + 1 >= self.max_attempts
            || self.expires_at.is_some()
            || (self.until_started && !self.started)
    }

    /// Rule 11: it was in flight at two crashes or more.
    pub(super) fn is_suspect(&self) -> bool {
        self.crashes >= 2
    }

    /// The line it stands in, best first: high priority, then low id.
    pub(super) fn rank(&self, id: JobId) -> (Reverse<i16>, JobId) {
        (Reverse(self.priority), id)
    }

    fn view(&self) -> JobView {
        JobView {
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            priority: self.priority,
            phase: self.phase,
            run_at: self.run_at,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            crashes: self.crashes,
            cancel_requested: self.cancel_requested,
            unique: self.unique.clone(),
            args: Arc::clone(&self.args),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) jobs: BTreeMap<JobId, Live>,
    cells: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    pub(super) paused: BTreeSet<String>,
    pub(super) counters: Counters,
    /// The token under which a suspect runs alone; until the next grant.
    pub(super) alone: Option<(u64, u64)>,
}

impl Queue {
    pub(super) fn view(&self) -> View {
        View {
            jobs: self.jobs.iter().map(|(id, job)| (*id, job.view())).collect(),
            cells: self.cells.clone(),
            paused: self.paused.clone(),
            counters: self.counters,
        }
    }

    pub(super) fn insert(&mut self, id: JobId, job: &NewJob, now_ms: u64, accepted: Op) {
        let mut live = Live::new(job, accepted);
        if !job.hold {
            live.start_waiting(now_ms);
        }
        self.jobs.insert(id, live);
        self.counters.enqueued += 1;
    }

    /// The job stands under another's id, and its key on that one's terms.
    pub(super) fn replace(&mut self, id: JobId, job: &NewJob, now_ms: u64) {
        let Some(old) = self.jobs.get_mut(&id) else { return };
        let mut live = Live::new(job, old.accepted);
        (live.level, live.until_started, live.started) = (old.level, old.until_started, old.started);
        if !job.hold {
            live.start_waiting(now_ms);
        }
        *old = live;
    }

    pub(super) fn reschedule(&mut self, id: JobId, run_at: Option<u64>, now_ms: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.asked_for = run_at.or(Some(now_ms));
        job.start_waiting(now_ms);
    }

    /// Whether it stands where an enqueue may change it.
    pub(super) fn waits(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| matches!(job.phase, Phase::Scheduled | Phase::Ready))
    }

    /// The live job other than `but` that keeps `key` from others of its kind. Dead jobs keep nothing.
    pub(super) fn holder(&self, kind: &str, key: &str, but: Option<JobId>) -> Option<JobId> {
        let holds = |job: &Live| {
            let gave_it_up = job.until_started && job.started;
            job.phase != Phase::Dead && !gave_it_up && job.kind == kind && job.unique.as_deref() == Some(key)
        };
        self.jobs.iter().find(|(id, job)| Some(**id) != but && holds(job)).map(|(id, _)| *id)
    }

    pub(super) fn first_due(&self, now_ms: u64) -> Option<JobId> {
        let due = self.jobs.iter().filter_map(|(id, job)| Some((job.run_at?, *id))).min()?;
        (due.0 <= now_ms).then_some(due.1)
    }

    /// The job is over, and what it kept beside itself is gone.
    pub(super) fn forget(&mut self, id: JobId) {
        self.jobs.remove(&id);
        let prefix = id.0.to_be_bytes();
        self.cells.retain(|(space, key), _| !namespace::OF_A_JOB.contains(space) || !key.starts_with(&prefix));
    }

    pub(super) fn set_cells(&mut self, cells: &[CellSet]) {
        for (namespace, key, value) in cells {
            let name = (*namespace, key.clone());
            match value {
                Some(value) => self.cells.insert(name, value.clone()),
                None => self.cells.remove(&name),
            };
        }
    }

    /// The process ended: what was in flight comes back by the rules, at once.
    pub(super) fn interrupted(&self) -> Self {
        let mut after = self.clone();
        let running: Vec<JobId> =
            self.jobs.iter().filter(|(_, job)| job.phase == Phase::InFlight).map(|(id, _)| *id).collect();
        for id in running {
            let Some(job) = after.jobs.get_mut(&id) else { continue };
            let is_pill = job.is_suspect() && job.token == self.alone;
            job.crashes += 1;
            if is_pill && !job.cancel_requested {
                job.attempts += 1;
                job.die();
            } else if job.cancel_requested {
                after.forget(id);
                after.counters.cancelled += 1;
            } else if job.spend_attempt() {
                job.make_ready();
            }
        }
        after
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        for (id, job) in &self.jobs {
            let twin = job.unique.as_ref().and_then(|key| self.holder(&job.kind, key, Some(*id)));
            if let Some(twin) = twin.filter(|_| job.phase != Phase::Dead && !(job.until_started && job.started)) {
                return Err(Violation::new(format!("C8: job={id} and job={twin} hold one key")));
            }
        }
        self.counters.conserve(self.jobs.len())
    }
}

impl Live {
    /// Scheduled for the time it asked for, or ready if that is past.
    pub(super) fn start_waiting(&mut self, now_ms: u64) {
        match self.asked_for {
            Some(run_at) if run_at > now_ms => self.schedule(run_at),
            _ => self.make_ready(),
        }
    }
}
