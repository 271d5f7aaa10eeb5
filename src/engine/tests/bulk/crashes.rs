//! After a crash at any moment a bulk verb goes on where its last frame left it.

use super::*;
use crate::disk::simulated::CrashMode;
use crate::engine::readonly::ReadOnlyEngine;
use crate::job::decode_bulk;
use crate::testing::effort::{budget, counted};

const JOBS: u64 = 90;

/// How far the verb is, by its cell: `None` if nobody knows of it any more, or yet.
fn on_its_way(engine: &Engine) -> Option<BulkRun> {
    let keys = engine.cell_keys_in(namespace::BULK);
    assert!(keys.len() <= 1);
    let (value, _) = engine.cell_value(namespace::BULK, keys.first()?).unwrap()?;
    Some(decode_bulk(&value).unwrap())
}

/// What was changed is what was counted; then a few that were changed die again, and the verb leaves them dead.
fn goes_on(engine: &Engine, replay: &str) {
    let run = on_its_way(engine);
    let over = records(engine);
    assert!(over.len() <= 1 && !(over.len() == 1 && run.is_some()), "{replay}");
    let changed = over.first().and_then(|record| record.bulk).map(|done| done.changed);
    let changed = changed.or(run.as_ref().map(|run| run.counts.changed));
    assert_eq!(engine.counts().total().ready, changed.unwrap_or(0), "{replay}");
    let mut again = 0;
    for grant in engine.take_some(3) {
        assert!(engine.end(&grant, Settle::Bury("once more".into())), "{replay}");
        again += 1;
    }
    assert_eq!(upkeep(engine) > 0, run.is_some(), "{replay}");
    ends_well(engine, changed.is_some(), again, replay);
}

fn ends_well(engine: &Engine, begun: bool, again: u64, replay: &str) {
    engine.check_books().unwrap_or_else(|why| panic!("{replay}: {why}"));
    let total = engine.counts().total();
    if begun {
        let [record] = &records(engine)[..] else { panic!("{replay}: one record") };
        assert_eq!(record.bulk.map(|done| (done.changed, done.total())), Some((JOBS, JOBS)), "{replay}");
        assert_eq!((total.ready, total.dead), (JOBS - again, again), "{replay}");
    } else {
        assert_eq!((records(engine).len(), total.ready, total.dead), (0, 0, JOBS), "{replay}");
    }
}

#[test]
fn after_a_crash_at_any_operation_every_match_is_changed_once_and_audited_once() {
    let world = World::new(720);
    let engine = world.open();
    dead(&engine, JOBS as usize);
    let before = world.disk.ops();
    let mut frames = 0;
    let (_, ticket) = engine
        .bulk("ada", BulkVerb::Requeue, &state(Phase::Dead), &mut |_| {
            frames += 1;
            engine.commit_step().unwrap();
            if frames == 2 {
                engine.compact_all().unwrap();
                engine.checkpoint().unwrap();
            }
        })
        .unwrap();
    engine.wait(ticket).unwrap();
    assert!(frames > 3, "frames={frames}");
    let end = world.disk.ops();
    drop(engine);
    let every = usize::try_from(budget("BACKLOG_BULK_CUTS", 1, 1)).unwrap();
    let mut images = 0;
    for cut in (before..=end).step_by(every) {
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::Torn { seed: cut as u64 }] {
            let replay = format!("cut={cut} mode={mode:?}");
            let image = world.cut(cut, mode).without_index();
            let engine = image.try_open().unwrap_or_else(|why| panic!("{replay}: {why}"));
            goes_on(&engine, &replay);
            let begun = !records(&engine).is_empty();
            let again = engine.counts().total().dead;
            assert!(cut < end || begun, "{replay}: it was acknowledged");
            engine.commit_step().unwrap();
            drop(engine);
            let later = image.crashed(CrashMode::DropUnsynced);
            let engine = later.open();
            assert_eq!(upkeep(&engine), 0, "{replay}: it is over");
            ends_well(&engine, begun, if begun { again } else { 0 }, &replay);
            images += 1;
        }
    }
    counted("crash images of bulk verbs", images);
}

/// A bulk verb that died after its first frame.
fn half_done() -> World {
    let world = World::new(721);
    let engine = world.open();
    dead(&engine, JOBS as usize);
    let mut run = BulkRun::new("ada".into(), BulkVerb::Requeue, state(Phase::Dead), u64::MAX);
    assert!(engine.bulk_step(AuditId(1), &mut run).unwrap().is_none());
    engine.commit_step().unwrap();
    drop(engine);
    world.crashed(CrashMode::KeepAll)
}

#[test]
fn rule_23_a_look_at_a_bulk_verb_that_was_interrupted_does_not_go_on_with_it() {
    let world = half_done();
    let doors = world.doors();
    let ops = world.disk.ops();
    let look = ReadOnlyEngine::open(&doors.disk, &doors.clock).unwrap();
    let total = look.counts().total();
    assert!(total.ready > 0 && total.dead > 0);
    assert!(audits(&look, 10).unwrap().is_empty());
    assert_eq!(world.disk.ops(), ops);
}

#[test]
fn upkeep_goes_on_with_it_a_frame_each_turn_and_does_not_sleep_before_it_is_over() {
    let world = half_done();
    let engine = world.open();
    let mut turns = 0;
    while crate::upkeep::step(&engine).unwrap().is_zero() {
        turns += 1;
        assert!(turns < 100);
    }
    assert!(turns > 1, "turns={turns}");
    ends_well(&engine, true, 0, "");
}

#[test]
fn upkeep_comes_through_many_jobs_that_it_cannot_change_and_into_the_second_round() {
    let world = World::new(723);
    let engine = world.open();
    for _ in 0..6 {
        engine.add_many((0..500).map(|_| job("x")).collect());
    }
    let running = engine.take_some(2);
    let ceiling = engine.state.lock().next_id;
    for (verb, number) in [(BulkVerb::Requeue, AuditId(1)), (BulkVerb::Cancel, AuditId(2))] {
        let mut run = BulkRun::new("ada".into(), verb, all(), ceiling);
        assert!(engine.bulk_step(number, &mut run).unwrap().is_none());
        let mut turns = 0;
        while engine.continue_bulks().unwrap() > 0 {
            turns += 1;
            assert!(turns < 100, "{}: it comes no further", run.verb);
        }
    }
    let done: Vec<BulkDone> = records(&engine).into_iter().filter_map(|record| record.bulk).collect();
    let [cancelled, requeued] = done[..] else { panic!("{done:?}") };
    assert_eq!((requeued.refused, requeued.running, requeued.total()), (2_998, 2, 3_000));
    assert_eq!((cancelled.changed, cancelled.requested, cancelled.total()), (2_998, 2, 3_000));
    assert!(running.iter().all(|grant| engine.cancel_requested(grant.id, grant.token)));
}

#[test]
fn a_bulk_cell_that_only_a_newer_release_can_read_is_left_to_it() {
    let world = World::new(722);
    let engine = world.open();
    let cell = crate::engine::CellSet {
        namespace: namespace::BULK,
        key: 9_u64.to_be_bytes().to_vec(),
        value: Some(vec![2, 0]),
        until: None,
    };
    let grant = {
        engine.add(job("sets it"));
        engine.take().unwrap()
    };
    assert!(engine.end(&grant, Settle::Ack { follow_ups: Vec::new(), cells: vec![cell] }));
    upkeep(&engine);
    assert!(!crate::upkeep::step(&engine).unwrap().is_zero());
    assert_eq!(engine.cell_keys_in(namespace::BULK).len(), 1);
    assert_eq!(bulk(&engine, BulkVerb::Requeue, &all()).audit, AuditId(1), "this life had begun to count before it");
}
