//! Rule 15: damage met later. The job is dead with file and offset, everything else goes on.

use std::collections::BTreeMap;

use crate::disk::simulated::CrashMode;
use crate::engine::{CellSet, Engine, LeaseKind, NewJob, ReadOnlyEngine, Settle, Status};
use crate::ids::{JobId, Phase, Place};
use crate::job::namespace;

use super::view::{scan_agrees, view_of};
use super::world::{SEGMENT_BYTES, Verbs, World, at, dump_of, job};

/// Jobs in every state over several segments; gives one of each state that lies in the first.
fn mixed(seed: u64) -> (World, Engine, BTreeMap<&'static str, JobId>) {
    let world = World::new(seed);
    let engine = world.open();
    let big = |name: &str| job(&format!("{name}:{}", "x".repeat(2_500)));
    let mut of = BTreeMap::new();
    of.insert("scheduled", engine.add(NewJob { run_at: Some(at(9_000_000)), ..big("scheduled") }));
    of.insert("held", engine.add(NewJob { hold: true, ..big("held") }));
    of.insert("dead", engine.add(big("dead")));
    of.insert("parked", engine.add(big("parked")));
    of.insert("running", engine.add(big("running")));
    for how in [Settle::Bury("enough".into()), Settle::Park("nobody".into())] {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, how));
    }
    of.insert("ready", engine.add(NewJob { unique: Some("the key".into()), ..big("ready") }));
    of.insert("other queue", engine.add(NewJob { queue: "other".into(), priority: 7, ..big("other") }));
    for nth in 0..60 {
        engine.add(big(&nth.to_string()));
    }
    (world, engine, of)
}

fn place_of(engine: &Engine, id: JobId) -> Place {
    engine.state.lock().books.index.get(id).unwrap().place
}

/// File and offset of the middle of a record.
fn middle(place: Place) -> (String, u64) {
    let segment_bytes = u64::from(SEGMENT_BYTES);
    let id = place.lsn.0 / segment_bytes;
    let offset = place.lsn.0 % segment_bytes + u64::from(place.len) / 2;
    (format!("log/{:016x}.seg", id), offset)
}

fn damage(world: &World, engine: &Engine, id: JobId) -> String {
    let (file, offset) = middle(place_of(engine, id));
    world.disk.flip_bit(&file, offset, 3);
    file
}

fn assert_damaged(engine: &Engine, id: JobId, file: &str) {
    let Status::Live(info) = engine.inspect(id).unwrap() else { panic!("job {id} is gone") };
    let why = info.reason.unwrap_or_default();
    assert_eq!((info.phase, info.kind.as_str()), (Phase::Dead, "(damaged)"), "{why}");
    assert!(why.contains(file) && why.contains("offset="), "{why}");
}

fn assert_sound(engine: &Engine) {
    scan_agrees(engine, &view_of(engine).unwrap()).unwrap();
}

#[test]
fn rule_15_a_damaged_job_of_any_state_is_buried_and_compaction_goes_on() {
    for state in ["scheduled", "held", "dead", "parked", "ready", "other queue"] {
        let (world, engine, of) = mixed(300);
        let file = damage(&world, &engine, of[state]);
        engine.compact_all().unwrap_or_else(|refused| panic!("{state}: {refused}"));
        assert_damaged(&engine, of[state], &file);
        assert_sound(&engine);
        let names = world.disk.file_names();
        assert!(names.contains(&format!("{file}.damaged")), "{state}: {names:?}");
        assert!(!names.contains(&file), "{state}: {names:?}");
        let text = engine.text();
        drop(engine);
        assert_eq!(world.open().text(), text, "{state}, with the index");
        assert_eq!(world.without_index().open().text(), text, "{state}, without");
        let engine = world.open();
        let mut granted = 0;
        while let Some(grant) = engine.take() {
            assert_ne!(grant.id, of[state]);
            assert!(engine.ack(&grant));
            granted += 1;
        }
        assert!(granted >= 60, "{state}: only {granted}");
    }
}

#[test]
fn rule_15_a_damaged_job_frees_its_unique_key() {
    let (world, engine, of) = mixed(301);
    damage(&world, &engine, of["ready"]);
    engine.compact_all().unwrap();
    let again = NewJob { unique: Some("the key".into()), ..job("again") };
    assert_ne!(engine.add(again.clone()), of["ready"]);
    drop(engine);
    let bare = world.without_index().open();
    assert_ne!(bare.add(again), of["ready"], "held by the new one");
    assert_sound(&bare);
}

#[test]
fn rule_15_a_rebuild_passes_over_exactly_what_was_noted() {
    let (world, engine, of) = mixed(302);
    let (noted, unnoted) = (of["running"], of["ready"]);
    let file = damage(&world, &engine, noted);
    // The claim reads it, buries it, and hands out the next.
    assert_ne!(engine.take().unwrap().id, noted);
    assert_damaged(&engine, noted, &file);
    let text = engine.text();
    let image = world.crashed(CrashMode::KeepAll).without_index();
    let bare = image.open();
    assert_damaged(&bare, noted, &file);
    assert_sound(&bare);
    assert_eq!(bare.counts().total().in_flight, 0);
    drop(bare);
    assert!(text.contains("(damaged)"));
    damage(&world, &engine, unnoted);
    let refused = world.crashed(CrashMode::KeepAll).without_index().try_open().unwrap_err();
    assert_eq!(refused.kind(), crate::error::ErrorKind::Corrupt);
    assert!(refused.to_string().contains(&file), "{refused}");
}

#[test]
fn rule_15_damage_noted_in_the_segment_the_log_ends_in_does_not_keep_the_directory_shut() {
    let world = World::new(303);
    let engine = world.open();
    let ids = engine.add_many((0..5).map(|nth| job(&format!("{nth}:{}", "y".repeat(900)))).collect());
    let more = engine.add(job("behind it"));
    let file = damage(&world, &engine, ids[2]);
    let grants = engine.take_some(9);
    assert_eq!(grants.len(), 5);
    assert_damaged(&engine, ids[2], &file);
    engine.add(job("vouches"));
    engine.add(job("vouches more"));
    for image in [world.crashed(CrashMode::KeepAll), world.crashed(CrashMode::DropUnsynced).without_index()] {
        let again = image.open();
        assert_damaged(&again, ids[2], &file);
        assert!(matches!(again.inspect(more).unwrap(), Status::Live(_)));
        assert_sound(&again);
        assert_eq!(again.counts().total().ready, 7);
    }
}

#[test]
fn rule_15_unread_damage_in_the_segment_the_log_ends_in_is_still_reported_at_the_open() {
    let world = World::new(304);
    let engine = world.open();
    let ids = engine.add_many((0..5).map(|nth| job(&format!("{nth}:{}", "y".repeat(900)))).collect());
    engine.add(job("vouches"));
    engine.add(job("vouches more"));
    engine.checkpoint().unwrap();
    let file = damage(&world, &engine, ids[2]);
    for image in [world.crashed(CrashMode::KeepAll), world.crashed(CrashMode::KeepAll).without_index()] {
        let refused = image.try_open().unwrap_err();
        assert!(refused.to_string().contains(&file), "{refused}");
    }
}

#[test]
fn rule_15_damaged_frame_headers_lose_nothing_while_the_index_stands() {
    let (world, engine, of) = mixed(305);
    let (file, _) = middle(place_of(&engine, of["ready"]));
    let frame = place_of(&engine, of["ready"]).lsn.0 % u64::from(SEGMENT_BYTES) - 32;
    world.disk.flip_bit(&file, frame, 0);
    let before = engine.text();
    engine.compact_all().unwrap();
    let notes =
        |text: &str| text.lines().filter(|line| !line.starts_with("{\"cell\":13,")).collect::<Vec<_>>().join("\n");
    assert_eq!(notes(&engine.text()), notes(&before));
    assert!(world.disk.file_names().contains(&format!("{file}.damaged")));
    assert_sound(&engine);
}

#[test]
fn rule_15_a_running_job_with_a_damaged_record_is_left_to_its_run() {
    let (world, engine, of) = mixed(306);
    let grant = engine.take().unwrap();
    assert_eq!(grant.id, of["running"]);
    let file = damage(&world, &engine, of["running"]);
    engine.compact_all().unwrap();
    assert!(world.disk.file_names().contains(&file), "it is needed still");
    assert!(engine.ack(&grant), "the run ends as ever");
    engine.compact_all().unwrap();
    assert!(!world.disk.file_names().contains(&file));
    assert_sound(&engine);
}

#[test]
fn rule_15_a_damaged_cell_is_given_up_or_written_again_from_the_index() {
    let (world, engine, _) = mixed(307);
    let cells = [(1_u8, 40), (2, 4_000)].map(|(key, len)| CellSet {
        namespace: namespace::STEP,
        key: vec![key],
        value: Some(vec![key; len]),
        until: None,
    });
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Ack { follow_ups: vec![], cells: cells.to_vec() }));
    for _ in 0..40 {
        engine.add(job(&"z".repeat(2_500)));
    }
    for key in [1, 2] {
        let place = engine.state.lock().books.index.cell_place(namespace::STEP, &[key]).unwrap();
        let (file, offset) = middle(place);
        world.disk.flip_bit(&file, offset, 1);
    }
    engine.compact_all().unwrap();
    let state = engine.state.lock();
    assert_eq!(state.books.index.cell(namespace::STEP, &[1]).unwrap().value, Some(&[1; 40][..]));
    assert!(state.books.index.cell(namespace::STEP, &[2]).is_none(), "what nobody holds is lost, and noted");
    assert!(state.books.index.cells(namespace::DAMAGE).count() > 0);
}

#[test]
fn rule_15_a_sector_that_does_not_read_buries_its_job_and_no_other() {
    let (world, engine, of) = mixed(308);
    let (file, offset) = middle(place_of(&engine, of["scheduled"]));
    world.disk.break_sector(&file, offset);
    engine.compact_all().unwrap();
    let Status::Live(info) = engine.inspect(of["scheduled"]).unwrap() else { panic!("gone") };
    assert_eq!((info.phase, info.kind.as_str()), (Phase::Dead, "(damaged)"));
    assert_eq!(engine.counts().total().dead, 2);
    assert!(world.disk.file_names().contains(&format!("{file}.damaged")));
}

#[test]
fn rule_15_an_orphan_in_a_broken_sector_does_not_keep_the_directory_shut() {
    let (world, engine, of) = mixed(309);
    engine.checkpoint().unwrap();
    let grants = engine.claim(&[], 2, LeaseKind::Pool).unwrap();
    assert_eq!(grants[0].id, of["running"]);
    let (file, offset) = middle(place_of(&engine, of["running"]));
    drop(engine);
    world.disk.break_sector(&file, offset);
    let again = world.open();
    let Status::Live(info) = again.inspect(of["running"]).unwrap() else { panic!("gone") };
    assert_eq!((info.phase, info.kind.as_str()), (Phase::Dead, "(damaged)"));
    assert_eq!(again.take().unwrap().id, grants[1].id);
}

#[test]
fn rule_15_a_crash_at_any_moment_of_a_salvage_loses_nothing_that_can_be_read() {
    let (world, engine, of) = mixed(310);
    engine.checkpoint().unwrap();
    let file = damage(&world, &engine, of["ready"]);
    let (before, saved) = (world.disk.ops(), world.memory.as_of(world.memory.saves()));
    engine.compact_all().unwrap();
    let expected: Vec<JobId> = view_of(&engine).unwrap().jobs.keys().copied().collect();
    for cut in before..=world.disk.ops() {
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::Names { seed: cut as u64 }] {
            let image = World { disk: world.disk.crash_image(cut, mode), memory: saved.fork(), ..world.cut_nothing() };
            let again = image.try_open().unwrap_or_else(|refused| panic!("cut={cut} mode={mode:?}: {refused}"));
            again.compact_all().unwrap_or_else(|refused| panic!("cut={cut} mode={mode:?}: {refused}"));
            let found: Vec<JobId> = view_of(&again).unwrap().jobs.keys().copied().collect();
            assert_eq!(found, expected, "cut={cut} mode={mode:?}");
            assert_damaged(&again, of["ready"], &file);
        }
    }
}

#[test]
fn rule_15_of_two_damaged_records_in_one_frame_each_needs_its_own_note() {
    let world = World::new(311);
    let engine = world.open();
    let ids = engine.add_many((0..5).map(|nth| job(&format!("{nth}:{}", "y".repeat(900)))).collect());
    let file = damage(&world, &engine, ids[2]);
    assert_eq!(engine.take_some(9).len(), 4);
    engine.add(job("vouches"));
    engine.add(job("vouches more"));
    engine.checkpoint().unwrap();
    damage(&world, &engine, ids[4]);
    for image in [world.crashed(CrashMode::KeepAll), world.crashed(CrashMode::KeepAll).without_index()] {
        let refused = image.try_open().unwrap_err();
        assert!(refused.to_string().contains(&file), "{refused}");
    }
}

#[test]
fn rule_15_a_reader_passes_over_what_was_noted_as_the_next_owner_does() {
    let (world, engine, of) = mixed(312);
    damage(&world, &engine, of["running"]);
    engine.take().expect("another one");
    drop(engine);
    let image = world.crashed(CrashMode::KeepAll);
    let clock: std::sync::Arc<dyn crate::clock::Clock> = image.clock.clone();
    let looked = ReadOnlyEngine::open(&(std::sync::Arc::new(image.disk.clone()) as _), &clock).unwrap();
    let shown = dump_of(&looked);
    assert!(shown.contains("(damaged)"));
    assert_eq!(shown, image.open().text());
}
