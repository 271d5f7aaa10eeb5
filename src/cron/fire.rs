//! Fires an entry: which of its times make a job, and the frames in which they do.
//!
//! # Invariants
//! * One firing is one frame, the oldest first: a crash between two of them leaves the rest due.
//! * A time that is skipped writes nothing: skipped once, it is too late for ever.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::cell::{self, Fired};
use super::entry::{CronEntry, Firing, Missed};
use super::times::Times;
use crate::engine::{Core, Durability, Prepared, SeenCell, Ticket};
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::job::namespace;

/// What is later than this was missed, ms.
const LATE_MS: u64 = 60_000;
/// After a job could not be made.
const REST: Duration = Duration::from_secs(60);

/// Which times after `from` make a job now.
pub(super) fn firings(times: &Times, missed: Missed, from: Millis, now: Millis) -> VecDeque<Millis> {
    match missed {
        Missed::Once => times.due(from, now, 1),
        Missed::Skip => {
            let mut newest = times.due(from, now, 1);
            newest.retain(|at| now.0.saturating_sub(at.0) <= LATE_MS || planted!(SkipRunsWhatWasMissed));
            newest
        }
        Missed::Backfill => times.due(from, now, Missed::BACKFILL_MAX),
    }
}

/// What came of an entry's turn.
#[derive(Debug, Default)]
pub(super) struct Fire {
    pub(super) jobs: u64,
    /// What was staged, and is to be waited for.
    pub(super) ticket: Option<Ticket>,
    /// When it is due next.
    pub(super) next: Option<Millis>,
    /// What a person should know.
    pub(super) trouble: Option<String>,
    /// A job could not be made: its firing is still due.
    pub(super) is_stuck: bool,
}

/// Reads where an entry stands. `None`: it is not declared any more.
fn see(core: &Core, key: &[u8]) -> Result<Option<(Fired, SeenCell)>> {
    let seen = core.see_cell(namespace::CRON, key)?;
    Ok(seen.value.as_deref().and_then(Fired::from_bytes).map(|fired| (fired, seen)))
}

/// Fires what is due of an entry by these times.
pub(super) fn fire(core: &Core, set: &str, entry: &CronEntry, times: &Times, now: Millis) -> Result<Fire> {
    let key = cell::key(set, &entry.name);
    let Some((standing, seen)) = see(core, &key)? else { return Ok(Fire::default()) };
    if is_ahead(times, standing.from, now) {
        return reset(core, times, &key, (standing, seen), now);
    }
    // Behind what is skipped, too.
    let reached = times.due(standing.from, now, 1).pop_back().unwrap_or(standing.from);
    let mut fire = Fire { next: times.next(reached), ..Fire::default() };
    for at in firings(times, entry.missed, standing.from, now) {
        match fire_at(core, set, entry, times, &key, at)? {
            Made::Job(ticket) => {
                fire.jobs += 1;
                fire.ticket = Some(ticket);
            }
            Made::ByAnother => {}
            Made::Gone => return Ok(Fire { next: None, ..fire }),
            Made::Not(why) => {
                return Ok(Fire {
                    next: Some(now.after(REST)),
                    trouble: Some(why.to_string()),
                    is_stuck: true,
                    ..fire
                });
            }
        }
    }
    Ok(fire)
}

/// How one firing went.
enum Made {
    Job(Ticket),
    /// It has fired: another pool was quicker.
    ByAnother,
    /// The entry is not declared any more.
    Gone,
    /// The program could not make the job.
    Not(Error),
}

fn fire_at(core: &Core, set: &str, entry: &CronEntry, times: &Times, key: &[u8], at: Millis) -> Result<Made> {
    loop {
        let Some((standing, seen)) = see(core, key)? else { return Ok(Made::Gone) };
        if standing.from >= at {
            return Ok(Made::ByAnother);
        }
        let firing = Firing { set: set.to_owned(), entry: entry.name.clone(), at, previous: standing.last };
        let job = match make(core, entry, &firing) {
            Ok(job) => job,
            Err(why) => return Ok(Made::Not(why)),
        };
        let fired = Fired { from: at, last: Some(at), times: times.to_string() };
        if let Some(ticket) = put(core, job, &fired, key, seen)? {
            return Ok(Made::Job(ticket));
        }
    }
}

/// The job of a firing, as the program makes it; one of it.
pub(super) fn make(core: &Core, entry: &CronEntry, firing: &Firing) -> Result<Vec<Prepared>> {
    let made = catch_unwind(AssertUnwindSafe(|| (entry.make)(firing, core.clock(), core.limits())));
    let panicked = |_| Err(Error::invalid(format!("making the job of the entry {:?} panicked", entry.name)));
    core.prepare_all(std::iter::once(made.unwrap_or_else(panicked)))
}

/// One frame: the job, and that it was made.
fn put(core: &Core, job: Vec<Prepared>, fired: &Fired, key: &[u8], seen: SeenCell) -> Result<Option<Ticket>> {
    let job = if planted!(FiringInTwoFrames) {
        let accepted = core.accept_with(job, &[], &[], Durability::Sync)?;
        accepted.map_or(Ok(()), |(_, ticket)| core.wait(ticket))?;
        Vec::new()
    } else {
        job
    };
    Ok(core.accept_with(job, &[fired.set(key)], &[seen], Durability::Sync)?.map(|(_, ticket)| ticket))
}

/// Whether it has fired for a time that is more than a period away: the clock was wrong then, or is now (rule 16).
fn is_ahead(times: &Times, from: Millis, now: Millis) -> bool {
    let period_ms = || times.period_ms(now).unwrap_or(u64::MAX);
    from > now && from.0 - now.0 > period_ms() && !planted!(ClockBackUnseen)
}

/// Begins anew from now on.
fn reset(core: &Core, times: &Times, key: &[u8], stood: (Fired, SeenCell), now: Millis) -> Result<Fire> {
    let (standing, seen) = stood;
    let days = (standing.from.0 - now.0) / (24 * 3_600_000);
    let trouble = format!(
        "the clock went back: it had fired for a time {days} days from now (ms={}); it fires from now on again",
        standing.from.0
    );
    let fired = Fired { from: now, last: standing.last, times: times.to_string() };
    let ticket = put(core, Vec::new(), &fired, key, seen)?;
    // Not put: somebody else has moved it, and the next turn sees how.
    Ok(Fire { ticket, next: times.next(now), trouble: Some(trouble), ..Fire::default() })
}
