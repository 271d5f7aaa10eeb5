//! What the verbs of a handle promise beside the engine's own, on the simulated disk.

use std::sync::Arc;
use std::time::Duration;

use super::{Backlog, Lease, Options, Receipt};
use crate::clock::ManualClock;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::engine::{Doors, Drive, IndexChoice, JobInfo, Status};
use crate::ids::{JobId, Phase};
use crate::job::Codec;
use crate::random::SeededRandom;

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
