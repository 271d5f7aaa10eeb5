//! The disk runs full, at every 4 KiB step of room that a program could need (P11).
//!
//! New work is refused before anything is staged; accepted jobs are claimed, acked, nacked and cancelled; and when room
//! returns service goes on, without a restart.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Durability, Engine, Grant, LeaseKind, NewJob, QueueCounts, Settle};
use crate::error::ErrorKind;
use crate::job::ErrorCause;

use super::judged::{Judged, Step, Stop, Wait, broken};
use super::lives::{fault_of, image_of};
use super::script::drain;
use super::view::view_of;
use super::world::{SEGMENT_BYTES, World, job, nack};
use crate::testing::effort::{self, counted};

const STEP_BYTES: u64 = 4 << 10;
const BATCHES: usize = 24;

fn batch(judged: &Judged) -> Vec<NewJob> {
    (0..6).map(|n| job(&format!("{}:{}", judged.ids.len() + n, "x".repeat(2_000)))).collect()
}

fn ack() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

/// Enqueues until the disk is full, or enough: gives whether it was refused.
fn fill(judged: &mut Judged) -> Step<bool> {
    for _ in 0..BATCHES {
        let jobs = batch(judged);
        match judged.enqueue(jobs, Durability::Sync, Wait::Out) {
            Ok(()) => {}
            Err(Stop::Failed(refused)) if refused.kind() == ErrorKind::Full => return Ok(true),
            Err(other) => return Err(other),
        }
    }
    Ok(false)
}

/// Everything that must go on with what was accepted, with the services' turn in between.
fn go_on(judged: &mut Judged, rounds: usize) -> Step {
    for round in 0..rounds {
        judged.claim(&[], 2, LeaseKind::Pool)?;
        while let Some(lease) = judged.leases.pop() {
            let how = match (round + judged.leases.len()) % 5 {
                0 => ack(),
                1 => Settle::Release,
                2 => Settle::Bury("enough".into()),
                3 => Settle::Snooze(Duration::from_millis(1)),
                _ => nack_at_once(),
            };
            judged.settle(&lease, how, Wait::Out)?;
        }
        if let Some(id) = judged.ids.get(round * 7 % judged.ids.len().max(1)).copied() {
            if round % 2 == 0 { judged.requeue(id, Wait::Out)? } else { judged.cancel(id, Wait::Out)? }
        }
        judged.world.clock.advance(Duration::from_millis(2));
        judged.oracle.set_clock(judged.now_ms());
        judged.promote()?;
        serve(judged)?;
    }
    Ok(())
}

fn nack_at_once() -> Settle {
    let Settle::Nack { error, cause, duration, .. } = nack("no luck") else { unreachable!("a nack") };
    Settle::Nack { error, cause, duration, retry_after: Some(Duration::ZERO) }
}

/// The last job is acked before any room returns.
fn end_all(judged: &mut Judged) -> Step {
    loop {
        judged.promote()?;
        if judged.claim(&[], 3, LeaseKind::Pool)? == 0 {
            return Ok(());
        }
        while let Some(lease) = judged.leases.pop() {
            judged.settle(&lease, ack(), Wait::Out)?;
        }
        serve(judged)?;
    }
}

/// The turn of maker and compactor; on a full disk the maker says so and is asked again later.
fn serve(judged: &mut Judged) -> Step {
    match judged.engine().make_step() {
        Err(refused) if refused.kind() != ErrorKind::Full => return Err(refused.into()),
        _ => {}
    }
    for _ in 0..64 {
        if !judged.engine().compact_step()? {
            break;
        }
    }
    Ok(())
}

fn run(room: u64) -> Step<bool> {
    let mut judged = Judged::on(World::new(9));
    let ran = run_in(&mut judged, room);
    ran.map_err(|stop| Stop::Broken(format!("{stop}: {:?}", judged.engine().counts())))
}

fn run_in(judged: &mut Judged, room: u64) -> Step<bool> {
    judged.world.disk.set_capacity(room);
    match judged.open() {
        // Too little even for the first segments: said so, and nothing is left that a later open minds.
        Err(Stop::Failed(refused)) if refused.kind() == ErrorKind::Full || refused.kind() == ErrorKind::Io => {
            judged.world.disk.set_capacity(None);
            judged.open()?;
        }
        opened => opened?,
    }
    let refused = fill(judged)?;
    if refused {
        judged.compare()?;
        let before = judged.world.disk.used();
        let jobs = batch(judged);
        match judged.enqueue(jobs, Durability::Sync, Wait::Out) {
            Err(Stop::Failed(refused)) if refused.kind() == ErrorKind::Full => {}
            Ok(()) => {}
            Err(other) => return Err(other),
        }
        judged.compare()?;
        if judged.world.disk.used() > room.max(before) {
            return broken("a refused call took room");
        }
    }
    go_on(judged, 60)?;
    judged.compare()?;
    // A power cut of the full disk, then the open of a full disk: accepted jobs are still served.
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
        let image = image_of(&judged.world, mode);
        image.disk.set_capacity(room.max(image.disk.used()));
        let engine = image.try_open()?;
        judged.oracle.clone().recovered(&view_of(&engine)?, fault_of(mode))?;
    }
    end_all(judged)?;
    judged.world.disk.set_capacity(None);
    let jobs = batch(judged);
    judged.enqueue(jobs, Durability::Sync, Wait::Out)?;
    go_on(judged, 4)?;
    drain(judged)?;
    judged.compare()?;
    Ok(refused)
}

#[test]
fn p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted() {
    let most = u64::from(SEGMENT_BYTES) * 12;
    let (mut tried, mut full) = (0, 0);
    for room in (0..=most).step_by(usize::try_from(STEP_BYTES).unwrap()) {
        match run(room) {
            Ok(refused) => full += u64::from(refused),
            Err(stop) => panic!("{stop}\nreplay: room={room}"),
        }
        tried += 1;
    }
    counted("capacities of a full disk", tried);
    assert!(full > 0 && full < tried, "the range of capacities misses the border: {full} of {tried}");
}

/// Every job fails five times, twenty at a time, and says why at length: that is far more than the disk has left.
#[test]
fn rule_10_failures_told_at_length_do_not_use_up_a_full_disk() {
    let loads = [(3_000, 1), (700, 1), (700, 5), (100, 1)];
    for (segments, (bytes, batch)) in [4, 7, 12].into_iter().flat_map(|n| loads.map(|load| (n, load))) {
        let (world, engine) = full_of(segments, bytes, batch);
        for _ in 0..5 * engine.counts().total().ready / 20 {
            for grant in claim_some(&world, &engine, 20) {
                let settled = engine.settle(&grant, fail());
                assert!(matches!(settled, Ok(Some(_))), "segments={segments} bytes={bytes} batch={batch}: {settled:?}");
            }
        }
        end_everything(&world, &engine, 20);
    }
}

/// What does not fit any more is refused, and its lease stands; nothing keeps a job from its end.
#[test]
fn p11_however_much_of_a_full_disk_runs_and_fails_every_job_can_still_be_acked() {
    let loads = [(3_000, 4), (700, 5), (100, 20), (1, 1), (1, 50)];
    let tried = effort::budget("BACKLOG_FULL_LOADS", 3, 5);
    for (bytes, batch) in loads.into_iter().take(usize::try_from(tried).unwrap()) {
        for (segments, at_once) in [4, 7].into_iter().flat_map(|n| [20, 200, usize::MAX].map(|most| (n, most))) {
            let (world, engine) = full_of(segments, bytes, batch);
            let mut left = 2 * engine.counts().total().ready;
            while left > 0 && engine.counts().total() != QueueCounts::default() {
                for grant in claim_some(&world, &engine, at_once) {
                    left = left.saturating_sub(1);
                    fail_or_ack(&engine, &grant);
                }
            }
            end_everything(&world, &engine, at_once);
        }
    }
}

fn fail_or_ack(engine: &Engine, grant: &Grant) {
    match engine.settle(grant, fail()) {
        Ok(settled) => assert!(settled.is_some(), "the lease is ours"),
        Err(full) if full.kind() == ErrorKind::Full => ack_now(engine, grant),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn p11_a_full_disk_opens_with_all_that_was_running_and_ends_it() {
    for (segments, (bytes, batch)) in
        [4, 7, 12].into_iter().flat_map(|n| [(3_000, 4), (700, 5), (100, 20)].map(|load| (n, load)))
    {
        let (world, engine) = full_of(segments, bytes, batch);
        let running = claim_some(&world, &engine, usize::MAX).len() as u64;
        let image = world.crashed(CrashMode::KeepAll);
        image.disk.set_capacity(u64::from(SEGMENT_BYTES) * segments);
        let again = image.open();
        assert_eq!(again.report().requeued, running, "segments={segments} bytes={bytes} batch={batch}");
        end_everything(&image, &again, 20);
    }
}

#[test]
fn rule_10_compaction_of_a_full_disk_comes_to_rest() {
    let (world, engine) = full_of(7, 3_000, 4);
    for grant in claim_some(&world, &engine, 40) {
        fail_or_ack(&engine, &grant);
    }
    let steps = (0..300).take_while(|_| engine.compact_step().unwrap() || engine.make_step().unwrap_or(false));
    assert!(steps.count() < 300, "it goes round and round");
}

/// Accepts jobs until the disk is full.
fn full_of(segments: u64, bytes: usize, batch: usize) -> (World, Engine) {
    let world = World::new(77);
    world.disk.set_capacity(u64::from(SEGMENT_BYTES) * segments);
    let engine = world.open();
    loop {
        let jobs = (0..batch).map(|_| NewJob { max_attempts: 1_000, ..job(&"x".repeat(bytes)) }).collect();
        match engine.enqueue(jobs, Durability::Sync) {
            Ok((_, ticket)) => engine.wait(ticket).unwrap(),
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::Full);
                return (world, engine);
            }
        }
    }
}

fn fail() -> Settle {
    let (error, retry_after) = ("y".repeat(2_000), Some(Duration::from_millis(1)));
    Settle::Nack { error, cause: ErrorCause::Failed, retry_after, duration: None }
}

/// As many as may run now; at least one, if there is one.
fn claim_some(world: &World, engine: &Engine, most: usize) -> Vec<Grant> {
    if engine.counts().total().ready == 0 {
        world.clock.advance(Duration::from_millis(2));
        engine.promote_due().unwrap();
    }
    let mut grants = Vec::new();
    while grants.len() < most {
        match engine.claim(&[], most - grants.len(), LeaseKind::Pool) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => grants.extend(more),
            Err(full) => {
                assert!(!grants.is_empty(), "nothing runs, and nothing can be claimed: {full}");
                break;
            }
        }
    }
    grants
}

fn ack_now(engine: &Engine, grant: &Grant) {
    let ticket = engine.settle(grant, ack()).expect("an ack always goes").expect("the lease is ours");
    engine.wait(ticket).unwrap();
}

fn end_everything(world: &World, engine: &Engine, at_once: usize) {
    while engine.counts().total() != QueueCounts::default() {
        let grants = claim_some(world, engine, at_once);
        assert!(!grants.is_empty(), "{:?}", engine.counts());
        grants.iter().for_each(|grant| ack_now(engine, grant));
    }
}
