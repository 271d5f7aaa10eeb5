//! A run hears that it should end, and so does whoever waits for that word in its name.

use std::sync::mpsc::channel;
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::ids::Phase;
use crate::worker::{Context, Failure, Outcome};

fn cancel(store: &Twin, id: u64) {
    store.change(|held| held.jobs.get_mut(&id).unwrap().0.cancel_requested = true);
}

#[test]
fn a_cancel_wakes_a_blocking_run_and_an_async_one_and_no_other() {
    let store = Twin::new();
    let (say, hear) = channel();
    let said = say.clone();
    let pool = workers(&store)
        .handle(move |job: Add, cx: Context| {
            said.send(job.n)?;
            assert!(cx.wait_cancelled(LONG));
            Ok(Outcome::Cancel)
        })
        .handle_async(move |_: super::Other, cx: Context| {
            let say = say.clone();
            async move {
                say.send(99)?;
                cx.cancelled().await;
                Ok(Outcome::Cancel)
            }
        })
        .concurrency(3)
        .start()
        .unwrap();
    let (blocking, other) = (store.add("add", r#"{"n":1}"#), store.add("add", r#"{"n":2}"#));
    let task = store.add("other", "{}");
    for _ in 0..3 {
        hear.recv_timeout(LONG).unwrap();
    }
    cancel(&store, blocking);
    store.until(|held| held.ended == [blocking]);
    cancel(&store, task);
    store.until(|held| held.ended == [blocking, task]);
    assert_eq!(store.job(other).state.phase(), Phase::InFlight);
    cancel(&store, other);
    pool.stop(LONG).unwrap();
}

#[test]
fn the_end_of_the_grace_wakes_every_run() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store)
        .handle_async(move |_: Add, cx: Context| {
            let say = say.clone();
            async move {
                say.send(cx.clone())?;
                cx.cancelled().await;
                Err::<(), _>(Failure::new("stopped"))
            }
        })
        .concurrency(2)
        .start()
        .unwrap();
    let ids = [1, 2].map(|n| store.add("add", &format!(r#"{{"n":{n}}}"#)));
    let contexts = [(), ()].map(|()| hear.recv_timeout(LONG).unwrap());
    pool.stop(Duration::ZERO).unwrap();
    for id in ids {
        assert_eq!(store.until_phase(id, Phase::Ready).attempts, 0);
    }
    // A context outlives its run, and says so.
    assert!(contexts.iter().all(|cx| cx.wait_cancelled(LONG)));
}

#[test]
fn a_poisoned_store_wakes_every_run() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store)
        .handle(move |_: Add, cx: Context| {
            say.send(())?;
            assert!(cx.wait_cancelled(LONG));
            Ok(())
        })
        .concurrency(1)
        .start()
        .unwrap();
    store.add("add", r#"{"n":1}"#);
    hear.recv_timeout(LONG).unwrap();
    store.change(|held| held.poisoned = true);
    assert!(pool.stop(LONG).is_err());
}

#[test]
fn a_wait_that_nobody_ends_is_over_in_time_and_says_so() {
    let store = Twin::new();
    let (say, hear) = channel();
    let pool = workers(&store)
        .handle(move |job: Add, cx: Context| {
            let limit = if job.n == 0 { Duration::ZERO } else { LONG };
            Ok(say.send(cx.wait_cancelled(limit))?)
        })
        .concurrency(1)
        .start()
        .unwrap();
    store.add("add", r#"{"n":0}"#);
    assert!(!hear.recv_timeout(LONG).unwrap());
    // Its time is over before it begins to wait.
    store.add_with("add", r#"{"n":1}"#, |job| job.timeout_ms = Some(0));
    assert!(hear.recv_timeout(LONG).unwrap());
    pool.stop(LONG).unwrap();
}
