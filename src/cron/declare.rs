//! Declares a set: its entries begin, those it has no more end, those whose times changed change.
//!
//! # Invariants
//! * One frame, under the cells it looked at: two who declare at a time leave one or the other set.
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

/// Brings the cells of a set to what it says. Returns when that is on disk.
pub(super) fn declare(core: &Core, set: &CronSet) -> Result<()> {
    set.check(core.clock().now_ms())?;
    try_to_make(core, set)?;
    loop {
        let now = core.clock().now_ms();
        let (mut cells, mut seen) = (Vec::new(), Vec::new());
        for key in core.cell_keys_of(namespace::CRON, &cell::prefix(&set.name)) {
            let is_kept = set.names().any(|name| cell::key(&set.name, name) == key);
            if !is_kept && !planted!(RemovedEntriesStay) {
                seen.push(core.see_cell(namespace::CRON, &key)?);
                cells.push(CellSet { namespace: namespace::CRON, key, value: None, until: None });
            }
        }
        for entry in &set.entries {
            let times = entry.times.clone()?;
            if let Some((fired, standing)) = begins(core, set, entry, &times, now)? {
                cells.push(fired.set(&standing.key));
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

/// Whether the program can make a job of each entry is better known now than at night.
fn try_to_make(core: &Core, set: &CronSet) -> Result<()> {
    for entry in &set.entries {
        let at = core.clock().now_ms();
        let firing = Firing { set: set.name.clone(), entry: entry.name.clone(), at, previous: None };
        fire::make(core, entry, &firing)
            .map_err(|e| Error::new(e.kind(), format!("set={:?} entry={:?}: {e}", set.name, entry.name)))?;
    }
    Ok(())
}

/// Where the entry is to begin from now on; `None`: it goes on as it stands.
fn begins(
    core: &Core,
    set: &CronSet,
    entry: &CronEntry,
    times: &Times,
    now: Millis,
) -> Result<Option<(Fired, SeenCell)>> {
    let key = cell::key(&set.name, &entry.name);
    let (text, mut last) = (times.to_string(), None);
    let standing = |seen: &SeenCell| seen.value.as_deref().and_then(Fired::from_bytes);
    let mut seen = core.see_cell(namespace::CRON, &key)?;
    if let Some(stood) = standing(&seen) {
        if stood.times == text && !planted!(DeployForgetsFirings) {
            return Ok(None);
        }
        if let Some(old) = planted!(DeployForgetsFirings, None, Times::read(&stood.times)) {
            fire(core, &set.name, entry, &old)?;
            seen = core.see_cell(namespace::CRON, &key)?;
        }
        last = standing(&seen).and_then(|stood| stood.last);
    }
    Ok(Some((Fired { from: now, last, times: text }, seen)))
}
