//! Who is granted next.

use std::sync::Arc;

use super::history::{Level, Op};
use super::queue::Live;
use super::turns::Turn;
use super::{Oracle, Violation};
use crate::ids::{JobId, Phase};

/// What the real backlog handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The job.
    pub id: JobId,
    /// The lease's token: opening, counter.
    pub token: (u64, u64),
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The job's own key for effects outside.
    pub idempotency_key: String,
    /// Its bytes.
    pub args: Arc<[u8]>,
}

impl Oracle {
    /// A claim of up to `n` jobs from `queues`, in their order; from all queues by name if none is named.
    ///
    /// C3, C4, C5, C6, C7, C10, C13, rule 11. Jobs that are not known to have reached their level may be granted or
    /// passed over. The grants count as [`Level::Written`], since a lease is handed out no sooner.
    pub fn claim(&mut self, queues: &[&str], n: usize, grants: &[Grant]) -> Result<Op, Violation> {
        if grants.len() > n {
            return Err(Violation::new(format!("C3: {} grants for n={n}", grants.len())));
        }
        let turn = self.whose_turn(queues);
        let ids: Vec<JobId> = grants.iter().map(|grant| grant.id).collect();
        Self::judge_turn(turn, &ids)?;
        if turn == Turn::Nobody {
            return Ok(self.last_op());
        }
        if grants.is_empty() {
            return match self.first_in_line(queues).filter(|_| n > 0) {
                Some(id) => Err(Violation::new(format!("C13: nothing granted while job={id} is ready"))),
                None => Ok(self.last_op()),
            };
        }
        for grant in grants {
            let best = if turn == Turn::Anyone { self.first_in_line(queues) } else { None };
            let Some(job) = self.queue.jobs.get(&grant.id) else {
                return Err(Violation::new(format!("C1: granted job={}, which is not live", grant.id)));
            };
            self.judge(grant, job, queues, best)?;
            if job.goes_alone() && grants.len() > 1 {
                return Err(Violation::new(format!("rule 11: job={} was granted in a batch", grant.id)));
            }
            self.remember(grant)?;
            self.queue.alone = None;
            if turn == Turn::Only(grant.id) {
                self.take_turn(grant.id, grant.token);
                self.queue.alone = Some(grant.token);
            }
            // The next of the batch is judged against what is left.
            self.queue.counters.claims += 1;
            if let Some(job) = self.queue.jobs.get_mut(&grant.id) {
                job.stand(Phase::InFlight, None);
                job.token = Some(grant.token);
            }
        }
        let op = self.step("claim", self.queue.clone());
        self.acknowledge(op, Level::Written);
        // The start is a step of its own: before it nobody was handed the job.
        if let [grant] = grants
            && let Some(job) = self.queue.jobs.get(&grant.id)
            && job.until_started
            && !job.started
        {
            let mut queue = self.queue.clone();
            if let Some(job) = queue.jobs.get_mut(&grant.id) {
                job.started = true;
            }
            return Ok(self.step("start", queue));
        }
        Ok(op)
    }

    /// A claim reached a job after its time: it was granted, and ended as expired before anybody was handed it.
    pub fn expired_when_reached(&mut self, id: JobId) -> Result<Op, Violation> {
        let mut queue = self.queue.clone();
        let Some(job) = queue.jobs.get_mut(&id) else {
            return Err(Violation::new(format!("C1: job={id} expired, which is not live")));
        };
        if job.phase != Phase::Ready || job.expires_at.is_none_or(|at| at > self.now_ms) {
            return Err(Violation::new(format!(
                "C1: job={id} expired while it is {} until {:?}",
                job.phase, job.expires_at
            )));
        }
        job.stand(Phase::InFlight, None);
        queue.counters.claims += 1;
        queue.alone = None;
        self.step("claim", queue.clone());
        queue.forget(id);
        queue.counters.expired += 1;
        Ok(self.step("expire", queue))
    }

    /// The job that must be granted next; `None`: nothing is claimable for now.
    pub fn best(&self, queues: &[&str]) -> Option<JobId> {
        match self.turn_in(&mut self.turns.clone(), queues) {
            Turn::Anyone => self.first_in_line(queues),
            Turn::Only(id) => Some(id),
            Turn::Nobody => None,
        }
    }

    /// The job that comes next in line, if no other is allowed to come first. One that stands behind a job of its
    /// queue and priority that has not reached its level may wait with it (C4).
    fn first_in_line(&self, queues: &[&str]) -> Option<JobId> {
        let mut waiting: Vec<(&str, i16)> = Vec::new();
        let ready = self.queue.jobs.iter().filter(|(_, job)| job.phase == Phase::Ready);
        let open = ready.filter(|(_, job)| {
            let line = (job.queue.as_str(), job.priority);
            if !self.history.has_reached(job.accepted, job.level) {
                waiting.push(line);
            }
            !waiting.contains(&line)
        });
        let ranked = open.filter_map(|(id, job)| Some((self.turn(queues, job)?, job.rank(*id))));
        ranked.min().map(|(_, (_, id))| id)
    }

    /// When a job's queue has its turn; `None`: it is paused or was not asked for.
    fn turn(&self, queues: &[&str], job: &Live) -> Option<(usize, String)> {
        if self.queue.paused.contains(&job.queue) {
            return None;
        }
        if queues.is_empty() {
            return Some((0, job.queue.clone()));
        }
        queues.iter().position(|queue| *queue == job.queue).map(|at| (at, String::new()))
    }

    fn judge(&self, grant: &Grant, job: &Live, queues: &[&str], best: Option<JobId>) -> Result<(), Violation> {
        let id = grant.id;
        let fail = |what: String| Err(Violation::new(what));
        match job.phase {
            Phase::Ready => {}
            Phase::InFlight => return fail(format!("C3: job={id} was granted while its lease lives")),
            Phase::Scheduled => return fail(format!("C6: job={id} was granted before its time {:?}", job.run_at)),
            phase => return fail(format!("C1: job={id} was granted while it is {phase}")),
        }
        let Some(turn) = self.turn(queues, job) else {
            return fail(format!("C5: job={id} of queue={:?} was granted to a claim on {queues:?}", job.queue));
        };
        let better = best.and_then(|best| Some((best, self.queue.jobs.get(&best)?)));
        if let Some((best, other)) = better
            && self.turn(queues, other).is_some_and(|first| (first, other.rank(best)) < (turn, job.rank(id)))
        {
            let broken = if other.priority == job.priority { "C4" } else { "C5" };
            return fail(format!("{broken}: job={id} was granted before job={best}"));
        }
        if job.expires_at.is_some_and(|at| at <= self.now_ms) {
            return fail(format!("C6: job={id} was granted after its time {:?}", job.expires_at));
        }
        if grant.attempt != job.attempts + 1 {
            return fail(format!("C7: job={id} attempt={} after {} spent", grant.attempt, job.attempts));
        }
        if grant.args != job.args {
            return fail(format!("C10: job={id} was granted with other args"));
        }
        Ok(())
    }

    /// Tokens rise for ever; a job keeps its idempotency key and shares it with no other.
    fn remember(&mut self, grant: &Grant) -> Result<(), Violation> {
        let id = grant.id;
        if grant.token <= self.last_token {
            return Err(Violation::new(format!("C3: job={id} token={:?} after {:?}", grant.token, self.last_token)));
        }
        self.last_token = grant.token;
        let owner = *self.keys.entry(grant.idempotency_key.clone()).or_insert(id);
        let key = self.key_of.entry(id).or_insert_with(|| grant.idempotency_key.clone());
        if owner != id || *key != grant.idempotency_key {
            return Err(Violation::new(format!(
                "rule 7: the idempotency key of job={id} changed, or is job={owner}'s"
            )));
        }
        Ok(())
    }
}
