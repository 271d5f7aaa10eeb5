//! Declares a set: its entries begin, those it has no more end, those whose times changed change.
//!
//! # Invariants
//! * One frame, under the cells it looked at; of two who declare at a time one comes after the other.
//! * An entry that stands with the same times is not touched: a deploy neither repeats nor loses a firing.
//! * Before the times of an entry change, what was due by the old ones has fired.

use super::cell::{self, Fired};
use super::entry::{CronEntry, CronSet, Firing};
use super::fire::{self, fire};
use super::times::Times;
use crate::engine::{CellSet, Core, Durability, SeenCell};
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::job::namespace;
use crate::sync::Mutex;

/// What can be known to be wrong before anything is declared: whether the program can make a job of each entry is
/// better known now than at night.
pub(super) fn check(core: &Core, set: &CronSet) -> Result<()> {
    let at = core.clock().now_ms();
    set.check(at)?;
    for entry in &set.entries {
        let firing = Firing { set: set.name.clone(), entry: entry.name.clone(), at, previous: None };
        fire::make(core, entry, &firing)
            .map_err(|e| Error::new(e.kind(), format!("set={:?} entry={:?}: {e}", set.name, entry.name)))?;
    }
    Ok(())
}

/// Brings the cells of a set to what it says; one set at a time, as `declaring` says. Returns when that is on disk.
pub(super) fn declare(core: &Core, set: &CronSet, declaring: &Mutex<()>) -> Result<()> {
    // The change is of this moment, however long it takes.
    let now = core.clock().now_ms();
    for entry in &set.entries {
        fire_the_old(core, set, entry, now)?;
    }
    let _one_at_a_time = declaring.lock();
    loop {
        let (mut cells, mut seen) = (Vec::new(), Vec::new());
        for key in core.cell_keys_of(namespace::CRON, &cell::prefix(&set.name)) {
            let is_kept = set.names().any(|name| cell::key(&set.name, name) == key);
            if !is_kept && !planted!(RemovedEntriesStay) {
                seen.push(core.see_cell(namespace::CRON, &key)?);
                cells.push(CellSet { namespace: namespace::CRON, key, value: None, until: None });
            }
        }
        for entry in &set.entries {
            let standing = core.see_cell(namespace::CRON, &cell::key(&set.name, &entry.name))?;
            if let Some(begun) = begun(entry.times.as_ref(), &standing, now) {
                cells.push(begun.set(&standing.key));
                seen.push(standing);
            }
        }
        if cells.is_empty() {
            // As it was declared before, perhaps a moment ago (rule 6); on a full disk too.
            return core.wait(core.seen_so_far());
        }
        let declared = core.accept_with(Vec::new(), &cells, &seen, Durability::Sync)?;
        if let Some((_, ticket)) = declared {
            return core.wait(ticket);
        }
    }
}

/// If the times of an entry change: what was due by those it had.
fn fire_the_old(core: &Core, set: &CronSet, entry: &CronEntry, now: Millis) -> Result<()> {
    let seen = core.see_cell(namespace::CRON, &cell::key(&set.name, &entry.name))?;
    let Some(stood) = stood(&seen) else { return Ok(()) };
    if entry.times.as_ref().is_ok_and(|times| times.to_string() == stood.times) {
        return Ok(());
    }
    // Times that are not known here any more have nothing due.
    let Some(old) = Times::read(&stood.times) else { return Ok(()) };
    let fired = fire(core, &set.name, entry, &old, now)?;
    match fired.trouble {
        Some(why) if fired.is_stuck => {
            Err(Error::invalid(format!("set={:?} entry={:?}: due by its old times: {why}", set.name, entry.name)))
        }
        _ => Ok(()),
    }
}

fn stood(seen: &SeenCell) -> Option<Fired> {
    seen.value.as_deref().and_then(Fired::from_bytes)
}

/// Where the entry is to begin from now on; `None`: it goes on as it stands.
fn begun(times: Result<&Times, &Error>, seen: &SeenCell, now: Millis) -> Option<Fired> {
    let times = times.ok()?.to_string();
    let stood = stood(seen);
    let goes_on = stood.as_ref().is_some_and(|stood| stood.times == times) && !planted!(DeployForgetsFirings);
    (!goes_on).then(|| Fired { from: now, last: stood.and_then(|stood| stood.last), times })
}
