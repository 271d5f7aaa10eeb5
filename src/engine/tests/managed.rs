//! Judged verbs by name, maintenance, and the refusals of a poisoned handle.

use crate::disk::simulated::Call;
use crate::engine::state::Life;
use crate::engine::{Cancelled, Confirmed, Durability, LeaseKind, Requeued, Settle};
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};
use crate::testing::oracle::{CancelAnswer, RequeueAnswer};

use super::judged::{Judged, Step, Wait, broken, level_of};

impl Judged {
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

    /// Confirms a held job, or discards it.
    pub(super) fn end_hold(&mut self, id: JobId, confirm: bool, wait: Wait) -> Step {
        let held = self.oracle.view().jobs.get(&id).map(|job| job.phase);
        let right = match held {
            None => Confirmed::NotLive,
            Some(Phase::Held) => Confirmed::Done,
            Some(other) => Confirmed::Refused(other),
        };
        let (answer, ticket) = if confirm { self.engine().confirm(id)? } else { self.engine().discard(id)? };
        if answer != right {
            return broken(format!("the end of the hold of job={id} answered {answer:?}, right is {right:?}"));
        }
        let op = match right {
            Confirmed::Done if confirm => self.oracle.confirm(id)?,
            Confirmed::Done => self.oracle.discard(id)?,
            _ => self.oracle.last_op(),
        };
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
