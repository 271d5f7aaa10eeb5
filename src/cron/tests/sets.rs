//! Declaring sets: restarts, deploys, entries that come and go, several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{World, daily, declare, info, minutely, moments, ms, take, tick};
use crate::cron::{CronEntry, CronSet};
use crate::ids::Millis;
use crate::job::Codec;
use crate::queue::JobBuilder;

fn nightly() -> CronSet {
    CronSet::new("reports").entry(daily("nightly"))
}

#[test]
fn an_entry_fires_when_its_time_has_come_and_not_before() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let declared = declare(&backlog, nightly());
    assert!(take(&backlog).is_empty(), "it was not there before");
    world.clock.set_wall_ms(ms("2026-06-02T02:30Z").0 - 1);
    backlog.serve().unwrap();
    assert!(take(&backlog).is_empty());
    for day in 2..5 {
        world.set_to(&format!("2026-06-0{day}T02:30:00Z"));
        backlog.serve().unwrap();
        backlog.serve().unwrap();
        assert_eq!(moments(&backlog), [format!("2026-06-0{day}T02:30:00Z")]);
    }
    drop(declared);
    world.set_to("2026-06-09T02:30Z");
    backlog.serve().unwrap();
    assert!(take(&backlog).is_empty(), "no pool declares it");
}

#[test]
fn a_restart_neither_repeats_nor_loses_a_firing() {
    let world = World::at("2026-06-01T12:00Z");
    drop(declare(&world.open(), nightly()));
    let world = world.next();
    world.set_to("2026-06-02T02:30Z");
    let backlog = world.open();
    let declared = declare(&backlog, nightly());
    assert_eq!(moments(&backlog), ["2026-06-02T02:30:00Z"], "it came due while nobody was there");
    drop((declared, backlog));
    let world = world.next();
    world.minutes(1);
    let backlog = world.open();
    let _declared = declare(&backlog, nightly());
    assert!(take(&backlog).is_empty());
    let nightly = info(&backlog, "nightly");
    assert_eq!(nightly.last, Some(ms("2026-06-02T02:30Z").to_system()));
    assert_eq!(nightly.next, Some(ms("2026-06-03T02:30Z").to_system()));
    assert_eq!((nightly.times.as_str(), nightly.trouble), ("30 4 * * * Europe/Berlin", None));
}

#[test]
fn an_entry_goes_when_its_set_is_declared_without_it_and_no_other_set_is_touched() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let names = || -> Vec<String> {
        backlog.cron().entries().unwrap().into_iter().map(|e| format!("{}/{}/{}", e.set, e.entry, e.declared)).collect()
    };
    let first = declare(&backlog, CronSet::new("a").entry(minutely("x")).entry(minutely("y")));
    let other = declare(&backlog, CronSet::new("ab").entry(minutely("x")));
    assert_eq!(names(), ["a/x/true", "a/y/true", "ab/x/true"]);
    drop(first);
    assert_eq!(names(), ["a/x/false", "a/y/false", "ab/x/true"], "a pool that stops takes nothing away");
    let second = declare(&backlog, CronSet::new("a").entry(minutely("y")).entry(minutely("z")));
    assert_eq!(names(), ["a/y/true", "a/z/true", "ab/x/true"]);
    world.minutes(1);
    backlog.serve().unwrap();
    let mut fired: Vec<String> = take(&backlog).into_iter().map(|(entry, _)| entry).collect();
    fired.sort();
    assert_eq!(fired, ["x", "y", "z"]);
    drop((second, other));
    drop(declare(&backlog, CronSet::new("a")));
    assert_eq!(names(), ["ab/x/false"]);
}

#[test]
fn an_entry_that_comes_back_begins_anew() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    drop(declare(&backlog, CronSet::new("a").entry(minutely("x"))));
    drop(declare(&backlog, CronSet::new("a")));
    world.minutes(500);
    let _declared = declare(&backlog, CronSet::new("a").entry(minutely("x")));
    assert!(take(&backlog).is_empty(), "it was not missed: it was not there");
    world.minutes(1);
    backlog.serve().unwrap();
    assert_eq!(moments(&backlog), ["2026-06-01T08:21:00Z"]);
}

#[test]
fn two_pools_that_declare_the_same_set_fire_each_time_once() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let pools: Vec<_> = (0..3).map(|_| declare(&backlog, nightly())).collect();
    for (day, mut pools) in (2..).zip([pools.clone(), pools[..2].to_vec(), pools[..1].to_vec()]) {
        world.set_to(&format!("2026-06-0{day}T02:30Z"));
        backlog.serve().unwrap();
        assert_eq!(take(&backlog).len(), 1, "of {} pools", pools.len());
        pools.clear();
    }
}

#[test]
fn an_older_declaration_goes_on_when_the_newer_one_stops() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let old = declare(&backlog, nightly());
    let new = declare(&backlog, CronSet::new("reports").entry(daily("nightly")).entry(minutely("often")));
    drop(new);
    world.set_to("2026-06-02T02:30Z");
    backlog.serve().unwrap();
    let fired: Vec<String> = take(&backlog).into_iter().map(|(entry, _)| entry).collect();
    assert_eq!(fired, ["nightly"], "the newer one's entry has nobody who makes its jobs");
    // Taken away and brought back by others, its own entry fires again.
    drop(declare(&backlog, CronSet::new("reports")));
    backlog.serve().unwrap();
    drop(declare(&backlog, nightly()));
    world.set_to("2026-06-03T02:30Z");
    backlog.serve().unwrap();
    assert_eq!(moments(&backlog), ["2026-06-03T02:30:00Z"]);
    drop(old);
}

#[test]
fn two_who_fire_the_same_time_make_one_job() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let inside = backlog.clone();
    let armed = Arc::new(AtomicBool::new(false));
    let arm = Arc::clone(&armed);
    // While one pool makes its job, another is quicker.
    let slow = CronEntry::cron("nightly", "30 4 * * *", "Europe/Berlin", move |firing| {
        if arm.swap(false, Ordering::SeqCst) {
            drop(declare(&inside, nightly()));
        }
        tick(firing)
    });
    let declared = declare(&backlog, CronSet::new("reports").entry(slow));
    armed.store(true, Ordering::SeqCst);
    world.set_to("2026-06-02T02:30Z");
    backlog.serve().unwrap();
    assert!(!armed.load(Ordering::SeqCst), "it was asked");
    assert_eq!(moments(&backlog), ["2026-06-02T02:30:00Z"]);
    drop(declared);
}

#[test]
fn what_was_due_by_the_old_times_fires_before_they_change() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    drop(declare(&backlog, nightly()));
    world.set_to("2026-06-02T09:00Z");
    let noon = || CronSet::new("reports").entry(CronEntry::cron("nightly", "0 7 * * *", "UTC", tick));
    let _declared = declare(&backlog, noon());
    assert_eq!(
        moments(&backlog),
        ["2026-06-02T02:30:00Z"],
        "missed by the deploy; seven o'clock was not declared then"
    );
    world.set_to("2026-06-03T07:00Z");
    backlog.serve().unwrap();
    assert_eq!(moments(&backlog), ["2026-06-03T07:00:00Z"]);
}

#[test]
fn a_firing_is_told_the_one_before_it_and_a_run_by_hand_moves_no_time() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let _declared = declare(&backlog, CronSet::new("a").entry(minutely("x")));
    let args = || {
        let lease = backlog.queue("default").claim().unwrap().unwrap();
        let args = String::from_utf8(lease.payload().to_vec()).unwrap();
        lease.ack().unwrap();
        args
    };
    let at = |minutes: u64| ms("2026-06-01T00:00Z").0 + minutes * 60_000;
    world.minutes(1);
    backlog.serve().unwrap();
    assert_eq!(args(), format!("x {} None", at(1)));
    world.clock.advance(Duration::from_secs(20));
    let before = info(&backlog, "x");
    assert!(backlog.cron().run_now("a", "x").unwrap().is_new());
    assert_eq!(args(), format!("x {} Some({})", at(1) + 20_000, at(1)));
    assert_eq!(info(&backlog, "x"), before);
    world.minutes(5);
    backlog.serve().unwrap();
    assert_eq!(args(), format!("x {} Some({})", at(6), at(1)), "the newest of those that came due in one look");
    let unknown = backlog.cron().run_now("a", "y").unwrap_err().to_string();
    assert!(unknown.contains("set=\"a\" entry=\"y\""), "{unknown}");
}

#[test]
fn a_job_that_cannot_be_made_leaves_its_firing_due_and_holds_up_no_other() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let broken = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&broken);
    let fragile = CronEntry::every("fragile", Duration::from_secs(60), move |firing| {
        let kind = if flag.load(Ordering::SeqCst) { "" } else { "tick" };
        JobBuilder::raw(kind, format!("fragile {}", firing.at.0).into_bytes(), Codec::Raw)
    });
    let _declared = declare(&backlog, CronSet::new("a").entry(fragile).entry(minutely("sound")));
    broken.store(true, Ordering::SeqCst);
    world.minutes(1);
    backlog.serve().unwrap();
    assert_eq!(take(&backlog), [("sound".to_owned(), Millis(ms("2026-06-01T00:01Z").0))]);
    assert!(info(&backlog, "fragile").trouble.unwrap().contains("kind is empty"));
    broken.store(false, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(30));
    backlog.serve().unwrap();
    assert!(take(&backlog).is_empty(), "it rests a minute");
    world.clock.advance(Duration::from_secs(30));
    backlog.serve().unwrap();
    let mut fired = take(&backlog);
    fired.sort();
    assert_eq!(fired[0], ("fragile".to_owned(), ms("2026-06-01T00:02Z")), "and the newest fires");
}

#[test]
fn a_firing_whose_unique_job_still_lives_adds_none_and_counts() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let entry = CronEntry::every("x", Duration::from_secs(60), |firing| tick(firing).unique("one at a time"));
    let _declared = declare(&backlog, CronSet::new("a").entry(entry));
    for _ in 0..3 {
        world.minutes(1);
        backlog.serve().unwrap();
    }
    assert_eq!(info(&backlog, "x").last, Some(ms("2026-06-01T00:03Z").to_system()));
    assert_eq!(moments(&backlog), ["2026-06-01T00:01:00Z"]);
}

#[test]
fn upkeep_sleeps_exactly_until_the_next_firing() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let _declared =
        declare(&backlog, CronSet::new("a").entry(CronEntry::every("x", Duration::from_millis(1_300), tick)));
    let rest = || backlog.upkeep_rest().unwrap();
    assert_eq!(rest(), Duration::from_secs(1));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(rest(), Duration::from_millis(300));
    world.clock.advance(Duration::from_millis(300));
    assert_eq!(rest(), Duration::from_secs(1));
    assert_eq!(take(&backlog).len(), 1);
}
