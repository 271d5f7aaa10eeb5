//! The entries that running pools declare, and their turns.
//!
//! # Invariants
//! * A set is active as long as a pool that declares it runs; of several declarations of one name the newest is.
//! * No lock is held while a program makes its job, or while anything waits for the disk.

use std::fmt;
use std::sync::{Arc, Weak};

use super::cell::{self, Fired};
use super::declare::{check, declare};
use super::entry::{CronEntry, CronSet, Firing};
use super::fire::{self, fire};
use super::info::CronInfo;
use super::times::Times;
use crate::engine::{Core, Prepared, Source, Timed};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Millis;
use crate::job::namespace;
use crate::sync::Mutex;

/// A declaration; dropped, its entries fire no more.
#[derive(Debug)]
pub(crate) struct Declared {
    set: CronSet,
    /// Of each entry, in order.
    timings: Mutex<Vec<Timing>>,
}

/// What is kept in memory of an entry.
#[derive(Debug, Clone, Default)]
struct Timing {
    /// Due at once until it had its first turn, and while it has gone.
    seen: bool,
    next: Option<Millis>,
    /// The clock at its last turn: before that it went back.
    looked: Millis,
    trouble: Option<String>,
}

impl Timing {
    fn is_due(&self, now: Millis) -> bool {
        !self.seen || now < self.looked || self.next.is_some_and(|next| next <= now)
    }
}

/// Every declaration of a backlog.
#[derive(Default)]
pub(crate) struct Service {
    declared: Mutex<Vec<Weak<Declared>>>,
    /// Held by the one who declares; he makes no jobs meanwhile.
    declaring: Mutex<()>,
}

impl Service {
    /// Whether a set can be declared.
    pub(crate) fn check(core: &Core, set: &CronSet) -> Result<()> {
        check(core, set)
    }

    /// Declares a set and fires what was missed; on disk when this returns.
    pub(crate) fn declare(&self, core: &Core, set: CronSet) -> Result<Arc<Declared>> {
        declare(core, &set, &self.declaring)?;
        let timings = Mutex::new(vec![Timing::default(); set.entries.len()]);
        let declared = Arc::new(Declared { set, timings });
        self.declared.lock().push(Arc::downgrade(&declared));
        match self.turn(core) {
            // What was missed stays due; workers that may not start would end nothing and free nothing.
            Err(full) if full.kind() == ErrorKind::Full && !planted!(MissedHoldsUpTheStart) => {}
            turned => drop(turned?),
        }
        // Upkeep may have asked before, and be on its way to bed.
        core.upkeep.ring();
        Ok(declared)
    }

    /// The newest living declaration of each name.
    fn active(&self) -> Vec<Arc<Declared>> {
        let mut declared = self.declared.lock();
        declared.retain(|known| known.strong_count() > 0);
        let mut active: Vec<Arc<Declared>> = Vec::new();
        for newer in declared.iter().filter_map(Weak::upgrade) {
            active.retain(|known| known.set.name() != newer.set.name());
            active.push(newer);
        }
        active
    }

    fn turn_of(core: &Core, declared: &Declared, nth: usize, entry: &CronEntry) -> Result<fire::Fire> {
        let looked = core.clock().now_ms();
        let times = entry.times.clone()?;
        let fired = fire(core, declared.set.name(), entry, &times, looked);
        let mut timings = declared.timings.lock();
        if let Some(timing) = timings.get_mut(nth) {
            timing.looked = looked;
            match &fired {
                Ok(fired) => {
                    // Gone: a later declaration may bring it back while this one lives.
                    timing.seen = fired.next.is_some();
                    timing.next = fired.next;
                    timing.trouble = fired.trouble.clone().or(timing.trouble.take());
                }
                // Stays due.
                Err(e) => timing.trouble = Some(e.to_string()),
            }
        }
        fired
    }

    /// Every entry as it stands, by set and name.
    pub(crate) fn entries(&self, core: &Core) -> Result<Vec<CronInfo>> {
        let active = self.active();
        let mut entries = Vec::new();
        for key in core.cell_keys_of(namespace::CRON, &[]) {
            let Some((set, entry)) = cell::names(&key) else { continue };
            let Some((value, _)) = core.cell_value(namespace::CRON, &key)? else { continue };
            let Some(fired) = Fired::from_bytes(&value) else { continue };
            let mut standing = active.iter().filter(|known| known.set.name() == set);
            let timing = standing.find_map(|known| known.timing(&entry));
            let next = match &timing {
                Some(timing) if timing.seen => timing.next,
                _ => Times::read(&fired.times).and_then(|times| times.next(fired.from)),
            };
            entries.push(CronInfo {
                set,
                entry,
                times: fired.times,
                last: fired.last.map(Millis::to_system),
                next: next.map(Millis::to_system),
                declared: timing.is_some(),
                trouble: timing.and_then(|timing| timing.trouble),
            });
        }
        Ok(entries)
    }

    /// The job of an entry, made for now.
    pub(crate) fn make_now(&self, core: &Core, set: &str, entry: &str) -> Result<Vec<Prepared>> {
        let active = self.active();
        let declared = active.iter().find(|known| known.set.name() == set);
        let known = declared.and_then(|known| known.set.entries.iter().find(|known| known.name == entry));
        let Some(known) = known else {
            return Err(Error::invalid(format!(
                "set={set:?} entry={entry:?}: no running pool of this process declares it; start one that does"
            )));
        };
        let value = core.cell_value(namespace::CRON, &cell::key(set, entry))?;
        let previous = value.and_then(|(value, _)| Fired::from_bytes(&value)).and_then(|fired| fired.last);
        let firing = Firing { set: set.to_owned(), entry: entry.to_owned(), at: core.clock().now_ms(), previous };
        fire::make(core, known, &firing)
    }
}

impl Declared {
    fn timing(&self, entry: &str) -> Option<Timing> {
        let nth = self.set.names().position(|name| name == entry)?;
        self.timings.lock().get(nth).cloned()
    }
}

impl Timed for Service {
    fn turn(&self, core: &Core) -> Result<u64> {
        let now = core.clock().now_ms();
        let (mut jobs, mut ticket, mut refused) = (0, None, None);
        for declared in self.active() {
            let due: Vec<bool> = declared.timings.lock().iter().map(|timing| timing.is_due(now)).collect();
            for ((nth, entry), _) in declared.set.entries.iter().enumerate().zip(due).filter(|(_, due)| *due) {
                match Self::turn_of(core, &declared, nth, entry) {
                    Ok(fired) => {
                        jobs += fired.jobs;
                        ticket = fired.ticket.or(ticket);
                    }
                    Err(e) => refused = Some(e),
                }
            }
        }
        // One sync for all of them, those before a refusal too.
        ticket.map_or(Ok(()), |ticket| core.wait(ticket))?;
        refused.map_or(Ok(jobs), Err)
    }

    fn next(&self) -> Option<Millis> {
        let next = |declared: &Arc<Declared>| declared.timings.lock().iter().filter_map(|timing| timing.next).min();
        self.active().iter().filter_map(next).min()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("declarations", &self.declared.lock().len()).finish_non_exhaustive()
    }
}
