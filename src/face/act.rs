//! Answers what changes something: the verbs of a handle, spoken from outside.
//!
//! # Invariants
//! * The answer comes when what it says is on disk.
//!
//! Never here: rules of jobs (`job`), limits of names and sizes (`queue::check`).

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::jobs::JobLine;
use super::shape::{AcceptedShape, AllShape, ChangeShape, EnqueuedShape};
use super::verbs::{Act, Change};
use super::wire::raw;
use crate::error::Result;
use crate::ids::{JobId, Millis};
use crate::queue::{Backlog, Filter};

/// Does it; `now` is what ages in a filter count from.
pub(crate) fn act(backlog: &Backlog, what: Act, now: SystemTime) -> Result<Box<RawValue>> {
    let changed: ChangeShape = match what {
        Act::Enqueue { jobs } => {
            let jobs = jobs.into_iter().map(JobLine::into_builder).collect::<Result<Vec<_>>>()?;
            let accepted = backlog.enqueue_all(jobs)?;
            return raw(&AcceptedShape { jobs: accepted.into_iter().map(EnqueuedShape::of).collect() });
        }
        Act::All { filter, change, who } => {
            let bulk = backlog.bulk(&Filter::parse(&filter, now)?).by(who);
            return raw(&AllShape::of(match change {
                Change::Requeue {} => bulk.requeue(),
                Change::Cancel {} => bulk.cancel(),
                Change::Move { queue } => bulk.move_to(&queue),
                Change::Priority { priority } => bulk.set_priority(priority),
            }?));
        }
        Act::Cancel { id } => backlog.cancel(JobId(id))?.into(),
        Act::Requeue { id } => backlog.requeue(JobId(id))?.into(),
        Act::Move { id, queue } => backlog.move_to(JobId(id), &queue)?.into(),
        Act::Priority { id, priority } => backlog.set_priority(JobId(id), priority)?.into(),
        Act::Reschedule { id, run_at_ms } => backlog.reschedule(JobId(id), Millis(run_at_ms).to_system())?.into(),
        Act::Confirm { id } => backlog.confirm(JobId(id))?.into(),
        Act::Discard { id } => backlog.discard(JobId(id))?.into(),
        Act::PauseQueue { queue } => done(backlog.pause(&queue)?),
        Act::ResumeQueue { queue } => done(backlog.resume(&queue)?),
        Act::PauseKind { kind } => done(backlog.pause_kind(&kind)?),
        Act::ResumeKind { kind } => done(backlog.resume_kind(&kind)?),
        Act::Checkpoint {} => done(backlog.checkpoint()?),
        Act::Compact {} => done(backlog.compact()?),
    };
    raw(&changed)
}

fn done((): ()) -> ChangeShape {
    ChangeShape::word("done")
}
