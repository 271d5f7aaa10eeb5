//! The disk runs full, at every 4 KiB step of room that a program could need (P11).
//!
//! New work is refused before anything is staged; accepted jobs are claimed, acked, nacked and cancelled; and when room
//! returns service goes on, without a restart.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Durability, LeaseKind, NewJob, Settle};
use crate::error::ErrorKind;

use super::judged::{Judged, Step, Stop, Wait, broken};
use super::lives::{fault_of, image_of};
use super::script::drain;
use super::view::view_of;
use super::world::{SEGMENT_BYTES, World, job, nack};
use crate::testing::effort::counted;

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
