//! Rule 11: a pill is convicted alone.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Doors, Drive, Engine, Grant, LeaseKind, NewJob, Settle, Status};
use crate::ids::{JobId, Phase};
use crate::job::QUEUE_DEFAULT;

use super::world::{Verbs, World, job, nack};

/// As many jobs, all of them in flight when the process dies, `deaths` times in a row.
fn suspects(world: World, jobs: Vec<NewJob>, deaths: u32) -> (World, Engine, Vec<JobId>) {
    let n = jobs.len();
    let (mut world, mut engine) = (world.clone(), world.open_without_turns());
    let ids = engine.add_many(jobs);
    for nth in 1..=deaths {
        let grants: Vec<Grant> = (0..n).map(|_| engine.take().expect("ready again at once")).collect();
        assert_eq!(grants.len(), n);
        world = world.crashed(CrashMode::KeepAll);
        engine = if nth == deaths { world.open() } else { world.open_without_turns() };
    }
    (world, engine, ids)
}

fn many(n: usize) -> Vec<NewJob> {
    (0..n).map(|nth| job(&nth.to_string())).collect()
}

fn phase_of(engine: &Engine, id: JobId) -> Option<Phase> {
    match engine.inspect(id).unwrap() {
        Status::Live(info) => Some(info.phase),
        _ => None,
    }
}

#[test]
fn rule_11_a_pill_is_convicted_alone_and_no_innocent_with_it() {
    let (mut world, mut engine, ids) = suspects(World::new(90), many(12), 2);
    let pill = ids[7];
    assert_eq!((engine.report().suspects, engine.report().convicted), (12, 0));
    let later = engine.add(NewJob { priority: 9, ..job("new, and first in line but for them") });
    let mut granted = Vec::new();
    let mut deaths = 0;
    while let Some(grant) = engine.take() {
        granted.push(grant.id);
        if grant.id == pill {
            deaths += 1;
            world = world.crashed(CrashMode::KeepAll);
            engine = world.open();
            continue;
        }
        if grant.id != later {
            assert!(engine.take().is_none(), "job {} does not run alone", grant.id);
        }
        assert!(engine.ack(&grant));
    }
    assert_eq!(deaths, 1);
    assert_eq!(granted, ids.iter().copied().chain([later]).collect::<Vec<_>>(), "one by one, before all others");
    let Status::Live(dead) = engine.inspect(pill).unwrap() else { panic!("the pill is gone") };
    assert_eq!(dead.phase, Phase::Dead);
    assert!(dead.reason.as_deref().is_some_and(|why| why.contains("poison pill")), "{:?}", dead.reason);
    assert_eq!(engine.counts().total().dead, 1);
}

#[test]
fn rule_11_others_are_held_back_a_minute_at_most_and_then_nobody_is_convicted() {
    let (world, engine, ids) = suspects(World::new(91), many(1), 2);
    let other = engine.add(job("other"));
    assert_eq!(engine.take().unwrap().id, ids[0]);
    world.clock.advance(Duration::from_secs(59));
    assert!(engine.take().is_none());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.take().unwrap().id, other);
    let again = world.crashed(CrashMode::KeepAll).open();
    assert_eq!((again.report().requeued, again.report().convicted), (2, 0), "it ran in company");
}

#[test]
fn rule_11_a_suspect_nobody_asks_for_holds_back_nobody_for_long() {
    let mut jobs = many(2);
    jobs[0].queue = "night".into();
    let (world, engine, ids) = suspects(World::new(92), jobs, 2);
    let day = [QUEUE_DEFAULT.to_owned()];
    let first = engine.claim(&day, 9, LeaseKind::Pool).unwrap();
    assert_eq!(first.iter().map(|grant| grant.id).collect::<Vec<_>>(), [ids[1]], "its own queue has one, too");
    assert!(engine.ack(&first[0]));
    let fresh = engine.add(job("fresh"));
    assert!(engine.claim(&day, 9, LeaseKind::Pool).unwrap().is_empty());
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(engine.claim(&day, 9, LeaseKind::Pool).unwrap()[0].id, fresh);
}

#[test]
fn rule_11_a_suspect_of_a_paused_queue_holds_back_nobody() {
    let mut jobs = many(1);
    jobs[0].queue = "night".into();
    let (_, engine, ids) = suspects(World::new(93), jobs, 2);
    engine.pause("night").unwrap();
    let fresh = engine.add(job("fresh"));
    let grant = engine.take().unwrap();
    assert_eq!(grant.id, fresh);
    engine.resume("night").unwrap();
    assert!(engine.take().is_none(), "it is the suspect's turn, and somebody runs");
    assert!(engine.ack(&grant));
    assert_eq!(engine.take().unwrap().id, ids[0]);
}

#[test]
fn rule_11_a_grant_that_a_power_cut_took_convicts_nobody() {
    let (world, engine, ids) = suspects(World::new(94), many(1), 2);
    assert_eq!(engine.take().unwrap().id, ids[0]);
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert_eq!((again.report().suspects, again.report().convicted), (1, 0));
    assert_eq!(phase_of(&again, ids[0]), Some(Phase::Ready));
}

#[test]
fn rule_11_a_recovery_that_dies_half_way_convicts_nobody_who_ran_in_company() {
    let (world, engine, ids) = suspects(World::new(95), many(3), 2);
    // One has its turn and gives the job back; after that all three run together.
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, nack("not today")));
    for _ in 0..2 {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, nack("not today")));
    }
    world.clock.advance(Duration::from_secs(3_600));
    engine.idle();
    for _ in 0..3 {
        engine.take().expect("no turns are left");
    }
    let crashed = world.crashed(CrashMode::KeepAll);
    drop(crashed.open());
    for at in 0..=crashed.disk.ops() {
        let inner = World { disk: crashed.disk.crash_image(at, CrashMode::DropUnsynced), ..crashed.clone() };
        let engine = inner.without_index().open();
        assert_eq!(engine.report().convicted, 0, "inner={at}");
        assert_eq!(ids.iter().filter(|id| phase_of(&engine, **id) == Some(Phase::Dead)).count(), 0, "inner={at}");
    }
}

#[test]
fn rule_11_what_ends_well_or_is_requeued_by_name_is_no_suspect_any_more() {
    let (world, engine, ids) = suspects(World::new(96), many(2), 2);
    let first = engine.take().unwrap();
    assert!(engine.end(&first, crate::engine::Settle::Bury("enough".into())));
    engine.requeue(ids[0]).unwrap();
    let ticket = engine.seen_so_far();
    engine.wait(ticket).unwrap();
    let again = world.crashed(CrashMode::DropUnsynced).open();
    assert_eq!(again.report().suspects, 1, "the other one still is");
    assert_eq!(again.take().unwrap().id, ids[1]);
}

#[test]
fn rule_11_the_saved_index_and_the_log_name_the_same_suspects() {
    let (world, engine, _) = suspects(World::new(97), many(4), 2);
    engine.checkpoint().unwrap();
    let image = world.crashed(CrashMode::KeepAll);
    let (with, without) = (image.open(), image.without_index());
    assert_eq!(with.report().index, crate::engine::IndexOrigin::Trusted);
    assert_eq!(with.report().suspects, 4);
    drop(with);
    assert_eq!(without.open().report().suspects, 4);
}

#[test]
fn rule_11_can_be_switched_off() {
    let (world, _, ids) = suspects(World::new(98), many(2), 2);
    let engine = world.crashed(CrashMode::KeepAll).open_without_turns();
    assert_eq!(engine.take_some(1).len() + engine.take_some(1).len(), 2, "both at once");
    assert_eq!(engine.report().suspects, 0);
    assert_eq!(phase_of(&engine, ids[0]), Some(Phase::InFlight));
}

#[test]
fn rule_11_who_is_held_back_is_woken_when_the_turn_ends() {
    let (world, engine, ids) = suspects(World::new(99), many(1), 2);
    drop(engine);
    let doors = Doors { drive: Drive::Threads, ..world.doors() };
    let engine = Engine::open(doors, World::settings()).unwrap();
    let other = engine.add(job("other"));
    let grant = engine.take().unwrap();
    assert_eq!(grant.id, ids[0]);
    assert!(super::waiting::finds_work(&engine, move |core| {
        core.settle(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }).unwrap().unwrap();
    }));
    assert_eq!(engine.take().unwrap().id, other);
}
