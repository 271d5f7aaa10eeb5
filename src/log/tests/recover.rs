//! Survey and repair in the states that a crash leaves around a rotation, a close, and a second life.

use super::*;
use crate::disk::Access;
use crate::disk::simulated::{Call, CrashMode, Fault};

fn path(id: u64) -> String {
    super::super::segment::path(SegmentId(id))
}

/// Staged up to and over the first rotation, nothing pushed behind the first frames.
fn before_rotation() -> Rig {
    let mut rig = Rig::ready();
    assert!(rig.append(100));
    rig.commit().unwrap();
    while rig.stage.tail() < rig.log.first_frame(SegmentId(2)) {
        assert!(rig.append(4000));
    }
    rig
}

#[test]
fn a_fresh_directory_begins_with_segment_1_and_a_prepared_one() {
    let rig = Rig::new();
    assert_eq!(rig.log.oldest(), SegmentId(1));
    assert_eq!(rig.log.ready_through(), SegmentId(2));
    assert_eq!(rig.stage.tail(), Lsn(u64::from(SEGMENT) + 4096));
    let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
    let survey = look(&image).unwrap();
    assert_eq!((survey.segments(), survey.end(), survey.is_fresh()), (1, rig.stage.tail(), false));
    assert!(look(&SimDisk::new()).is_err(), "no format file");
}

#[test]
fn each_crash_state_around_a_rotation_has_its_end() {
    let mut rig = before_rotation();
    let from = rig.sim.ops();
    rig.commit().unwrap();
    let (start, second, end) = (rig.told().written[1].end, rig.log.first_frame(SegmentId(2)), rig.stage.tail());
    let ends = |cut, mode| {
        let survey = look(&rig.sim.crash_image(cut, mode)).unwrap();
        (survey.end(), survey.segments())
    };
    let found: Vec<_> =
        (from..=rig.sim.ops()).map(|cut| (ends(cut, CrashMode::DropUnsynced), ends(cut, CrashMode::KeepAll))).collect();
    assert_eq!(
        found,
        [
            ((start, 1), (start, 1)),
            // The frames and the seal are written: in the cache the log goes on in segment 2.
            ((start, 1), (second, 2)),
            // The seal is synced.
            ((second, 2), (second, 2)),
            // The first bytes of segment 2 are written, then synced.
            ((second, 2), (end, 2)),
            ((end, 2), (end, 2)),
        ]
    );
}

#[test]
fn a_seal_whose_sync_failed_is_made_true_before_the_next_segment_is_used() {
    let mut rig = before_rotation();
    rig.sim.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    rig.push().unwrap_err();
    // Same system: the cache shows the seal, the medium has nothing of it.
    let mut rig = rig.reopen().unwrap();
    assert_eq!(rig.log.durable(), rig.log.first_frame(SegmentId(2)));
    assert!(rig.repaired.rewritten > 0);
    assert!(rig.append(50));
    rig.commit().unwrap();
    let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
    check_prefix(&rig.told(), &look(&image).unwrap(), rig.log.durable()).unwrap();
}

/// Segment 1 is given up, segment 2 is full but for its seal, to the last byte; the next frame is staged behind it.
fn filled_to_the_last_byte() -> Rig {
    let mut rig = before_rotation();
    rig.commit().unwrap();
    rig.trim(true).unwrap();
    rig.prepare().unwrap();
    let rest = |rig: &Rig| rig.log.geometry.room(rig.stage.tail()) as usize - frame_len([].into_iter());
    while rest(&rig) > 10_000 {
        assert!(rig.append(4000));
    }
    let last = rest(&rig) - frame_len([0].into_iter());
    assert!(rig.append(last));
    rig.commit().unwrap();
    assert_eq!(rest(&rig), 0);
    assert!(rig.append(50));
    rig
}

#[test]
fn a_seal_that_ends_at_the_last_byte_of_its_segment_is_recovered_at_every_crash() {
    let mut rig = filled_to_the_last_byte();
    let from = rig.sim.ops();
    rig.commit().unwrap();
    for cut in from..=rig.sim.ops() {
        for mode in super::crash::modes(8) {
            let image = rig.sim.crash_image(cut, mode);
            let acknowledged = super::crash::acknowledged(&rig.told(), cut);
            super::crash::found(&image, &rig.told(), acknowledged)
                .and_then(|_| super::crash::goes_on(&image, &rig.told()))
                .unwrap_or_else(|why| panic!("cut={} of the last commit, mode={mode:?}: {why}", cut - from));
        }
    }
}

#[test]
fn a_seal_at_the_last_byte_whose_sync_failed_is_made_true_before_the_next_segment_is_used() {
    let mut rig = filled_to_the_last_byte();
    rig.sim.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    rig.push().unwrap_err();
    let mut rig = rig.reopen().unwrap();
    assert_eq!(rig.repaired.rewritten, frame_len([].into_iter()) as u64, "the seal, and nothing else was unvouched");
    rig.prepare().unwrap();
    assert!(rig.append(50));
    rig.commit().unwrap();
    let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
    check_prefix(&rig.told(), &look(&image).unwrap(), rig.log.durable()).unwrap();
}

#[test]
fn a_missing_successor_of_a_sealed_segment_is_corruption() {
    let mut rig = before_rotation();
    rig.commit().unwrap();
    let sim = rig.sim.copy();
    sim.delete_file(&path(2));
    let error = look(&sim).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&path(2)), "{error}");
}

#[test]
fn a_clean_close_is_told_and_nothing_is_zeroed_after_it() {
    let mut rig = Rig::ready();
    for _ in 0..5 {
        assert!(rig.append(200));
    }
    rig.close().unwrap();
    let end = rig.stage.tail();
    let survey = look(&rig.sim).unwrap();
    assert!(survey.clean());
    assert_eq!(survey.end(), end);
    let ops = rig.sim.ops();
    let rig = rig.reopen().unwrap();
    assert_eq!(rig.repaired, Repaired { bytes_cut: 0, rewritten: 16 + 16 + 32 });
    let written: u64 = rig.sim.trace()[ops..].iter().filter(|op| op.call == Some(Call::Write)).map(|op| op.len).sum();
    assert_eq!(written, 64, "the closed frame and nothing else");
}

#[test]
fn a_close_that_was_not_synced_counts_only_once_it_is_made_true() {
    let mut rig = Rig::ready();
    assert!(rig.append(200));
    rig.commit().unwrap();
    assert!(rig.append_as(Flags::CLOSED, 0, Class::Carrying));
    rig.push().unwrap();
    rig.sim.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    rig.sync().unwrap_err();
    assert!(look(&rig.sim).unwrap().clean(), "the cache shows it");
    let rig = rig.reopen().unwrap();
    let image = rig.sim.crash_image(rig.sim.ops(), CrashMode::DropUnsynced);
    assert_eq!(look(&image).unwrap().end(), rig.log.durable());
}

#[test]
fn a_closed_frame_that_vouches_for_less_than_everything_is_no_clean_close() {
    let mut rig = Rig::ready();
    assert!(rig.append(200));
    assert!(rig.append_as(Flags::CLOSED, 0, Class::Carrying));
    rig.commit().unwrap();
    assert!(!look(&rig.sim).unwrap().clean());
}

#[test]
fn frames_torn_behind_a_clean_close_are_never_revived() {
    let mut rig = Rig::at_rest();
    assert!(rig.append(200));
    rig.close().unwrap();
    let mut rig = rig.reopen().unwrap();
    let close_end = rig.stage.tail();
    // Two frames are pushed; a power cut keeps the second and loses the first.
    assert!(rig.append(100));
    let first_end = rig.stage.tail();
    assert!(rig.append(60));
    rig.push().unwrap();
    let sim = rig.sim.copy();
    sim.overwrite(&path(1), close_end.0 % u64::from(SEGMENT), &vec![0; (first_end.0 - close_end.0) as usize]);
    let survey = look(&sim).unwrap();
    assert_eq!(survey.end(), close_end);
    assert!(!survey.clean(), "somebody wrote after the close");
    let lost = rig.told().written.pop().unwrap();
    let mut rig = Rig::on(&sim, &rig.story).unwrap();
    assert!(rig.repaired.bytes_cut > 0);
    // A frame that ends exactly where the lost one begins.
    assert!(rig.append(100));
    assert_eq!(rig.stage.tail(), first_end);
    rig.commit().unwrap();
    let found = frames_of(&look(&sim).unwrap()).unwrap();
    assert!(found.iter().all(|(_, _, number, _)| *number != lost.number), "a lost frame came back");
}

/// Twenty frames nobody waited for, the first of them torn. Gives the disk, where the tear is and where the last one ends.
fn torn(rig: &mut Rig) -> (SimDisk, Lsn, Lsn) {
    assert!(rig.append(10));
    rig.commit().unwrap();
    let durable = rig.log.durable();
    (0..20).for_each(|_| assert!(rig.append(100)));
    rig.push().unwrap();
    let sim = rig.sim.copy();
    sim.overwrite(&path(1), durable.0 % u64::from(SEGMENT) + 8, &[0; 4]);
    let survey = look(&sim).unwrap();
    assert_eq!((survey.end(), survey.vouched()), (durable, durable));
    (sim, durable, rig.stage.tail())
}

#[test]
fn a_torn_tail_is_cut_and_its_remains_never_join_later_frames() {
    let mut rig = Rig::at_rest();
    let (sim, durable, last) = torn(&mut rig);
    let mut again = Rig::on(&sim, &rig.story).unwrap();
    assert_eq!(again.repaired.bytes_cut, last.0 - durable.0);
    assert!(again.append(100));
    again.commit().unwrap();
    assert_eq!(again.stage.prepared(), RESERVE, "it was not for the open to take");
    assert_eq!(look(&sim).unwrap().end(), again.stage.tail());
    check_prefix(&again.told(), &look(&sim).unwrap(), again.log.durable()).unwrap();
}

#[test]
fn where_more_than_the_reserve_is_prepared_a_torn_tail_is_sealed_and_never_written_to_again() {
    let mut rig = Rig::ready();
    let (sim, durable, last) = torn(&mut rig);
    let behind = |sim: &SimDisk| {
        let mut bytes = vec![0; (last.0 - durable.0) as usize];
        let file = door(sim).open(&path(1), Access::Read).unwrap();
        file.read_exact_at(&mut bytes, rig.log.geometry.offset(durable)).unwrap();
        bytes.split_off(frame_len([].into_iter()))
    };
    let remains = behind(&sim);
    let mut again = Rig::on(&sim, &rig.story).unwrap();
    let (from, acknowledged) = (sim.ops(), again.log.durable());
    assert!(again.append(100));
    again.commit().unwrap();
    assert_eq!((again.log.segment_of(again.stage.tail()), again.stage.prepared()), (SegmentId(2), RESERVE));
    assert_eq!(behind(&sim), remains, "sound frames of the dead process stand there still");
    for cut in from..=sim.ops() {
        for mode in super::crash::modes(8) {
            let image = sim.crash_image(cut, mode);
            super::crash::found(&image, &again.told(), acknowledged)
                .and_then(|_| super::crash::goes_on(&image, &again.told()))
                .unwrap_or_else(|why| panic!("cut={cut} mode={mode:?}: {why}"));
        }
    }
    check_prefix(&again.told(), &look(&sim).unwrap(), again.log.durable()).unwrap();
}

#[test]
fn a_process_that_dies_with_the_trim_mark_unsynced_does_not_lose_the_segment_before_the_mark() {
    let mut rig = Rig::ready();
    while rig.log.current() < SegmentId(2) {
        assert!(rig.append(9000));
        rig.commit().unwrap();
    }
    rig.trimmed = 1;
    rig.story.borrow_mut().trim_staged = 1;
    rig.stage_trim();
    rig.push().unwrap();
    let story = rig.told();
    let acknowledged = rig.log.durable();
    let killed = rig.sim.crash_image(rig.sim.ops(), CrashMode::KeepAll);
    Rig::on(&killed, &rig.story).unwrap();
    for cut in 0..=killed.ops() {
        for mode in [CrashMode::DropUnsynced, CrashMode::Names { seed: 1 }, CrashMode::Subset { seed: 2 }] {
            let survey = look(&killed.crash_image(cut, mode)).unwrap();
            check_prefix(&story, &survey, acknowledged).unwrap();
        }
    }
}

#[test]
fn a_prepared_segment_whose_name_was_only_in_the_cache_is_not_built_on() {
    let rig = Rig::new();
    let from = rig.sim.ops();
    rig.log.make_segment(1).unwrap();
    let renamed = (from..rig.sim.ops()).find(|n| rig.sim.op(*n).unwrap().call == Some(Call::Rename)).unwrap();
    // The process dies between the rename and the sync of the directory.
    let killed = rig.sim.crash_image(renamed + 1, CrashMode::KeepAll);
    let mut rig = Rig::on(&killed, &Rc::default()).unwrap();
    assert_eq!(rig.log.ready_through(), SegmentId(3));
    while rig.log.current() < SegmentId(3) {
        assert!(rig.append_as(0, 9000, Class::Carrying));
        rig.commit().unwrap();
    }
    let image = killed.crash_image(killed.ops(), CrashMode::DropUnsynced);
    check_prefix(&rig.told(), &look(&image).unwrap(), rig.log.durable()).unwrap();
}

#[test]
fn a_segment_that_is_missing_from_the_beginning_is_corruption() {
    let rig = Rig::new();
    let sim = rig.sim.copy();
    sim.delete_file(&path(1));
    let error = look(&sim).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&path(1)), "{error}");
    // Not even that one: but a spare tells that there was a log.
    sim.delete_file(&path(2));
    assert!(look(&sim).unwrap().is_fresh());
    sim.write_file("log/spare-0", &[0; 10]);
    assert_eq!(look(&sim).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_reader_beside_a_living_owner_sees_what_is_vouched_for() {
    let mut rig = Rig::ready();
    let identity = Identity::read(&*door(&rig.sim)).unwrap().unwrap();
    for nth in 0..60 {
        assert!(rig.append(nth * 40));
        if nth % 3 == 0 {
            rig.push().unwrap();
        }
        if nth % 7 == 0 {
            rig.commit().unwrap();
        }
        rig.prepare().unwrap();
        let calls = rig.sim.ops();
        let survey = Survey::look_beside(&door(&rig.sim), &identity, &given_up).unwrap();
        assert!(survey.end() <= rig.log.durable());
        assert!(!survey.clean());
        check_prefix(&rig.told(), &survey, Lsn(0)).unwrap();
        assert_eq!(rig.sim.ops(), calls);
    }
}

fn given_up(frame: &Frame<'_>) -> Option<SegmentId> {
    frame.records().filter(|record| record.kind == TRIM && record.id > 0).map(|record| SegmentId(record.id)).max()
}

#[test]
fn a_reader_beside_a_resting_owner_sees_all_that_a_removal_needed_to_be_durable() {
    let mut rig = Rig::ready();
    while rig.log.current() < SegmentId(3) {
        assert!(rig.append(9000));
        rig.commit().unwrap();
        rig.prepare().unwrap();
    }
    assert!(rig.append(50));
    rig.commit().unwrap();
    let identity = Identity::read(&*door(&rig.sim)).unwrap().unwrap();
    let look = |rig: &Rig| Survey::look_beside(&door(&rig.sim), &identity, &given_up).unwrap();
    // Durable, but nobody has said so yet.
    assert!(look(&rig).end() < rig.log.durable());
    rig.trim(true).unwrap();
    // Now the segment that is gone says it.
    assert_eq!(look(&rig).end(), rig.log.durable());
    check_prefix(&rig.told(), &look(&rig), rig.log.durable()).unwrap();
    // What repeats the word in the next segment is not vouched for by it.
    while rig.log.current() < SegmentId(4) {
        assert!(rig.append(9000));
        rig.push().unwrap();
        rig.prepare().unwrap();
    }
    assert!(look(&rig).end() <= rig.log.durable());
}

#[test]
fn a_reader_is_told_when_its_segment_was_recycled() {
    let mut rig = Rig::ready();
    while rig.log.current() < SegmentId(2) {
        assert!(rig.append(9000));
        rig.commit().unwrap();
    }
    let identity = Identity::read(&*door(&rig.sim)).unwrap().unwrap();
    let survey = Survey::look_beside(&door(&rig.sim), &identity, &given_up).unwrap();
    let old = rig.told().written[1];
    let place = Place { lsn: Lsn(old.start.0 + 32), len: record_len(old.body_len) };
    assert_eq!(survey.read(place, old.number).unwrap().body, body_of(old.number, old.body_len));
    let late = Survey::look_beside(&door(&rig.sim), &identity, &given_up).unwrap();
    rig.trim(true).unwrap();
    // Held open, the bytes are still those.
    assert_eq!(survey.read(place, old.number).unwrap().body, body_of(old.number, old.body_len));
    rig.log.make_segment(5).unwrap();
    for survey in [survey, late] {
        assert_eq!(survey.read(place, old.number).unwrap_err().kind(), ErrorKind::Invalid);
        rig.log.drop_surplus(1).unwrap();
    }
}

#[test]
fn the_end_is_found_with_few_reads() {
    let mut rig = Rig::ready();
    while rig.log.current() < SegmentId(12) {
        assert!(rig.append(9000));
        rig.commit().unwrap();
        rig.prepare().unwrap();
    }
    let reads = rig.sim.calls_of(&[Call::Read]);
    let survey = look(&rig.sim).unwrap();
    // A header of each of 15 segments, a frame of each behind the tail, the tail for its end, its remains, its mark.
    assert!(rig.sim.calls_of(&[Call::Read]) - reads <= 15 + 5 + 12);
    let reads = rig.sim.calls_of(&[Call::Read]);
    frames_of(&survey).unwrap();
    assert!(rig.sim.calls_of(&[Call::Read]) - reads <= 24, "a walk reads in large pieces");
}
