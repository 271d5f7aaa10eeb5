//! Limits by queue and by key: never more than they say, never less, whatever crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::look::Source;
use crate::engine::{Engine, Grant, Limits, NewJob, Settle};
use crate::ids::{JobId, Millis, Phase};

use super::waiting;
use super::world::{Verbs, World, job, nack};

fn keyed(key: &str) -> NewJob {
    NewJob { limit_key: Some(key.into()), ..job(key) }
}

fn keys(grants: &[Grant]) -> Vec<&str> {
    grants.iter().map(|grant| std::str::from_utf8(&grant.args).unwrap()).collect()
}

fn limited(world: &World, limits: Limits) -> Engine {
    let engine = world.open();
    engine.set_limits("default", limits);
    engine
}

#[test]
fn a_key_runs_no_more_than_its_limit_and_lets_others_pass() {
    let engine = limited(&World::new(1), Limits::new().key_concurrency(2));
    engine.add_many(["a", "a", "a", "b", "a", "b"].map(keyed).into());
    engine.add(job("none"));
    let grants = engine.take_some(9);
    assert_eq!(keys(&grants), ["a", "a", "b", "b", "none"], "best first, of those that may start");
    assert!(engine.take().is_none());
    assert!(engine.ack(&grants[0]));
    assert_eq!(keys(&engine.take_some(9)), ["a"]);
    assert!(engine.end(&grants[1], nack("again")), "a retry waits without its slot");
    assert_eq!(keys(&engine.take_some(9)), ["a"]);
}

#[test]
fn a_queue_runs_no_more_than_its_limit_with_and_without_keys() {
    let engine = limited(&World::new(2), Limits::new().concurrency(3));
    engine.add_many(vec![keyed("a"), job("none"), keyed("b"), keyed("a"), job("none")]);
    let grants = engine.take_some(9);
    assert_eq!(keys(&grants), ["a", "none", "b"]);
    assert!(engine.take().is_none());
    assert!(engine.end(&grants[1], Settle::Release));
    assert_eq!(keys(&engine.take_some(9)), ["none"], "it has its old place");
    engine.add(NewJob { queue: "other".into(), ..job("other") });
    assert_eq!(keys(&engine.take_some(9)), ["other"], "another queue has limits of its own");
}

#[test]
fn priority_goes_over_keys_and_age_within_it() {
    let engine = limited(&World::new(3), Limits::new().key_concurrency(9));
    engine.add_many(vec![
        keyed("a"),
        NewJob { priority: 5, ..keyed("b") },
        job("none"),
        NewJob { priority: 5, ..keyed("a") },
        keyed("c"),
    ]);
    assert_eq!(keys(&engine.take_some(9)), ["b", "a", "a", "none", "c"]);
}

#[test]
fn a_crash_leaves_no_slot_taken_and_no_bucket_full_that_was_empty() {
    let world = World::new(4);
    let limits = Limits::new().key_concurrency(2).rate(3, Duration::from_secs(30));
    let engine = limited(&world, limits);
    engine.add_many(vec![keyed("a"); 8]);
    assert_eq!(engine.take_some(9).len(), 2);
    engine.add(job("makes it durable"));
    drop(engine);
    let crashed = world.crashed(CrashMode::DropUnsynced);
    let later = limited(&crashed, limits);
    assert_eq!(later.take_some(9).len(), 1, "both slots are free, one token is left");
    crashed.clock.advance(Duration::from_millis(9_999));
    assert!(later.take().is_none());
    crashed.clock.advance(Duration::from_millis(1));
    assert_eq!(later.take_some(9).len(), 1, "one token has come back, and the other slot is taken");
    assert_eq!(later.take_some(9).len(), 0);
}

#[test]
fn a_key_without_a_token_waits_and_others_go_on() {
    let world = World::new(5);
    let engine = limited(&world, Limits::new().key_rate(1, Duration::from_secs(1)));
    engine.add_many(["a", "a", "b", "a"].map(keyed).into());
    assert_eq!(keys(&engine.take_some(9)), ["a", "b"]);
    for _ in 0..2 {
        assert!(engine.take().is_none());
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(keys(&engine.take_some(9)), ["a"]);
    }
}

#[test]
fn a_bucket_that_is_full_again_is_pruned_and_one_that_is_not_stays() {
    let world = World::new(9);
    let engine = limited(&world, Limits::new().key_rate(1, Duration::from_secs(60)));
    engine.add_many(["a", "b", "a"].map(keyed).into());
    assert_eq!(engine.take_some(9).len(), 2);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(keys(&engine.take_some(9)), ["a"]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.prune().unwrap(), 1, "b has its token back");
    engine.add(keyed("a"));
    assert!(engine.take().is_none(), "a has not");
    engine.check_books().unwrap();
}

#[test]
fn a_limit_that_is_lifted_lets_go_what_it_held_back() {
    let engine = limited(&World::new(6), Limits::new().key_concurrency(1).rate(1, Duration::from_secs(3_600)));
    engine.add_many(vec![keyed("a"); 4]);
    assert_eq!(engine.take_some(9).len(), 1);
    engine.set_limits("default", Limits::new());
    assert_eq!(engine.take_some(9).len(), 3);
}

#[test]
fn the_end_of_a_job_wakes_who_waits_for_its_slot() {
    let world = World::new(7);
    let engine = waiting::open(&world);
    engine.set_limits("default", Limits::new().key_concurrency(1));
    engine.add_many(vec![keyed("a"); 2]);
    let running = engine.take().unwrap();
    let found = waiting::finds_work(&engine, move |core| {
        core.settle(&running, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }).unwrap();
    });
    assert!(found);
}

#[test]
fn a_token_wakes_who_waits_for_it_to_the_moment() {
    let world = World::new(8);
    let engine = limited(&world, Limits::new().rate(2, Duration::from_millis(500)));
    engine.add_many(vec![job("x"); 3]);
    assert_eq!(engine.take_some(9).len(), 2);
    engine.state.lock().alarm = Millis(u64::MAX);
    let heard = engine.upkeep.heard();
    assert!(engine.take().is_none());
    assert_ne!(engine.upkeep.heard(), heard, "the timer was rung");
    assert_eq!(engine.upkeep_rest(), Duration::from_millis(250));
    world.clock.advance(Duration::from_millis(250));
    let heard = engine.work.heard();
    engine.upkeep_rest();
    assert_ne!(engine.work.heard(), heard, "it wakes who waits");
    assert!(engine.take().is_some());
}

/// What is ready by key, and what runs.
fn standing(engine: &Engine) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
    let (mut ready, mut running) = (BTreeMap::new(), BTreeMap::new());
    for id in engine.ids_from(JobId(0), None) {
        let Some((envelope, _)) = engine.job(id).unwrap() else { continue };
        let key = envelope.limit_key.unwrap_or_default();
        match envelope.state.phase() {
            Phase::Ready => *ready.entry(key).or_default() += 1,
            Phase::InFlight => *running.entry(key).or_default() += 1,
            _ => {}
        }
    }
    (ready, running)
}

#[test]
fn over_every_crash_no_limit_is_passed_and_nobody_is_kept_waiting_who_may_start() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed);
        let limits = Limits::new().concurrency(4).key_concurrency(2).key_rate(3, Duration::from_secs(3));
        let mut engine = limited(&world, limits);
        let mut grants: Vec<Grant> = Vec::new();
        let mut starts: Vec<(Duration, String)> = Vec::new();
        for step in 0..80 {
            match rng.u8(..10) {
                0..=3 => {
                    let job = if rng.u8(..4) == 0 { job("") } else { keyed(["a", "b", "c"][rng.usize(..3)]) };
                    engine.add(NewJob { priority: rng.i16(..2), ..job });
                }
                4 | 5 if !grants.is_empty() => {
                    let grant = grants.swap_remove(rng.usize(..grants.len()));
                    let how = if rng.bool() { Settle::Release } else { Settle::Bury("no".into()) };
                    engine.end(&grant, how);
                }
                6 | 7 => {
                    world.clock.advance(Duration::from_millis(rng.u64(..1_500)));
                    engine.idle();
                }
                8 if rng.u8(..3) == 0 => {
                    let mode = [CrashMode::KeepAll, CrashMode::DropUnsynced][rng.usize(..2)];
                    let now = world.clock.wall_ms();
                    world = world.crashed(mode);
                    assert_eq!(world.clock.wall_ms(), now);
                    grants.clear();
                    if mode == CrashMode::DropUnsynced {
                        // A grant is written before it is handed out, not synced: the power took the tokens' cell too.
                        starts.clear();
                    }
                    drop(engine);
                    engine = Engine::open(world.doors(), world_settings()).unwrap();
                    engine.set_limits("default", limits);
                }
                _ => {
                    let (before, _) = standing(&engine);
                    let new = engine.take_some(rng.usize(1..4));
                    let now = Duration::from_millis(world.clock.wall_ms());
                    starts.extend(new.iter().map(|grant| (now, grant.envelope.limit_key.clone().unwrap_or_default())));
                    let (_, running) = standing(&engine);
                    let all: usize = running.values().sum();
                    assert!(all <= 4, "seed={seed} step={step}: {running:?}");
                    let recent = |key: &str| {
                        let span = Duration::from_secs(3);
                        starts.iter().filter(|(at, of)| of == key && *at + span > now).count()
                    };
                    for (key, n) in running.iter().filter(|(key, _)| !key.is_empty()) {
                        assert!(*n <= 2, "seed={seed} step={step}: {running:?}");
                        assert!(recent(key) <= 2 * 3, "seed={seed} step={step}: key={key} started {}", recent(key));
                    }
                    let may_start = |key: &str| {
                        all < 4 && (key.is_empty() || running.get(key).is_none_or(|n| *n < 2) && recent(key) == 0)
                    };
                    let idle = new.is_empty() && before.keys().any(|key| may_start(key));
                    assert!(!idle, "seed={seed} step={step}: {before:?} waited beside {running:?}");
                    grants.extend(new);
                }
            }
            engine.check_books().unwrap_or_else(|e| panic!("seed={seed} step={step}: {e}"));
        }
    }
}

/// Nobody runs alone: limits are what holds jobs back here.
fn world_settings() -> crate::engine::Settings {
    crate::engine::Settings { suspects_alone: false, ..World::settings() }
}
