//! How a pool ends: in order, out of time, or because the disk failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::thread::Builder;
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::error::ErrorKind;
use crate::ids::Phase;
use crate::queue::seam::AtShutdown;
use crate::worker::{Context, Failure, OnPoison, Workers};

const ARGS: &str = r#"{"n":1}"#;

/// A pool of one whose job says that it runs and then waits to be told how to end.
fn one_that_waits(store: &Arc<Twin>) -> (Workers, u64, crossbeam_channel::Sender<bool>, Context) {
    let (say, hear) = channel();
    let (tell, told) = crossbeam_channel::bounded::<bool>(0);
    let pool = workers(store)
        .handle(move |_: Add, cx| {
            say.send(cx)?;
            if told.recv()? { Ok(()) } else { Err(Failure::new("told to fail")) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", ARGS);
    let cx = hear.recv().unwrap();
    (pool, id, tell, cx)
}

#[test]
fn stopping_waits_for_the_job_that_runs_and_starts_no_other() {
    let store = Twin::new();
    let (pool, id, tell, cx) = one_that_waits(&store);
    let next = store.add("add", ARGS);
    let seen = Arc::clone(&pool.pool);
    let stopper = Builder::new().spawn(move || pool.stop(LONG).unwrap()).unwrap();
    seen.watch(None, |state| state.stopping, |_| ());
    assert!(!cx.is_cancelled(), "within the grace nobody is disturbed");
    tell.send(true).unwrap();
    assert_eq!(stopper.join().unwrap().still_running, 0);
    assert_eq!(store.change(|held| held.ended.clone()), [id]);
    assert_eq!(store.job(next).state.phase(), Phase::Ready);
    assert_eq!(store.change(|held| held.durable), 1, "what finished is on disk");
}

#[test]
fn stopping_wakes_a_pool_that_waits_for_work() {
    let store = Twin::new();
    let pool = workers(&store).handle(|_: Add, _| Ok(())).concurrency(2).start().unwrap();
    store.until(|held| held.asleep > 0);
    let seen = Arc::clone(&pool.pool);
    pool.stop(LONG).unwrap();
    assert_eq!(seen.watch(Some(Duration::ZERO), |state| state.threads == 0, |state| state.threads), 0);
}

#[test]
fn a_run_that_outlasts_the_grace_keeps_its_job_until_it_returns() {
    let store = Twin::new();
    let (pool, id, tell, cx) = one_that_waits(&store);
    assert_eq!(pool.stop(Duration::ZERO).unwrap().still_running, 1);
    assert!(cx.is_cancelled());
    assert_eq!(store.job(id).state.phase(), Phase::InFlight, "no second run while the first goes on");
    tell.send(false).unwrap();
    let job = store.until_phase(id, Phase::Ready);
    assert_eq!((job.attempts, job.errors.len()), (0, 0), "it was asked to end: no attempt is spent");
}

#[test]
fn a_run_that_succeeds_after_the_grace_still_completes_its_job() {
    let store = Twin::new();
    let (pool, id, tell, _) = one_that_waits(&store);
    assert_eq!(pool.stop(Duration::ZERO).unwrap().still_running, 1);
    tell.send(true).unwrap();
    store.until(|held| held.ended == [id]);
}

#[test]
fn a_dropped_pool_starts_no_other_job_and_asks_running_ones_to_end() {
    let store = Twin::new();
    let (pool, id, tell, cx) = one_that_waits(&store);
    let next = store.add("add", ARGS);
    drop(pool);
    assert!(cx.is_cancelled());
    tell.send(true).unwrap();
    store.until(|held| held.ended == [id]);
    assert_eq!(store.job(next).state.phase(), Phase::Ready);
}

#[test]
fn the_end_of_the_last_handle_gives_back_what_still_runs_and_its_outcome_counts_for_nothing() {
    let store = Twin::new();
    let (pool, id, tell, _) = one_that_waits(&store);
    pool.pool.release_running();
    let job = store.job(id);
    assert_eq!((job.state.phase(), job.attempts), (Phase::Ready, 0));
    assert_eq!(store.change(|held| held.durable), 1, "given back before the process may end");
    let stopping = Builder::new().spawn(move || pool.stop(LONG)).unwrap();
    tell.send(true).unwrap();
    stopping.join().unwrap().unwrap();
    assert_eq!(store.change(|held| held.ended.len()), 0);
}

#[test]
fn a_failed_disk_stops_the_pool_and_asks_every_run_to_end() {
    let store = Twin::new();
    let (pool, id, tell, cx) = one_that_waits(&store);
    store.change(|held| held.poisoned = true);
    assert!(cx.is_cancelled());
    tell.send(true).unwrap();
    assert_eq!(pool.stop(LONG).expect_err("the disk failed").kind(), ErrorKind::Poisoned);
    assert_eq!(store.job(id).state.phase(), Phase::InFlight, "nothing is acknowledged any more");
}

#[test]
fn a_pool_that_is_to_exit_on_a_failed_disk_does_so_when_its_last_run_has_returned() {
    static EXIT: AtomicI32 = AtomicI32::new(0);
    let store = Twin::new();
    let (say, hear) = channel();
    let (tell, told) = crossbeam_channel::bounded::<()>(0);
    let pool = workers(&store)
        .handle(move |_: Add, _| {
            say.send(())?;
            Ok(told.recv()?)
        })
        .concurrency(3)
        .on_poison(OnPoison::Exit(9))
        .exit_by(|code| EXIT.store(code, Ordering::SeqCst))
        .start()
        .unwrap();
    store.add("add", ARGS);
    hear.recv().unwrap();
    store.change(|held| held.poisoned = true);
    pool.pool.watch(None, |state| state.threads == 1, |_| ());
    assert_eq!(EXIT.load(Ordering::SeqCst), 0, "a run goes on");
    tell.send(()).unwrap();
    pool.stop(LONG).expect_err("the disk failed");
    assert_eq!(EXIT.load(Ordering::SeqCst), 9);
}
