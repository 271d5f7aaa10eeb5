//! What the matrix found, each as small as it gets.

use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::engine::{ReadOnlyEngine, Source};
use crate::error::{Error, ErrorKind};
use crate::ids::{JobId, Phase};
use crate::index::MemoryHandle;

use super::super::world::{Verbs, World, job};
use super::anatomy::{HEADER_BYTES, Template, path};
use super::bits::{killed, long};
use super::judge::reports;

fn look(template: &Template, disk: &SimDisk) -> Result<ReadOnlyEngine, Error> {
    let door: Arc<dyn Disk> = Arc::new(disk.clone());
    ReadOnlyEngine::open(&door, &template.clock())
}

#[test]
fn a_look_counts_a_running_job_that_was_cancelled_as_the_next_open_does() {
    let world = World::new(70);
    let engine = world.open();
    engine.add(job("cancelled while it runs"));
    let id = engine.take().unwrap().id;
    let ticket = engine.cancel(id).unwrap().1;
    engine.wait(ticket).unwrap();
    let after = world.crashed(CrashMode::KeepAll);
    let door: Arc<dyn Disk> = Arc::new(after.disk.clone());
    let clock: Arc<dyn crate::clock::Clock> = after.clock.clone();
    let looked = ReadOnlyEngine::open(&door, &clock).unwrap().counts();
    assert_eq!((looked.cancelled, looked.total().live()), (1, 0));
    assert_eq!(looked, after.open().counts());
}

/// The checksum of a record covers its body; what kind it is stands under the checksum of the whole frame only.
#[test]
fn a_record_whose_kind_is_damaged_is_reported_with_file_and_offset() {
    let template = long();
    let ready = |id: &JobId| template.right[&template.end].opened.jobs.get(id).map(|job| job.0.state.phase());
    let last = template.last_segment();
    let records = template.frames.iter().filter(|frame| frame.segment < last).flat_map(|frame| &frame.records);
    let mut newest = std::collections::BTreeMap::new();
    for record in records.filter(|record| record.kind == crate::job::kind::JOB) {
        newest.insert(JobId(record.id), record.place);
    }
    let mut told = 0;
    for (id, place) in newest.into_iter().filter(|(id, _)| ready(id) == Some(Phase::Ready)) {
        let (segment, at) = (place.lsn.0 / super::anatomy::LENGTH, super::anatomy::offset(place.lsn));
        let disk = template.disk.copy();
        disk.flip_bit(&path(segment), at + 4, 2);
        let engine = template.world(disk.clone(), template.memory.fork()).open();
        // Some were written again in the last segment.
        let Err(trouble) = engine.job(id) else { continue };
        reports(&disk, &trouble, &[path(segment)], Some(at..at + 1)).unwrap();
        told += 1;
    }
    assert!(told > 10, "told={told}");
}

#[test]
fn the_only_segment_of_a_compacted_log_is_named_when_its_beginning_is_damaged() {
    let template = killed();
    for at in [0, 40, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 40] {
        let disk = template.disk.copy();
        disk.flip_bit(&path(2), at, 1);
        let refused = template.world(disk.clone(), MemoryHandle::new()).try_open().unwrap_err();
        reports(&disk, &refused, &[path(2)], Some(0..HEADER_BYTES + 1)).unwrap();
    }
    let disk = template.disk.copy();
    disk.delete_file(&path(2));
    let refused = template.world(disk.clone(), MemoryHandle::new()).try_open().unwrap_err();
    reports(&disk, &refused, &[path(2)], None).unwrap();
}

#[test]
fn verify_does_not_take_a_leftover_of_a_given_up_segment_for_damage() {
    let template = killed();
    let disk = template.disk.copy();
    disk.write_file(&path(1), b"what a file system brought back");
    assert!(look(template, &disk).unwrap().verify().unwrap().is_sound());
}

#[test]
fn a_look_at_segments_without_the_format_file_says_that_it_is_missing() {
    let template = killed();
    let disk = template.disk.copy();
    disk.delete_file("format");
    let Err(refused) = look(template, &disk) else { panic!("looked at") };
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("format"), "{refused}");
}
