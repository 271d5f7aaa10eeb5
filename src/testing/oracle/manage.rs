//! What is done to jobs and queues by name.

use super::history::Op;
use super::queue::Live;
use super::{Oracle, Violation};
use crate::ids::{JobId, Phase};

/// The right answer to a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The job is gone.
    Done,
    /// It runs; it is cancelled at any end but an ack.
    Requested,
    /// There is no such live job.
    NotLive,
}

/// The right answer to a requeue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequeueAnswer {
    /// Ready again, from its first attempt.
    Done,
    /// Not from this state.
    Refused(Phase),
    /// Another live job holds its key by now.
    Duplicate(JobId),
    /// There is no such live job.
    NotLive,
}

impl Oracle {
    /// Ends a job that does not run; asks one that does to stop.
    pub fn cancel(&mut self, id: JobId) -> (CancelAnswer, Op) {
        let Some(phase) = self.phase(id) else { return (CancelAnswer::NotLive, self.last_op()) };
        let mut queue = self.queue.clone();
        if phase != Phase::InFlight {
            queue.forget(id);
            queue.counters.cancelled += 1;
            return (CancelAnswer::Done, self.step("cancel", queue));
        }
        if let Some(job) = queue.jobs.get_mut(&id) {
            job.cancel_requested = true;
        }
        (CancelAnswer::Requested, self.step("ask to cancel", queue))
    }

    /// A dead, parked or scheduled job runs again from its first attempt, unless another has its key by now.
    pub fn requeue(&mut self, id: JobId) -> (RequeueAnswer, Op) {
        let Some(job) = self.queue.jobs.get(&id) else { return (RequeueAnswer::NotLive, self.last_op()) };
        if !matches!(job.phase, Phase::Dead | Phase::Parked | Phase::Scheduled) {
            return (RequeueAnswer::Refused(job.phase), self.last_op());
        }
        let twin = job.unique.as_ref().and_then(|key| self.queue.holder(&job.kind, key, Some(id)));
        if let Some(twin) = twin {
            return (RequeueAnswer::Duplicate(twin), self.last_op());
        }
        let op = self.change(id, "requeue", |job| {
            (job.attempts, job.crashes, job.yields) = (0, 0, 0);
            job.make_ready();
        });
        (RequeueAnswer::Done, op)
    }

    /// No job of this queue is granted until it is resumed.
    pub fn pause(&mut self, name: &str) -> Op {
        self.set_paused(name, true)
    }

    /// Undoes a pause.
    pub fn resume(&mut self, name: &str) -> Op {
        self.set_paused(name, false)
    }

    /// The hold is lifted.
    pub fn confirm(&mut self, id: JobId) -> Result<Op, Violation> {
        self.must_be(id, "confirm", |phase| phase == Phase::Held)?;
        let now_ms = self.now_ms;
        Ok(self.change(id, "confirm", |job| job.start_waiting(now_ms)))
    }

    /// The hold ends in nothing.
    pub fn discard(&mut self, id: JobId) -> Result<Op, Violation> {
        self.must_be(id, "discard", |phase| phase == Phase::Held)?;
        let mut queue = self.queue.clone();
        queue.forget(id);
        queue.counters.discarded += 1;
        Ok(self.step("discard", queue))
    }

    /// Somebody there can run it now.
    pub fn unpark(&mut self, id: JobId) -> Result<Op, Violation> {
        self.must_be(id, "unpark", |phase| phase == Phase::Parked)?;
        Ok(self.change(id, "unpark", Live::make_ready))
    }

    /// It was not started in time.
    pub fn expire(&mut self, id: JobId) -> Result<Op, Violation> {
        self.must_be(id, "expire", |phase| matches!(phase, Phase::Held | Phase::Scheduled | Phase::Ready))?;
        let mut queue = self.queue.clone();
        queue.forget(id);
        queue.counters.expired += 1;
        Ok(self.step("expire", queue))
    }

    /// It was dead for long enough.
    pub fn prune(&mut self, id: JobId) -> Result<Op, Violation> {
        self.must_be(id, "prune", |phase| phase == Phase::Dead)?;
        let mut queue = self.queue.clone();
        queue.forget(id);
        queue.counters.pruned += 1;
        Ok(self.step("prune", queue))
    }

    fn phase(&self, id: JobId) -> Option<Phase> {
        self.queue.jobs.get(&id).map(|job| job.phase)
    }

    fn must_be(&self, id: JobId, what: &str, is_right: impl FnOnce(Phase) -> bool) -> Result<(), Violation> {
        match self.phase(id) {
            Some(phase) if is_right(phase) => Ok(()),
            phase => Err(Violation::new(format!("C1: job={id} in state {phase:?} took {what}"))),
        }
    }

    fn change(&mut self, id: JobId, what: &'static str, how: impl FnOnce(&mut Live)) -> Op {
        let mut queue = self.queue.clone();
        if let Some(job) = queue.jobs.get_mut(&id) {
            how(job);
        }
        self.step(what, queue)
    }

    fn set_paused(&mut self, name: &str, paused: bool) -> Op {
        if self.queue.paused.contains(name) == paused {
            return self.last_op();
        }
        let mut queue = self.queue.clone();
        if paused {
            queue.paused.insert(name.to_owned());
        } else {
            queue.paused.remove(name);
        }
        self.step(if paused { "pause" } else { "resume" }, queue)
    }
}
