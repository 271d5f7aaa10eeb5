//! P1–P11, one by one.

use std::time::Duration;

use crate::disk::simulated::{Call, CrashMode, Fault};
use crate::engine::{Durability, LeaseKind, Settle, Status};
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};

use super::world::{SEGMENT_BYTES, Verbs, World, at, job, nack};

#[test]
fn p1_what_enqueue_acknowledged_survives_a_power_cut() {
    let world = World::new(1);
    let engine = world.open();
    let id = engine.add(job("one"));
    let after = world.crashed(CrashMode::DropUnsynced);
    let again = after.open();
    let Status::Live(info) = again.inspect(id).unwrap() else { panic!("job {id} is gone") };
    assert_eq!(info.phase, Phase::Ready);
    assert_eq!(again.take().unwrap().args, b"one");
}

#[test]
fn p1_what_was_only_buffered_survives_the_process_but_not_the_power() {
    let world = World::new(2);
    let engine = world.open();
    let (answers, ticket) = engine.enqueue(vec![job("soft")], Durability::Buffered).unwrap();
    engine.wait(ticket).unwrap();
    let id = answers[0].id;
    assert!(matches!(world.crashed(CrashMode::KeepAll).open().inspect(id).unwrap(), Status::Live(_)));
    assert_eq!(world.crashed(CrashMode::DropUnsynced).open().inspect(id).unwrap(), Status::Lost);
}

#[test]
fn p2_an_acknowledged_job_never_runs_again() {
    let world = World::new(3);
    let engine = world.open();
    let id = engine.add(job("done"));
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert!(again.take().is_none());
    assert_eq!(again.inspect(id).unwrap(), Status::Finished);
}

#[test]
fn p2_cancel_and_bury_are_as_durable() {
    let world = World::new(4);
    let engine = world.open();
    let cancelled = engine.add(job("no"));
    let (_, ticket) = engine.cancel(cancelled).unwrap();
    engine.wait(ticket).unwrap();
    let buried = engine.add(job("later"));
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Bury("by hand".into())));
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert!(again.take().is_none());
    assert_eq!(again.inspect(cancelled).unwrap(), Status::Finished);
    let Status::Live(info) = again.inspect(buried).unwrap() else { panic!("the buried job is gone") };
    assert_eq!((info.phase, info.reason.as_deref()), (Phase::Dead, Some("by hand")));
}

#[test]
fn p4_an_ack_and_its_follow_ups_are_one_frame_at_every_crash() {
    let world = World::new(5);
    let engine = world.open();
    let parent = engine.add(job("parent"));
    let grant = engine.take().unwrap();
    let before = world.disk.ops();
    let follow_ups = vec![job("left"), job("right")];
    assert!(engine.end(&grant, Settle::Ack { follow_ups, cells: Vec::new() }));
    for cut in before..=world.disk.ops() {
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::Torn { seed: 1 }] {
            let again = world.cut(cut, mode).open();
            let ready = again.counts().total().ready;
            let parent_lives = matches!(again.inspect(parent).unwrap(), Status::Live(_));
            assert!(
                (parent_lives && ready == 1) || (!parent_lives && ready == 2),
                "cut={cut} mode={mode:?} parent_lives={parent_lives} ready={ready}"
            );
        }
    }
}

#[test]
fn p5_an_old_token_is_refused_for_ever_also_by_later_processes() {
    let world = World::new(6);
    let engine = world.open();
    engine.add(job("x"));
    let first = engine.take().unwrap();
    assert!(engine.end(&first, Settle::Release));
    let second = engine.take().unwrap();
    assert!(second.token > first.token);
    assert!(!engine.ack(&first), "a released lease still counted");
    let again = world.crashed(CrashMode::KeepAll).open();
    let third = again.take().unwrap();
    assert!(third.token > second.token);
    assert!(!again.ack(&second), "a dead process's lease still counted");
    assert!(again.ack(&third));
}

#[test]
fn p6_grants_are_counted_exactly_after_a_process_crash() {
    let mut world = World::new(7);
    let mut engine = world.open_without_turns();
    engine.add(job("pill"));
    for attempt in 1..=5 {
        let grant = engine.take().unwrap();
        assert_eq!(grant.attempt, attempt);
        world = world.crashed(CrashMode::KeepAll);
        engine = world.open_without_turns();
        assert_eq!(engine.report().requeued, 1);
    }
    let grant = engine.take().unwrap();
    assert_eq!((grant.attempt, grant.envelope.crashes), (6, 5));
}

#[test]
fn p7_the_first_failed_sync_poisons_the_handle_and_nothing_is_acknowledged_after_it() {
    let world = World::new(8);
    let engine = world.open();
    let kept = engine.add(job("kept"));
    world.disk.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    let (_, ticket) = engine.enqueue(vec![job("maybe")], Durability::Sync).unwrap();
    assert_eq!(engine.wait(ticket).unwrap_err().kind(), ErrorKind::Unknown);
    let syncs = world.disk.calls_of(&[Call::SyncData]);
    assert_eq!(engine.enqueue(vec![job("no")], Durability::Sync).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(engine.claim(&[], 1, LeaseKind::Pool).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(engine.wait(ticket).unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(world.disk.calls_of(&[Call::SyncData]), syncs, "a sync was tried again");
    let again = world.crashed(CrashMode::StaleAfterFailedSync).open();
    assert!(matches!(again.inspect(kept).unwrap(), Status::Live(_)));
}

#[test]
fn p8_damage_in_the_vouched_part_is_reported_with_file_and_offset() {
    let world = World::new(9);
    let engine = world.open();
    for n in 0..20 {
        engine.add(job(&format!("job {n}")));
    }
    drop(engine);
    let damaged = world.crashed(CrashMode::KeepAll).without_index();
    damaged.disk.flip_bit("log/0000000000000001.seg", 4096 + 400, 3);
    let refused = damaged.try_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    let text = refused.to_string();
    assert!(text.contains("0000000000000001.seg") && text.contains("offset="), "{text}");
}

#[test]
fn p9_the_index_may_be_lost_at_any_time() {
    let world = World::new(10);
    let engine = world.open();
    busy(&engine, &world, 60);
    engine.checkpoint().unwrap();
    busy(&engine, &world, 20);
    let after = world.crashed(CrashMode::KeepAll);
    let trusted = after.clone().open();
    let expected = trusted.text();
    drop(trusted);
    let bare = world.crashed(CrashMode::KeepAll).without_index();
    assert_eq!(bare.open().text(), expected);
}

/// Enqueues, claims, acks, fails, releases; leaves jobs in every state.
pub(super) fn busy(engine: &crate::engine::Engine, world: &World, rounds: u64) {
    for n in 0..rounds {
        let mut new = job(&format!("busy {n}"));
        new.priority = i16::try_from(n % 3).unwrap();
        new.queue = if n % 2 == 0 { "even".into() } else { "odd".into() };
        if n % 7 == 0 {
            new.run_at = Some(at(world.clock.wall_ms() - super::world::START_MS + n * 10));
        }
        if n % 5 == 0 {
            new.unique = Some(format!("key {n}"));
        }
        engine.add(new);
        if n % 3 == 0
            && let Some(grant) = engine.take()
        {
            match n % 4 {
                0 => assert!(engine.ack(&grant)),
                1 => assert!(engine.end(&grant, nack("no"))),
                2 => assert!(engine.end(&grant, Settle::Release)),
                _ => assert!(engine.end(&grant, Settle::Bury("enough".into()))),
            }
        }
        world.clock.advance(Duration::from_millis(7));
    }
    engine.take_some(2);
    engine.promote_due().unwrap();
}

#[test]
fn p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it() {
    let world = World::new(11);
    let engine = world.open();
    let old = engine.add(job("the old one"));
    let held = engine.take().unwrap();
    for _ in 0..40 {
        engine.add_many((0..50).map(|n| job(&format!("{n:0>100}"))).collect());
        for grant in engine.take_some(50) {
            assert!(engine.ack(&grant));
        }
        engine.idle();
    }
    world.clock.advance(Duration::from_secs(2));
    engine.idle();
    world.clock.advance(Duration::from_secs(2));
    engine.idle();
    let files: u64 = world.disk.file_names().iter().filter(|name| name.starts_with("log/")).count() as u64;
    let live = engine.live_bytes();
    assert!(
        files * u64::from(SEGMENT_BYTES) <= 2 * live + 3 * u64::from(SEGMENT_BYTES),
        "files={files} live={live}: {:?}",
        world.disk.file_names()
    );
    assert!(engine.end(&held, Settle::Release));
    assert_eq!(engine.take().unwrap().id, old);
}

#[test]
fn p9_a_segment_that_was_given_up_and_comes_back_with_foreign_bytes_is_no_part_of_the_log() {
    let world = World::new(13);
    let engine = world.open();
    for _ in 0..8 {
        engine.add_many((0..50).map(|n| job(&format!("{n:0>300}"))).collect());
        for grant in engine.take_some(40) {
            assert!(engine.ack(&grant));
        }
        engine.compact_all().unwrap();
        engine.idle();
    }
    let expected = world.crashed(CrashMode::KeepAll).open().text();
    let image = world.crashed(CrashMode::KeepAll).without_index();
    let first = image.disk.file_names().into_iter().find(|name| name.ends_with(".seg")).unwrap();
    let number = u64::from_str_radix(&first["log/".len()..first.len() - ".seg".len()], 16).unwrap();
    assert!(number > 1, "nothing was given up: {first}");
    image.disk.write_file(&format!("log/{:016x}.seg", number - 1), &vec![0xA5; SEGMENT_BYTES as usize]);
    assert_eq!(image.open().text(), expected);
}

#[test]
fn p11_a_full_disk_refuses_new_work_but_accepted_jobs_can_be_ended() {
    let world = World::new(12);
    let engine = world.open();
    while engine.make_step().unwrap() {}
    world.disk.set_capacity(world.disk.used());
    let mut accepted: Vec<JobId> = Vec::new();
    let refused = loop {
        match engine.enqueue((0..20).map(|n| job(&format!("{n:0>200}"))).collect(), Durability::Sync) {
            Ok((answers, ticket)) => {
                engine.wait(ticket).unwrap();
                accepted.extend(answers.iter().map(|answer| answer.id));
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
    let before = engine.text();
    assert!(engine.enqueue(vec![job(&"x".repeat(4000)); 20], Durability::Sync).is_err());
    assert_eq!(engine.text(), before, "a refused call left a trace");
    for _ in 0..accepted.len() {
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
    }
    assert!(engine.take().is_none());
    world.disk.set_capacity(None);
    engine.add(job("room again"));
}
