//! What is refused, and how it is said.

use std::time::Duration;

use super::{World, declare, minutely, tick};
use crate::cron::{CronEntry, CronSet, Times};
use crate::error::ErrorKind;
use crate::queue::JobBuilder;

#[test]
fn text_that_does_not_parse_is_refused_with_the_field_and_its_value() {
    let refused = [
        ("60 * * * *", "minute=\"60\""),
        ("x * * * *", "minute=\"x\""),
        ("MON * * * *", "minute=\"MON\""),
        ("*/0 * * * *", "minute=\"*/0\""),
        ("1,,2 * * * *", "minute=\"1,,2\""),
        ("5-1 * * * *", "minute=\"5-1\""),
        ("0 24 * * *", "hour=\"24\""),
        ("0 4-30 * * *", "hour=\"4-30\""),
        ("0 4 0 * *", "day of month=\"0\""),
        ("0 4 32 * *", "day of month=\"32\""),
        ("0 4 FRI * *", "day of month=\"FRI\""),
        ("0 4 * 13 *", "month=\"13\""),
        ("0 4 * JANFEB *", "month=\"JANFEB\""),
        ("0 4 * MON *", "month=\"MON\""),
        ("0 4 * * 8", "day of week=\"8\""),
        ("0 4 * * FRIDAY", "day of week=\"FRIDAY\""),
        ("0 4 * * MON#6", "day of week=\"MON#6\""),
        ("0 4 * * é", "day of week=\"é\""),
        ("* * * *", "fields=4"),
        ("0 * * * * *", "fields=6"),
        ("", "fields=0"),
        ("@daily", "fields=1"),
    ];
    for (text, says) in refused {
        let error = Times::cron(text, "UTC").expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says) && error.to_string().contains(&format!("{text:?}")), "{error}");
    }
    assert_eq!(Times::cron(&"0,".repeat(200), "UTC").unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn text_that_parses_is_kept_as_it_was_meant() {
    for text in
        ["*/5 1-3,7 1,L,15W jan,FEB-mar MON-fri", "0 0 * * 7", "0 0 * * FRI#2", "0 0 * * friL", "1-59/2 * ? * *"]
    {
        let times = Times::cron(text, "Europe/Berlin").unwrap_or_else(|e| panic!("{text}: {e}"));
        let again = Times::read(&times.to_string()).unwrap();
        let from = super::ms("2026-01-01T00:00Z");
        assert_eq!((times.next(from), times.to_string()), (again.next(from), format!("{text} Europe/Berlin")));
    }
    let every = Times::every(Duration::from_micros(1_500_001)).unwrap();
    assert_eq!(every.to_string(), "every 1501 ms");
    assert_eq!(Times::read("every 1501 ms").unwrap().next(crate::ids::Millis(0)), Some(crate::ids::Millis(1501)));
    assert!(Times::read("every moon").is_none() && Times::read("").is_none());
}

#[test]
fn an_unknown_zone_is_refused_with_its_name() {
    for zone in ["Europe/Berlni", "", "Mars/Olympus"] {
        let error = Times::cron("* * * * *", zone).expect_err(zone);
        assert!(error.to_string().contains(&format!("unknown time zone {zone:?}")), "{error}");
    }
}

#[test]
fn zones_are_known_on_a_machine_that_has_no_data_of_them() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    for zone in ["Europe/Berlin", "America/New_York", "Pacific/Apia"] {
        assert!(bundled.get(zone).is_ok(), "{zone}");
    }
}

#[test]
fn what_is_wrong_with_a_set_is_said_before_anything_is_declared() {
    let world = World::at("2026-06-01T00:00Z");
    let backlog = world.open();
    let bad_args = |_: &_| JobBuilder::raw("", Vec::new(), crate::job::Codec::Raw);
    let refused = [
        (CronSet::new("s").entry(CronEntry::cron("e", "61 * * * *", "UTC", tick)), "set=\"s\" entry=\"e\""),
        (CronSet::new("s").entry(CronEntry::cron("e", "0 0 30 2 *", "UTC", tick)), "never comes"),
        (CronSet::new("s").entry(CronEntry::every("e", Duration::from_millis(999), tick)), "period=999ms"),
        (CronSet::new("s").entry(CronEntry::every("e", Duration::MAX, tick)), "hundred years"),
        (CronSet::new("s").entry(minutely("e")).entry(minutely("e")), "two entries named \"e\""),
        (CronSet::new("s").entry(CronEntry::every("e", Duration::from_secs(1), bad_args)), "kind is empty"),
        (CronSet::new("s").entry(CronEntry::every("e", Duration::from_secs(1), |_| panic!("oh"))), "panicked"),
        ((0..1_001).fold(CronSet::new("s"), |set, n| set.entry(minutely(&n.to_string()))), "entries=1001"),
    ];
    for (set, says) in refused {
        let error = backlog.declare_cron(vec![CronSet::new("good").entry(minutely("e")), set]).map(drop).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(backlog.cron().entries().unwrap().is_empty(), "all sets or none");
    }
    let names = |set: CronSet| {
        let workers = backlog.workers().handle_raw("tick", |_, _| Ok(())).cron(set);
        workers.drain(&mut |_| Ok(false)).map(drop)
    };
    assert!(names(CronSet::new("")).unwrap_err().to_string().contains("cron set is empty"));
    assert!(names(CronSet::new("a").entry(minutely("a\0b"))).unwrap_err().to_string().contains("control character"));
    let twice = vec![CronSet::new("a"), CronSet::new("a")];
    assert!(crate::queue::Backlog::check_cron(&twice).unwrap_err().to_string().contains("two cron sets named \"a\""));
    drop(declare(&backlog, CronSet::new("a")));
}
