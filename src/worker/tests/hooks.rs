//! Hooks hear of everything, and hold nothing up.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::engine::{Event, What};
use crate::ids::{JobId, Lsn};

fn say(store: &Twin, n: u64, what: What) {
    let (kind, queue) = ("add".into(), "default".into());
    store.stream.put(Lsn(n), Event { at: SystemTime::UNIX_EPOCH, job: Some(JobId(n)), kind, queue, what });
    store.stream.tell(Lsn(n));
}

#[test]
fn every_hook_is_called_for_every_event_in_order_and_a_panic_in_one_ends_nothing() {
    let store = Twin::new();
    let (first, heard_first) = channel();
    let (second, heard) = channel();
    let pool = workers(&store)
        .on(move |event| {
            first.send(event.job).unwrap();
            assert!(event.what != What::Released, "not this one");
        })
        .on(move |event| second.send((event.job, event.what)).unwrap())
        .handle(|_: Add, _| Ok(()))
        .concurrency(1)
        .start()
        .unwrap();
    let told = [What::Started { attempt: 1 }, What::Released, What::Cancelled];
    (1..).zip(told).for_each(|(n, what)| say(&store, n, what));
    let expected: Vec<_> = (1..).map(|n| Some(JobId(n))).zip(told).collect();
    let id = store.add("add", r#"{"n":1}"#);
    store.until(|held| held.ended == [id]);
    pool.stop(LONG).unwrap();
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), expected, "all of it is heard when the pool has stopped");
    assert_eq!(heard_first.try_iter().count(), 3);
}

#[test]
fn a_hook_that_hangs_holds_up_no_job_and_no_stop() {
    let store = Twin::new();
    let (hold, held) = crossbeam_channel::bounded::<()>(0);
    let pool = workers(&store).on(move |_| _ = held.recv()).handle(|_: Add, _| Ok(())).concurrency(1).start().unwrap();
    say(&store, 1, What::Released);
    let id = store.add("add", r#"{"n":1}"#);
    store.until(|held| held.ended == [id]);
    assert_eq!(pool.missed_events(), 0);
    pool.stop(Duration::ZERO).unwrap();
    drop(hold);
}

#[test]
fn without_a_hook_nobody_listens() {
    let store = Twin::new();
    let pool = workers(&store).handle(|_: Add, _| Ok(())).concurrency(1).start().unwrap();
    assert!(!store.stream.is_heard());
    pool.stop(LONG).unwrap();
}
