//! A crash at every operation of the disk: what is recovered is a prefix that holds everything acknowledged.

use super::*;
use crate::disk::simulated::{Call, CrashMode};
use crate::testing::effort::counted;

/// One run of everything the log does, by a seed. Errors end a step, not the run.
pub(super) struct Run {
    pub(super) sim: SimDisk,
    pub(super) story: Rc<RefCell<Story>>,
    /// None while the directory is not open.
    pub(super) rig: Option<Rig>,
    rng: fastrand::Rng,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { sim: SimDisk::new(), story: Rc::default(), rig: None, rng }
    }

    /// A run without faults.
    fn done(seed: u64, steps: usize) -> Self {
        let mut run = Self::new(seed);
        for _ in 0..steps {
            run.step().unwrap();
        }
        run
    }

    pub(super) fn told(&self) -> Story {
        self.story.borrow().clone()
    }

    pub(super) fn step(&mut self) -> Result<()> {
        let Some(rig) = &mut self.rig else {
            self.rig = Some(Rig::on(&self.sim, &self.story)?);
            return Ok(());
        };
        match self.rng.u32(..100) {
            0..45 => {
                let longest = if self.rng.u32(..3) == 0 { 30_000 } else { 600 };
                let len = self.rng.usize(..longest);
                if !rig.append(len) {
                    rig.prepare()?;
                }
            }
            45..61 => {
                rig.push()?;
            }
            61..74 => {
                rig.commit()?;
            }
            // Without a push before: covers what was written, not what is staged.
            74..78 => {
                rig.sync()?;
            }
            78..83 => {
                rig.log.make_segment(rig.epoch)?;
            }
            83..92 => rig.trim(self.rng.u32(..3) > 0)?,
            92..97 => rig.log.drop_surplus(self.rng.u64(..4))?,
            97 => {
                rig.close()?;
                self.rig = None;
            }
            // The process dies, the system lives.
            _ => self.rig = None,
        }
        Ok(())
    }
}

pub(super) fn modes(seeds: u64) -> Vec<CrashMode> {
    let mut modes = vec![CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::StaleAfterFailedSync];
    for seed in 0..seeds {
        modes.extend([
            CrashMode::Torn { seed },
            CrashMode::Subset { seed },
            CrashMode::SizeKept { seed },
            CrashMode::Names { seed },
            CrashMode::Revived { seed },
        ]);
    }
    modes
}

pub(super) fn acknowledged(story: &Story, cut: usize) -> Lsn {
    story.acks.iter().filter(|(ops, _)| *ops <= cut).map(|(_, durable)| *durable).max().unwrap_or_default()
}

/// What opening finds. `None`: not even the format file, so nothing can have been acknowledged.
pub(super) fn found(image: &SimDisk, story: &Story, acknowledged: Lsn) -> std::result::Result<Option<Survey>, String> {
    if Identity::read(&*door(image)).map_err(|e| e.to_string())?.is_none() {
        return if acknowledged == Lsn(0) { Ok(None) } else { Err("the format file is gone".to_owned()) };
    }
    let survey = look(image).map_err(|e| format!("cannot look: {e}"))?;
    check_prefix(story, &survey, acknowledged)?;
    Ok(Some(survey))
}

/// Opens, and goes on: what was recovered stays, what is appended now is found too.
pub(super) fn goes_on(image: &SimDisk, story: &Story) -> std::result::Result<(), String> {
    let mut rig = Rig::on(image, &Rc::new(RefCell::new(story.clone()))).map_err(|e| format!("cannot open: {e}"))?;
    let recovered = rig.log.durable();
    let cut = image.crash_image(image.ops(), CrashMode::DropUnsynced);
    let survey = look(&cut).map_err(|e| format!("cannot look after repair: {e}"))?;
    if survey.end() != recovered {
        return Err(format!("after repair the log ends at {recovered}, after a power cut at {}", survey.end()));
    }
    check_prefix(&rig.told(), &survey, recovered)?;
    // Into the segments that were found prepared.
    let through = rig.log.ready_through();
    while rig.append_as(Flags::NONE, 14_000, Class::Carrying) {
        if rig.log.segment_of(rig.stage.tail()) == through {
            break;
        }
    }
    rig.commit().map_err(|e| e.to_string())?;
    rig.prepare().map_err(|e| e.to_string())?;
    assert!(rig.append(40));
    let durable = rig.commit().map_err(|e| e.to_string())?;
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
        let image = image.crash_image(image.ops(), mode);
        let survey = look(&image).map_err(|e| format!("cannot look after going on: {e}"))?;
        check_prefix(&rig.told(), &survey, durable)?;
    }
    Ok(())
}

/// How much to do: times this factor, for long runs.
pub(super) fn effort() -> usize {
    std::env::var("BACKLOG_TEST_EFFORT").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

#[test]
fn a_crash_at_every_operation_keeps_all_that_was_acknowledged() {
    let mut images = 0;
    let mut met: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for seed in 0..4 * effort() as u64 {
        let run = Run::done(seed, 150);
        let (sim, story) = (&run.sim, run.told());
        for op in sim.trace() {
            let to = op.to.as_deref().unwrap_or_default();
            let what = match op.call {
                Some(Call::Rename) if to.contains("spare") => "recycled",
                Some(Call::Rename) if op.path.contains("spare") => "made from a spare",
                Some(Call::Rename) => "made new",
                Some(Call::Remove) if op.path.contains("spare") => "spare dropped",
                Some(Call::Remove) => "removed",
                _ => continue,
            };
            *met.entry(what).or_default() += 1;
        }
        let mut replayer = sim.replayer();
        loop {
            let cut = replayer.cut();
            let acknowledged = acknowledged(&story, cut);
            for mode in modes(2) {
                let image = replayer.image(mode);
                let outcome = found(&image, &story, acknowledged).and_then(|_| goes_on(&image, &story));
                if let Err(why) = outcome {
                    panic!(
                        "seed={seed} cut={cut} mode={mode:?} after {:?}: {why}",
                        cut.checked_sub(1).and_then(|n| sim.op(n))
                    );
                }
                images += 1;
            }
            if !replayer.advance() {
                break;
            }
        }
    }
    println!("on the way: {met:?}");
    counted("crash images of the log alone", images);
    assert_eq!(met.len(), 5, "the runs must meet everything: {met:?}");
}

#[test]
fn a_crash_inside_repair_is_harmless() {
    let mut images = 0;
    for seed in 0..3 * effort() as u64 {
        let run = Run::done(100 + seed, 120);
        let (sim, story) = (&run.sim, run.told());
        let mut rng = fastrand::Rng::with_seed(seed);
        for mode in modes(1) {
            // A process that dies leaves most to do.
            let cuts = if mode == CrashMode::KeepAll { 30 } else { 5 };
            for _ in 0..cuts {
                let cut = rng.usize(..=sim.ops());
                let first = sim.crash_image(cut, mode);
                let acknowledged = acknowledged(&story, cut);
                let before = found(&first, &story, acknowledged).unwrap().map(|survey| survey.end());
                let opened = Rig::on(&first, &Rc::new(RefCell::new(story.clone()))).unwrap();
                let served = opened.log.durable();
                assert!(before.is_none_or(|end| end == served));
                for inner in 0..=first.ops() {
                    for inner_mode in modes(1) {
                        let second = first.crash_image(inner, inner_mode);
                        let needed = if inner == first.ops() { served } else { acknowledged };
                        let outcome = found(&second, &story, needed).and_then(|_| goes_on(&second, &story));
                        if let Err(why) = outcome {
                            panic!(
                                "seed={seed} cut={cut} mode={mode:?} inner={inner} of {} {inner_mode:?}: {why}",
                                first.ops()
                            );
                        }
                        images += 1;
                    }
                }
            }
        }
    }
    counted("crash images inside the log's repair", images);
}

#[test]
fn repair_twice_is_the_same_as_once() {
    for seed in 0..6 {
        let run = Run::done(200 + seed, 100);
        let (sim, story) = (&run.sim, run.told());
        for mode in modes(2) {
            let image = sim.crash_image(sim.ops() - 3, mode);
            let once = Rig::on(&image, &Rc::new(RefCell::new(story.clone()))).unwrap();
            let (after_once, end) = (image.copy(), once.log.durable());
            // What stands behind a tail that is left stands there still.
            let remains = if once.stage.rest() == 0 { once.repaired.bytes_cut } else { 0 };
            let twice = once.reopen().unwrap();
            assert_eq!(twice.log.durable(), end, "seed={seed} {mode:?}");
            assert!(image.same_files(&after_once), "seed={seed} {mode:?}");
            assert_eq!(twice.repaired.bytes_cut, remains, "seed={seed} {mode:?}");
        }
    }
}

#[test]
fn looking_changes_nothing() {
    for seed in 0..4 {
        let sim = Run::done(300 + seed, 100).sim;
        for mode in modes(2) {
            let image = sim.crash_image(sim.ops() - 2, mode);
            let survey = look(&image).unwrap();
            frames_of(&survey).unwrap();
            assert_eq!(image.ops(), 0);
        }
    }
}
