//! The engine's state in the oracle's form, read the way a person looks: job by job, cell by cell.

use crate::engine::Core;
use crate::engine::look::Source;
use crate::error::Result;
use crate::ids::{JobId, Millis};
use crate::job::{State, namespace};
use crate::testing::oracle::{Counters, JobView, View};

/// Everything the oracle knows of, args included. Reading pushes what is staged.
pub(super) fn view_of(core: &Core) -> Result<View> {
    let mut view = View { paused: core.paused().into_iter().collect(), ..View::default() };
    let mut from = Some(JobId(0));
    while let Some(start) = from {
        let ids = core.ids_from(start, None);
        from = ids.last().map(|last| JobId(last.0 + 1));
        for id in ids {
            let Some((envelope, args)) = core.job(id)? else { continue };
            let run_at = match envelope.state {
                State::Scheduled { run_at } => Some(run_at.0),
                _ => None,
            };
            let job = JobView {
                kind: envelope.kind.clone(),
                queue: envelope.queue.clone(),
                priority: envelope.priority,
                phase: envelope.state.phase(),
                run_at,
                attempts: envelope.attempts,
                max_attempts: envelope.max_attempts,
                crashes: envelope.crashes,
                cancel_requested: envelope.cancel_requested,
                unique: envelope.unique.as_ref().map(|unique| unique.key.clone()),
                args: args.into(),
            };
            view.jobs.insert(id, job);
        }
    }
    for (space, key) in core.cell_keys() {
        if matches!(space, namespace::EPOCH | namespace::PAUSE | namespace::ALONE) {
            continue;
        }
        if let Some((value, _)) = core.cell_value(space, &key)? {
            view.cells.insert((space, key), value);
        }
    }
    view.counters = counters(core);
    Ok(view)
}

fn counters(core: &Core) -> Counters {
    let counted = core.state.lock().books.totals.counters;
    Counters {
        enqueued: counted.enqueued,
        completed: counted.completed,
        cancelled: counted.cancelled,
        expired: counted.expired,
        discarded: counted.discarded,
        pruned: counted.pruned,
        claims: counted.claims,
    }
}

/// What cannot be told from the view: the tallies by state and the cells of the pauses agree with a full scan (C9).
pub(super) fn scan_agrees(core: &Core, view: &View) -> std::result::Result<(), String> {
    core.check_books()?;
    let mut by_state = [0_u64; 6];
    for job in view.jobs.values() {
        by_state[job.phase as usize] += 1;
    }
    let total = core.counts().total();
    let counted = [total.held, total.scheduled, total.ready, total.in_flight, total.dead, total.parked];
    if counted != by_state {
        return Err(format!("C9: counts say {counted:?}, a full scan {by_state:?}"));
    }
    let pauses = core.cell_keys().into_iter().filter(|(space, _)| *space == namespace::PAUSE).count();
    if pauses != view.paused.len() {
        return Err(format!("pauses: {pauses} cells but {:?}", view.paused));
    }
    Ok(())
}

/// When a scheduled job becomes ready, from the index alone.
pub(super) fn run_at_of(core: &Core, id: JobId) -> Option<u64> {
    let state = core.state.lock();
    let mut all = state.books.index.scheduled_from((Millis(0), JobId(0)));
    all.find(|(_, found, _, _)| *found == id).map(|(run_at, ..)| run_at.0)
}
