//! Clocks that jump (rule 16).

use super::{World, daily, declare, info, moments, take};
use crate::cron::{CronSet, Missed};

fn nightly() -> CronSet {
    CronSet::new("s").entry(daily("nightly"))
}

#[test]
fn a_clock_that_jumps_ten_years_ahead_is_downtime() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let each = || CronSet::new("s").entry(daily("each").missed(Missed::Backfill)).entry(daily("once"));
    let _declared = declare(&backlog, each());
    world.set_to("2036-06-01T12:00Z");
    backlog.serve().unwrap();
    let fired = take(&backlog);
    let of = |name| fired.iter().filter(|(entry, _)| entry == name).count();
    assert_eq!((of("each"), of("once")), (Missed::BACKFILL_MAX, 1));
}

#[test]
fn a_clock_that_was_ten_years_ahead_silences_no_entry() {
    for restart in [false, true] {
        let mut world = World::at("2026-06-01T12:00Z");
        let mut backlog = world.open();
        let mut declared = declare(&backlog, nightly());
        world.set_to("2036-06-01T12:00Z");
        backlog.serve().unwrap();
        assert_eq!(moments(&backlog), ["2036-06-01T02:30:00Z"]);
        world.set_to("2026-06-01T13:00Z");
        if restart {
            drop((declared, backlog));
            world = world.next();
            backlog = world.open();
            declared = declare(&backlog, nightly());
        }
        backlog.serve().unwrap();
        assert!(take(&backlog).is_empty());
        let trouble = info(&backlog, "nightly").trouble.expect("it is reported");
        assert!(trouble.contains("clock went back") && trouble.contains("3652 days"), "{trouble}");
        world.set_to("2026-06-02T02:30Z");
        backlog.serve().unwrap();
        assert_eq!(moments(&backlog), ["2026-06-02T02:30:00Z"], "restart={restart}");
        drop(declared);
    }
}

#[test]
fn a_clock_that_goes_back_by_less_than_a_period_repeats_nothing() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let declared = declare(&backlog, nightly());
    world.set_to("2026-06-02T02:30Z");
    backlog.serve().unwrap();
    assert_eq!(take(&backlog).len(), 1);
    for earlier in ["2026-06-02T02:29Z", "2026-06-01T12:00Z", "2026-06-02T02:30Z"] {
        world.set_to(earlier);
        backlog.serve().unwrap();
        assert!(take(&backlog).is_empty(), "at {earlier}");
    }
    world.set_to("2026-06-03T02:30Z");
    backlog.serve().unwrap();
    assert_eq!(take(&backlog).len(), 1);
    assert_eq!(info(&backlog, "nightly").trouble, None);
    drop(declared);
}

#[test]
fn a_clock_that_jumps_ten_years_back_under_a_running_pool_is_seen_at_once() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    let _declared = declare(&backlog, nightly());
    world.set_to("2016-06-01T12:00Z");
    backlog.serve().unwrap();
    assert!(info(&backlog, "nightly").trouble.is_some());
    world.set_to("2016-06-02T02:30Z");
    backlog.serve().unwrap();
    assert_eq!(moments(&backlog), ["2016-06-02T02:30:00Z"]);
}
