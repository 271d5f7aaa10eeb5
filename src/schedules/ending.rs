//! The end of a handle: in order, or by letting it go, in the middle of everything.

use std::sync::Arc;

use super::explore::explore;
use super::yard::{Yard, add, batch, join, start};
use crate::Job;
use crate::disk::Disk;
use crate::engine::{Durability, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::Backlog;

#[test]
fn closing_answers_everybody_who_is_inside() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open_with_upkeep();
            let producers: Vec<_> = [Durability::Sync, Durability::Sync, Durability::Buffered]
                .into_iter()
                .map(|level| {
                    let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
                    start(move || {
                        let call = |_| yard.enqueue(&engine, batch(yard.below(2) == 0), level).map(drop);
                        let answers: Vec<Result<()>> = (0..3).map(call).collect();
                        let over = answers.iter().position(Result::is_err).unwrap_or(answers.len());
                        assert!(
                            answers[over..].iter().all(|answer| answer.as_ref().is_err_and(is_closed)),
                            "{answers:?}"
                        );
                    })
                })
                .collect();
            let waiting = Arc::clone(&engine);
            let worker = start(move || waiting.wait_for_work(&["nowhere".to_owned()], None, &|| false).unwrap_err());
            engine.close().unwrap();
            join(producers);
            assert!(is_closed(&worker.join().unwrap()));
            assert!(is_closed(&engine.close().unwrap_err()));
            assert!(yard.world.cut_nothing().open().report().clean);
            yard.judge();
        },
    );
}

fn is_closed(error: &Error) -> bool {
    error.kind() == ErrorKind::Closed
}

#[derive(serde::Serialize)]
struct Note;

impl Job for Note {
    const KIND: &'static str = "note";
}

/// Uses the program's handle a little, then lets it go.
fn use_and_drop(yard: &Yard, backlog: &Backlog) {
    let accepted = backlog.enqueue(&Note).unwrap();
    yard.accepted(accepted.id, Durability::Sync);
}

#[test]
fn the_last_handle_takes_the_services_and_the_lock_with_it() {
    explore(
        |_| {},
        |yard| {
            let backlog = yard.open_backlog();
            for _ in 0..2 {
                let (yard, backlog) = (Arc::clone(yard), backlog.clone());
                drop(start(move || use_and_drop(&yard, &backlog)));
            }
            let mine = Arc::clone(yard);
            let last = start(move || use_and_drop(&mine, &backlog));
            last.join().unwrap();
            let disk = yard.world.disk.clone();
            yard.after(move || assert!(disk.try_lock("lock").unwrap().is_some(), "nobody holds the lock any more"));
            yard.judge();
        },
    );
}

/// Leaves two jobs to be claimed.
fn two_jobs(engine: &Engine) {
    add(engine, batch(false));
    add(engine, batch(false));
}

#[test]
fn a_lease_dropped_beside_the_last_handle_never_loses_its_job() {
    explore(two_jobs, |yard| {
        let backlog = yard.open_backlog();
        let leases: Vec<_> = (0..2).map(|_| backlog.queue("default").claim().unwrap().unwrap()).collect();
        leases.iter().for_each(|lease| yard.accepted(lease.id(), Durability::Sync));
        let droppers: Vec<_> = leases.into_iter().map(|lease| start(move || drop(lease))).collect();
        drop(backlog);
        join(droppers);
        yard.judge();
    });
}
