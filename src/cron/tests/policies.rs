//! What becomes of the times at which nobody was there.

use super::{World, cron, daily, declare, minutely, moments, ms};
use crate::cron::fire::firings;
use crate::cron::{CronSet, Missed, Times};
use crate::ids::Millis;

/// Of one period and of a thousand.
fn downtimes() -> [(Times, Millis, Millis, Millis); 4] {
    let day = cron("30 4 * * *", "Europe/Berlin");
    let minute = Times::every(std::time::Duration::from_secs(60)).unwrap();
    let from = ms("2026-06-01T04:30[Europe/Berlin]");
    let newest = |days: &str| ms(&format!("{days}T04:30[Europe/Berlin]"));
    let in_minutes = |n: u64| Millis(from.0 + n * 60_000);
    [
        (day.clone(), from, ms("2026-06-02T12:00Z"), newest("2026-06-02")),
        (day, from, ms("2029-02-25T12:00Z"), newest("2029-02-25")),
        (minute.clone(), from, Millis(in_minutes(1).0 + 59_999), in_minutes(1)),
        (minute, from, Millis(in_minutes(1_000).0 + 59_999), in_minutes(1_000)),
    ]
}

#[test]
fn once_runs_the_newest_of_what_was_missed() {
    for (times, from, now, newest) in downtimes() {
        assert_eq!(firings(&times, Missed::Once, from, now), [newest], "{times}");
        assert!(firings(&times, Missed::Once, newest, now).is_empty(), "{times}");
    }
}

#[test]
fn skip_runs_nothing_that_is_more_than_a_minute_late() {
    for (times, from, now, newest) in downtimes() {
        let late = Millis(newest.0 + 60_001);
        assert!(times.next(newest) <= Some(late) || firings(&times, Missed::Skip, from, late).is_empty(), "{times}");
        // What a restart of a few seconds missed was not missed.
        assert_eq!(firings(&times, Missed::Skip, from, Millis(newest.0 + 20_000)), [newest], "{times} {now:?}");
    }
    let (day, from, now, _) = downtimes()[1].clone();
    assert!(firings(&day, Missed::Skip, from, now).is_empty());
}

#[test]
fn backfill_runs_each_of_what_was_missed_up_to_its_limit() {
    for ((times, from, now, newest), count) in downtimes().into_iter().zip([1, 1_000, 1, 1_000]) {
        let runs = firings(&times, Missed::Backfill, from, now);
        assert_eq!((runs.len(), runs.back()), (count, Some(&newest)), "{times}");
        assert_eq!(runs.front().copied(), times.next(from), "{times}");
        assert!(runs.iter().zip(runs.iter().skip(1)).all(|(a, b)| times.next(*a) == Some(*b)), "{times}");
    }
    let minute = &downtimes()[2].0;
    let runs = firings(minute, Missed::Backfill, Millis(0), Millis(5_000 * 60_000));
    assert_eq!((runs.len(), runs[0]), (Missed::BACKFILL_MAX, Millis(4_001 * 60_000)), "the newest of five thousand");
}

#[test]
fn years_of_downtime_cost_no_more_than_their_newest_firings() {
    let minute = cron("* * * * *", "Europe/Berlin");
    let (from, now) = (ms("1990-01-01T00:00Z"), ms("2026-01-01T00:00Z"));
    assert_eq!(minute.due(from, now, 2), [Millis(now.0 - 60_000), now]);
    let rare = cron("0 0 29 2 *", "UTC");
    assert_eq!(rare.due(from, now, 2), [ms("2020-02-29T00:00Z"), ms("2024-02-29T00:00Z")]);
}

fn after_five_days(missed: Missed) -> Vec<String> {
    let world = World::at("2026-03-27T12:00Z");
    drop(declare(&world.open(), CronSet::new("s").entry(daily("nightly"))));
    let world = world.next();
    world.set_to("2026-04-01T12:00Z");
    let backlog = world.open();
    let declared = declare(&backlog, CronSet::new("s").entry(daily("nightly").missed(missed)));
    let caught_up = moments(&backlog);
    // And on with the next night, whatever was missed.
    world.set_to("2026-04-02T04:30[Europe/Berlin]");
    backlog.serve().unwrap();
    assert_eq!(moments(&backlog), ["2026-04-02T02:30:00Z"]);
    drop(declared);
    caught_up
}

#[test]
fn after_downtime_each_policy_does_what_it_says_and_goes_on() {
    assert!(after_five_days(Missed::Skip).is_empty());
    assert_eq!(after_five_days(Missed::Once), ["2026-04-01T02:30:00Z"]);
    let each = after_five_days(Missed::Backfill);
    let nights = ["28T03:30", "29T02:30", "30T02:30", "31T02:30"].map(|at| format!("2026-03-{at}:00Z"));
    assert_eq!(each, [&nights[..], &["2026-04-01T02:30:00Z".to_owned()]].concat());
}

#[test]
fn a_long_backfill_is_not_run_again_by_a_later_start() {
    let world = World::at("2026-06-01T00:00Z");
    drop(declare(&world.open(), CronSet::new("s").entry(minutely("m"))));
    world.minutes(1_500);
    let backlog = world.open();
    let set = || CronSet::new("s").entry(minutely("m").missed(Missed::Backfill));
    drop(declare(&backlog, set()));
    let runs = super::take(&backlog);
    assert_eq!(runs.len(), Missed::BACKFILL_MAX);
    drop(declare(&backlog, set()));
    assert!(super::take(&backlog).is_empty(), "and not again");
}
