//! What the verbs of a handle promise beside the engine's own, on the simulated disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Backlog, Lease, Options, Receipt};
use crate::clock::ManualClock;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::engine::{Cancelled, Doors, Drive, IndexChoice, JobInfo, Status};
use crate::ids::{JobId, Phase};
use crate::job::Codec;
use crate::random::SeededRandom;

/// Longer than any of this takes; who is not back by then was forgotten.
const LONG: Duration = Duration::from_secs(20);

fn open(disk: &SimDisk, seed: u64) -> Backlog {
    let doors = Doors {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(ManualClock::new(1_700_000_000_000)),
        random: Arc::new(SeededRandom::new(seed)),
        drive: Drive::Threads,
        index: IndexChoice::None,
    };
    Options::new().segment_bytes(64 << 10).lock_wait(Duration::ZERO).open_with(doors).unwrap()
}

fn claimed(backlog: &Backlog) -> Lease {
    backlog.enqueue_raw("letter", b"{}".to_vec(), Codec::Json).unwrap();
    backlog.queue("default").claim().unwrap().unwrap()
}

fn live(backlog: &Backlog, id: JobId) -> Box<JobInfo> {
    match backlog.inspect(id).unwrap() {
        Status::Live(info) => info,
        other => panic!("job={id} is {other:?}"),
    }
}

#[test]
fn a_lease_dropped_without_a_verdict_is_a_failed_attempt() {
    let backlog = open(&SimDisk::new(), 1);
    let lease = claimed(&backlog);
    let id = lease.id();
    drop(lease);
    let job = live(&backlog, id);
    assert_eq!((job.phase, job.attempts), (Phase::Scheduled, 1));
    assert!(job.errors[0].contains("dropped"), "{:?}", job.errors);
}

#[test]
fn the_end_of_a_lease_is_answered_when_it_is_durable() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let backlog = open(&disk, seed);
        let lease = claimed(&backlog);
        let id = lease.id();
        assert_eq!(lease.ack().unwrap(), Receipt::Accepted);
        let after = disk.crash_image(disk.ops(), CrashMode::DropUnsynced);
        assert_eq!(open(&after, seed).inspect(id).unwrap(), Status::Finished, "seed={seed}");
    }
}

#[test]
fn a_task_that_waits_for_a_job_is_woken_when_one_comes() {
    let backlog = open(&SimDisk::new(), 3);
    let ((polled, waits), (claimed, hear)) = (channel(), channel());
    let handle = backlog.clone();
    std::thread::spawn(move || {
        let queue = handle.queue("default");
        let mut claiming = queue.claim_async();
        let lease = smol::block_on(std::future::poll_fn(|cx| {
            let claimed = Pin::new(&mut claiming).poll(cx);
            if claimed.is_pending() {
                polled.send(()).unwrap();
            }
            claimed
        }));
        // Nobody listens any more where it was left waiting for too long.
        drop(claimed.send(lease.unwrap()));
    });
    waits.recv().unwrap();
    let id = backlog.enqueue_raw("letter", b"{}".to_vec(), Codec::Json).unwrap().id;
    let lease = hear.recv_timeout(LONG).expect("it was left waiting");
    assert_eq!(lease.id(), id);
    let receipt = smol::block_on(lease.ack_async()).unwrap();
    assert_eq!(receipt, Receipt::Accepted);
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
}

#[test]
fn the_async_twins_answer_when_it_is_durable() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let backlog = open(&disk, seed);
        let survives =
            |id: JobId| open(&disk.crash_image(disk.ops(), CrashMode::DropUnsynced), seed).inspect(id).unwrap();
        let jobs = (0..3).map(|_| crate::queue::JobBuilder::raw("letter", b"{}".to_vec(), Codec::Json));
        let accepted = smol::block_on(backlog.enqueue_all_async(jobs)).unwrap();
        let [first, second, third] = [0, 1, 2].map(|n| accepted[n].id);
        assert!(accepted.iter().all(|one| matches!(survives(one.id), Status::Live(_))), "seed={seed}");
        assert_eq!(smol::block_on(backlog.cancel_async(third)).unwrap(), Cancelled::Done);
        assert_eq!(survives(third), Status::Finished, "seed={seed}");
        let lease = backlog.queue("default").claim().unwrap().unwrap();
        assert_eq!((lease.id(), smol::block_on(lease.ack_async()).unwrap()), (first, Receipt::Accepted));
        assert_eq!(survives(first), Status::Finished, "seed={seed}");
        let stale = backlog.queue("default").claim().unwrap().unwrap();
        backlog.cancel(second).unwrap();
        smol::block_on(stale.release_async()).unwrap();
        assert_eq!(survives(second), Status::Finished, "seed={seed}");
    }
}
