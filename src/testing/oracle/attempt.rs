//! How an attempt ends.

use super::history::Op;
use super::queue::{Live, Queue};
use super::{Answer, CellSet, NewJob, Oracle, Violation};
use crate::ids::{JobId, Phase};

/// A second release or snooze in a row waits at least this long (rule 17).
const YIELD_WAIT_MS: u64 = 1000;

/// When a failed job runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The caller said when, milliseconds since 1970.
    Asked(u64),
    /// The default curve chose this time; it is held against the formula (C7).
    Curve(u64),
}

/// C7: whether `n⁴ + 15 s + rand(30) × (n + 1)` can be this long, n = failures before this one.
pub fn default_backoff_allows(failures: u32, wait_ms: u64) -> bool {
    let n = u128::from(failures);
    let least = (n.pow(4) + 15) * 1000;
    let most = least + 30_000 * (n + 1);
    (least..most).contains(&u128::from(wait_ms))
}

impl Oracle {
    /// Whether this lease still holds its job. The real one must refuse every use of one that does not (C3), and extend
    /// one that does; extending changes nothing that a crash could take.
    pub fn holds(&self, id: JobId, token: (u64, u64)) -> bool {
        self.queue.jobs.get(&id).is_some_and(|job| job.token == Some(token))
    }

    /// The handler is done. `None`: the lease is stale; the real one must have said so. Follow-up jobs and cells come
    /// with the end or not at all (C15); a follow-up may take over the unique key of the job that ends.
    pub fn ack(
        &mut self,
        id: JobId,
        token: (u64, u64),
        follow_ups: &[NewJob],
        answers: &[Answer],
        cells: &[CellSet],
    ) -> Result<Option<Op>, Violation> {
        if !self.holds(id, token) {
            return Ok(None);
        }
        let mut queue = self.queue.clone();
        queue.forget(id);
        queue.counters.completed += 1;
        self.accept(&mut queue, follow_ups, answers)?;
        queue.set_cells(cells);
        Ok(Some(self.step("ack", queue)))
    }

    /// The attempt failed.
    pub fn nack(&mut self, id: JobId, token: (u64, u64), retry: Retry) -> Result<Option<Op>, Violation> {
        if !self.holds(id, token) {
            return Ok(None);
        }
        let attempts = self.queue.jobs.get(&id).map_or(0, |job| job.attempts);
        let mut queue = self.queue.clone();
        let stands = end_attempt(&mut queue, id, |job| {
            let run_at = match retry {
                Retry::Asked(run_at) | Retry::Curve(run_at) => run_at,
            };
            if job.spend_attempt() {
                job.schedule(run_at);
            }
        });
        let waits = stands && queue.jobs.get(&id).is_some_and(|job| job.phase == Phase::Scheduled);
        if let Retry::Curve(run_at) = retry
            && waits
            && !default_backoff_allows(attempts, run_at.saturating_sub(self.now_ms))
        {
            return Err(Violation::new(format!("C7: job={id} failures={attempts} waits until {run_at}")));
        }
        Ok(Some(self.step("nack", queue)))
    }

    /// Given back untried.
    pub fn release(&mut self, id: JobId, token: (u64, u64)) -> Option<Op> {
        let now_ms = self.now_ms;
        self.end_held(id, token, "release", |job| {
            job.yields += 1;
            match job.yields {
                1 => job.make_ready(),
                _ => job.schedule(now_ms.saturating_add(YIELD_WAIT_MS)),
            }
        })
    }

    /// Given back untried, until a time.
    pub fn snooze(&mut self, id: JobId, token: (u64, u64), until_ms: u64) -> Option<Op> {
        let now_ms = self.now_ms;
        self.end_held(id, token, "snooze", |job| {
            job.yields += 1;
            let earliest = if job.yields == 1 { 0 } else { now_ms.saturating_add(YIELD_WAIT_MS) };
            job.schedule(until_ms.max(earliest));
        })
    }

    /// Dead at once; the attempt is spent.
    pub fn bury(&mut self, id: JobId, token: (u64, u64)) -> Option<Op> {
        self.end_held(id, token, "bury", |job| {
            job.spend_attempt();
            job.die();
        })
    }

    /// Nobody there can run it; the attempt is not spent.
    pub fn park(&mut self, id: JobId, token: (u64, u64)) -> Option<Op> {
        self.end_held(id, token, "park", |job| job.stand(Phase::Parked, None))
    }

    /// A lease taken by hand ran out; the attempt is spent.
    pub fn lease_expired(&mut self, id: JobId, token: (u64, u64)) -> Option<Op> {
        self.end_held(id, token, "lease expired", |job| {
            if job.spend_attempt() {
                job.make_ready();
            }
        })
    }

    /// Its holder cancels it.
    pub fn give_up(&mut self, id: JobId, token: (u64, u64)) -> Option<Op> {
        if !self.holds(id, token) {
            return None;
        }
        let mut queue = self.queue.clone();
        if let Some(job) = queue.jobs.get_mut(&id) {
            job.cancel_requested = true;
        }
        end_attempt(&mut queue, id, |_| {});
        Some(self.step("give up", queue))
    }

    fn end_held(
        &mut self,
        id: JobId,
        token: (u64, u64),
        what: &'static str,
        how: impl FnOnce(&mut Live),
    ) -> Option<Op> {
        if !self.holds(id, token) {
            return None;
        }
        let mut queue = self.queue.clone();
        end_attempt(&mut queue, id, how);
        Some(self.step(what, queue))
    }
}

/// Rule 20: a job somebody cancelled while it ran is cancelled by every end of its attempt but an ack. `false`: so it
/// was.
fn end_attempt(queue: &mut Queue, id: JobId, how: impl FnOnce(&mut Live)) -> bool {
    let Some(job) = queue.jobs.get_mut(&id) else { return false };
    if job.cancel_requested {
        queue.forget(id);
        queue.counters.cancelled += 1;
        return false;
    }
    how(job);
    true
}
