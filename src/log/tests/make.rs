//! Making, recycling and removing segments.

use super::*;
use crate::disk::simulated::{Call, CrashMode, Fault};

fn segments(sim: &SimDisk) -> Vec<String> {
    sim.file_names().into_iter().filter(|name| name.starts_with("log/")).collect()
}

fn path(id: u64) -> String {
    super::super::segment::path(SegmentId(id))
}

/// A rig whose log has begun segment `id`, all durable.
fn reached(id: u64) -> Rig {
    let mut rig = Rig::ready();
    while rig.log.current() < SegmentId(id) {
        while rig.append(7000) {
            if rig.log.segment_of(rig.stage.tail()) == SegmentId(id) {
                break;
            }
        }
        rig.commit().unwrap();
        rig.prepare().unwrap();
    }
    rig
}

fn holds(log: &Log, id: u64) -> bool {
    use super::super::walk::Source;
    log.shared.chain.holds(SegmentId(id))
}

#[test]
fn a_full_disk_answers_full_and_leaves_nothing_behind() {
    let rig = Rig::ready();
    let before = segments(&rig.sim);
    for room in [0, 4096, 8192, 40 << 10, (64 << 10) - 4096] {
        rig.sim.set_capacity(rig.sim.used() + room);
        let error = rig.log.make_segment(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(error.to_string().contains("next.tmp"), "{error}");
        assert_eq!(segments(&rig.sim), before);
    }
    assert!(rig.log.poisoned().is_none());
    rig.sim.set_capacity(None);
    assert_eq!(rig.log.make_segment(1).unwrap(), SegmentId(5));
}

#[test]
fn a_full_disk_does_not_stop_the_commit_path_nor_a_reopening() {
    let mut rig = Rig::ready();
    rig.sim.set_capacity(rig.sim.used());
    while rig.append_as(0, 9000, Class::Carrying) {
        rig.commit().unwrap();
    }
    assert_eq!(rig.log.current(), SegmentId(4));
    let mut rig = rig.reopen().unwrap();
    assert_eq!(rig.log.ready_through(), SegmentId(4), "no room for another");
    rig.append_as(0, 9, Class::Carrying);
    rig.commit().unwrap();
    // Space that is freed inside comes back as spare, and is enough.
    rig.trim(true).unwrap();
    assert_eq!(rig.log.make_segment(1).unwrap(), SegmentId(5));
}

#[test]
fn a_failed_directory_sync_is_not_a_full_disk_and_publishes_nothing() {
    for fault in [Fault::eio(), Fault::enospc()] {
        let rig = Rig::ready();
        rig.sim.fail_call(0, fault.on(&[Call::SyncDir]));
        let error = rig.log.make_segment(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(rig.log.poisoned().is_none());
        assert_eq!(rig.log.ready_through(), SegmentId(4));
        assert!(!segments(&rig.sim).contains(&path(5)), "no name without a durable one");
        assert_eq!(rig.log.make_segment(1).unwrap(), SegmentId(5));
        let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
        assert!(segments(&image).contains(&path(5)));
    }
}

#[test]
fn every_failing_call_of_the_maker_leaves_no_half_made_file_under_a_segments_name() {
    let calls = [Call::Create, Call::Open, Call::Write, Call::SyncData, Call::Rename, Call::SyncDir, Call::Remove];
    for recycle in [false, true] {
        for fault in [Fault::eio(), Fault::enospc()] {
            for k in 0..8 {
                let mut rig = reached(2);
                rig.trim(recycle).unwrap();
                let next = rig.log.ready_through().0 + 1;
                rig.sim.fail_call(k, fault.clone().on(&calls));
                let made = rig.log.make_segment(1);
                rig.sim.clear_faults();
                let stands = segments(&rig.sim).contains(&path(next));
                assert_eq!(made.is_ok(), stands, "recycle={recycle} k={k} {fault:?} {made:?}");
                assert!(rig.log.poisoned().is_none());
                let spare_kept = rig.log.segment_files();
                rig.log.make_segment(1).unwrap();
                if recycle && made.is_err() {
                    assert_eq!(rig.log.segment_files(), spare_kept, "the spare was used, not lost: k={k} {fault:?}");
                }
                // All of them can be written into.
                while rig.append_as(0, 9000, Class::Carrying) {}
                rig.commit().unwrap();
                let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
                check_prefix(&rig.told(), &look(&image).unwrap(), rig.log.durable()).unwrap();
            }
        }
    }
}

#[test]
fn a_recycled_segment_is_used_before_new_space() {
    let mut rig = reached(2);
    rig.trim(true).unwrap();
    assert_eq!(segments(&rig.sim).iter().filter(|name| name.contains("spare")).count(), 1);
    let (files, used) = (rig.log.segment_files(), rig.sim.used());
    let ready = rig.log.make_segment(1).unwrap();
    assert_eq!(rig.log.segment_files(), files);
    assert_eq!(rig.sim.used(), used);
    assert!(segments(&rig.sim).contains(&path(ready.0)));
    assert!(!segments(&rig.sim).iter().any(|name| name.contains("spare")));
}

#[test]
fn every_use_of_a_file_has_a_salt_of_its_own() {
    let salt = |rig: &Rig, id: u64| rig.sim.read_file(&path(id))[64..72].to_vec();
    let mut rig = reached(2);
    let mut salts: Vec<Vec<u8>> = (1..=rig.log.ready_through().0).map(|id| salt(&rig, id)).collect();
    rig.trim(true).unwrap();
    let recycled = rig.log.make_segment(1).unwrap();
    salts.push(salt(&rig, recycled.0));
    // The same segment, made once more.
    rig.log.drop_surplus(1).unwrap();
    let again = rig.log.make_segment(1).unwrap();
    salts.push(salt(&rig, again.0));
    let count = salts.len();
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), count);
}

#[test]
fn old_frames_of_a_recycled_segment_never_come_back() {
    let mut rig = reached(2);
    rig.trim(true).unwrap();
    let recycled = rig.log.make_segment(1).unwrap();
    assert!(rig.sim.read_file(&path(recycled.0))[5000..].iter().any(|byte| *byte != 0), "it does hold old frames");
    while rig.log.current() < recycled {
        let (from, durable) = (rig.sim.ops(), rig.log.durable());
        assert!(rig.append_as(0, 3000, Class::Carrying));
        rig.commit().unwrap();
        // Also in the moment in which the log has turned to it and nothing in it is synced yet.
        for cut in from..rig.sim.ops() {
            let image = rig.sim.crash_image(cut, CrashMode::DropUnsynced);
            check_prefix(&rig.told(), &look(&image).unwrap(), durable).unwrap();
        }
    }
    let survey = look(&rig.sim).unwrap();
    check_prefix(&rig.told(), &survey, rig.log.durable()).unwrap();
    assert_eq!(survey.end(), rig.log.durable());
    let rig = rig.reopen().unwrap();
    assert_eq!(rig.repaired.bytes_cut, 0, "what an earlier life left is not counted as cut");
}

#[test]
fn a_place_in_a_removed_segment_gives_an_error_and_never_other_data() {
    let mut rig = reached(2);
    let old = rig.told().written[1];
    let place = Place { lsn: Lsn(old.start.0 + 32), len: record_len(old.body_len) };
    assert_eq!(rig.log.read(place, old.number).unwrap().body, body_of(old.number, old.body_len));
    rig.trim(true).unwrap();
    let gone = |rig: &Rig| {
        for error in [
            rig.log.read(place, old.number).unwrap_err(),
            rig.log.read_many(&[(place, old.number)]).remove(0).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        assert!(!holds(&rig.log, 1));
        let walked = rig.log.walk(rig.log.first_frame(SegmentId(1)), rig.log.written(), &mut |_| Ok(()));
        assert_eq!(walked.unwrap_err().kind(), ErrorKind::Invalid);
    };
    gone(&rig);
    rig.log.make_segment(1).unwrap();
    gone(&rig);
}

/// A disk whose first read of a record lets something happen before the bytes are read.
#[test]
fn a_read_that_meets_a_recycling_gives_an_error_and_never_other_data() {
    use super::super::walk::{Source, read};
    use std::cell::Cell;
    struct Recycles<'a> {
        rig: &'a Rig,
        armed: Cell<bool>,
    }
    impl Source for Recycles<'_> {
        fn geometry(&self) -> super::super::segment::Geometry {
            self.rig.log.geometry
        }
        fn segment(&self, id: SegmentId) -> Result<(Arc<dyn crate::disk::DiskFile>, super::super::frame::Seed)> {
            let found = self.rig.log.shared.chain.segment(id)?;
            if self.armed.take() {
                // Between the look-up and the read.
                self.rig.log.remove_oldest(SegmentId(1), Fate::Spare)?;
                self.rig.log.make_segment(9)?;
            }
            Ok(found)
        }
        fn shown(&self, id: SegmentId) -> String {
            self.rig.log.shared.chain.shown(id)
        }
        fn holds(&self, id: SegmentId) -> bool {
            self.rig.log.shared.chain.holds(id)
        }
    }
    let rig = reached(2);
    let old = rig.told().written[1];
    let place = Place { lsn: Lsn(old.start.0 + 32), len: record_len(old.body_len) };
    let source = Recycles { rig: &rig, armed: Cell::new(true) };
    assert_eq!(read(&source, place, old.number).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn only_the_oldest_segment_is_removed_and_never_the_one_in_use() {
    let mut rig = reached(3);
    let wrong = |rig: &Rig, id: u64| rig.log.remove_oldest(SegmentId(id), Fate::Spare).unwrap_err().kind();
    assert_eq!(wrong(&rig, 2), ErrorKind::Invalid);
    assert_eq!(wrong(&rig, 3), ErrorKind::Invalid);
    rig.trim(false).unwrap();
    assert_eq!(wrong(&rig, 1), ErrorKind::Invalid);
    rig.trim(false).unwrap();
    assert_eq!(wrong(&rig, 3), ErrorKind::Invalid);
    assert_eq!(rig.log.oldest(), SegmentId(3));
    assert!(!segments(&rig.sim).iter().any(|name| *name == path(1) || *name == path(2) || name.contains("spare")));
}

#[test]
fn a_removal_that_failed_goes_on_where_it_stopped_and_its_file_is_not_used_before() {
    for recycle in [false, true] {
        for call in [Call::Rename, Call::Remove, Call::SyncDir] {
            let mut rig = reached(3);
            rig.append_as(0, 0, Class::Carrying);
            rig.trimmed = 1;
            rig.stage_trim();
            rig.story.borrow_mut().trim_staged = 1;
            rig.commit().unwrap();
            rig.sim.fail_call(0, Fault::eio().on(&[call]));
            let first = rig.log.remove_oldest(SegmentId(1), fate(recycle));
            rig.sim.clear_faults();
            let struck = call == Call::SyncDir || (call == Call::Rename) == recycle;
            assert_eq!(first.is_err(), struck, "{call:?} recycle={recycle}");
            if struck {
                assert_eq!(rig.log.oldest(), SegmentId(1));
                assert_eq!(rig.log.remove_oldest(SegmentId(2), fate(recycle)).unwrap_err().kind(), ErrorKind::Invalid);
                assert!(!holds(&rig.log, 1));
                let ops = rig.sim.ops();
                rig.log.make_segment(1).unwrap();
                let from_spare = rig.sim.trace()[ops..].iter().any(|op| op.path.contains("spare"));
                assert!(!from_spare, "the half removed file must not be used");
                rig.log.remove_oldest(SegmentId(1), fate(recycle)).unwrap();
            }
            assert_eq!(rig.log.oldest(), SegmentId(2));
            let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
            assert!(!segments(&image).contains(&path(1)));
            check_prefix(&rig.told(), &look(&image).unwrap(), rig.log.durable()).unwrap();
        }
    }
}

#[test]
fn each_removal_is_durable_before_the_next_begins() {
    for recycle in [false, true] {
        let mut rig = reached(4);
        let from = rig.sim.ops();
        for _ in 0..3 {
            rig.trim(recycle).unwrap();
        }
        let trace = &rig.sim.trace()[from..];
        let mut pending = false;
        let mut removals = 0;
        for op in trace {
            match op.call {
                Some(Call::Rename | Call::Remove) => {
                    assert!(!pending, "{trace:?}");
                    (pending, removals) = (true, removals + 1);
                }
                Some(Call::SyncDir) if op.path == "log" => pending = false,
                _ => {}
            }
        }
        assert!(!pending && removals == 3);
    }
}

#[test]
fn each_surplus_segment_is_durably_gone_before_the_next() {
    let rig = Rig::ready();
    for _ in 0..4 {
        rig.log.make_segment(1).unwrap();
    }
    let from = rig.sim.ops();
    rig.log.drop_surplus(1).unwrap();
    let calls: Vec<_> = rig.sim.trace()[from..].iter().map(|op| op.call.unwrap()).collect();
    assert_eq!(calls, [Call::Remove, Call::SyncDir].repeat(6));
}
