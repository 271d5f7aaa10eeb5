//! Push, sync, rotation and the marks.

use super::*;
use crate::disk::simulated::{Call, Fault};
use crate::disk::{Access, DiskFile};

#[test]
fn what_was_pushed_and_synced_is_found_again() {
    let mut rig = Rig::ready();
    for number in 0..40 {
        assert!(rig.append(100 * number));
        rig.push().unwrap();
    }
    rig.sync().unwrap();
    assert_eq!(rig.log.durable(), rig.stage.tail());
    let durable = rig.log.durable();
    let survey = look(&rig.sim).unwrap();
    check_prefix(&rig.told(), &survey, durable).unwrap();
    assert_eq!(frames_of(&survey).unwrap().len(), 40);
}

#[test]
fn the_marks_rise_in_order_and_only_behind_their_bytes() {
    let mut rig = Rig::ready();
    let start = rig.stage.tail();
    assert_eq!((rig.log.written(), rig.log.durable()), (start, start));
    rig.append(10);
    assert_eq!((rig.log.written(), rig.log.durable()), (start, start));
    let staged = rig.stage.tail();
    assert_eq!(rig.push().unwrap(), staged);
    assert_eq!((rig.log.written(), rig.log.durable()), (staged, start));
    assert_eq!(rig.sync().unwrap(), staged);
    assert_eq!((rig.log.written(), rig.log.durable()), (staged, staged));
}

#[test]
fn a_sync_with_nothing_new_does_not_touch_the_disk() {
    let mut rig = Rig::ready();
    rig.append(10);
    rig.commit().unwrap();
    let calls = rig.sim.calls();
    rig.commit().unwrap();
    rig.commit().unwrap();
    assert_eq!(rig.sim.calls(), calls);
}

#[test]
fn the_seal_is_synced_before_the_next_segment_gets_a_byte() {
    let mut rig = Rig::ready().reopen().unwrap();
    let before = rig.sim.ops();
    while rig.stage.tail() < rig.log.first_frame(SegmentId(3)) {
        assert!(rig.append_as(Flags::NONE, 3000, Class::Carrying));
    }
    assert!(rig.append_as(Flags::NONE, 10, Class::Carrying));
    // One push over two rotations.
    rig.push().unwrap();
    let trace = &rig.sim.trace()[before..];
    let of = |id| super::super::segment::path(SegmentId(id));
    for id in 1..3 {
        let seal_sync = trace.iter().rposition(|op| op.call == Some(Call::SyncData) && op.path == of(id)).unwrap();
        let last_write = trace.iter().rposition(|op| op.call == Some(Call::Write) && op.path == of(id)).unwrap();
        let next_write = trace.iter().position(|op| op.call == Some(Call::Write) && op.path == of(id + 1));
        assert!(last_write < seal_sync, "{trace:?}");
        assert!(seal_sync < next_write.unwrap(), "{trace:?}");
    }
    assert_eq!(rig.log.durable(), rig.log.first_frame(SegmentId(3)));
    assert_eq!(rig.log.written(), rig.stage.tail());
    assert_eq!(rig.log.current(), SegmentId(3));
}

#[test]
fn a_record_is_read_by_its_place_alone_and_among_neighbours() {
    let mut rig = Rig::ready();
    let mut places = Vec::new();
    for number in 0..200_u64 {
        let bodies: Vec<Body> = (0..3).map(|nth| Body::new(body_of(number * 3 + nth, 150))).collect();
        let drafts: Vec<Draft<'_>> =
            bodies.iter().zip(0..).map(|(body, nth)| Draft { kind: 9, id: number * 3 + nth, body }).collect();
        let bytes = frame_len([150; 3].into_iter());
        if rig.stage.room(bytes, 0, Class::Ordinary) == Room::NextSegment {
            rig.stage.rotate();
        }
        rig.stage.append(0, &drafts, Lsn(0), |nth, place| places.push((place, number * 3 + nth as u64)));
    }
    rig.commit().unwrap();
    places.sort_by_key(|(place, id)| (id % 7, place.lsn));
    for ((_, id), answer) in places.iter().zip(rig.log.read_many(&places)) {
        assert_eq!(answer.unwrap(), Raw { kind: 9, body: body_of(*id, 150) });
    }
    let (place, id) = places[17];
    assert_eq!(rig.log.read(place, id).unwrap().body, body_of(id, 150));
    let reads = rig.sim.calls_of(&[Call::Read]);
    rig.log.read_many(&places);
    assert!(rig.sim.calls_of(&[Call::Read]) - reads <= 4, "neighbours share a read");
}

#[test]
fn a_read_at_a_wrong_place_is_corruption_and_takes_no_neighbour_along() {
    let mut rig = Rig::ready();
    rig.append(100);
    rig.append(100);
    rig.commit().unwrap();
    let frames: Vec<Written> = rig.told().written.iter().copied().filter(|frame| frame.number != u64::MAX).collect();
    let place = |frame: &Written| Place { lsn: Lsn(frame.start.0 + 32), len: record_len(frame.body_len) };
    let good = place(&frames[1]);
    let wrong = [
        (Place { lsn: Lsn(good.lsn.0 + 8), len: good.len }, 1),
        (Place { lsn: good.lsn, len: good.len - 1 }, 1),
        (Place { lsn: good.lsn, len: 3 }, 1),
        (Place { lsn: good.lsn, len: u32::MAX }, 1),
        (Place { lsn: Lsn(u64::from(SEGMENT)), len: 100 }, 1),
        (good, 2),
    ];
    for (place, id) in wrong {
        let error = rig.log.read(place, id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{place:?} {error}");
        assert!(error.to_string().contains("0000000000000001.seg"), "{error}");
        let answers = rig.log.read_many(&[(good, 1), (place, id), (good, 1)]);
        assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok(), "{place:?}");
    }
    // No segment, and none any more.
    assert_eq!(rig.log.read(Place { lsn: Lsn(u64::MAX - 50), len: 40 }, 1).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(rig.log.read(Place { lsn: Lsn(0), len: 40 }, 1).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_record_read_by_its_place_is_held_against_its_checksum() {
    let mut rig = Rig::ready();
    rig.append(100);
    rig.commit().unwrap();
    let frame = rig.told().written.iter().copied().find(|frame| frame.number != u64::MAX).unwrap();
    let place = Place { lsn: Lsn(frame.start.0 + 32), len: record_len(frame.body_len) };
    rig.log.read(place, frame.number).unwrap();
    let body_at = frame.start.0 % u64::from(SEGMENT) + 32 + 16;
    rig.sim.flip_bit(&super::super::segment::path(SegmentId(1)), body_at, 0);
    assert_eq!(rig.log.read(place, frame.number).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(rig.log.read_many(&[(place, frame.number)])[0].as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_first_failed_write_poisons_and_nothing_is_tried_again() {
    poisons(Call::Write, |rig| rig.push().unwrap_err());
}

#[test]
fn the_first_failed_sync_poisons_and_nothing_is_tried_again() {
    poisons(Call::SyncData, |rig| {
        rig.push().unwrap();
        rig.sync().unwrap_err()
    });
}

fn poisons(call: Call, fail: impl Fn(&mut Rig) -> Error) {
    let mut rig = Rig::ready();
    rig.append(100);
    rig.commit().unwrap();
    let durable = rig.log.durable();
    rig.append(100);
    rig.sim.fail_call(0, Fault::eio().on(&[call]));
    let first = fail(&mut rig);
    assert_eq!(first.kind(), ErrorKind::Poisoned);
    let text = first.to_string();
    assert!(text.contains("0000000000000001.seg") && text.contains("reopen the directory"), "{text}");
    let calls = rig.sim.calls();
    rig.append(100);
    for _ in 0..3 {
        assert_eq!(rig.push().unwrap_err().to_string(), text);
        assert_eq!(rig.sync().unwrap_err().to_string(), text);
    }
    assert_eq!(rig.log.poisoned().unwrap().to_string(), text);
    assert_eq!(rig.sim.calls(), calls, "the disk is not touched again");
    assert_eq!(rig.log.durable(), durable);
}

#[test]
fn a_failed_sync_of_a_seal_poisons_before_anything_goes_into_the_next_segment() {
    // Reopened, so that the trace calls the files by their names.
    let mut rig = Rig::ready().reopen().unwrap();
    while rig.stage.tail() < rig.log.first_frame(SegmentId(2)) {
        assert!(rig.append(3000));
    }
    let before = rig.sim.ops();
    rig.sim.fail_call(0, Fault::eio().on(&[Call::SyncData]));
    rig.push().unwrap_err();
    assert_eq!(rig.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    let second = super::super::segment::path(SegmentId(2));
    let trace = &rig.sim.trace()[before..];
    assert!(trace.iter().any(|op| op.call == Some(Call::SyncData) && !op.ok), "{trace:?}");
    assert!(trace.iter().all(|op| op.path != second), "{trace:?}");
    assert!(rig.log.durable() < rig.log.first_frame(SegmentId(2)));
}

#[test]
fn a_panic_inside_a_push_poisons() {
    let mut rig = Rig::ready();
    rig.append(10);
    let stage = &mut rig.stage;
    let log = &rig.log;
    let pushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.push(|| {
            drop(stage.take());
            panic!("on purpose")
        })
    }));
    assert!(pushed.is_err());
    assert_eq!(rig.push().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn chunks_out_of_order_are_refused() {
    let mut rig = Rig::ready();
    rig.append(10);
    drop(rig.stage.take());
    rig.append(10);
    assert_eq!(rig.push().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn threads_that_push_and_sync_together_lose_nothing() {
    use parking_lot::Mutex;
    const EACH: u64 = 300;
    let Rig { sim, log, stage, .. } = Rig::ready();
    let stage = Mutex::new(stage);
    let committed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (log, stage, committed) = (&log, &stage, &committed);
            scope.spawn(move || {
                for nth in 0..EACH {
                    let number = thread * EACH + nth;
                    let body = Body::new(body_of(number, 300));
                    let draft = Draft { kind: NUMBERED, id: number, body: &body };
                    let appended = loop {
                        let mut stage = stage.lock();
                        match stage.room(frame_len([300].into_iter()), 0, Class::Ordinary) {
                            Room::Here => break stage.append(0, &[draft], log.durable(), |_, _| {}),
                            Room::NextSegment => stage.rotate(),
                            Room::Wait => {
                                drop(stage);
                                log.make_segment(0).unwrap();
                            }
                        }
                    };
                    let written = log.push(|| stage.lock().take()).unwrap();
                    assert!(written >= appended.end);
                    if thread % 2 == 0 {
                        assert!(log.sync().unwrap() >= appended.end);
                    }
                    assert!(log.durable() <= log.written());
                    committed.lock().push((appended.start, number));
                }
            });
        }
    });
    log.sync().unwrap();
    let mut committed = committed.into_inner();
    committed.sort_unstable();
    let image = sim.crash_image(sim.ops(), crate::disk::simulated::CrashMode::DropUnsynced);
    let survey = look(&image).unwrap();
    let found: Vec<(Lsn, u64)> =
        frames_of(&survey).unwrap().into_iter().map(|(start, _, number, _)| (start, number)).collect();
    assert_eq!(found, committed);
}

/// A disk on which something else happens during a sync.
#[derive(Debug)]
struct Meddled {
    sim: SimDisk,
    hook: Hook,
}

type Hook = Arc<parking_lot::Mutex<Meddler>>;

#[derive(Default)]
struct Meddler {
    after_sync: Option<Box<dyn FnOnce() -> std::io::Result<()> + Send>>,
}

impl std::fmt::Debug for Meddler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddler")
    }
}

#[derive(Debug)]
struct MeddledFile {
    file: Arc<dyn DiskFile>,
    hook: Hook,
}

impl Disk for Meddled {
    fn root(&self) -> Option<&std::path::Path> {
        None
    }
    fn display(&self, path: &str) -> String {
        self.sim.display(path)
    }
    fn create_dir(&self, path: &str) -> std::io::Result<()> {
        self.sim.create_dir(path)
    }
    fn list(&self, dir: &str) -> std::io::Result<Vec<String>> {
        self.sim.list(dir)
    }
    fn open(&self, path: &str, access: Access) -> std::io::Result<Arc<dyn DiskFile>> {
        let file = self.sim.open(path, access)?;
        Ok(Arc::new(MeddledFile { file, hook: Arc::clone(&self.hook) }))
    }
    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.sim.rename(from, to)
    }
    fn remove(&self, path: &str) -> std::io::Result<()> {
        self.sim.remove(path)
    }
    fn sync_dir(&self, dir: &str) -> std::io::Result<()> {
        self.sim.sync_dir(dir)
    }
    fn try_lock(&self, path: &str) -> std::io::Result<Option<Box<dyn crate::disk::Lock>>> {
        self.sim.try_lock(path)
    }
}

impl DiskFile for MeddledFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> std::io::Result<usize> {
        self.file.write_at(buf, offset)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.file.sync_data()?;
        let hook = self.hook.lock().after_sync.take();
        hook.map_or(Ok(()), |meddle| meddle())
    }
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }
}

fn meddled() -> (Hook, Arc<Log>, Arc<parking_lot::Mutex<Stage>>) {
    let hook = Hook::default();
    let disk: Arc<dyn Disk> = Arc::new(Meddled { sim: SimDisk::new(), hook: Arc::clone(&hook) });
    let identity = Identity::create(&*disk, &*random(1), SEGMENT).unwrap();
    let (log, stage, _) = Survey::look(&disk, &identity).unwrap().repair(random(2), 1, true).unwrap();
    (hook, Arc::new(log), Arc::new(parking_lot::Mutex::new(stage)))
}

fn append(stage: &parking_lot::Mutex<Stage>, len: usize) -> Lsn {
    let body = Body::new(vec![7; len]);
    stage.lock().append(0, &[Draft { kind: 1, id: 0, body: &body }], Lsn(0), |_, _| {}).end
}

#[test]
fn a_sync_covers_what_was_written_before_it_and_nothing_that_was_written_during_it() {
    let (hook, log, stage) = meddled();
    let covered = append(&stage, 10);
    log.push(|| stage.lock().take()).unwrap();
    let (during, staged) = (Arc::clone(&log), Arc::clone(&stage));
    hook.lock().after_sync = Some(Box::new(move || {
        append(&staged, 10);
        during.push(|| staged.lock().take()).unwrap();
        Ok(())
    }));
    assert_eq!(log.sync().unwrap(), covered);
    assert_eq!(log.durable(), covered);
    assert!(log.written() > covered);
}

#[test]
fn a_write_that_fails_during_a_sync_takes_its_acknowledgement_along() {
    let (hook, log, stage) = meddled();
    let before = log.durable();
    append(&stage, 10);
    log.push(|| stage.lock().take()).unwrap();
    let during = Arc::clone(&log);
    hook.lock().after_sync = Some(Box::new(move || {
        during.poison(&Error::invalid("on purpose"));
        Ok(())
    }));
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.durable(), before);
}

#[test]
fn a_seal_beside_a_failing_sync_publishes_nothing() {
    // The system tells one of two concurrent syncs of a failed write-back, and the other that all is well.
    for _ in 0..200 {
        let (hook, log, stage) = meddled();
        let before = log.durable();
        append(&stage, 10);
        log.push(|| stage.lock().take()).unwrap();
        append(&stage, 60_000);
        stage.lock().rotate();
        let (begun, begin) = std::sync::mpsc::channel();
        hook.lock().after_sync = Some(Box::new(move || {
            begun.send(()).unwrap();
            std::thread::yield_now();
            Err(std::io::Error::from_raw_os_error(5))
        }));
        std::thread::scope(|scope| {
            let (log, stage) = (&log, &stage);
            let sealing = scope.spawn(move || {
                begin.recv().unwrap();
                log.push(|| stage.lock().take())
            });
            assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(sealing.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
        });
        assert_eq!(log.durable(), before);
    }
}
