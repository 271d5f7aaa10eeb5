//! Middleware, the rule for failures, shared state, and what else an outcome can be.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, Other, workers};
use crate::ids::{Millis, Phase};
use crate::job::{ErrorCause, State};
use crate::worker::{Context, Failure, Outcome, Retry};

#[test]
fn middleware_wraps_every_run_the_first_one_outermost() {
    let store = Twin::new();
    let (say, hear) = channel();
    let (outer, inner) = (say.clone(), say.clone());
    let pool = workers(&store)
        .around(move |cx, run| {
            outer.send(format!("outer {}", cx.attempt()))?;
            let ended = run.run();
            outer.send(format!("outer done={} {:?}", ended.is_done(), ended.failure().map(ToString::to_string)))?;
            Ok(ended)
        })
        .around(move |_, run| {
            inner.send("inner".to_owned())?;
            Ok(run.run())
        })
        .handle(move |job: Add, _| {
            say.send(format!("job {}", job.n))?;
            if job.n == 0 { Ok(()) } else { Err(Failure::new("not zero")) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let (done, failed) = (store.add("add", r#"{"n":0}"#), store.add("add", r#"{"n":1}"#));
    store.until(|held| held.ended == [done]);
    store.until_phase(failed, Phase::Scheduled);
    pool.stop(LONG).unwrap();
    let said: Vec<String> = hear.try_iter().collect();
    let expected = ["outer 1", "inner", "job 0", "outer done=true None", "outer 1", "inner", "job 1"];
    assert_eq!(said[..7], expected);
    assert_eq!(said[7..], [r#"outer done=false Some("not zero")"#]);
}

#[test]
fn middleware_may_refuse_a_run_and_its_panic_is_a_failed_attempt() {
    let store = Twin::new();
    let pool = workers(&store)
        .around(|cx, run| {
            assert!(cx.kind() != "other", "not this one");
            if cx.kind() == "plus" {
                Err(Failure::new("closed").retry_in(Duration::from_secs(3)))
            } else {
                Ok(run.run())
            }
        })
        .handle(|_: Add, _| Ok(()))
        .handle(|_: Other, _| Ok(()))
        .concurrency(1)
        .start()
        .unwrap();
    let (refused, panicked) = (store.add("plus", r#"{"n":0}"#), store.add("other", "{}"));
    let job = store.until_phase(refused, Phase::Scheduled);
    assert_eq!((job.errors[0].message.as_str(), job.errors[0].kind), ("closed", ErrorCause::Failed));
    assert_eq!(job.state, State::Scheduled { run_at: Millis(1_003_000) });
    assert_eq!(store.until_phase(panicked, Phase::Scheduled).errors[0].kind, ErrorCause::Panicked);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_rule_tells_errors_apart_and_a_failure_that_says_itself_goes_first() {
    let store = Twin::new();
    let pool = workers(&store)
        .retry(|failure, cx| {
            assert!(cx.kind() != "other", "a rule that panics has no say");
            match failure.downcast_ref::<io::Error>()?.kind() {
                io::ErrorKind::NotFound => Some(Retry::Bury),
                io::ErrorKind::TimedOut => Some(Retry::In(Duration::from_secs(2))),
                _ => Some(Retry::Cancel),
            }
        })
        .handle(|job: Add, _| -> Result<(), Failure> {
            match job.n {
                0 => Err(io::Error::from(io::ErrorKind::NotFound).into()),
                1 => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                2 => Err(io::Error::other("whatever").into()),
                3 => Err(Failure::from(io::Error::other("whatever")).retry_in(Duration::from_secs(9))),
                _ => Err(Failure::new("no error beneath")),
            }
        })
        .handle(|_: Other, _| -> Result<(), Failure> { Err(Failure::new("by the backoff")) })
        .concurrency(1)
        .start()
        .unwrap();
    let ids: Vec<u64> = (0..5).map(|n| store.add("add", &format!(r#"{{"n":{n}}}"#))).collect();
    let other = store.add("other", "{}");
    store.until_phase(ids[0], Phase::Dead);
    let run_at = |id| store.until_phase(id, Phase::Scheduled).state;
    assert_eq!(run_at(ids[1]), State::Scheduled { run_at: Millis(1_002_000) });
    store.until(|held| held.ended == [ids[2]]);
    assert_eq!(run_at(ids[3]), State::Scheduled { run_at: Millis(1_009_000) });
    assert_eq!(run_at(ids[4]), State::Scheduled { run_at: Millis(1_015_000) });
    assert_eq!(run_at(other), State::Scheduled { run_at: Millis(1_015_000) });
    pool.stop(LONG).unwrap();
}

#[test]
fn handlers_reach_the_state_of_their_pool_by_its_type() {
    let store = Twin::new();
    let pool = workers(&store)
        .with_state(Mutex::new(Vec::<u32>::new()))
        .with_state("smtp.example".to_owned())
        .handle(|job: Add, cx: Context| {
            assert_eq!(cx.state::<String>()?, "smtp.example");
            cx.state::<Mutex<Vec<u32>>>()?.lock().unwrap().push(job.n);
            cx.state::<u8>()?;
            Ok(())
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":7}"#);
    let job = store.until_phase(id, Phase::Scheduled);
    assert_eq!(job.errors[0].message, "this pool has no state of type u8: give it one with with_state()");
    pool.stop(LONG).unwrap();
}

#[test]
fn a_function_that_fails_behind_its_time_has_timed_out_and_one_that_is_done_is_done() {
    let store = Twin::new();
    let clock = store.clone();
    let pool = workers(&store)
        .handle(move |job: Add, cx: Context| {
            assert!(!cx.is_cancelled());
            clock.advance(Duration::from_millis(40));
            assert!(cx.is_cancelled(), "it is told");
            if job.n == 0 { Ok(Outcome::Done) } else { Err(Failure::new("gave up")) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let timed = |n: u32| store.add_with("add", &format!(r#"{{"n":{n}}}"#), |job| job.timeout_ms = Some(40));
    let (done, failed) = (timed(0), timed(1));
    store.until(|held| held.ended == [done]);
    let job = store.until_phase(failed, Phase::Scheduled);
    assert_eq!((job.errors[0].message.as_str(), job.errors[0].kind), ("gave up", ErrorCause::TimedOut));
    pool.stop(LONG).unwrap();
}

#[test]
fn middleware_sees_a_run_that_was_stopped_at_its_timeout_as_a_failure() {
    let store = Twin::new();
    let (say, hear) = channel();
    let clock = store.clone();
    let pool = workers(&store)
        .around(move |_, run| {
            let ended = run.run();
            say.send((ended.is_done(), ended.failure().map(ToString::to_string)))?;
            Ok(ended)
        })
        .handle_async(move |_: Add, _| {
            clock.advance(Duration::from_millis(40));
            async { Ok(std::future::pending::<()>().await) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    store.add_with("add", r#"{"n":0}"#, |job| job.timeout_ms = Some(40));
    assert_eq!(hear.recv_timeout(LONG).unwrap(), (false, Some("stopped at its timeout of 40ms".to_owned())));
    pool.stop(LONG).unwrap();
}

#[test]
fn a_failure_that_is_final_stays_final_while_the_pool_is_asked_to_end() {
    let store = Twin::new();
    let (started, running) = channel();
    let pool = workers(&store)
        .handle(move |job: Add, cx: Context| -> Result<(), Failure> {
            started.send(())?;
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
            Err(Failure::new("of no use")).map_err(|failure| if job.n == 0 { failure.bury() } else { failure })
        })
        .concurrency(2)
        .start()
        .unwrap();
    let (buried, retried) = (store.add("add", r#"{"n":0}"#), store.add("add", r#"{"n":1}"#));
    running.recv_timeout(LONG).unwrap();
    running.recv_timeout(LONG).unwrap();
    pool.stop(Duration::ZERO).unwrap();
    assert_eq!(store.until_phase(buried, Phase::Dead).reason.as_deref(), Some("of no use"));
    let job = store.until_phase(retried, Phase::Ready);
    assert_eq!(job.attempts, 0);
}
