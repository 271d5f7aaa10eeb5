//! What is decided when a job is reached: it has expired, its key is free, its key lasts for a period.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::enqueue::UniqueRule;
use crate::engine::look::Status;
use crate::engine::{Durability, Engine, LeaseKind, NewJob, OnConflict, Settle};
use crate::ids::JobId;

use super::judged::{Judged, Step};
use super::short::{any_wait, crash, judge};
use super::world::{START_MS, Verbs, World, at, job, nack};

fn expiring(ms: u64) -> NewJob {
    NewJob { expires_at: Some(at(ms)), ..job("expiring") }
}

fn keyed(rule: UniqueRule) -> NewJob {
    NewJob { unique: Some("key".into()), rule, ..job("keyed") }
}

fn try_add(engine: &Engine, job: NewJob) -> (JobId, bool) {
    let (answers, ticket) = engine.enqueue(vec![job], Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    (answers[0].id, answers[0].is_new())
}

#[test]
fn rule_18_a_job_that_is_reached_after_its_time_ends_expired_and_is_handed_to_nobody() {
    let world = World::new(1);
    let engine = world.open();
    let in_time = engine.add(expiring(1_001));
    let late = engine.add(NewJob { unique: Some("key".into()), ..expiring(1_000) });
    let other = engine.add(job("other"));
    world.clock.advance(Duration::from_millis(1_000));
    let taken: Vec<JobId> = std::iter::from_fn(|| engine.take()).map(|grant| grant.id).collect();
    assert_eq!(taken, [in_time, other], "job={late} had until the millisecond it was reached in");
    assert_eq!(engine.counts().expired, 1);
    assert!(matches!(engine.inspect(late).unwrap(), Status::Finished));
    assert!(try_add(&engine, keyed(UniqueRule::default())).1, "its key is free");
    engine.check_books().unwrap();

    let later = world.crashed(CrashMode::KeepAll).open();
    assert_eq!(later.counts().expired, 1);
    assert!(matches!(later.inspect(late).unwrap(), Status::Finished));
}

#[test]
fn a_job_that_waits_for_a_retry_expires_as_well_and_one_that_runs_does_not() {
    let world = World::new(2);
    let engine = world.open();
    engine.add(expiring(5_000));
    let running = engine.take().unwrap();
    world.clock.advance(Duration::from_secs(6));
    assert!(engine.end(&running, nack("late")), "its run is its own");
    world.clock.advance(Duration::from_secs(3_600));
    engine.idle();
    assert!(engine.take().is_none());
    assert_eq!((engine.counts().expired, engine.counts().total().live()), (1, 0));
}

#[test]
fn a_crash_at_any_operation_while_a_job_expires_leaves_it_expired_or_to_expire() {
    let world = World::new(3);
    let engine = world.open();
    let before = world.disk.ops();
    let id = engine.add(expiring(1_000));
    let other = engine.add(job("other"));
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(engine.take().map(|grant| grant.id), Some(other));
    engine.add(job("makes it durable"));
    for cut in before..=world.disk.ops() {
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
            let engine = world.cut(cut, mode).open();
            engine.idle();
            let granted = engine.take_some(8).into_iter().chain(std::iter::from_fn(|| engine.take()));
            assert!(granted.into_iter().all(|grant| grant.id != id), "cut={cut} {mode:?}: handed out after its time");
            let counts = engine.counts();
            let gone = counts.expired == 1 || counts.enqueued == 0;
            assert!(gone, "cut={cut} {mode:?}: {counts:?}");
            engine.check_books().unwrap();
        }
    }
}

#[test]
fn rule_22_a_key_until_the_start_is_free_while_the_job_runs_and_when_it_is_retried() {
    let until_started = UniqueRule { until_started: true, ..UniqueRule::default() };
    let world = World::new(4);
    let engine = world.open();
    let (first, _) = try_add(&engine, keyed(until_started));
    assert_eq!(try_add(&engine, keyed(until_started)), (first, false), "it waits: its key is held");
    let running = engine.take().unwrap();
    assert_eq!(running.id, first);
    let (second, new) = try_add(&engine, keyed(until_started));
    assert!(new, "it has started: its key is free");
    assert!(engine.end(&running, nack("again")), "a retry does not ask for the key again");
    assert_eq!(try_add(&engine, keyed(until_started)), (second, false));

    let later = world.crashed(CrashMode::DropUnsynced).open();
    assert_eq!(try_add(&later, keyed(until_started)), (second, false));
    world.clock.advance(Duration::from_secs(3_600));
    later.idle();
    assert_eq!(later.counts().total().live(), 2);
    later.check_books().unwrap();
}

#[test]
fn a_job_that_is_cancelled_as_it_frees_its_key_keeps_the_wish() {
    let world = World::new(5);
    let engine = world.open();
    engine.add(keyed(UniqueRule { until_started: true, ..UniqueRule::default() }));
    let running = engine.take().unwrap();
    engine.cancel(running.id).unwrap();
    assert!(engine.end(&running, Settle::Release));
    assert_eq!((engine.counts().cancelled, engine.counts().total().live()), (1, 0));
}

#[test]
fn rule_22_a_key_for_a_period_keeps_others_out_until_its_end_also_in_later_processes() {
    let hour = UniqueRule { period: Some(Duration::from_secs(3_600)), ..UniqueRule::default() };
    let world = World::new(6);
    let engine = world.open();
    let (first, _) = try_add(&engine, keyed(hour));
    let grant = engine.claim(&[], 1, LeaseKind::Pool).unwrap().pop().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(try_add(&engine, keyed(hour)), (first, false), "it has ended, its hour has not");
    drop(engine);

    let crashed = world.crashed(CrashMode::DropUnsynced);
    let later = crashed.open();
    crashed.clock.advance(Duration::from_millis(3_599_999));
    assert_eq!(try_add(&later, keyed(hour)), (first, false));
    crashed.clock.advance(Duration::from_millis(1));
    let (second, new) = try_add(&later, keyed(hour));
    assert!(new, "the hour is over");
    crashed.clock.advance(Duration::from_secs(7_200));
    assert_eq!(try_add(&later, keyed(hour)), (second, false), "while it lives, longer");
}

#[test]
fn a_paused_kind_is_parked_when_it_is_reached_and_comes_back_in_its_place() {
    let world = World::new(8);
    let engine = world.open();
    let other = |args: &str| NewJob { kind: "other".into(), ..job(args) };
    let (first, second) = (engine.add(job("first")), engine.add(other("second")));
    engine.pause_kind("count").unwrap();
    assert_eq!(engine.take_some(9).iter().map(|grant| grant.id).collect::<Vec<_>>(), [second]);
    engine.add(job("third"));
    drop(engine);
    let crashed = world.crashed(CrashMode::KeepAll);
    let later = crashed.open();
    assert_eq!(later.paused_kinds(), ["count"]);
    assert_eq!(later.take().map(|grant| grant.id), Some(second), "also in the next process");
    assert!(later.take().is_none());
    assert_eq!(later.counts().total().parked, 2);
    later.resume_kind("count").unwrap();
    let grant = later.take().unwrap();
    assert_eq!((grant.id, grant.attempt), (first, 1), "no attempt was spent");
    assert!(later.paused_kinds().is_empty());
    later.check_books().unwrap();
}

fn step(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let wait = any_wait(rng);
    match rng.u8(..8) {
        0..=2 => {
            let mut one = || {
                let on_conflict = [OnConflict::Keep, OnConflict::Replace, OnConflict::Reschedule][rng.usize(..3)];
                let soon = |rng: &mut fastrand::Rng| at(judged.now_ms() - START_MS + rng.u64(..3_000));
                NewJob {
                    unique: (rng.u8(..4) != 0).then(|| format!("key {}", rng.u8(..2))),
                    rule: UniqueRule { until_started: rng.bool(), on_conflict, ..UniqueRule::default() },
                    run_at: rng.bool().then(|| soon(rng)),
                    expires_at: (rng.u8(..3) == 0).then(|| soon(rng)),
                    max_attempts: rng.u32(1..4),
                    hold: rng.u8(..12) == 0,
                    ..job(&rng.u16(..).to_string())
                }
            };
            let jobs = vec![one(), one()];
            judged.enqueue(jobs, Durability::Sync, wait)
        }
        3 | 4 => judged.claim(&[], 2, LeaseKind::Pool).map(drop),
        5 => match judged.leases.pop() {
            Some(lease) => {
                let how = match rng.u8(..3) {
                    0 => Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() },
                    1 => Settle::Release,
                    _ => nack("no"),
                };
                judged.settle(&lease, how, wait)
            }
            None => Ok(()),
        },
        6 => {
            judged.world.clock.advance(Duration::from_millis(rng.u64(..2_000)));
            judged.oracle.set_clock(judged.now_ms());
            judged.promote()
        }
        _ => crash(judged, rng),
    }
}

#[test]
fn keys_policies_and_expiry_go_as_the_oracle_says_over_every_crash() {
    judge(60, step);
}
