//! The promises of the log, kept on the simulated disk.
//!
//! [`Rig`] drives a log as the engine does: every segment begins with a frame that says what was trimmed, a segment
//! goes only when that mark is durable, and every frame carries a number of its own, so that what is recovered can be
//! compared with what was appended.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::simulated::SimDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Lsn, Place, SegmentId};
use crate::random::{Random, SeededRandom};

use super::repair::Repaired;
use super::stage::Appended;
use super::*;

mod commit;
mod crash;
mod damage;
mod faults;
mod golden;
mod make;
mod parsing;
mod recover;
mod stage;

const SEGMENT: u32 = 64 << 10;
/// Records of the rig: a numbered body, and the trim mark that begins each segment.
const NUMBERED: u8 = 3;
const TRIM: u8 = 2;

/// A frame as it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    start: Lsn,
    end: Lsn,
    /// The id of its one record.
    number: u64,
    body_len: usize,
}

/// What was done, apart from what is on disk: survives reopening.
#[derive(Debug, Default, Clone)]
struct Story {
    written: Vec<Written>,
    /// (operations of the disk so far, durable mark published then).
    acks: Vec<(usize, Lsn)>,
    next_number: u64,
    /// Highest trim mark that was ever staged.
    trim_staged: u64,
}

struct Rig {
    sim: SimDisk,
    story: Rc<RefCell<Story>>,
    log: Log,
    stage: Stage,
    repaired: Repaired,
    trimmed: u64,
    epoch: u64,
}

fn random(seed: u64) -> Arc<dyn Random> {
    Arc::new(SeededRandom::new(seed))
}

fn door(sim: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(sim.clone())
}

/// Looks at a directory and takes out what its newest trim mark gave up, as the engine does.
fn look(sim: &SimDisk) -> Result<Survey> {
    let disk = door(sim);
    let identity = Identity::read(&*disk)?.ok_or_else(|| Error::invalid("no format file"))?;
    let mut survey = Survey::look(&disk, &identity)?;
    if !survey.is_fresh() {
        let mut trimmed = 0;
        survey.walk(survey.newest_start(), &mut |frame| {
            for record in frame.records().filter(|record| record.kind == TRIM) {
                trimmed = record.id;
            }
            Ok(())
        })?;
        survey.trimmed_through(SegmentId(trimmed))?;
    }
    Ok(survey)
}

/// The body of the numbered record: its bytes follow from its number.
fn body_of(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(number).fill(&mut bytes);
    bytes
}

impl Rig {
    fn new() -> Self {
        Self::on(&SimDisk::new(), &Rc::default()).unwrap()
    }

    /// With all prepared segments that the engine keeps.
    fn ready() -> Self {
        let rig = Self::new();
        rig.prepare().unwrap();
        rig
    }

    /// With the reserve prepared and no more, as a directory stands that came to rest.
    fn at_rest() -> Self {
        let rig = Self::new();
        rig.prepare_ahead(RESERVE).unwrap();
        rig
    }

    fn on(sim: &SimDisk, story: &Rc<RefCell<Story>>) -> Result<Self> {
        let disk = door(sim);
        if Identity::read(&*disk)?.is_none() {
            Identity::create(&*disk, &*random(1), SEGMENT)?;
        }
        let survey = look(sim)?;
        let trimmed = survey.oldest().0 - 1;
        let epoch = story.borrow().next_number;
        let (log, stage, repaired) = survey.repair(random(2 + epoch), epoch, true)?;
        let rig = Self { sim: sim.clone(), story: Rc::clone(story), log, stage, repaired, trimmed, epoch };
        // What was staged and never pushed is gone, and was never on the disk.
        let tail = rig.stage.tail();
        rig.story.borrow_mut().written.retain(|frame| frame.end <= tail);
        rig.publish(rig.log.durable());
        Ok(rig)
    }

    fn reopen(self) -> Result<Self> {
        let Self { sim, story, .. } = self;
        Self::on(&sim, &story)
    }

    fn prepare(&self) -> Result<()> {
        self.prepare_ahead(RESERVE + 1)
    }

    fn prepare_ahead(&self, segments: u64) -> Result<()> {
        while self.log.ready_through().0 < self.log.segment_of(self.stage.tail()).0 + segments {
            self.log.make_segment(self.epoch)?;
        }
        Ok(())
    }

    /// What was done so far, as it stands now.
    fn told(&self) -> Story {
        self.story.borrow().clone()
    }

    fn publish(&self, durable: Lsn) {
        self.story.borrow_mut().acks.push((self.sim.ops(), durable));
    }

    /// Stages a frame with one numbered record; `false`: no room for it.
    fn append(&mut self, body_len: usize) -> bool {
        self.append_as(Flags::NONE, body_len, Class::Ordinary)
    }

    fn append_as(&mut self, flags: u8, body_len: usize, class: Class) -> bool {
        let frame_bytes = frame_len([body_len].into_iter());
        match self.stage.room(frame_bytes, frame_len([0].into_iter()), class) {
            Room::Here => {}
            Room::NextSegment => self.stage.rotate(),
            Room::Wait => return false,
        }
        if self.stage.tail() == self.log.first_frame(self.log.segment_of(self.stage.tail())) {
            self.stage_trim();
        }
        let number = self.story.borrow().next_number;
        self.story.borrow_mut().next_number += 1;
        let body = Body::new(body_of(number, body_len));
        let draft = Draft { kind: NUMBERED, id: number, body: &body };
        self.stage_one(flags, draft, number, body_len);
        true
    }

    fn stage_trim(&mut self) {
        let body = Body::new(Vec::new());
        self.stage_one(Flags::NONE, Draft { kind: TRIM, id: self.trimmed, body: &body }, u64::MAX, 0);
    }

    fn stage_one(&mut self, flags: u8, draft: Draft<'_>, number: u64, body_len: usize) {
        let durable = self.log.durable();
        let Appended { start, end } = self.stage.append(flags, &[draft], durable, |_, _| {});
        self.story.borrow_mut().written.push(Written { start, end, number, body_len });
    }

    fn push(&mut self) -> Result<Lsn> {
        let stage = &mut self.stage;
        self.log.push(|| stage.take())
    }

    fn sync(&mut self) -> Result<Lsn> {
        let durable = self.log.sync()?;
        self.publish(durable);
        Ok(durable)
    }

    fn commit(&mut self) -> Result<Lsn> {
        self.push()?;
        self.sync()
    }

    /// Gives the oldest segment up: mark, sync, removal.
    fn trim(&mut self, recycle: bool) -> Result<()> {
        let oldest = self.log.oldest();
        if oldest >= self.log.current() {
            return Ok(());
        }
        if self.trimmed < oldest.0 {
            self.trimmed = oldest.0;
            self.story.borrow_mut().trim_staged = oldest.0;
            if self.stage.room(frame_len([0].into_iter()), 0, Class::Carrying) == Room::Here {
                self.stage_trim();
            } else {
                return Ok(());
            }
        }
        self.commit()?;
        self.log.remove_oldest(oldest, fate(recycle))
    }

    fn close(&mut self) -> Result<()> {
        self.commit()?;
        let tail = self.stage.tail();
        assert_eq!(self.log.durable(), tail);
        if self.append_as(Flags::CLOSED, 16, Class::Carrying) {
            self.commit()?;
        }
        Ok(())
    }
}

/// All numbered frames of a survey, verified against the story. Gives the end.
fn frames_of(survey: &Survey) -> Result<Vec<(Lsn, Lsn, u64, Vec<u8>)>> {
    let mut found = Vec::new();
    survey.walk(survey.start(), &mut |frame| {
        found.extend(numbered(frame));
        Ok(())
    })?;
    Ok(found)
}

fn numbered(frame: &Frame<'_>) -> Option<(Lsn, Lsn, u64, Vec<u8>)> {
    let record = frame.records().find(|record| record.kind == NUMBERED)?;
    Some((frame.lsn, frame.end, record.id, record.body.to_vec()))
}

/// What was recovered is a prefix of what was appended, from some segment's start on, and holds everything below
/// `acknowledged`.
fn check_prefix(story: &Story, survey: &Survey, acknowledged: Lsn) -> std::result::Result<(), String> {
    let found = frames_of(survey).map_err(|e| format!("a frame below the end did not verify: {e}"))?;
    if survey.end() < acknowledged {
        return Err(format!("lost: the log ends at {}, acknowledged was {acknowledged}", survey.end()));
    }
    if survey.oldest().0 > story.trim_staged + 1 {
        return Err(format!("segments before {:?} are missing, trimmed was {}", survey.oldest(), story.trim_staged));
    }
    let expected = story
        .written
        .iter()
        .filter(|frame| frame.number != u64::MAX && frame.start >= survey.start() && frame.end <= survey.end());
    let mut found = found.into_iter();
    for frame in expected {
        let wanted = (frame.start, frame.end, frame.number, body_of(frame.number, frame.body_len));
        match found.next() {
            Some(same) if same == wanted => {}
            other => {
                let other = other.map(|(start, end, number, _)| (start, end, number));
                return Err(format!("expected {frame:?}, found {other:?}"));
            }
        }
    }
    match found.next() {
        None => Ok(()),
        Some((start, _, number, _)) => Err(format!("phantom: number {number} at {start}")),
    }
}

/// What becomes of a segment's file that is recycled, or is not.
fn fate(recycle: bool) -> Fate {
    if recycle { Fate::Spare } else { Fate::Gone }
}
