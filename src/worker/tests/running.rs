//! What becomes of a job that a pool takes.

use std::sync::mpsc::channel;
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, Other, workers};
use crate::error::ErrorKind;
use crate::ids::Phase;
use crate::job::{ErrorCause, State};
use crate::queue::JobBuilder;
use crate::worker::{Context, Failure, Outcome};

#[test]
fn a_job_runs_with_its_args_and_is_acknowledged() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store)
        .handle(move |job: Add, cx: Context| {
            say.send((job.n, cx.id().0, cx.attempt(), cx.kind().to_owned(), cx.idempotency_key().to_owned()))?;
            Ok(())
        })
        .concurrency(2)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":7}"#);
    assert_eq!(hear.recv().unwrap(), (7, id, 1, "add".to_owned(), format!("twin-{id}")));
    store.until(|held| held.ended == [id]);
    assert_eq!(pool.stop(LONG).unwrap().still_running, 0);
}

#[test]
fn an_alias_reaches_the_same_handler() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store).handle(move |job: Add, _| Ok(say.send(job.n)?)).concurrency(1).start().unwrap();
    store.add("plus", r#"{"n":3}"#);
    assert_eq!(hear.recv().unwrap(), 3);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_panic_is_a_failed_attempt_with_its_message() {
    let store = Twin::new();
    let pool = workers(&store)
        .handle(|job: Add, _| -> Result<(), Failure> { panic!("no {}", job.n) })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":7}"#);
    let job = store.until_phase(id, Phase::Scheduled);
    assert_eq!((job.attempts, job.errors[0].kind), (1, ErrorCause::Panicked));
    assert_eq!(job.errors[0].message, "panicked: no 7");
    let next = store.add("other-kind", "{}");
    store.until_phase(next, Phase::Parked);
    pool.stop(LONG).unwrap();
}

#[test]
fn what_a_panic_throws_may_itself_panic_when_dropped() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let store = Twin::new();
    let pool = workers(&store)
        .handle(|_: Add, _| -> Result<(), Failure> { std::panic::panic_any(Spiteful) })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":7}"#);
    let job = store.until_phase(id, Phase::Scheduled);
    assert_eq!(job.errors[0].message, "panicked: with something that is not text");
    pool.stop(LONG).unwrap();
}

#[test]
fn an_error_is_kept_with_those_beneath_it_and_the_job_waits_by_its_policy() {
    let store = Twin::new();
    let pool = workers(&store)
        .handle(|_: Add, _| -> Result<(), Failure> { Err(std::fs::read("").expect_err("no name").into()) })
        .handle(|_: Other, _| -> Result<(), Failure> { Err(Failure::new("busy").retry_in(Duration::from_millis(77))) })
        .concurrency(1)
        .start()
        .unwrap();
    let (failed, busy) = (store.add("add", r#"{"n":7}"#), store.add("other", "{}"));
    let job = store.until_phase(failed, Phase::Scheduled);
    assert_eq!((job.attempts, job.errors[0].kind), (1, ErrorCause::Failed));
    assert!(job.errors[0].message.contains("os error"), "{}", job.errors[0].message);
    assert_eq!(job.state, State::Scheduled { run_at: crate::ids::Millis(1_000_000 + 15_000) });
    let job = store.until_phase(busy, Phase::Scheduled);
    assert_eq!(job.state, State::Scheduled { run_at: crate::ids::Millis(1_000_077) });
    pool.stop(LONG).unwrap();
}

#[test]
fn outcomes_and_buried_failures_end_as_they_say() {
    let store = Twin::new();
    let pool = workers(&store)
        .handle(|job: Add, _| match job.n {
            0 => Ok(Outcome::Snooze(Duration::from_secs(9))),
            1 => Ok(Outcome::Bury("of no use".to_owned())),
            2 => Err(Failure::new("never").bury()),
            3 => Ok(Outcome::DoneThen(vec![JobBuilder::new(&Other {}).queue("")])),
            _ => Ok(Outcome::Done),
        })
        .concurrency(1)
        .start()
        .unwrap();
    let ids: Vec<u64> = (0..5).map(|n| store.add("add", &format!(r#"{{"n":{n}}}"#))).collect();
    let snoozed = store.until_phase(ids[0], Phase::Scheduled);
    assert_eq!((snoozed.attempts, snoozed.state), (0, State::Scheduled { run_at: crate::ids::Millis(1_009_000) }));
    assert_eq!(store.until_phase(ids[1], Phase::Dead).reason.as_deref(), Some("of no use"));
    assert_eq!(store.until_phase(ids[2], Phase::Dead).reason.as_deref(), Some("never"));
    let refused = store.until_phase(ids[3], Phase::Scheduled);
    assert!(refused.errors[0].message.contains("follow-up jobs were refused: queue name is empty"));
    store.until(|held| held.ended == [ids[4]]);
    pool.stop(LONG).unwrap();
}

#[test]
fn follow_ups_that_find_the_disk_full_are_a_failed_attempt() {
    let store = Twin::new();
    store.change(|held| held.full = true);
    let pool = workers(&store)
        .handle(|_: Add, _| Ok(Outcome::DoneThen(vec![JobBuilder::new(&Other {})])))
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":7}"#);
    let job = store.until_phase(id, Phase::Scheduled);
    assert!(job.errors[0].message.contains("no space left"), "{}", job.errors[0].message);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_failure_that_does_not_fit_a_full_disk_is_told_when_it_does_and_the_pool_goes_on() {
    let store = Twin::new();
    store.change(|held| held.failures_refused = 1);
    let fails = |add: Add, _: Context| if add.n == 0 { Err(std::io::Error::other("no luck").into()) } else { Ok(()) };
    let pool = workers(&store).handle(fails).concurrency(1).start().unwrap();
    let (failing, other) = (store.add("add", r#"{"n":0}"#), store.add("add", r#"{"n":1}"#));
    assert_eq!(store.until_phase(failing, Phase::Scheduled).errors[0].message, "no luck");
    store.until(|held| held.ended == [other]);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_kind_without_a_handler_is_parked_and_comes_back_when_one_appears() {
    let store = Twin::new();
    let first = workers(&store).handle(|_: Add, _| Ok(())).concurrency(1).start().unwrap();
    let id = store.add("other", "{}");
    let job = store.until_phase(id, Phase::Parked);
    assert_eq!(job.reason.as_deref(), Some(r#"no handler for kind="other" in this program"#));
    assert_eq!(job.attempts, 0);
    first.stop(LONG).unwrap();

    let second = workers(&store).handle(|_: Other, _| Ok(())).concurrency(1).start().unwrap();
    store.until(|held| held.ended == [id]);
    second.stop(LONG).unwrap();
}

#[test]
fn args_that_do_not_parse_are_parked_with_their_bytes_and_the_error_but_not_the_value() {
    let store = Twin::new();
    let pool = workers(&store).handle(|_: Add, _| Ok(())).concurrency(1).start().unwrap();
    let bytes = r#"{"n":"a secret"}"#;
    let id = store.add("add", bytes);
    let job = store.until_phase(id, Phase::Parked);
    let reason = job.reason.unwrap();
    assert!(reason.contains("invalid type, expected u32") && !reason.contains("secret"), "{reason}");
    assert_eq!(store.change(|held| held.jobs[&id].1.clone()), bytes.as_bytes());
    assert_eq!(job.attempts, 0);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_handler_for_raw_bytes_gets_them_as_they_are() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store)
        .handle_raw("bytes", move |args, _| Ok(say.send(args.to_vec())?))
        .concurrency(1)
        .start()
        .unwrap();
    store.add("bytes", "not { json");
    assert_eq!(hear.recv().unwrap(), b"not { json");
    pool.stop(LONG).unwrap();
}

#[test]
fn a_pool_is_refused_that_could_not_do_what_it_says() {
    let store = Twin::new();
    let refused = |builder: crate::worker::WorkersBuilder, word: &str| {
        let error = builder.start().expect_err(word);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    };
    let add = || workers(&store).handle(|_: Add, _| Ok(()));
    refused(add().handle(|_: Add, _| Ok(())), "two handlers for kind=\"add\"");
    refused(add().handle_raw("plus", |_, _| Ok(())), "two handlers for kind=\"plus\"");
    refused(add().handle_raw("a\nb", |_, _| Ok(())), "control character");
    refused(add().concurrency(0), "concurrency=0");
    refused(add().queues(["mail", ""]), "queue name is empty");
    refused(workers(&store), "without a handler");
    #[cfg(feature = "cron")]
    refused(add().cron(crate::cron::CronSet::new("nightly")), "another store");
}

#[test]
fn the_next_job_is_taken_before_the_ack_is_on_disk() {
    let store = Twin::new();
    store.change(|held| held.disk_hangs = true);
    let ids: Vec<u64> = (0..20).map(|_| store.add("add", r#"{"n":1}"#)).collect();
    let pool = workers(&store).handle(|_: Add, _| Ok(())).concurrency(1).start().unwrap();
    // The one thread may wait for the disk only when nothing is left to run.
    store.until(|held| held.jobs.is_empty());
    assert_eq!(store.change(|held| (held.ended.len(), held.durable)), (ids.len(), 0));
    store.change(|held| held.disk_hangs = false);
    pool.stop(LONG).unwrap();
    assert_eq!(store.change(|held| held.durable), 20);
}

#[test]
fn one_claim_serves_every_idle_thread() {
    let store = Twin::new();
    let (say, hear) = channel();
    let (go, gate) = crossbeam_channel::bounded::<()>(0);
    let pool = workers(&store)
        .handle(move |_: Add, _| {
            say.send(())?;
            Ok(gate.recv()?)
        })
        .concurrency(4)
        .start()
        .unwrap();
    for _ in 0..12 {
        store.add("add", r#"{"n":1}"#);
    }
    // All four threads run at a time, whoever claimed for them.
    (0..4).for_each(|_| hear.recv().unwrap());
    assert!(store.change(|held| held.asked.iter().all(|n| (1..=4).contains(n))));
    (0..12).for_each(|_| go.send(()).unwrap());
    store.until(|held| held.jobs.is_empty());
    pool.stop(LONG).unwrap();
}

#[test]
fn rule_11_a_pool_claims_no_more_than_a_millisecond_of_work_ahead() {
    let store = Twin::new();
    let twin = store.clone();
    let takes = move |job: Add, _: Context| {
        twin.advance(Duration::from_millis(job.n.into()));
        Ok(())
    };
    let pool = workers(&store).handle(takes).concurrency(1).start().unwrap();
    store.until(|held| held.asleep == 1);
    let asked_after = |n: u32| {
        let before = store.change(|held| held.asleep);
        store.add("add", &format!(r#"{{"n":{n}}}"#));
        store.until(|held| held.jobs.is_empty() && held.asleep > before);
        store.change(|held| held.asked.last().copied())
    };
    assert_eq!(asked_after(0), Some(257), "the run took no time");
    assert_eq!(asked_after(100), Some(1), "one run of 100 ms");
    assert_eq!(asked_after(0), Some(1), "which is not forgotten at once");
    pool.stop(LONG).unwrap();
    assert_eq!(store.change(|held| held.asked.first().copied()), Some(1), "nobody knows yet what a run takes");
}
