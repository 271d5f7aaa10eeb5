//! Group commit: whoever waits is answered, and nobody before his bytes are where he asked for them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::explore::explore;
use super::yard::{Yard, batch, join, start};
use crate::disk::simulated::{Call, Fault};
use crate::engine::world::Verbs;
use crate::engine::{Durability, Engine, Ticket};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, JoinHandle, Mutex};

/// A producer that enqueues `calls` times, each batch big if `big` says so; the answers.
fn producer(
    yard: &Arc<Yard>,
    engine: &Arc<Engine>,
    calls: usize,
    big: fn(&Yard) -> bool,
) -> JoinHandle<Vec<Result<()>>> {
    let (yard, engine) = (Arc::clone(yard), Arc::clone(engine));
    start(move || {
        let call = |_| {
            let level = if yard.below(3) == 0 { Durability::Buffered } else { Durability::Sync };
            yard.enqueue(&engine, batch(big(&yard)), level).map(drop)
        };
        (0..calls).map(call).collect()
    })
}

#[test]
fn what_is_acknowledged_was_synced_before_and_nobody_waits_for_ever() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open();
            let producers: Vec<_> = (0..3).map(|_| producer(yard, &engine, 2, |_| false)).collect();
            for answer in join(producers).into_iter().flatten() {
                answer.unwrap();
            }
            yard.close_and_judge(&engine);
        },
    );
}

#[test]
fn segments_turn_and_are_made_while_everybody_enqueues() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open();
            let producers: Vec<_> = (0..3).map(|_| producer(yard, &engine, 3, |_| true)).collect();
            for answer in join(producers).into_iter().flatten() {
                answer.unwrap();
            }
            yard.close_and_judge(&engine);
        },
    );
}

#[test]
fn a_failed_write_or_sync_is_told_to_all_who_wait_and_to_all_who_come() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open();
            let calls: &[Call] = [&[Call::Write][..], &[Call::SyncData], &[Call::SyncData, Call::Write]][yard.below(3)];
            let fault = Fault::eio().on(calls);
            let fault = if yard.below(2) == 0 { fault } else { fault.for_good() };
            yard.world.disk.fail_call(yard.below(5) as u64, fault);
            let worker = worker_until_the_end(&engine);
            let mostly_small = |yard: &Yard| yard.below(3) == 0;
            let producers: Vec<_> = (0..3).map(|_| producer(yard, &engine, 2, mostly_small)).collect();
            for answers in join(producers) {
                let over = answers.iter().position(|answer| answer.as_ref().is_err_and(is_the_end));
                let later = &answers[over.unwrap_or(answers.len())..];
                assert!(later.iter().all(Result::is_err), "acknowledged after the end: {answers:?}");
                for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                    // A segment that could not be prepared harms nobody but the caller who needed it.
                    let prepares = error.kind() == ErrorKind::Io && error.to_string().contains("cannot prepare");
                    assert!(is_the_end(error) || prepares, "{error}");
                }
            }

            if engine.poisoned().is_some() {
                let late = engine.enqueue(batch(false), Durability::Sync).unwrap_err();
                assert_eq!(late.kind(), ErrorKind::Poisoned);
                assert_eq!(worker.join().unwrap(), ErrorKind::Poisoned);
                assert_eq!(engine.close().unwrap_err().kind(), ErrorKind::Poisoned);
            } else {
                yard.world.disk.clear_faults();
                engine.close().unwrap();
                assert_eq!(worker.join().unwrap(), ErrorKind::Closed);
            }
            yard.judge();
        },
    );
}

fn is_the_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Unknown)
}

/// Waits for work that never comes; gives what it is told at last.
fn worker_until_the_end(engine: &Arc<Engine>) -> JoinHandle<ErrorKind> {
    let engine = Arc::clone(engine);
    let nowhere = ["nowhere".to_owned()];
    start(move || engine.wait_for_work(&nowhere, None, &|| false).unwrap_err().kind())
}

/// A task's executor: sleeps until woken.
#[derive(Default)]
struct Sleeper {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock();
        assert!(!*woken, "woken twice for one registration");
        *woken = true;
        self.bell.notify_one();
    }
}

/// Waits as a task does; a task is woken once, when its answer is there, and not before.
fn await_ticket(engine: &Engine, ticket: Ticket) -> Result<()> {
    let sleeper = Arc::new(Sleeper::default());
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut cx = Context::from_waker(&waker);
    match engine.poll_wait(ticket, &mut cx) {
        Poll::Ready(answer) => return answer,
        Poll::Pending => sleeper.bell.wait_while(&mut sleeper.woken.lock(), |woken| !*woken),
    }
    *sleeper.woken.lock() = false;
    match engine.poll_wait(ticket, &mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("woken before its time"),
    }
}

#[test]
fn a_task_is_woken_once_when_its_answer_is_there() {
    explore(
        |engine| engine.idle(),
        |yard| {
            let engine = yard.open();
            if yard.below(4) == 0 {
                yard.world.disk.fail_call(yard.below(3) as u64, Fault::eio().on(&[Call::SyncData]));
            }
            let tasks: Vec<JoinHandle<Result<()>>> = (0..3)
                .map(|nth| {
                    let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
                    start(move || {
                        let (answers, ticket) = engine.enqueue(batch(false), Durability::Sync)?;
                        match nth {
                            0 => await_ticket(&engine, ticket)?,
                            1 => shuttle::future::block_on(poll_fn(|cx| engine.poll_wait(ticket, cx)))?,
                            // Asks once and gives the news up: the others must not wait for it.
                            _ => {
                                let _ = engine.poll_wait(ticket, &mut Context::from_waker(Waker::noop()));
                                return Ok(());
                            }
                        }
                        yard.accepted(answers[0].id, Durability::Sync);
                        Ok(())
                    })
                })
                .collect();
            let failed = join(tasks).into_iter().filter_map(Result::err).next();
            assert!(failed.is_none() || engine.poisoned().is_some(), "{failed:?}");
            drop(engine);
            yard.judge();
        },
    );
}
