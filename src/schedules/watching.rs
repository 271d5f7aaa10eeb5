//! Who waits for one job: woken by its end when that is durable, by the word to stop at once, and by the handle's end.

use std::sync::Arc;
use std::time::Duration;

use super::explore::explore;
use super::yard::{Yard, add, batch, join, start};
use crate::clock::Clock;
use crate::engine::{Cancelled, Engine, LeaseKind, Over, Settle, Watch};
use crate::error::{ErrorKind, Result};
use crate::ids::JobId;
use crate::sync::JoinHandle;

fn two_jobs(engine: &Engine) {
    add(engine, batch(false));
    add(engine, batch(false));
}

/// Waits for the job however often the time runs out.
fn waiter(yard: &Arc<Yard>, engine: &Arc<Engine>, id: JobId) -> JoinHandle<Result<Over>> {
    let (yard, engine) = (Arc::clone(yard), Arc::clone(engine));
    start(move || {
        loop {
            let until = yard.world.clock.monotonic() + Duration::from_secs(20);
            if let Some(over) = engine.wait_over(id, until)? {
                yard.ended(id);
                return Ok(over);
            }
        }
    })
}

#[test]
fn who_waits_for_a_job_is_woken_and_what_he_is_told_is_durable() {
    explore(two_jobs, |yard| {
        let engine = yard.open();
        let grants = engine.claim(&[], 2, LeaseKind::Pool).unwrap();
        let ids = [JobId(1), JobId(2), JobId(1)];
        grants.iter().for_each(|grant| yard.ending(grant.id));
        let waiters: Vec<_> = ids.into_iter().map(|id| waiter(yard, &engine, id)).collect();
        let enders: Vec<_> = (grants.into_iter())
            .map(|grant| {
                let engine = Arc::clone(&engine);
                // Nobody but the waiters wants to know.
                start(move || {
                    let ack = Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() };
                    assert!(engine.settle(&grant, ack).unwrap().is_some());
                })
            })
            .collect();
        join(enders);
        assert!(join(waiters).into_iter().all(|over| over.unwrap() == Over::Finished));
        assert_eq!(engine.watching(), 0);
        yard.close_and_judge(&engine);
    });
}

#[test]
fn who_waits_for_a_job_that_nobody_ends_hears_that_the_handle_is_closed() {
    explore(two_jobs, |yard| {
        let engine = yard.open();
        let waiters: Vec<_> = [1, 2].into_iter().map(|id| waiter(yard, &engine, JobId(id))).collect();
        engine.close().unwrap();
        for told in join(waiters) {
            assert_eq!(told.unwrap_err().kind(), ErrorKind::Closed);
        }
    });
}

#[test]
fn a_run_that_waits_for_the_word_to_stop_hears_it_from_whoever_says_it() {
    explore(two_jobs, |yard| {
        let engine = yard.open();
        let grants = engine.claim(&[], 2, LeaseKind::Pool).unwrap();
        let runs: Vec<_> = (grants.iter())
            .map(|grant| {
                let (engine, id, token) = (Arc::clone(&engine), grant.id, grant.token);
                start(move || {
                    let watch = Arc::<Watch>::default();
                    while engine.watch_stop(id, token, None, &watch) {
                        watch.sit(None);
                    }
                })
            })
            .collect();
        let canceller = Arc::clone(&engine);
        let cancelled = start(move || canceller.cancel(JobId(1)).unwrap());
        assert!(engine.settle(&grants[1], Settle::Release).unwrap().is_some());
        join(runs);
        assert_eq!(cancelled.join().unwrap().0, Cancelled::Requested);
        assert!(engine.settle(&grants[0], Settle::Release).unwrap().is_some());
        engine.close().unwrap();
    });
}
