//! What an enqueue does to the waiting job that holds its key.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::enqueue::UniqueRule;
use crate::engine::look::{Source, Status};
use crate::engine::settle::CellSet;
use crate::engine::{Acceptance, Durability, Engine, Enqueued, NewJob, OnConflict, Settle};
use crate::ids::{JobId, Phase};
use crate::job::namespace;

use super::world::{Verbs, World, at, job, nack};

fn keyed(args: &str, policy: OnConflict) -> NewJob {
    NewJob {
        unique: Some("key".into()),
        rule: UniqueRule { on_conflict: policy, ..UniqueRule::default() },
        ..job(args)
    }
}

fn accept(engine: &Engine, jobs: Vec<NewJob>) -> Vec<Acceptance> {
    let (answers, ticket) = engine.enqueue(jobs, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    engine.check_books().unwrap();
    answers.into_iter().map(|Enqueued { acceptance, .. }| acceptance).collect()
}

fn args_of(engine: &Engine, id: JobId) -> Vec<u8> {
    engine.job(id).unwrap().unwrap().1
}

#[test]
fn an_enqueue_that_replaces_puts_its_args_and_its_time_under_the_id_that_stands() {
    let world = World::new(1);
    let engine = world.open();
    let id = engine.add(NewJob { priority: 3, ..keyed("old", OnConflict::Keep) });
    let later = NewJob { run_at: Some(at(5_000)), queue: "mail".into(), ..keyed("new", OnConflict::Replace) };
    assert_eq!(accept(&engine, vec![later]), [Acceptance::Replaced(id)]);
    assert!(engine.take().is_none(), "it waits for the new time");
    let crashed = world.crashed(CrashMode::DropUnsynced);
    for engine in [engine, crashed.open(), world.crashed(CrashMode::KeepAll).without_index().open()] {
        let (envelope, args) = engine.job(id).unwrap().unwrap();
        assert_eq!((args.as_slice(), envelope.queue.as_str(), envelope.priority), (&b"new"[..], "mail", 0));
        assert_eq!(engine.counts().enqueued, 1);
    }
}

#[test]
fn an_enqueue_that_replaces_begins_again_with_the_attempts() {
    let world = World::new(2);
    let engine = world.open();
    let id = engine.add(keyed("old", OnConflict::Keep));
    assert!(engine.end(&engine.take().unwrap(), nack("no")));
    assert_eq!(accept(&engine, vec![keyed("new", OnConflict::Replace)]), [Acceptance::Replaced(id)]);
    let grant = engine.take().unwrap();
    assert_eq!((grant.id, grant.attempt, grant.args.as_slice()), (id, 1, &b"new"[..]));
}

#[test]
fn an_enqueue_that_replaces_leaves_nothing_of_what_the_runs_before_it_kept() {
    let world = World::new(4);
    let engine = world.open();
    let id = engine.add(keyed("old", OnConflict::Keep));
    let grant = engine.take().unwrap();
    let key = [&id.0.to_be_bytes()[..], b"charge"].concat();
    let step = CellSet { namespace: namespace::STEP, key: key.clone(), value: Some(b"7".to_vec()), until: None };
    assert!(engine.note(&grant, &[step], Durability::Sync).unwrap().is_some());
    assert!(engine.end(&grant, nack("no")));
    assert_eq!(accept(&engine, vec![keyed("new", OnConflict::Replace)]), [Acceptance::Replaced(id)]);
    engine.compact_all().unwrap();
    let crashed = world.crashed(CrashMode::DropUnsynced);
    for engine in [engine, crashed.open(), world.crashed(CrashMode::KeepAll).without_index().open()] {
        assert_eq!(engine.cell_value(namespace::STEP, &key).unwrap(), None, "the new job has charged nothing yet");
        assert_eq!(engine.counts().total().live(), 1);
    }
}

#[test]
fn an_enqueue_that_reschedules_moves_the_time_and_nothing_else() {
    let world = World::new(3);
    let engine = world.open();
    let id = engine.add(NewJob { run_at: Some(at(60_000)), ..keyed("old", OnConflict::Keep) });
    let sooner = NewJob { run_at: Some(at(1_000)), ..keyed("new", OnConflict::Reschedule) };
    assert_eq!(accept(&engine, vec![sooner]), [Acceptance::Rescheduled(id)]);
    world.clock.advance(Duration::from_secs(1));
    engine.idle();
    assert_eq!(engine.take().map(|grant| (grant.id, grant.args)), Some((id, b"old".to_vec())));
    assert_eq!(
        accept(&engine, vec![keyed("newer", OnConflict::Reschedule)]),
        [Acceptance::Duplicate(id)],
        "it runs: nothing of it is changed"
    );
}

#[test]
fn a_job_that_runs_is_held_or_is_parked_is_never_changed_by_an_enqueue() {
    let world = World::new(4);
    let engine = world.open();
    let id = engine.add(NewJob { hold: true, ..keyed("old", OnConflict::Keep) });
    for policy in [OnConflict::Replace, OnConflict::Reschedule] {
        assert_eq!(accept(&engine, vec![keyed("new", policy)]), [Acceptance::Duplicate(id)]);
    }
    engine.confirm(id).unwrap();
    let grant = engine.take().unwrap();
    assert_eq!(accept(&engine, vec![keyed("new", OnConflict::Replace)]), [Acceptance::Duplicate(id)]);
    assert!(engine.end(&grant, Settle::Park("nobody".into())));
    assert_eq!(accept(&engine, vec![keyed("new", OnConflict::Replace)]), [Acceptance::Duplicate(id)]);
    assert_eq!(args_of(&engine, id), b"old");
}

#[test]
fn within_one_batch_the_first_of_a_key_counts_and_a_holder_is_changed_once() {
    let engine = World::new(5).open();
    let batch = |args: &str| keyed(args, OnConflict::Replace);
    let answers = accept(&engine, vec![batch("one"), batch("two")]);
    let [Acceptance::New, Acceptance::Duplicate(id)] = answers[..] else { panic!("{answers:?}") };
    let answers = accept(&engine, vec![batch("three"), job("other"), batch("four")]);
    assert_eq!(answers, [Acceptance::Replaced(id), Acceptance::New, Acceptance::Duplicate(id)]);
    assert_eq!(args_of(&engine, id), b"three");
}

#[test]
fn a_follow_up_replaces_too_in_the_frame_of_the_ack() {
    let world = World::new(6);
    let engine = world.open();
    let parent = engine.add(job("parent"));
    let grant = engine.take().unwrap();
    let id = engine.add(keyed("old", OnConflict::Keep));
    let follow_ups = vec![keyed("new", OnConflict::Replace)];
    let before = world.disk.ops();
    assert!(engine.end(&grant, Settle::Ack { follow_ups, cells: Vec::new() }));
    for cut in before..=world.disk.ops() {
        let engine = world.cut(cut, CrashMode::KeepAll).open();
        let ended = matches!(engine.inspect(parent).unwrap(), Status::Finished);
        assert_eq!(args_of(&engine, id) == b"new", ended, "cut={cut}: one frame");
    }
}

#[test]
fn a_replaced_job_leaves_one_live_record_and_the_books_agree_after_every_crash() {
    let world = World::new(7);
    let engine = world.open();
    let id = engine.add(keyed("0", OnConflict::Keep));
    let before = world.disk.ops();
    for nth in 1..6 {
        let delayed = (nth % 2 == 0).then(|| at(10_000));
        accept(&engine, vec![NewJob { run_at: delayed, ..keyed(&nth.to_string(), OnConflict::Replace) }]);
    }
    let mut seen = 0;
    for cut in before..=world.disk.ops() {
        let engine = world.cut(cut, CrashMode::DropUnsynced).open();
        engine.check_books().unwrap();
        let now: u8 = String::from_utf8(args_of(&engine, id)).unwrap().parse().unwrap();
        assert!(now >= seen, "cut={cut}: args={now} after {seen}");
        seen = now;
        let phase = engine.job(id).unwrap().unwrap().0.state.phase();
        assert_eq!(phase == Phase::Scheduled, now > 0 && now.is_multiple_of(2), "cut={cut} args={now}");
    }
    assert_eq!(seen, 5);
}
