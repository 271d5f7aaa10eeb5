//! When entries fire: days on which clocks change, leap days, and every minute of such days against a plain scan.

use super::{cron, ms, utc};
use crate::cron::Times;
use crate::ids::Millis;

/// The next firings after a moment, as UTC.
fn next(times: &Times, after: &str, n: usize) -> Vec<String> {
    let mut at = ms(after);
    (0..n)
        .map(|_| {
            at = times.next(at).unwrap();
            utc(at)
        })
        .collect()
}

#[test]
fn a_local_time_that_does_not_exist_fires_when_the_clocks_go_forward() {
    let berlin = cron("30 2 * * *", "Europe/Berlin");
    let days = next(&berlin, "2026-03-28T00:00Z", 3);
    assert_eq!(days, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    let york = cron("0,30 2 * * *", "America/New_York");
    let days = next(&york, "2026-03-07T12:00Z", 4);
    // Both times of that night together, once.
    assert_eq!(days, ["2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z", "2026-03-09T06:30:00Z", "2026-03-10T06:00:00Z"]);
}

#[test]
fn a_local_time_that_exists_twice_fires_the_first_time() {
    let berlin = cron("30 2 * * *", "Europe/Berlin");
    let days = next(&berlin, "2026-10-24T00:00Z", 3);
    assert_eq!(days, ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // Asked between the two.
    assert_eq!(next(&berlin, "2026-10-25T00:45Z", 1), ["2026-10-26T01:30:00Z"]);
    assert_eq!(next(&berlin, "2026-10-25T01:10Z", 1), ["2026-10-26T01:30:00Z"]);
    let york = cron("15 1 * * *", "America/New_York");
    assert_eq!(next(&york, "2026-11-01T00:00Z", 2), ["2026-11-01T05:15:00Z", "2026-11-02T06:15:00Z"]);
}

#[test]
fn hours_that_are_counted_go_by_the_time_that_passes() {
    let quarter = cron("*/15 * * * *", "Europe/Berlin");
    for start in ["2026-03-29T00:00Z", "2026-10-25T00:00Z"] {
        let mut at = ms(start);
        for _ in 0..24 {
            let next = quarter.next(at).unwrap();
            assert_eq!(next.0 - at.0, 15 * 60_000, "after {}", utc(at));
            at = next;
        }
    }
    let hourly = cron("30 * * * *", "America/New_York");
    let fall = next(&hourly, "2026-11-01T04:45Z", 3);
    assert_eq!(fall, ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"], "1:30, 1:30, 2:30");
    // Every second hour: the one that does not exist is left out.
    let second = cron("0 */2 * * *", "Europe/Berlin");
    assert_eq!(next(&second, "2026-03-28T23:30Z", 2), ["2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"]);
}

#[test]
fn a_whole_day_that_does_not_exist_fires_at_its_end() {
    // Samoa had no 30 December 2011.
    let noon = cron("0 12 * * *", "Pacific/Apia");
    let days = next(&noon, "2011-12-29T00:00Z", 3);
    assert_eq!(days, ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
}

#[test]
fn leap_days_come_every_four_years_but_for_most_centuries() {
    let leap = cron("0 0 29 2 *", "Europe/Berlin");
    let days = next(&leap, "2026-01-01T00:00Z", 2);
    assert_eq!(days, ["2028-02-28T23:00:00Z", "2032-02-28T23:00:00Z"]);
    assert_eq!(next(&leap, "2096-03-01T00:00Z", 1), ["2104-02-28T23:00:00Z"]);
    let counted = cron("0 * 29 2 *", "Europe/Berlin");
    assert_eq!(next(&counted, "2026-01-01T00:00Z", 2), ["2028-02-28T23:00:00Z", "2028-02-29T00:00:00Z"]);
    let last = cron("0 12 L * *", "UTC");
    assert_eq!(next(&last, "2028-02-01T00:00Z", 2), ["2028-02-29T12:00:00Z", "2028-03-31T12:00:00Z"]);
}

#[test]
fn between_two_whole_minutes_the_next_one_is_next() {
    let berlin = cron("30 4 * * *", "Europe/Berlin");
    let at = ms("2026-06-01T04:30[Europe/Berlin]");
    assert_eq!(berlin.next(Millis(at.0 - 1)), Some(at));
    assert_eq!(berlin.next(at), Some(ms("2026-06-02T04:30[Europe/Berlin]")));
    assert_eq!(berlin.next(Millis(at.0 + 999)), Some(ms("2026-06-02T04:30[Europe/Berlin]")));
}

/// Goes through every minute: what the clocks show then, and the latest they have shown.
fn scan(text: &str, zone: &str, from: Millis, until: Millis) -> Vec<Millis> {
    let pattern = croner::parser::CronParser::new().parse(text).unwrap();
    let zone = jiff::tz::TimeZone::get(zone).unwrap();
    let shows = |ms: u64| zone.to_datetime(jiff::Timestamp::from_millisecond(ms as i64).unwrap());
    let fits = |civil: &jiff::civil::DateTime| pattern.is_time_matching(civil).unwrap();
    let counts = text.split(' ').nth(1).unwrap().starts_with('*');
    let mut latest = shows(from.0);
    let mut fired = Vec::new();
    for ms in (from.0 + 60_000..=until.0).step_by(60_000) {
        let now = shows(ms);
        let fires = if counts {
            fits(&now)
        } else {
            // Every local time the clocks reach or pass now, for the first time.
            let mut civil = latest;
            let mut any = false;
            while civil < now {
                civil = civil.checked_add(jiff::SignedDuration::from_mins(1)).unwrap();
                any |= fits(&civil);
            }
            any
        };
        latest = latest.max(now);
        if fires {
            fired.push(Millis(ms));
        }
    }
    fired
}

#[test]
fn on_days_of_change_every_minute_is_as_a_plain_scan_says() {
    let days = [
        ("Europe/Berlin", "2026-03-28T12:00Z"),
        ("Europe/Berlin", "2026-10-24T12:00Z"),
        ("America/New_York", "2026-03-07T12:00Z"),
        ("America/New_York", "2026-10-31T12:00Z"),
        // Half an hour; at midnight; a day that is missing; no change at all.
        ("Australia/Lord_Howe", "2026-04-04T00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T00:00Z"),
        ("America/Havana", "2026-03-07T12:00Z"),
        ("America/Havana", "2026-10-31T12:00Z"),
        ("Pacific/Apia", "2011-12-29T12:00Z"),
        ("UTC", "2026-03-28T12:00Z"),
    ];
    let texts = [
        "* * * * *",
        "*/7 * * * *",
        "0 */3 * * *",
        "30 2 * * *",
        "*/20 1-3 * * *",
        "0 0 * * *",
        "15,45 0,1,2,3 * * *",
        "59 23 * * *",
        "10 * * * SUN",
        "5 2 * * SUN#L",
        "0 2 29 3 *",
        "0-5 2,3 1,8,25 * *",
    ];
    let mut compared = 0;
    for (zone, start) in days {
        let (from, until) = (ms(start), Millis(ms(start).0 + 36 * 3_600_000));
        for text in texts {
            let times = cron(text, zone);
            let expected = scan(text, zone, from, until);
            let all = times.due(from, until, 10_000);
            assert_eq!(all, expected, "{text} {zone} from {start}");
            // From every minute, not only from one firing to the next.
            for at in (from.0..until.0).step_by(60_000 * 7) {
                let next = expected.iter().find(|fired| fired.0 > at).copied();
                assert_eq!(
                    times.next(Millis(at)).filter(|next| *next <= until),
                    next,
                    "{text} {zone} at {}",
                    utc(Millis(at))
                );
                compared += 1;
            }
        }
    }
    println!("counted: next firings compared with a scan {compared}");
}

#[test]
fn a_period_is_counted_from_where_it_began() {
    let times = Times::every(std::time::Duration::from_millis(1_500)).unwrap();
    let from = ms("2026-06-01T00:00Z");
    assert_eq!(times.next(from), Some(Millis(from.0 + 1_500)));
    let due = times.due(from, Millis(from.0 + 6_000), 3);
    assert_eq!(due, [3_000, 4_500, 6_000].map(|ms| Millis(from.0 + ms)));
    assert!(times.due(from, Millis(from.0 + 1_499), 3).is_empty());
    assert!(times.due(from, Millis(from.0 - 5_000), 3).is_empty());
}
