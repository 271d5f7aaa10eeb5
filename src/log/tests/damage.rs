//! What is damaged or missing is reported with its file, or was never vouched for.

use super::super::verify::Verified;
use super::*;
use crate::disk::simulated::CrashMode;

fn path(id: u64) -> String {
    super::super::segment::path(SegmentId(id))
}

/// Three segments and a bit, everything durable.
fn long() -> Rig {
    let mut rig = Rig::ready();
    let mut nth = 0;
    while rig.log.current() < SegmentId(4) || nth % 5 != 0 {
        assert!(rig.append(if nth % 3 == 0 { 9000 } else { 30 }));
        rig.commit().unwrap();
        rig.prepare().unwrap();
        nth += 1;
    }
    rig
}

/// Opens and reads everything, as the engine does.
fn open(sim: &SimDisk) -> Result<()> {
    let survey = look(sim)?;
    frames_of(&survey)?;
    survey.repair(random(5), 1, true)?;
    Ok(())
}

fn reported(sim: &SimDisk, file: &str, what: &str) {
    let before = sim.copy();
    let error = open(sim).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    assert!(error.to_string().contains(file), "{what}: expected {file} in: {error}");
    assert!(error.to_string().contains("offset="), "{what}: {error}");
    assert!(sim.same_files(&before), "{what}: nothing is changed where something is wrong");
}

#[test]
fn every_flipped_bit_of_a_small_log_is_reported_or_an_unvouched_tail() {
    let mut rig = Rig::ready();
    for len in [0, 5, 40, 300, 7, 8, 64] {
        assert!(rig.append(len));
        rig.push().unwrap();
        if len % 2 == 0 {
            rig.sync().unwrap();
        }
    }
    let (story, end) = (rig.told(), rig.stage.tail());
    let file = path(1);
    let bytes = rig.sim.read_file(&file);
    let vouched = look(&rig.sim).unwrap().vouched();
    let offset_of_end = usize::try_from(end.0).unwrap() % bytes.len();
    let (mut reported, mut dropped) = (0, 0);
    for bit in 0..offset_of_end * 8 {
        let sim = rig.sim.copy();
        sim.flip_bit(&file, bit as u64 / 8, (bit % 8) as u8);
        match look(&sim) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}");
                assert!(error.to_string().contains(&file), "bit {bit}: {error}");
                reported += 1;
            }
            Ok(survey) => {
                check_prefix(&story, &survey, Lsn(0)).unwrap_or_else(|why| panic!("bit {bit}: {why}"));
                assert!(survey.end() < end, "bit {bit} passed unseen");
                assert!(survey.end() >= vouched, "bit {bit}: vouched bytes were dropped");
                dropped += 1;
            }
        }
    }
    println!("bit flips: {reported} reported, {dropped} in the unvouched tail");
    assert!(reported > 0 && dropped > 0);
}

#[test]
fn a_tail_torn_at_any_byte_ends_at_the_last_whole_frame() {
    let mut rig = Rig::ready();
    for len in [3, 200, 60] {
        assert!(rig.append(len));
    }
    rig.commit().unwrap();
    let durable = rig.log.durable();
    for len in [100, 0, 31] {
        assert!(rig.append(len));
    }
    rig.push().unwrap();
    let story = rig.told();
    let file = path(1);
    let offset = |lsn: Lsn| usize::try_from(lsn.0).unwrap() % SEGMENT as usize;
    for torn in offset(durable)..=offset(rig.stage.tail()) {
        for fill in [0, 0xff] {
            let sim = rig.sim.copy();
            sim.overwrite(&file, torn as u64, &vec![fill; offset(rig.stage.tail()) + 64 - torn]);
            let survey = look(&sim).unwrap();
            check_prefix(&story, &survey, durable).unwrap();
            let whole = story.written.iter().filter(|frame| offset(frame.end) <= torn).map(|frame| frame.end).max();
            // Zeros may happen to be what stood there.
            assert!(survey.end() >= whole.unwrap(), "torn={torn}");
            assert!(fill == 0 || survey.end() == whole.unwrap(), "torn={torn}");
            let reopened = Rig::on(&sim, &rig.story).unwrap();
            assert_eq!(reopened.log.durable(), survey.end());
            rig.story.replace(story.clone());
        }
    }
}

#[test]
fn a_missing_segment_is_reported() {
    let rig = long();
    for id in 1..=4 {
        let sim = rig.sim.copy();
        sim.delete_file(&path(id));
        reported(&sim, &path(id), &format!("segment {id} missing"));
    }
}

#[test]
fn a_segment_cut_short_is_reported() {
    let rig = long();
    for id in 1..=4 {
        for len in [0, 1, 4095, 4096, 4128, 30_000, 65_535] {
            let sim = rig.sim.copy();
            sim.truncate(&path(id), len);
            reported(&sim, &path(id), &format!("segment {id} cut to {len}"));
        }
    }
}

#[test]
fn damage_anywhere_in_a_sealed_segment_is_reported() {
    let rig = long();
    let mut rng = fastrand::Rng::with_seed(3);
    let written = rig.told().written;
    for id in 1..=3 {
        let last = written.iter().filter(|frame| rig.log.segment_of(frame.start) == SegmentId(id)).map(|f| f.end).max();
        let seal_end = last.unwrap().0 % u64::from(SEGMENT) + 32;
        for _ in 0..300 {
            let sim = rig.sim.copy();
            let at = rng.u64(..seal_end);
            sim.flip_bit(&path(id), at, rng.u8(..8));
            reported(&sim, &path(id), &format!("segment {id} flipped at {at}"));
        }
    }
}

#[test]
fn a_damaged_header_of_a_segment_in_use_is_reported() {
    let rig = long();
    for id in 1..=4 {
        for at in [0, 8, 20, 33, 50, 64, 2000, 4095] {
            let sim = rig.sim.copy();
            sim.flip_bit(&path(id), at, 3);
            reported(&sim, &path(id), &format!("header of {id} at {at}"));
        }
    }
}

#[test]
fn a_segment_of_another_log_is_reported() {
    let rig = long();
    let other = SimDisk::new();
    Identity::create(&*door(&other), &*random(77), SEGMENT).unwrap();
    let other = Rig::on(&other, &Rc::default()).unwrap();
    other.prepare().unwrap();
    for id in 1..=4 {
        let sim = rig.sim.copy();
        sim.write_file(&path(id), &other.sim.read_file(&path(id)));
        reported(&sim, &path(id), &format!("foreign segment {id}"));
    }
    // Also where nothing of ours is: somebody has mixed up two directories.
    let sim = rig.sim.copy();
    sim.write_file(&path(7), &other.sim.read_file(&path(1)));
    reported(&sim, &path(7), "foreign prepared segment");
}

#[test]
fn two_swapped_segments_are_reported() {
    let rig = long();
    for (a, b) in [(1, 2), (2, 3), (3, 4), (1, 4)] {
        let sim = rig.sim.copy();
        let (first, second) = (sim.read_file(&path(a)), sim.read_file(&path(b)));
        sim.write_file(&path(a), &second);
        sim.write_file(&path(b), &first);
        let error = open(&sim).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let text = error.to_string();
        assert!(text.contains(&path(a)) || text.contains(&path(b)), "{a} and {b}: {error}");
    }
}

#[test]
fn an_older_copy_of_a_sealed_segment_is_reported() {
    let mut rig = Rig::ready();
    let mut copies = Vec::new();
    while rig.log.current() < SegmentId(3) {
        assert!(rig.append(2500));
        rig.commit().unwrap();
        rig.prepare().unwrap();
        let current = rig.log.current().0;
        copies.push((current, rig.sim.read_file(&path(current))));
    }
    for (id, copy) in copies.iter().filter(|(id, _)| *id < 3) {
        let sim = rig.sim.copy();
        sim.write_file(&path(*id), copy);
        // The last copy of each may be complete but for its seal; all are older.
        reported(&sim, &path(*id), &format!("older copy of {id}"));
    }
}

#[test]
fn an_older_copy_of_the_last_segment_is_reported_where_a_checkpoint_vouches() {
    let mut rig = Rig::ready();
    for _ in 0..3 {
        assert!(rig.append(100));
        rig.commit().unwrap();
    }
    let older = rig.sim.read_file(&path(1));
    for _ in 0..3 {
        assert!(rig.append(100));
        rig.commit().unwrap();
    }
    let checkpoint = rig.log.durable();
    rig.sim.write_file(&path(1), &older);
    let mut survey = look(&rig.sim).unwrap();
    let error = survey.vouch(checkpoint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&path(1)), "{error}");
}

#[test]
fn damage_before_a_frame_that_vouches_for_more_is_never_a_torn_tail() {
    let mut rig = Rig::ready();
    for _ in 0..6 {
        assert!(rig.append(500));
        rig.commit().unwrap();
    }
    let written = rig.told().written;
    // The last frame vouches for everything before it, so only itself can be taken for torn.
    for (nth, frame) in written.iter().enumerate() {
        let sim = rig.sim.copy();
        sim.overwrite(&path(1), frame.start.0 % u64::from(SEGMENT), &[0; 48]);
        if nth + 1 < written.len() {
            reported(&sim, &path(1), &format!("frame {nth}"));
        } else {
            let survey = look(&sim).unwrap();
            assert_eq!(survey.end(), frame.start);
        }
    }
}

#[test]
fn leftovers_do_not_block_opening_and_are_cleared() {
    let rig = long();
    let sim = &rig.sim;
    sim.write_file("log/next.tmp", b"half");
    sim.write_file("format.tmp", b"half");
    sim.write_file("log/spare-3", &vec![9; SEGMENT as usize]);
    sim.write_file("log/spare-9", b"short");
    let ready = rig.log.ready_through().0;
    // Prepared, but with nothing or old bytes in place of a header: a crash of another kind of file system.
    sim.write_file(&path(ready + 1), &vec![0; SEGMENT as usize]);
    sim.write_file(&path(ready + 2), &sim.read_file(&path(1)));
    sim.write_file(&path(ready + 4), &sim.read_file(&path(ready)));
    sim.write_file("log/notes.txt", b"of the owner");
    let durable = rig.log.durable();
    let rig = rig.reopen().unwrap();
    assert_eq!(rig.log.durable(), durable);
    assert_eq!(rig.log.ready_through(), SegmentId(ready));
    let names = rig.sim.file_names();
    for gone in ["log/next.tmp", "log/spare-9", &path(ready + 1), &path(ready + 2), &path(ready + 4)] {
        assert!(!names.contains(&gone.to_owned()), "{gone} in {names:?}");
    }
    assert!(names.contains(&"log/notes.txt".to_owned()) && names.contains(&"log/spare-3".to_owned()), "{names:?}");
    rig.log.make_segment(1).unwrap();
    assert!(!rig.sim.file_names().contains(&"log/spare-3".to_owned()), "the spare is used");
}

#[test]
fn a_trimmed_segment_that_came_back_is_not_corruption() {
    let mut rig = long();
    let image = rig.sim.copy();
    rig.trim(false).unwrap();
    rig.trim(false).unwrap();
    let durable = rig.log.durable();
    let zeros = vec![0; SEGMENT as usize];
    for (first, second) in [
        (Some(image.read_file(&path(1))), Some(image.read_file(&path(2)))),
        (None, Some(image.read_file(&path(2)))),
        (Some(image.read_file(&path(1))), None),
        (Some(zeros.clone()), Some(zeros.clone())),
        (Some(image.read_file(&path(2))), Some(vec![1; 7])),
        (None, Some(zeros)),
    ] {
        let sim = rig.sim.copy();
        for (id, content) in [(1, &first), (2, &second)] {
            if let Some(content) = content {
                sim.write_file(&path(id), content);
            }
        }
        let survey = look(&sim).unwrap();
        assert_eq!(survey.oldest(), SegmentId(3));
        check_prefix(&rig.told(), &survey, durable).unwrap();
        let reopened = Rig::on(&sim, &Rc::new(RefCell::new(rig.told()))).unwrap();
        assert_eq!(reopened.log.oldest(), SegmentId(3));
        let names = sim.crash_image(sim.ops(), CrashMode::DropUnsynced).file_names();
        assert!(!names.contains(&path(1)) && !names.contains(&path(2)), "{names:?}");
    }
    // Without the mark it is.
    let sim = rig.sim.copy();
    sim.write_file(&path(2), &[1; 9]);
    let disk = door(&sim);
    let survey = Survey::look(&disk, &Identity::read(&*disk).unwrap().unwrap()).unwrap();
    assert_eq!(survey.walk(survey.start(), &mut |_| Ok(())).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(survey.repair(random(1), 1, true).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_segment_missing_behind_the_trim_mark_is_reported() {
    let mut rig = long();
    rig.trim(true).unwrap();
    let sim = rig.sim.copy();
    sim.delete_file(&path(2));
    reported(&sim, &path(2), "segment 2 missing behind the mark");
}

#[test]
fn a_damaged_format_file_is_reported_bit_by_bit() {
    let rig = Rig::new();
    let bytes = rig.sim.read_file("format");
    for bit in 0..bytes.len() * 8 {
        let sim = rig.sim.copy();
        sim.flip_bit("format", bit as u64 / 8, (bit % 8) as u8);
        let error = Identity::read(&*door(&sim)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}");
        assert!(error.to_string().contains("format"), "{error}");
    }
    for len in 0..bytes.len() {
        let sim = rig.sim.copy();
        sim.truncate("format", len as u64);
        let error = Identity::read(&*door(&sim)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut to {len}");
        assert!(error.to_string().contains(&format!("offset={len}")), "{error}");
    }
}

#[test]
fn a_newer_format_says_so_and_a_longer_file_is_fine() {
    let rig = Rig::new();
    let identity = Identity::read(&*door(&rig.sim)).unwrap().unwrap();
    let newer = Identity { version: 9, min_reader: 2, ..identity.clone() };
    rig.sim.write_file("format", &newer.encode());
    let error = Identity::read(&*door(&rig.sim)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
    assert!(error.to_string().contains("update the program"), "{error}");
    let readable = Identity { version: 9, ..identity };
    let mut bytes = readable.encode().to_vec();
    bytes.extend([1; 100]);
    rig.sim.write_file("format", &bytes);
    assert_eq!(Identity::read(&*door(&rig.sim)).unwrap(), Some(readable));
}

#[test]
fn a_missing_format_file_is_never_made_anew_beside_segments() {
    let rig = Rig::new();
    rig.sim.delete_file("format");
    let disk = door(&rig.sim);
    assert_eq!(Identity::read(&*disk).unwrap(), None);
    let error = Identity::create(&*disk, &*random(3), SEGMENT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn odd_segment_lengths_are_refused() {
    for bytes in [0, 4096, (64 << 10) - 4096, (64 << 10) + 1, (64 << 10) + 8] {
        let error = Identity::create(&*door(&SimDisk::new()), &*random(3), bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn verify_lists_every_damage_and_goes_on_behind_it() {
    let rig = long();
    let disk = door(&rig.sim);
    let identity = Identity::read(&*disk).unwrap().unwrap();
    let clean = verify(&disk, &identity, None).unwrap();
    let frames = rig.told().written.len() as u64;
    assert_eq!((clean.segments, clean.damage.len()), (4, 0));
    assert_eq!((clean.frames, clean.records), (frames + 3, frames));
    assert_eq!(verify(&disk, &identity, Some((rig.log.oldest(), rig.log.durable()))).unwrap(), clean);

    // One frame in each of two segments, and a header.
    let hit = |id: u64| {
        rig.told().written.into_iter().filter(move |frame| frame.start.0 / u64::from(SEGMENT) == id).nth(2).unwrap()
    };
    for id in [1, 2] {
        rig.sim.flip_bit(&path(id), hit(id).start.0 % u64::from(SEGMENT) + 33, 0);
    }
    rig.sim.flip_bit(&path(3), 100, 0);
    for up_to in [None, Some(rig.log.durable())] {
        let found = verify(&disk, &identity, up_to.map(|lsn| (rig.log.oldest(), lsn))).unwrap();
        let damage: Vec<(String, u64)> = found.damage.into_iter().map(|damage| (damage.file, damage.offset)).collect();
        let at = |id: u64| (disk.display(&path(id)), hit(id).start.0 % u64::from(SEGMENT));
        assert_eq!(damage, [at(1), at(2), (disk.display(&path(3)), 0)]);
        assert_eq!(found.segments, 4);
        let third = rig.told().written.iter().filter(|frame| frame.start.0 / u64::from(SEGMENT) == 3).count() as u64;
        assert_eq!(found.frames, clean.frames - 2 - third - 1);
    }
    rig.sim.delete_file(&path(2));
    let found = verify(&disk, &identity, None).unwrap();
    assert!(found.damage.iter().any(|damage| damage.file.contains(&path(2)) && damage.what.contains("missing")));
}

#[test]
fn verify_takes_a_torn_tail_for_what_it_is_and_damage_before_it_for_damage() {
    let mut rig = Rig::ready();
    for _ in 0..4 {
        assert!(rig.append(500));
        rig.commit().unwrap();
    }
    let written = rig.told().written;
    let disk = door(&rig.sim);
    let identity = Identity::read(&*disk).unwrap().unwrap();
    let torn = rig.sim.copy();
    torn.overwrite(&path(1), written[4].start.0 % u64::from(SEGMENT) + 40, &[9; 8]);
    assert_eq!(verify(&door(&torn), &identity, None).unwrap().damage, []);
    // The owner knows it durable.
    assert_eq!(verify(&door(&torn), &identity, Some((rig.log.oldest(), rig.log.durable()))).unwrap().damage.len(), 1);
    let damaged = rig.sim.copy();
    damaged.overwrite(&path(1), written[2].start.0 % u64::from(SEGMENT) + 40, &[9; 8]);
    let damage = verify(&door(&damaged), &identity, None).unwrap().damage;
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].offset, written[2].start.0 % u64::from(SEGMENT));
    // Nothing there at all.
    assert_eq!(verify(&door(&SimDisk::new()), &identity, None).unwrap(), Verified::default());
}
