//! Who waits for a job is woken by its end, when that is durable, and nobody else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::disk::simulated::{Call, Fault};
use crate::engine::{Doors, Drive, Durability, Engine, Over, Settings, Settle, Watch};
use crate::error::ErrorKind;
use crate::ids::JobId;

use super::world::{SEGMENT_BYTES, Verbs, World, job, nack};

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A task that waits for a job.
struct Waiter {
    id: JobId,
    watch: Arc<Watch>,
    woken: Arc<Woken>,
}

impl Waiter {
    /// Sits down.
    fn on(engine: &Engine, id: JobId) -> Self {
        let waiter = Self { id, watch: Arc::default(), woken: Arc::default() };
        assert_eq!(waiter.look(engine), None, "the job lives");
        waiter
    }

    fn look(&self, engine: &Engine) -> Option<Over> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        if !self.watch.is_free(&cx) {
            return None;
        }
        let seen = engine.over_or_watch(self.id, &self.watch).unwrap()?;
        let Poll::Ready(over) = engine.poll_reached(seen, &mut cx) else { panic!("inline nobody is pending") };
        Some(over.unwrap())
    }
}

fn acked() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

#[test]
fn rule_6_a_waiter_hears_of_an_end_when_it_is_durable_and_not_before() {
    let engine = World::new(1).open();
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    let waiter = Waiter::on(&engine, grant.id);
    engine.settle(&grant, acked()).unwrap().unwrap();
    engine.push().unwrap();
    assert_eq!((waiter.woken.times(), waiter.look(&engine)), (0, None), "it is not durable yet");
    engine.commit_step().unwrap();
    assert_eq!(waiter.woken.times(), 1);
    let durable = engine.log.durable();
    assert_eq!(waiter.look(&engine), Some(Over::Finished));
    assert_eq!(engine.log.durable(), durable, "it waits for no other sync");
}

#[test]
fn rule_6_who_comes_after_the_end_waits_for_what_he_looked_at() {
    let engine = World::new(2).open();
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    engine.settle(&grant, acked()).unwrap().unwrap();
    let staged = engine.seen_so_far().lsn;
    assert!(engine.log.durable() < staged);
    assert_eq!(engine.wait_over(grant.id, Duration::ZERO).unwrap(), Some(Over::Finished));
    assert!(engine.log.durable() >= staged);
}

#[test]
fn exactly_those_who_wait_for_a_job_are_woken_by_its_end_whatever_it_is() {
    type End = fn(&Engine, &crate::engine::Grant);
    let ends: [(End, Over); 7] = [
        (|engine, grant| assert!(engine.ack(grant)), Over::Finished),
        (|engine, grant| assert!(engine.end(grant, Settle::Bury("no".into()))), Over::Dead),
        (|engine, grant| assert!(engine.end(grant, Settle::Cancel)), Over::Finished),
        (|engine, grant| assert!(engine.end(grant, nack("the last attempt"))), Over::Dead),
        (
            |engine, grant| {
                engine.cancel(grant.id).unwrap();
                assert!(engine.end(grant, Settle::Release));
            },
            Over::Finished,
        ),
        (
            |engine, grant| {
                assert!(engine.end(grant, Settle::Release));
                engine.cancel(grant.id).unwrap();
            },
            Over::Finished,
        ),
        (
            |engine, grant| {
                let damage = crate::error::Error::corrupt("a file", 7, "a test");
                engine.put_aside(grant.id, grant.token, &damage).unwrap();
            },
            Over::Dead,
        ),
    ];
    for (nth, (end, over)) in ends.into_iter().enumerate() {
        let engine = World::new(3).open();
        engine.add_many(vec![crate::engine::NewJob { max_attempts: 1, ..job("x") }, job("other")]);
        let grant = engine.take().unwrap();
        let waiters = [0, 1].map(|_| Waiter::on(&engine, grant.id));
        let other = Waiter::on(&engine, JobId(grant.id.0 + 1));
        end(&engine, &grant);
        engine.commit_step().unwrap();
        assert!(waiters.iter().all(|waiter| waiter.woken.times() == 1), "end {nth}");
        assert!(waiters.iter().all(|waiter| waiter.look(&engine) == Some(over)), "end {nth}");
        assert_eq!((other.woken.times(), engine.watching()), (0, 1), "end {nth}");
        engine.forget_watch(other.id, &other.watch);
        assert_eq!(engine.watching(), 0);
    }
}

#[test]
fn who_was_called_for_a_dead_job_that_somebody_brought_back_waits_on() {
    let engine = World::new(4).open();
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    let waiter = Waiter::on(&engine, grant.id);
    assert!(engine.end(&grant, Settle::Bury("no".into())));
    engine.wait(engine.requeue(grant.id).unwrap().1).unwrap();
    assert_eq!(waiter.look(&engine), None);
    assert_eq!(engine.watching(), 1);
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!((waiter.woken.times(), waiter.look(&engine)), (2, Some(Over::Finished)));
}

#[test]
fn what_is_known_of_an_id_that_never_was_is_answered_at_once() {
    let world = World::new(5);
    let engine = world.open();
    engine.add(job("x"));
    assert_eq!(engine.wait_over(JobId(7), LONG).unwrap(), Some(Over::Unknown));
    drop(engine);
    let again = world.cut_nothing().open();
    assert_eq!(again.wait_over(JobId(7), LONG).unwrap(), Some(Over::Lost));
    assert_eq!(again.wait_over(JobId(1), Duration::ZERO).unwrap(), None, "it lives");
}

#[test]
fn a_run_is_told_to_stop_by_the_cancel_itself_and_by_its_own_end() {
    let engine = World::new(6).open();
    engine.add_many(vec![job("x"), job("y")]);
    let grants = engine.take_some(2);
    let watches: Vec<Arc<Watch>> = grants.iter().map(|_| Arc::default()).collect();
    for (grant, watch) in grants.iter().zip(&watches) {
        assert!(engine.watch_stop(grant.id, grant.token, None, watch));
    }
    let called = |n: usize| watches[n].sit(Some(Duration::ZERO));
    assert!(!called(0) && !called(1));
    engine.cancel(grants[0].id).unwrap();
    assert!(called(0) && !called(1), "nobody waits for the disk here");
    assert!(!engine.watch_stop(grants[0].id, grants[0].token, None, &watches[0]), "it is so already");
    engine.settle(&grants[1], Settle::Release).unwrap();
    assert!(called(1), "the run is over");
}

#[test]
fn a_run_is_told_at_its_deadline_and_upkeep_wakes_for_it() {
    let world = World::new(10);
    let engine = world.open();
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    let watches: [Arc<Watch>; 2] = Default::default();
    let deadline = Some(Duration::from_millis(300));
    for watch in &watches {
        assert!(engine.watch_stop(grant.id, grant.token, deadline, watch));
    }
    assert_eq!(engine.upkeep_rest(), Duration::from_millis(300));
    engine.forget_stop(grant.id, deadline, &watches[1]);
    world.clock.advance(Duration::from_millis(299));
    engine.call_overdue();
    assert!(!watches[0].sit(Some(Duration::ZERO)));
    world.clock.advance(Duration::from_millis(1));
    engine.call_overdue();
    assert!(watches[0].sit(Some(Duration::ZERO)) && !watches[1].sit(Some(Duration::ZERO)));
    assert!(engine.upkeep_rest() > Duration::ZERO);
}

fn threads(world: &World) -> Engine {
    let settings = Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, ..Settings::default() };
    Engine::open(Doors { drive: Drive::Threads, ..world.doors() }, settings).unwrap()
}

/// Somebody waits for a job on a thread of its own, and says how it went.
fn waits(engine: &Engine, id: JobId) -> std::sync::mpsc::Receiver<crate::error::Result<Option<Over>>> {
    let (say, hear) = std::sync::mpsc::channel();
    let before = engine.watching();
    engine.spawn("waits", move |core| drop(say.send(core.wait_over(id, LONG)))).unwrap();
    while engine.watching() == before {
        std::thread::yield_now();
    }
    hear
}

#[test]
fn a_thread_that_waits_for_a_job_is_woken_by_an_ack_that_nobody_else_waits_for() {
    let engine = threads(&World::new(7));
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    let waiter = waits(&engine, grant.id);
    let ticket = engine.settle(&grant, acked()).unwrap().unwrap();
    assert_eq!(waiter.recv_timeout(LONG).unwrap().unwrap(), Some(Over::Finished));
    assert!(engine.log.durable() >= ticket.lsn);
}

#[test]
fn who_waits_for_a_job_hears_that_the_handle_is_closed() {
    let engine = threads(&World::new(8));
    let id = engine.add(job("x"));
    let waiter = waits(&engine, id);
    // It waits on a thread of the engine, which `close` waits for.
    engine.close().unwrap();
    assert_eq!(waiter.recv_timeout(LONG).unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn rule_14_who_waits_for_a_job_hears_that_the_handle_is_poisoned_and_so_does_who_listens() {
    let world = World::new(9);
    let engine = threads(&world);
    let id = engine.add(job("x"));
    let waiter = waits(&engine, id);
    let events = engine.events(9);
    world.disk.fail_call(0, Fault::eio().for_good().on(&[Call::SyncData]));
    let _ = engine.enqueue(vec![job("y")], Durability::Sync).and_then(|(_, ticket)| engine.wait(ticket));
    assert_eq!(waiter.recv_timeout(LONG).unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(events.count(), 0, "what is not durable is never told, and the stream ends");
}
