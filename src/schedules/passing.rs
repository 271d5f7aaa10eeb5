//! What goes on beside the verbs: compaction and checkpoints.

use std::sync::Arc;

use super::explore::explore;
use super::yard::{add, batch, join, start};
use crate::disk::Disk;
use crate::engine::world::Verbs;
use crate::engine::{Cancelled, Durability, Engine, LeaseKind, Settle, Source};
use crate::ids::JobId;

/// Leaves two full segments with a few live jobs in each.
fn two_full_segments(engine: &Engine) {
    for _ in 0..7 {
        add(engine, batch(true));
        for grant in engine.take_some(3) {
            engine.ack(&grant);
        }
    }
}

#[test]
fn compaction_brings_nothing_back_that_ended_meanwhile() {
    explore(two_full_segments, |yard| {
        let before = yard.world.disk.list("log").unwrap();
        let engine = yard.open();
        let ids = engine.ids_from(JobId(0), None);
        ids.iter().for_each(|id| yard.accepted(*id, Durability::Sync));
        let mine = Arc::clone(&engine);
        let compactor = start(move || mine.compact_all().unwrap());
        let worker = {
            let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
            start(move || {
                for grant in engine.claim(&[], 2, LeaseKind::Pool).unwrap() {
                    let ack = Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() };
                    assert!(yard.end(&engine, grant.id, || engine.settle(&grant, ack)).unwrap());
                }
            })
        };
        let canceller = {
            let (yard, engine, id) = (Arc::clone(yard), Arc::clone(&engine), ids[yard.below(ids.len())]);
            start(move || {
                let cancel = || engine.cancel(id).map(|(how, ticket)| (how == Cancelled::Done).then_some(ticket));
                yard.end(&engine, id, cancel).unwrap();
            })
        };
        join([compactor, worker, canceller]);
        let left = yard.world.disk.list("log").unwrap();
        assert!(left[0] > before[0], "the oldest segment stayed: {before:?} {left:?}");
        yard.close_and_judge(&engine);
    });
}

#[test]
fn a_checkpoint_saves_nothing_the_log_could_still_lose() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open();
            let mine = Arc::clone(&engine);
            let mut threads = vec![start(move || (0..2).for_each(|_| mine.checkpoint().unwrap()))];
            for level in [Durability::Sync, Durability::Buffered] {
                let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
                threads.push(start(move || {
                    for _ in 0..2 {
                        yard.enqueue(&engine, batch(false), level).unwrap();
                        for grant in engine.claim(&[], 1, LeaseKind::Pool).unwrap() {
                            let ack = Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() };
                            assert!(yard.end(&engine, grant.id, || engine.settle(&grant, ack)).unwrap());
                        }
                    }
                }));
            }
            join(threads);
            if yard.below(2) == 0 {
                engine.close().unwrap();
            }
            drop(engine);
            yard.judge();
        },
    );
}
