//! Who waits is woken: for a sync, for work, for room, and for the end. With the services on their threads.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::disk::simulated::{Call, Fault};
use crate::engine::bell::Bell;
use crate::engine::state::{Marks, Unreached};
use crate::engine::{Core, Doors, Drive, Durability, Engine, LeaseKind, Settings, Settle, Ticket};
use crate::error::ErrorKind;
use crate::ids::{JobId, Lsn};

use super::world::{SEGMENT_BYTES, Verbs, World, at, job, nack};

/// Longer than any of this takes; who is not back by then was forgotten.
const LONG: Duration = Duration::from_secs(20);

pub(super) fn open(world: &World) -> Engine {
    let settings = Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, ..Settings::default() };
    Engine::open(Doors { drive: Drive::Threads, ..world.doors() }, settings).unwrap()
}

/// Does it on a thread of the engine, which is left behind if it never comes back.
fn within<T: Send + 'static>(engine: &Engine, work: impl FnOnce(Arc<Core>) -> T + Send + 'static) -> T {
    beside(engine, work).recv_timeout(LONG).expect("it never came back")
}

fn beside<T: Send + 'static>(engine: &Engine, work: impl FnOnce(Arc<Core>) -> T + Send + 'static) -> Receiver<T> {
    let (send, done) = channel();
    // Whoever asked may have given up.
    engine.spawn("waiting", move |core| drop(send.send(work(core)))).unwrap();
    done
}

fn stage(engine: &Core, args: &str, level: Durability) -> Ticket {
    engine.enqueue(vec![job(args)], level).unwrap().1
}

/// Takes the committer's place, so that whoever waits must be answered by another.
fn lead(engine: &Engine) {
    while !engine.desk.take_lead() {
        std::thread::yield_now();
    }
}

/// Gives it back when so many wait.
fn hand_over(engine: &Engine, waiting: usize) {
    while engine.desk.waiting_for_sync() < waiting {
        std::thread::yield_now();
    }
    engine.desk.end_lead(engine.log.durable());
}

/// Waits for work, and does `meanwhile` after it has looked and before it sleeps: the worst moment for news to come.
pub(super) fn finds_work(engine: &Engine, meanwhile: impl Fn(&Core) + Send + 'static) -> bool {
    within(engine, move |core| {
        let done = std::cell::Cell::new(false);
        let wait = core.wait_for_work(&[], None, &|| {
            if !done.replace(true) {
                meanwhile(&core);
            }
            false
        });
        wait.unwrap()
    })
}

struct Told(Sender<()>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        // Nobody may be listening any more.
        let _ = self.0.send(());
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_new_directory_has_room_for_its_first_job_when_it_is_open() {
    let engine = open(&World::new(51));
    assert!(engine.state.lock().stage.prepared() > crate::log::RESERVE);
}

#[test]
fn a_thread_that_waits_for_exactly_the_synced_position_is_woken() {
    let world = World::new(40);
    let engine = open(&world);
    for n in 0..20 {
        let ticket = stage(&engine, &n.to_string(), Durability::Sync);
        lead(&engine);
        let answer = beside(&engine, move |core| core.wait(ticket));
        hand_over(&engine, 1);
        answer.recv_timeout(LONG).expect("it was left waiting").unwrap();
        assert!(engine.log.durable() >= ticket.lsn);
    }
}

#[test]
fn rule_8_who_asks_while_another_leads_is_answered_by_the_committer() {
    let world = World::new(52);
    let engine = open(&world);
    // Under its timer it would look by itself: let that run out.
    while !engine.desk.is_asleep() {
        world.clock.advance(Duration::from_secs(1));
        std::thread::yield_now();
    }
    assert!(engine.desk.take_lead() && !engine.desk.take_lead(), "one leads");
    let ticket = stage(&engine, "beside", Durability::Sync);
    let answer = beside(&engine, move |core| core.wait(ticket));
    hand_over(&engine, 1);
    answer.recv_timeout(LONG).expect("it was forgotten").unwrap();
}

#[test]
fn a_task_is_ready_only_behind_its_sync_and_is_woken_by_it() {
    let world = World::new(41);
    let engine = open(&world);
    for n in 0..20 {
        let (send, told) = channel();
        let waker = Waker::from(Arc::new(Told(send)));
        let ticket = stage(&engine, &n.to_string(), Durability::Sync);
        while engine.poll_wait(ticket, &mut Context::from_waker(&waker)).map(Result::unwrap) == Poll::Pending {
            told.recv_timeout(LONG).expect("the waker was not called");
        }
        assert!(engine.log.durable() >= ticket.lsn, "ready before its sync");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody_else() {
    let world = World::new(42);
    let engine = open(&world);
    let waker = Waker::from(Arc::new(Panics));
    let mut met = false;
    for n in 0..50 {
        let ticket = stage(&engine, &n.to_string(), Durability::Sync);
        met |= engine.poll_wait(ticket, &mut Context::from_waker(&waker)).is_pending();
        within(&engine, move |core| core.wait(ticket)).unwrap();
    }
    assert!(met, "no task ever had to wait");
}

#[test]
fn a_failed_sync_answers_everyone_who_waits() {
    let world = World::new(43);
    let engine = open(&world);
    let ticket = stage(&engine, "lost", Durability::Sync);
    world.disk.fail_call(0, Fault::eio().for_good().on(&[Call::SyncData]));
    lead(&engine);
    let waiting: Vec<_> = (0..4).map(|_| beside(&engine, move |core| core.wait(ticket))).collect();
    hand_over(&engine, 4);
    for answer in waiting {
        let answer = answer.recv_timeout(LONG).expect("it was left waiting");
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unknown);
    }
}

#[test]
fn what_was_buffered_is_synced_by_itself_when_a_second_has_passed() {
    let world = World::new(44);
    let engine = open(&world);
    let ticket = stage(&engine, "soft", Durability::Buffered);
    engine.wait(ticket).unwrap();
    within(&engine, move |core| {
        let pause = Bell::default();
        while core.log.durable() < ticket.lsn {
            world.clock.advance(Duration::from_secs(1));
            pause.wait(pause.heard(), Some(Duration::from_millis(5)));
        }
    });
}

#[test]
fn news_of_a_job_that_comes_between_looking_and_sleeping_is_not_missed() {
    let world = World::new(45);
    let engine = open(&world);
    assert!(finds_work(&engine, |core| {
        let ticket = stage(core, "new", Durability::Sync);
        core.wait(ticket).unwrap();
    }));
}

#[test]
fn a_bell_that_rings_while_nobody_sleeps_is_heard_by_who_looked_before() {
    let bell = Bell::default();
    let heard = bell.heard();
    assert!(!bell.wait(heard, Some(Duration::ZERO)));
    bell.ring();
    assert!(bell.wait(heard, Some(Duration::ZERO)));
}

#[test]
fn a_job_that_is_due_wakes_who_waits_for_work() {
    let world = World::new(46);
    let engine = open(&world);
    let mut later = job("later");
    later.run_at = Some(at(5_000));
    engine.add_many(vec![later]);
    assert!(finds_work(&engine, move |core| {
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(core.promote_due().unwrap(), 1);
    }));
}

#[test]
fn a_job_that_is_given_back_wakes_who_waits_for_work() {
    let world = World::new(47);
    let engine = open(&world);
    engine.add(job("mine"));
    let grant = engine.claim(&[], 1, LeaseKind::Pool).unwrap().remove(0);
    assert!(finds_work(&engine, move |core| {
        core.settle(&grant, Settle::Release).unwrap();
    }));
}

#[test]
fn a_written_job_behind_one_that_waits_for_its_sync_is_told_of() {
    let mut unreached = Unreached::default();
    unreached.add(JobId(1), JobId(1), Lsn(100), Durability::Sync);
    unreached.add(JobId(2), JobId(2), Lsn(200), Durability::Buffered);
    let marks = Marks { written: Lsn(200), durable: Lsn(0) };
    assert!(unreached.contains(JobId(1), marks) && !unreached.contains(JobId(2), marks));
    assert!(unreached.release(marks));
}

#[test]
fn the_timer_is_set_to_the_next_due_job_and_rung_by_an_earlier_one() {
    let world = World::new(48);
    let engine = world.open();
    assert_eq!(engine.upkeep_rest(), Duration::from_secs(1));
    let mut later = job("later");
    later.run_at = Some(at(300));
    let heard = engine.upkeep.heard();
    engine.add(later);
    assert_ne!(engine.upkeep.heard(), heard, "nobody rang for the earlier job");
    assert_eq!(engine.upkeep_rest(), Duration::from_millis(300));
    let retried = engine.add(job("retried"));
    let grant = engine.take().unwrap();
    assert_eq!(grant.id, retried);
    let heard = engine.upkeep.heard();
    let Settle::Nack { error, cause, duration, .. } = nack("again") else { unreachable!() };
    let soon = Settle::Nack { error, cause, duration, retry_after: Some(Duration::from_millis(100)) };
    assert!(engine.end(&grant, soon));
    assert_ne!(engine.upkeep.heard(), heard, "nobody rang for the retry");
    assert_eq!(engine.upkeep_rest(), Duration::from_millis(100));
}

#[test]
fn a_verb_that_waits_for_room_goes_on_when_there_is_some() {
    let world = World::new(49);
    let engine = open(&world);
    let segments = engine.log.segment_files();
    within(&engine, |core| {
        for _ in 0..200 {
            stage(&core, &"x".repeat(3_000), Durability::Buffered);
        }
    });
    assert!(engine.log.segment_files() > segments);
}

#[test]
fn a_dropped_handle_wakes_who_waits_for_work() {
    let world = World::new(50);
    let engine = open(&world);
    let (asleep, soon) = channel();
    let waiting = beside(&engine, move |core| {
        core.wait_for_work(&[], None, &|| {
            asleep.send(()).unwrap();
            false
        })
    });
    soon.recv_timeout(LONG).unwrap();
    drop(engine);
    let answer = waiting.recv_timeout(LONG).expect("it was left waiting");
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
}
