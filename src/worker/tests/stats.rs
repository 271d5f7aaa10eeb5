//! What a pool shows of its runs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, Other, workers};
use crate::ids::JobId;
use crate::worker::{Monitor, PoolStats, Workers};

const SECOND: Duration = Duration::from_secs(1);
const NONE: [u64; 0] = [];

/// Ids of the stuck runs.
fn stuck(stats: &PoolStats) -> Vec<u64> {
    stats.stuck().map(|run| run.id.0).collect()
}

/// A pool whose runs say that they have begun, and then wait for a word each.
fn held(store: &Arc<Twin>, threads: usize) -> (Workers, Receiver<()>, Sender<()>) {
    let ((started, wait), (go, gone)) = (channel(), channel::<()>());
    let gone = Mutex::new(gone);
    let pool = workers(store)
        .handle(move |_: Add, _| {
            started.send(())?;
            Ok(gone.lock().unwrap().recv()?)
        })
        .handle(|_: Other, _| Ok(()))
        .concurrency(threads)
        .start()
        .unwrap();
    (pool, wait, go)
}

/// Waits until nothing of the pool is left.
fn until_gone(monitor: &Monitor) {
    while monitor.stats().is_some() {
        std::thread::yield_now();
    }
}

#[test]
fn rule_13_a_run_past_its_timeout_is_shown_as_stuck_until_it_returns() {
    let store = Twin::new();
    let (pool, wait, go) = held(&store, 1);
    let id = store.add_with("plus", r#"{"n":0}"#, |job| job.timeout_ms = Some(2_000));
    wait.recv().unwrap();
    store.advance(SECOND);
    let stats = pool.stats();
    assert_eq!((stats.threads, stats.waiting, stats.stopping), (1, 0, false));
    let run = &stats.running[0];
    assert_eq!((run.id, run.kind.as_str(), run.queue.as_str(), run.attempt), (JobId(id), "plus", "default", 1));
    assert_eq!((run.running_for, run.overdue, run.cancelled), (SECOND, None, false));
    assert_eq!(stuck(&stats), NONE);
    store.advance(2 * SECOND);
    let stats = pool.stats();
    assert_eq!((stats.running[0].running_for, stats.running[0].overdue), (3 * SECOND, Some(SECOND)));
    assert_eq!(stuck(&stats), [id]);
    go.send(()).unwrap();
    store.until(|held| held.ended == [id]);
    let next = store.add("other", "{}");
    store.until(|held| held.ended == [id, next]);
    assert_eq!(stuck(&pool.stats()), NONE);
    pool.stop(LONG).unwrap();
}

#[test]
fn rule_13_an_async_run_that_blocks_past_its_timeout_is_stuck_too() {
    let store = Twin::new();
    let ((started, wait), (go, gone)) = (channel(), channel::<()>());
    let gone = Arc::new(Mutex::new(gone));
    let pool = workers(&store)
        .handle_async(move |_: Add, _| {
            let (started, gone) = (started.clone(), Arc::clone(&gone));
            async move {
                started.send(())?;
                Ok(gone.lock().unwrap().recv()?)
            }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add_with("add", r#"{"n":0}"#, |job| job.timeout_ms = Some(1));
    wait.recv().unwrap();
    store.advance(SECOND);
    assert_eq!(stuck(&pool.stats()), [id]);
    go.send(()).unwrap();
    pool.stop(LONG).unwrap();
}

#[test]
fn rule_13_a_run_whose_job_was_cancelled_is_shown_as_stuck_and_the_longest_run_first() {
    let store = Twin::new();
    let (pool, wait, go) = held(&store, 2);
    let first = store.add("add", r#"{"n":0}"#);
    wait.recv().unwrap();
    store.advance(SECOND);
    let second = store.add("add", r#"{"n":1}"#);
    wait.recv().unwrap();
    let stats = pool.stats();
    assert_eq!(stats.running.iter().map(|run| run.id.0).collect::<Vec<_>>(), [first, second]);
    assert_eq!(stuck(&stats), NONE);
    store.change(|held| held.jobs.get_mut(&second).unwrap().0.cancel_requested = true);
    let stats = pool.stats();
    assert_eq!((stuck(&stats), stats.running[1].overdue), (vec![second], None));
    go.send(()).unwrap();
    go.send(()).unwrap();
    pool.stop(LONG).unwrap();
}

#[test]
fn a_run_that_ends_while_somebody_looks_is_not_shown_as_stuck() {
    let store = Twin::new();
    let (pool, wait, go) = held(&store, 1);
    let id = store.add("add", r#"{"n":0}"#);
    wait.recv().unwrap();
    let meanwhile = Arc::clone(&store);
    store.before_wish(move || {
        go.send(()).unwrap();
        meanwhile.until(|held| held.ended == [id]);
    });
    assert_eq!(pool.stats().running, []);
    pool.stop(LONG).unwrap();
}

#[test]
fn a_monitor_shows_what_is_left_of_a_pool_that_was_stopped_and_then_that_it_is_gone() {
    let store = Twin::new();
    let (pool, wait, go) = held(&store, 1);
    let monitor = pool.monitor();
    let id = store.add("add", r#"{"n":0}"#);
    wait.recv().unwrap();
    assert_eq!(stuck(&monitor.stats().unwrap()), NONE);
    assert_eq!(pool.stop(Duration::ZERO).unwrap().still_running, 1);
    let stats = monitor.stats().expect("a run is left");
    assert_eq!((stats.stopping, stuck(&stats)), (true, vec![id]));
    go.send(()).unwrap();
    until_gone(&monitor);
}
