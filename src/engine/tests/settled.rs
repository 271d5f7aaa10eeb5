//! Judged verdicts on leases, and what time does to leases and scheduled jobs.

use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{CellSet, Durability, Grant, NewJob, Settle};
use crate::ids::{JobId, Phase};
use crate::testing::oracle::{self, Answer, Op, Retry};

use super::judged::{Judged, Step, Wait, broken, token, told};
use super::view::run_at_of;

impl Judged {
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
                    Answer::Duplicate(_) | Answer::Replaced(_) | Answer::Rescheduled(_) => None,
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
            Settle::Park(_) | Settle::SetAside(_) => self.oracle.park(id, token),
            Settle::Cancel => self.oracle.give_up(id, token),
        };
        Ok(op)
    }

    pub(super) fn extend(&mut self, grant: &Grant, by: Duration) -> Step {
        let kept = self.engine().extend(grant.id, grant.token, by)?;
        let old =
            self.deadlines.iter().find(|((_, id), token)| *id == grant.id && **token == super::judged::token(grant));
        let old = old.map(|(key, _)| *key);
        if kept != self.oracle.holds(grant.id, super::judged::token(grant)) {
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
}

fn cell_told(cell: &CellSet) -> oracle::CellSet {
    (cell.namespace, cell.key.clone(), cell.value.clone())
}
