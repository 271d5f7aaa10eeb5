//! Alarms are told once, when it begins.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use super::super::alarms::Armed;
use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::engine::{Event, What};
use crate::ids::{JobId, Lsn};
use crate::job::ErrorCause;
use crate::testing;
use crate::{Alarm, Alert, Context, Failure};

const MINUTE: Duration = Duration::from_secs(60);

fn event(what: What, queue: &str, second: u64) -> Event {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    Event { at, job: Some(JobId(second)), kind: "add".into(), queue: queue.into(), what }
}

fn failed(second: u64) -> Event {
    event(What::Failed { attempt: 1, cause: ErrorCause::Failed }, "mail", second)
}

/// At which of these seconds the alarm was told of failures.
fn told(alarm: Alarm, seconds: &[u64]) -> Vec<u64> {
    let mut armed = Armed::new(alarm, |_| {});
    seconds.iter().copied().filter(|second| armed.hear(&failed(*second)).is_some()).collect()
}

#[test]
fn failures_are_told_when_they_are_too_many_and_again_only_when_that_was_over_in_between() {
    let three = || Alarm::failures(3, MINUTE);
    assert_eq!(told(three(), &[0, 59, 61, 119, 121]), [0; 0], "never three within a minute");
    assert_eq!(told(three(), &[0, 1, 2, 3, 50, 60, 61, 62]), [2], "it went on all the time");
    assert_eq!(told(three(), &[0, 1, 2, 100, 101, 102]), [2, 102], "it was over");
    assert_eq!(told(Alarm::failures(0, MINUTE), &[5, 6, 70]), [5, 70], "at least one");
}

#[test]
fn what_happens_in_another_queue_or_is_no_failure_does_not_count() {
    let mut armed = Armed::new(Alarm::failures(1, MINUTE).of_queue("other"), |_| {});
    assert_eq!(armed.hear(&failed(1)), None);
    let mut armed = Armed::new(Alarm::deaths(1, MINUTE).of_queue("mail"), |_| {});
    assert_eq!(armed.hear(&failed(1)), None);
    let died = event(What::Died { attempts: 3 }, "mail", 2);
    assert_eq!(armed.hear(&died), Some(Alert::Deaths { count: 1, last: died.clone() }));
}

#[test]
fn a_queue_is_looked_at_when_its_oldest_job_could_first_be_late_and_told_of_once() {
    let store = Twin::new();
    let mut armed = Armed::new(Alarm::oldest_ready("mail", MINUTE), |_| {});
    let age = |seconds: u64| store.change(|held| held.ready_for = Some(Duration::from_secs(seconds)));
    let start = armed.next_look().unwrap();
    assert_eq!(armed.look(&*store), None, "no such queue");
    let first = armed.next_look().unwrap();
    assert!(first > start + MINUTE, "until then no job can be late");
    store.advance(first);
    age(45);
    assert_eq!(armed.look(&*store), None);
    let second = armed.next_look().unwrap();
    assert_eq!(second - first, Duration::from_millis(15_001));
    assert_eq!(armed.look(&*store), None, "it is not time");
    store.advance(second - first);
    age(61);
    let late = Alert::OldestReady { queue: "mail".into(), age: Duration::from_secs(61) };
    assert_eq!(armed.look(&*store), Some(late.clone()));
    store.advance(2 * MINUTE);
    assert_eq!(armed.look(&*store), None, "that was told");
    age(0);
    store.advance(2 * MINUTE);
    assert_eq!(armed.look(&*store), None, "over");
    age(61);
    store.advance(2 * MINUTE);
    assert_eq!(armed.look(&*store), Some(late), "once more");
}

#[test]
fn an_alarm_is_raised_while_the_pool_runs_and_its_panic_ends_nothing() {
    let store = Twin::new();
    store.change(|held| held.ready_for = Some(2 * MINUTE));
    let (tell, told) = channel();
    let pool = workers(&store)
        .alarm(Alarm::oldest_ready("mail", MINUTE), |_| panic!("not this one"))
        .alarm(Alarm::failures(2, MINUTE), move |alert| tell.send(alert.clone()).unwrap())
        .handle(|_: Add, _| Ok(()))
        .concurrency(1)
        .start()
        .unwrap();
    for n in 1..=2 {
        store.stream.put(Lsn(n), failed(n));
        store.stream.tell(Lsn(n));
    }
    assert_eq!(told.recv_timeout(LONG), Ok(Alert::Failures { count: 2, last: failed(2) }));
    pool.stop(LONG).unwrap();
}

#[test]
fn a_backlog_raises_all_three() {
    let bench = testing::backlog();
    bench.job(&Add { n: 1 }).queue("slow").enqueue().unwrap();
    bench.advance(10 * MINUTE).unwrap();
    bench.job(&Add { n: 2 }).max_attempts(1).enqueue().unwrap();
    let (tell, told) = channel();
    let say = || {
        let tell = tell.clone();
        move |alert: &Alert| tell.send(alert.clone()).unwrap()
    };
    let pool = bench
        .workers()
        .queues(["default"])
        .alarm(Alarm::oldest_ready("slow", 5 * MINUTE), say())
        .alarm(Alarm::failures(1, MINUTE), say())
        .alarm(Alarm::deaths(1, MINUTE), say())
        .handle(|_: Add, _: Context| -> Result<(), Failure> { Err(Failure::new("no")) });
    assert_eq!(bench.drain(pool).unwrap().runs.len(), 1);
    let told: Vec<Alert> = told.try_iter().collect();
    assert!(matches!(&told[0], Alert::Failures { count: 1, last } if &*last.queue == "default"), "{told:?}");
    assert!(matches!(&told[1], Alert::Deaths { count: 1, .. }), "{told:?}");
    let late = Alert::OldestReady { queue: "slow".into(), age: 10 * MINUTE };
    assert_eq!(told[2..], [late]);
    assert_eq!(
        bench.oldest_ready().into_iter().collect::<Vec<_>>(),
        [("default".to_owned(), Duration::ZERO), ("slow".to_owned(), 10 * MINUTE)]
    );
}
