//! What the wide lanes cannot see, because a second guard stands behind the first, or because it needs two at once.

use crate::disk::simulated::{Call, CrashMode, SimDisk};
use crate::engine::{Cancelled, Engine, IndexOrigin, NewJob};
use crate::error::ErrorKind;
use crate::ids::JobId;
use crate::index::Lie;

use super::lives::image_of;
use super::world::{Verbs, World, job};

/// A log of several segments, everything in it done but one old job.
fn long_log(seed: u64) -> (World, Engine) {
    let world = World::new(seed);
    let engine = world.open();
    engine.add(NewJob { priority: -1, ..job("the old one") });
    for _ in 0..100 {
        engine.add(job(&"x".repeat(3_000)));
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
    }
    (world, engine)
}

#[test]
fn rule_1_a_removed_segment_is_durably_gone_before_the_next_one_goes() {
    let (world, engine) = long_log(40);
    let before = world.disk.ops();
    engine.compact_all().unwrap();
    let (mut gone, mut unsynced) = (0, 0);
    for op in &world.disk.trace()[before..] {
        let leaves = matches!(op.call, Some(Call::Rename | Call::Remove)) && op.path.ends_with(".seg");
        match op.call {
            Some(Call::SyncDir) if op.path == "log" => unsynced = 0,
            _ if leaves => {
                assert_eq!(unsynced, 0, "{op}: the one before it may still come back");
                (gone, unsynced) = (gone + 1, unsynced + 1);
            }
            _ => {}
        }
    }
    assert!(gone >= 3, "too few segments went: {gone}");
    assert_eq!(unsynced, 0, "the last one may still come back");
}

#[test]
fn rule_4_after_an_open_every_name_of_the_log_is_durable() {
    let (world, engine) = long_log(41);
    engine.compact_all().unwrap();
    while engine.make_step().unwrap() {}
    drop(engine);
    for cut in 0..=world.disk.ops() {
        let image = world.cut(cut, CrashMode::KeepAll).without_index();
        let _engine = image.try_open().unwrap_or_else(|refused| panic!("cut={cut}: {refused}"));
        let names = |disk: &SimDisk| disk.file_names().into_iter().filter(|name| name.starts_with("log/"));
        let lasting: Vec<String> = names(&image.disk.crash_image(image.disk.ops(), CrashMode::DropUnsynced)).collect();
        assert!(names(&image.disk).eq(lasting.iter().cloned()), "cut={cut}: only {lasting:?} would last");
    }
}

#[test]
fn rule_2_an_index_older_than_the_logs_start_is_not_even_tried() {
    let (world, engine) = long_log(42);
    engine.checkpoint().unwrap();
    for _ in 0..60 {
        engine.add(job(&"y".repeat(3_000)));
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
    }
    engine.compact_all().unwrap();
    let text = engine.text();
    let image = image_of(&world, CrashMode::DropUnsynced);
    image.memory.lie(Lie::Older(1));
    let again = image.open();
    let IndexOrigin::Rebuilt(why) = &again.report().index else { panic!("{:?}", again.report()) };
    assert!(why.contains("older than the log"), "{why}");
    assert_eq!(again.text(), text);
}

#[test]
fn rule_2_an_index_from_beyond_the_logs_end_convicts_the_log() {
    let (world, engine) = long_log(43);
    engine.checkpoint().unwrap();
    let image = image_of(&world, CrashMode::KeepAll);
    image.memory.lie(Lie::NewerThanLog);
    let refused = image.try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("the log ends"), "{refused}");
}

/// Two threads, as many rounds as it takes for them to meet.
#[test]
fn rule_9_a_job_cancelled_while_its_segment_is_carried_stays_cancelled() {
    let world = World::new(44);
    let engine = world.open();
    let ids: Vec<JobId> = (0..30).flat_map(|_| engine.add_many(vec![job(&"k".repeat(900)); 30])).collect();
    std::thread::scope(|scope| {
        let compactor = scope.spawn(|| {
            for _ in 0..6 {
                engine.compact_all().unwrap();
            }
        });
        for id in &ids {
            let (answer, _) = engine.cancel(*id).unwrap();
            assert_eq!(answer, Cancelled::Done, "job {id}");
        }
        compactor.join().unwrap();
    });
    engine.compact_all().unwrap();
    engine.wait(engine.seen_so_far()).unwrap();
    engine.check_books().unwrap();
    assert_eq!(engine.text(), "");
    assert_eq!(world.crashed(CrashMode::DropUnsynced).without_index().open().text(), "");
}

#[test]
fn rule_23_a_reader_beside_its_owner_finds_what_was_given_up_wherever_the_vouched_part_ends() {
    let (world, engine) = long_log(45);
    let clock: std::sync::Arc<dyn crate::clock::Clock> = world.clock.clone();
    for nth in 0..120 {
        engine.add(job(&"z".repeat(3_000)));
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
        if nth % 30 == 0 {
            engine.compact_all().unwrap();
        }
        let looked = crate::engine::ReadOnlyEngine::open(&(std::sync::Arc::new(world.disk.clone()) as _), &clock);
        looked.unwrap_or_else(|refused| panic!("nth={nth}: {refused}"));
    }
}
