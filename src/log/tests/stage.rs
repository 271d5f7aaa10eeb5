//! Positions, room, rotation.

use super::*;

fn first(rig: &Rig) -> Lsn {
    rig.log.first_frame(SegmentId(1))
}

#[test]
fn room_for_the_seal_is_always_kept() {
    let rig = Rig::ready();
    let fits = frame_bytes_max(SEGMENT);
    assert_eq!(rig.stage.room(fits, 0, Class::Ordinary), Room::Here);
    let mut rig = rig;
    let len = fits - 32 - 16;
    let body = Body::new(vec![7; len]);
    rig.stage.append(0, &[Draft { kind: 1, id: 0, body: &body }], Lsn(0), |_, _| {});
    assert_eq!(rig.stage.tail(), Lsn(first(&rig).0 + u64::from(SEGMENT) - 4096 - 32));
    assert_eq!(rig.stage.room(32, 0, Class::Ordinary), Room::NextSegment);
    rig.stage.rotate();
    assert_eq!(rig.stage.tail(), rig.log.first_frame(SegmentId(2)));
    rig.commit().unwrap();
    let survey = look(&rig.sim).unwrap();
    assert_eq!(survey.end(), rig.log.first_frame(SegmentId(2)));
    // A log that ends in a full segment opens.
    let mut rig = rig.reopen().unwrap();
    assert!(rig.append(10));
    rig.commit().unwrap();
}

#[test]
fn a_segment_filled_to_the_last_byte_reopens() {
    let mut rig = Rig::ready();
    let len = frame_bytes_max(SEGMENT) - 32 - 16;
    let body = Body::new(vec![7; len]);
    rig.stage.append(0, &[Draft { kind: 1, id: 0, body: &body }], Lsn(0), |_, _| {});
    rig.commit().unwrap();
    let mut rig = rig.reopen().unwrap();
    assert_eq!(rig.stage.tail().0 % u64::from(SEGMENT), u64::from(SEGMENT) - 32);
    rig.prepare().unwrap();
    assert!(rig.append(10));
    rig.commit().unwrap();
    assert_eq!(rig.log.current(), SegmentId(2));
}

#[test]
fn the_last_two_prepared_segments_are_kept_for_closing_records_and_the_last_for_compaction() {
    let mut rig = Rig::ready();
    let fresh = frame_bytes_max(SEGMENT) - 100;
    assert_eq!(rig.log.ready_through(), SegmentId(4));
    let fill = |rig: &mut Rig| {
        while rig.stage.room(5000, 0, Class::Carrying) == Room::Here {
            rig.append_as(0, 5000 - 48, Class::Carrying);
        }
    };
    fill(&mut rig);
    assert_eq!(rig.stage.room(fresh, 50, Class::Ordinary), Room::NextSegment);
    rig.stage.rotate();
    fill(&mut rig);
    for closing in [Room::NextSegment, Room::Wait] {
        assert_eq!(rig.stage.room(fresh, 50, Class::Ordinary), Room::Wait);
        assert_eq!(rig.stage.room(fresh, 50, Class::Closing), closing, "the last one is for compaction");
        assert_eq!(rig.stage.room(fresh, 50, Class::Carrying), Room::NextSegment);
        rig.stage.rotate();
        fill(&mut rig);
    }
    assert_eq!(rig.stage.room(fresh, 50, Class::Carrying), Room::Wait);
    rig.log.make_segment(1).unwrap();
    assert_eq!(rig.stage.room(fresh, 50, Class::Ordinary), Room::Wait);
    assert_eq!(rig.stage.room(fresh, 50, Class::Carrying), Room::NextSegment);
    // Freed segments bring ordinary work back.
    rig.commit().unwrap();
    rig.prepare().unwrap();
    assert_eq!(rig.stage.room(fresh, 50, Class::Ordinary), Room::NextSegment);
}

#[test]
fn surplus_prepared_segments_go_and_one_always_stays() {
    let mut rig = Rig::ready();
    for _ in 0..3 {
        rig.log.make_segment(1).unwrap();
    }
    assert_eq!((rig.log.ready_through(), rig.log.segment_files()), (SegmentId(7), 7));
    rig.log.drop_surplus(4).unwrap();
    assert_eq!((rig.log.ready_through(), rig.log.segment_files()), (SegmentId(5), 5));
    rig.log.drop_surplus(0).unwrap();
    assert_eq!((rig.log.ready_through(), rig.log.segment_files()), (SegmentId(2), 2));
    let names = rig.sim.file_names();
    assert_eq!(names.iter().filter(|name| name.ends_with(".seg")).count(), 2, "{names:?}");
    // What is staged ahead is not surplus.
    while rig.stage.room(5000, 0, Class::Carrying) == Room::Here {
        rig.append_as(0, 5000 - 48, Class::Carrying);
    }
    rig.stage.rotate();
    rig.log.drop_surplus(0).unwrap();
    assert_eq!(rig.log.ready_through(), SegmentId(2));
    rig.commit().unwrap();
    assert_eq!(rig.log.current(), SegmentId(2));
}

#[test]
fn places_say_where_each_record_lies() {
    let mut rig = Rig::ready();
    let bodies = [Body::new(b"one".to_vec()), Body::new(Vec::new()), Body::new(vec![1; 17])];
    let drafts: Vec<Draft<'_>> = bodies.iter().zip(5..).map(|(body, id)| Draft { kind: 2, id, body }).collect();
    let mut places = Vec::new();
    let appended = rig.stage.append(0, &drafts, Lsn(0), |nth, place| places.push((nth, place)));
    let at = |offset: u64, len: u32| Place { lsn: Lsn(first(&rig).0 + offset), len };
    assert_eq!(places, [(0, at(32, 19)), (1, at(56, 16)), (2, at(72, 33))]);
    assert_eq!(appended, Appended { start: first(&rig), end: Lsn(first(&rig).0 + 112) });
    assert_eq!(rig.stage.staged_bytes(), 112);
    rig.commit().unwrap();
    assert_eq!(rig.stage.staged_bytes(), 0);
    for ((_, place), (draft, body)) in places.iter().zip(drafts.iter().zip(&bodies)) {
        assert_eq!(rig.log.read(*place, draft.id).unwrap(), Raw { kind: 2, body: body.bytes().to_vec() });
    }
    let mut walked = Vec::new();
    rig.log
        .walk(first(&rig), rig.log.written(), &mut |frame| {
            walked.extend(frame.records().map(|record| record.place));
            Ok(())
        })
        .unwrap();
    assert_eq!(walked, places.iter().map(|(_, place)| *place).collect::<Vec<_>>());
}

#[test]
#[should_panic(expected = "was not asked for")]
fn a_frame_without_room_is_never_staged() {
    let mut rig = Rig::ready();
    let body = Body::new(vec![0; SEGMENT as usize]);
    rig.stage.append(0, &[Draft { kind: 1, id: 0, body: &body }], Lsn(0), |_, _| {});
}
