//! The rules of the design whose behaviour lives in the engine.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Acceptance, Cancelled, Durability, LeaseKind, ReadOnlyEngine, Requeued, Settle, Status};
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};

use super::world::{Verbs, World, at, dump_of, job, nack};

#[test]
fn rule_6_a_duplicate_is_answered_only_when_the_job_it_names_is_durable() {
    let world = World::new(20);
    let engine = world.open();
    let mut keyed = job("first");
    keyed.unique = Some("k".into());
    let (first, _not_waited_for) = engine.enqueue(vec![keyed.clone()], Durability::Sync).unwrap();
    let (second, ticket) = engine.enqueue(vec![keyed], Durability::Sync).unwrap();
    assert_eq!(second[0].acceptance, Acceptance::Duplicate(first[0].id));
    engine.wait(ticket).unwrap();
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert!(matches!(again.inspect(first[0].id).unwrap(), Status::Live(_)));
}

#[test]
fn rule_7_nothing_is_numbered_twice() {
    let mut world = World::new(21);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let engine = world.open();
        let (answers, ticket) = engine.enqueue(vec![job("a"), job("b")], Durability::Buffered).unwrap();
        engine.wait(ticket).unwrap();
        for answer in answers {
            assert!(seen.insert(answer.id), "id {} was given twice", answer.id);
        }
        world = world.crashed(CrashMode::DropUnsynced);
    }
}

#[test]
fn rule_7_an_idempotency_key_is_the_same_for_every_attempt_and_for_no_other_job() {
    let mut world = World::new(22);
    let engine = world.open();
    engine.add(job("charge"));
    let first = engine.take().unwrap().idempotency_key;
    world = world.crashed(CrashMode::KeepAll);
    let engine = world.open();
    let second = engine.take().unwrap();
    assert_eq!(second.idempotency_key, first);
    engine.add(job("other"));
    assert_ne!(engine.take().unwrap().idempotency_key, first);
}

#[test]
fn rule_12_a_last_attempt_stays_the_last() {
    let world = World::new(23);
    let engine = world.open();
    let mut once = job("once");
    once.max_attempts = 1;
    let id = engine.add(once);
    engine.take().unwrap();
    let again = world.crashed(CrashMode::KeepAll).open();
    let Status::Live(info) = again.inspect(id).unwrap() else { panic!("gone") };
    assert_eq!((info.phase, info.attempts), (Phase::Dead, 1));
    assert!(info.reason.unwrap().contains("last attempt"));
    assert!(again.take().is_none());
}

#[test]
fn rule_17_order_is_priority_then_id_and_a_returned_job_takes_its_old_place() {
    let world = World::new(24);
    let engine = world.open();
    let ids: Vec<JobId> = [0, 5, 0, 5, -1]
        .into_iter()
        .map(|priority| {
            let mut new = job("p");
            new.priority = priority;
            engine.add(new)
        })
        .collect();
    let first = engine.take().unwrap();
    assert_eq!(first.id, ids[1]);
    assert!(engine.end(&first, Settle::Release));
    let order: Vec<JobId> = engine.take_some(9).into_iter().map(|grant| grant.id).collect();
    assert_eq!(order, [ids[1], ids[3], ids[0], ids[2], ids[4]]);
}

#[test]
fn rule_17_a_second_release_waits_a_second_so_that_none_spins_at_the_head() {
    let world = World::new(25);
    let engine = world.open();
    engine.add(job("hot potato"));
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Release));
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Release));
    assert!(engine.take().is_none());
    world.clock.advance(Duration::from_secs(1));
    engine.idle();
    assert_eq!(engine.take().unwrap().attempt, 1);
}

#[test]
fn rule_16_a_scheduled_job_is_never_early_and_due_is_logged() {
    let world = World::new(26);
    let engine = world.open();
    let mut later = job("later");
    later.run_at = Some(at(5_000));
    engine.add(later);
    world.clock.advance(Duration::from_millis(4_999));
    engine.idle();
    assert!(engine.take().is_none());
    world.clock.advance(Duration::from_millis(1));
    engine.idle();
    // The clock goes back; what was decided stays decided, also after a crash.
    world.clock.set_wall_ms(super::world::START_MS);
    let (_, ticket) = engine.enqueue(vec![job("push the due record")], Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    let again = world.crashed(CrashMode::DropUnsynced);
    again.clock.set_wall_ms(super::world::START_MS);
    assert_eq!(again.open().take().unwrap().args, b"later");
}

#[test]
fn rule_20_a_cancelled_running_job_is_cancelled_at_any_end_but_an_ack() {
    let world = World::new(27);
    let engine = world.open();
    for _ in 0..3 {
        engine.add(job("running"));
    }
    let grants = engine.take_some(3);
    for grant in &grants {
        let (answer, ticket) = engine.cancel(grant.id).unwrap();
        engine.wait(ticket).unwrap();
        assert_eq!(answer, Cancelled::Requested);
        assert!(engine.cancel_requested(grant.id, grant.token));
    }
    assert!(engine.ack(&grants[0]));
    assert!(engine.end(&grants[1], nack("stopped")));
    assert_eq!(engine.counts().completed, 1);
    assert_eq!(engine.counts().cancelled, 1);
    let again = world.crashed(CrashMode::KeepAll).open();
    assert_eq!(again.inspect(grants[2].id).unwrap(), Status::Finished, "cancelled, not requeued");
    assert_eq!(again.counts().cancelled, 2);
}

#[test]
fn rule_22_a_unique_key_is_free_again_when_its_job_ends_and_taken_when_it_is_requeued() {
    let world = World::new(28);
    let engine = world.open();
    let keyed = || {
        let mut new = job("keyed");
        new.unique = Some("sale:7".into());
        new
    };
    let first = engine.add(keyed());
    assert_eq!(engine.add(keyed()), first);
    let grant = engine.take().unwrap();
    assert_eq!(engine.add(keyed()), first, "in flight still counts as live");
    assert!(engine.end(&grant, Settle::Bury("enough".into())));
    let second = engine.add(keyed());
    assert_ne!(second, first, "a dead job keeps nobody out");
    let (answer, _) = engine.requeue(first).unwrap();
    assert_eq!(answer, Requeued::Duplicate(second));
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    let (answer, _) = engine.requeue(first).unwrap();
    assert_eq!(answer, Requeued::Done);
    assert_eq!(engine.add(keyed()), first);
}

#[test]
fn rule_23_looking_changes_nothing() {
    let world = World::new(29);
    let engine = world.open();
    super::promises::busy(&engine, &world, 30);
    engine.push().unwrap();
    let after = world.crashed(CrashMode::KeepAll);
    let before = after.disk.copy();
    let ops = after.disk.ops();
    let clock: std::sync::Arc<dyn crate::clock::Clock> = after.clock.clone();
    let view = ReadOnlyEngine::open(&(std::sync::Arc::new(after.disk.clone()) as _), &clock).unwrap();
    let seen = dump_of(&view);
    assert!(view.verify().unwrap().is_sound());
    assert_eq!(after.disk.ops(), ops, "a read-only open wrote something");
    assert!(before.same_files(&after.disk));
    assert_eq!(seen, after.open().text(), "a read-only view shows what the next open serves");
}

#[test]
fn rule_23_a_second_handle_is_told_who_holds_the_directory() {
    let world = World::new(30);
    let _engine = world.open();
    let refused = world.try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InUse);
    assert!(refused.to_string().contains(&format!("pid={}", std::process::id())), "{refused}");
}

#[test]
fn rule_13_a_lease_taken_by_hand_expires_on_the_monotonic_clock_and_spends_its_attempt() {
    let world = World::new(31);
    let engine = world.open();
    engine.add(job("by hand"));
    let grant = engine.claim(&[], 1, LeaseKind::Hand(Duration::from_secs(30))).unwrap().remove(0);
    world.clock.set_wall_ms(super::world::START_MS + 1_000_000);
    engine.idle();
    assert!(engine.take().is_none(), "a jump of the wall clock expired a lease");
    world.clock.advance(Duration::from_secs(20));
    assert!(engine.extend(grant.id, grant.token, Duration::from_secs(30)).unwrap());
    world.clock.advance(Duration::from_secs(29));
    engine.idle();
    assert!(engine.take().is_none());
    world.clock.advance(Duration::from_secs(1));
    engine.idle();
    let next = engine.take().unwrap();
    assert_eq!(next.attempt, 2);
    assert!(!engine.ack(&grant), "an expired lease still counted");
}

#[test]
fn rule_13_extending_a_lease_of_the_pool_does_not_make_it_expire() {
    let world = World::new(35);
    let engine = world.open();
    engine.add(job("in the pool"));
    let grant = engine.take().unwrap();
    assert!(engine.extend(grant.id, grant.token, Duration::from_secs(1)).unwrap(), "it is held");
    world.clock.advance(Duration::from_secs(3_600));
    engine.idle();
    assert!(engine.ack(&grant));
    assert!(!engine.extend(grant.id, grant.token, Duration::from_secs(1)).unwrap(), "it is over");
}

#[test]
fn pause_and_resume_are_durable() {
    let world = World::new(32);
    let engine = world.open();
    engine.add(job("wait"));
    let ticket = engine.pause("default").unwrap();
    engine.wait(ticket).unwrap();
    assert!(engine.take().is_none());
    let again = world.crashed(CrashMode::DropUnsynced);
    let engine = again.open();
    assert_eq!(engine.paused(), ["default"]);
    assert!(engine.take().is_none());
    let ticket = engine.resume("default").unwrap();
    engine.wait(ticket).unwrap();
    assert!(again.crashed(CrashMode::DropUnsynced).open().take().is_some());
}

#[test]
fn a_clean_close_leaves_nothing_to_replay_and_the_next_id_follows() {
    let world = World::new(33);
    let engine = world.open();
    let last = engine.add_many(vec![job("a"), job("b")])[1];
    let before = engine.text();
    engine.close().unwrap();
    drop(engine);
    let engine = world.open();
    assert!(engine.report().clean);
    assert_eq!(engine.report().records, 0);
    assert_eq!(engine.text(), before);
    assert_eq!(engine.add(job("c")).0, last.0 + 1);
}

#[test]
fn close_refuses_while_leases_live_and_the_handle_goes_on() {
    let world = World::new(34);
    let engine = world.open();
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    assert_eq!(engine.close().unwrap_err().kind(), ErrorKind::InUse);
    assert!(engine.ack(&grant));
    engine.close().unwrap();
    assert_eq!(engine.enqueue(vec![job("y")], Durability::Sync).unwrap_err().kind(), ErrorKind::Closed);
}
