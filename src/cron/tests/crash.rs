//! A crash at every operation of the disk around firings.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{daily, ms, take};
use crate::cron::{CronSet, Missed};
use crate::ids::Millis;
use crate::queue::Backlog;
use crate::testing::{CrashEverywhere, Scenario};
use crate::worker::Failure;

/// What the world outside counts: firings that reached it, by job.
#[derive(Default)]
struct Seen(RefCell<BTreeMap<(String, u64), u64>>);

impl Seen {
    /// Every job that stands, ready or not: nothing is claimed, so each stays until it is counted at the end.
    fn count(&self, backlog: &Backlog) {
        for (entry, at) in take(backlog) {
            *self.0.borrow_mut().entry((entry, at.0)).or_default() += 1;
        }
    }
}

fn set() -> CronSet {
    CronSet::new("s").entry(daily("each").missed(Missed::Backfill)).entry(daily("once"))
}

/// Declares at noon, is there for one night, misses two and comes back; another deploy drops an entry.
fn nights(scenario: &Scenario) -> Result<(), Failure> {
    let seen = Seen::default();
    let until = |at: &str| Duration::from_millis(ms(at).0.saturating_sub(scenario.clock().wall_ms()));
    scenario.clock().set_wall_ms(ms("2026-03-27T12:00Z").0);
    scenario.run(|backlog| {
        let _declared = backlog.declare_cron(vec![set()])?;
        scenario.advance(until("2026-03-28T03:30Z")).map_err(Failure::from)
    })?;
    scenario.clock().set_wall_ms(ms("2026-03-30T12:00Z").0);
    scenario.run(|backlog| Ok(backlog.declare_cron(vec![set()]).map(drop)?))?;
    scenario.clock().set_wall_ms(ms("2026-03-31T02:30Z").0);
    scenario.finish(|backlog| {
        let _declared = backlog.declare_cron(vec![set()])?;
        Ok(())
    })?;
    scenario.finish(|backlog| {
        seen.count(backlog);
        Ok(())
    })?;
    is_right(&seen)
}

/// Each night of `each` once, if it was declared before that night; of `once` none twice, and the last one.
fn is_right(seen: &Seen) -> Result<(), Failure> {
    let seen = seen.0.borrow();
    let night = |at: &str| ms(at).0;
    let nights = ["2026-03-28T03:30Z", "2026-03-29T02:30Z", "2026-03-30T02:30Z", "2026-03-31T02:30Z"].map(night);
    let times = |entry: &str, at: u64| seen.get(&(entry.to_owned(), at)).copied().unwrap_or(0);
    // A crash before the declaration was on disk: it was made later, and knows only later nights.
    let first = nights.iter().position(|night| times("each", *night) > 0);
    let each: Vec<u64> = nights.iter().skip(first.unwrap_or(4)).map(|night| times("each", *night)).collect();
    let once = nights.map(|night| times("once", night));
    let known: u64 = seen.values().sum();
    let counted: u64 = each.iter().sum::<u64>() + once.iter().sum::<u64>();
    let newest = |counts: &[u64]| first.is_none() || counts.last() == Some(&1);
    if each.iter().any(|n| *n != 1) || once.iter().any(|n| *n > 1) || !newest(&once) || known != counted {
        return Err(Failure::new(format!("each={each:?} once={once:?} all={seen:?}")));
    }
    Ok(())
}

#[test]
fn a_crash_anywhere_around_a_firing_leaves_one_job_of_it() {
    let tried = CrashEverywhere::new().again(2).find(nights).unwrap_or_else(|found| panic!("{found}"));
    println!("{tried}");
    println!("counted: crash images around firings {}", tried.images);
    assert!(tried.images > 300, "{tried}");
}

#[test]
fn once_a_declaration_was_acknowledged_no_night_is_lost() {
    let tried = CrashEverywhere::new().find(|scenario| {
        let told = std::cell::Cell::new(false);
        scenario.clock().set_wall_ms(ms("2026-03-27T12:00Z").0);
        scenario.run(|backlog| {
            let _declared = backlog.declare_cron(vec![set()])?;
            told.set(true);
            Ok(())
        })?;
        scenario.clock().set_wall_ms(ms("2026-03-28T12:00Z").0);
        let fired: Vec<(String, Millis)> = scenario.finish(|backlog| {
            let _declared = backlog.declare_cron(vec![set()])?;
            Ok(take(backlog))
        })?;
        match fired.len() {
            2 => Ok(()),
            0 if !told.get() => Ok(()),
            n => Err(Failure::new(format!("fired={n} told={}", told.get()))),
        }
    });
    tried.unwrap_or_else(|found| panic!("{found}"));
}
