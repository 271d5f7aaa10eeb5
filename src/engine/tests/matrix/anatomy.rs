//! Where the frames of an undamaged log lie, what each vouches for, and so: what must come of damage to its bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::{Clock, ManualClock};
use crate::disk::Disk;
use crate::disk::simulated::SimDisk;
use crate::engine::ReadOnlyEngine;
use crate::ids::{JobId, Lsn, Place};
use crate::index::MemoryHandle;
use crate::job::{self, Record};
use crate::log::{Identity, RecordView, Survey};

use super::super::world::{SEGMENT_BYTES, World};
use super::served::{Served, idempotency_keys};
use super::story::Story;

pub(super) const HEADER_BYTES: u64 = 4096;
pub(super) const LENGTH: u64 = SEGMENT_BYTES as u64;

/// A frame as it lies in its file.
pub(super) struct Laid {
    pub(super) segment: u64,
    pub(super) lsn: Lsn,
    pub(super) bytes: Range<u64>,
    pub(super) durable: Lsn,
    pub(super) flags: u8,
    pub(super) records: Vec<Written>,
}

/// A record as it was written.
pub(super) struct Written {
    pub(super) kind: u8,
    pub(super) id: u64,
    pub(super) place: Place,
    pub(super) body: Vec<u8>,
}

/// What an open serves, and what a read-only look shows.
pub(super) struct Right {
    pub(super) opened: Served,
    pub(super) keys: BTreeMap<JobId, String>,
    pub(super) looked: Served,
}

/// What must come of a damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// An error that names one of these files, and an offset in the range if that is known.
    Reported(Vec<String>, Option<Range<u64>>),
    /// The state at this position.
    State(Lsn),
    /// One or the other: frames of which not all is damaged may still vouch.
    ReportedOrState(String, Lsn),
}

/// A directory and all that is known of it.
pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) disk: SimDisk,
    pub(super) memory: MemoryHandle,
    pub(super) seed: u64,
    pub(super) now_ms: u64,
    pub(super) frames: Vec<Laid>,
    /// Behind the last frame.
    pub(super) end: Lsn,
    /// The highest position that a frame knew to be durable.
    pub(super) vouched: Lsn,
    /// By the position the log is cut at; positions in the last segment only.
    pub(super) right: BTreeMap<Lsn, Right>,
    pub(super) args: BTreeMap<JobId, Vec<u8>>,
    pub(super) copies: Vec<BTreeMap<String, Vec<u8>>>,
}

pub(super) fn path(segment: u64) -> String {
    format!("log/{segment:016x}.seg")
}

pub(super) fn offset(lsn: Lsn) -> u64 {
    lsn.0 % LENGTH
}

fn written(record: RecordView<'_>) -> Written {
    Written { kind: record.kind, id: record.id, place: record.place, body: record.body.to_vec() }
}

fn lay(disk: &SimDisk) -> Vec<Laid> {
    let disk: Arc<dyn Disk> = Arc::new(disk.copy());
    let survey = Survey::look(&disk, &Identity::read(&*disk).unwrap().unwrap()).unwrap();
    let mut frames = Vec::new();
    survey
        .walk(survey.start(), &mut |frame| {
            frames.push(Laid {
                segment: frame.lsn.0 / LENGTH,
                lsn: frame.lsn,
                bytes: offset(frame.lsn)..offset(frame.lsn) + (frame.end.0 - frame.lsn.0),
                durable: frame.durable,
                flags: frame.flags,
                records: frame.records().map(written).collect(),
            });
            Ok(())
        })
        .unwrap();
    frames
}

impl Template {
    pub(super) fn of(name: &'static str, story: Story) -> Self {
        let Story { world, seen, args, copies } = story;
        let frames = lay(&world.disk);
        let last = frames.last().unwrap();
        let end = Lsn(last.lsn.0 + last.bytes.end - last.bytes.start);
        let vouched = frames.iter().map(|frame| frame.durable).max().unwrap();
        let mut template = Self {
            name,
            disk: world.disk.copy(),
            memory: world.memory.clone(),
            seed: world.seed + 1,
            now_ms: world.clock.wall_ms(),
            end,
            vouched,
            frames,
            right: BTreeMap::new(),
            args,
            copies,
        };
        template.cut_everywhere();
        template.compare_with(&seen);
        template
    }

    /// The segment that the log ends in.
    pub(super) fn last_segment(&self) -> u64 {
        self.frames.last().unwrap().segment
    }

    pub(super) fn oldest(&self) -> u64 {
        self.frames[0].segment
    }

    pub(super) fn world(&self, disk: SimDisk, memory: MemoryHandle) -> World {
        World { disk, clock: Arc::new(ManualClock::new(self.now_ms)), memory, seed: self.seed }
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(ManualClock::new(self.now_ms))
    }

    /// Behind the frame that says that the segments before the oldest are given up: they are gone only because it was
    /// durable, so a log that ends before it lacks a segment.
    fn given_up_at(&self) -> Lsn {
        let says = |frame: &&Laid| {
            frame.records.iter().any(|record| match job::decode(record.kind, &record.body) {
                Ok(Record::Totals(totals)) => totals.trimmed_through + 1 == self.oldest(),
                _ => false,
            })
        };
        let first = self.frames.iter().find(says).unwrap();
        Lsn(first.lsn.0 + first.bytes.end - first.bytes.start)
    }

    /// What is right behind each frame of the last segment: all of the log before, nothing behind.
    fn cut_everywhere(&mut self) {
        let last = self.last_segment();
        let behind = |frame: &Laid| Lsn(frame.lsn.0 + frame.bytes.end - frame.bytes.start);
        let mut cuts: Vec<Lsn> = self.frames.iter().filter(|frame| frame.segment == last).map(behind).collect();
        if self.oldest() < last {
            cuts.push(Lsn(last * LENGTH + HEADER_BYTES));
        }
        let gone = self.given_up_at();
        for cut in cuts.into_iter().filter(|cut| *cut >= gone) {
            let disk = self.disk.copy();
            disk.overwrite(&path(last), offset(cut), &vec![0; (LENGTH - offset(cut)) as usize]);
            let door: Arc<dyn Disk> = Arc::new(disk.clone());
            let look = ReadOnlyEngine::open(&door, &self.clock()).unwrap();
            let (looked, troubles) = Served::read(&look, look.counts());
            assert!(troubles.is_empty(), "{troubles:?}");
            let engine = self.world(disk, MemoryHandle::new()).open();
            let (opened, troubles) = Served::read(&*engine, engine.counts());
            assert!(troubles.is_empty(), "{troubles:?}");
            engine.check_books().unwrap();
            self.right.insert(cut, Right { keys: idempotency_keys(&engine), opened, looked });
        }
    }

    /// What the owner saw, and what he put in, is what the cuts show: so they do not only agree with themselves.
    fn compare_with(&self, seen: &BTreeMap<Lsn, Served>) {
        let mut compared = 0;
        for (cut, right) in &self.right {
            for (id, (_, args)) in right.opened.jobs.iter().chain(&right.looked.jobs) {
                assert_eq!(args, &self.args[id], "args of job {id} at lsn={cut}");
            }
            let Some(seen) = seen.get(cut) else { continue };
            for (id, job) in seen.at_rest() {
                assert_eq!(right.opened.jobs.get(id), Some(job), "job {id} at lsn={cut}");
            }
            assert!(right.opened.jobs.keys().all(|id| seen.jobs.contains_key(id)), "a new job at lsn={cut}");
            assert_eq!(right.opened.cells, seen.cells, "cells at lsn={cut}");
            assert_eq!(right.opened.any_difference(&right.looked), None, "a look at lsn={cut}");
            compared += 1;
        }
        assert!(compared > 20 && seen.contains_key(&self.end) | (self.name.contains("closed")), "compared={compared}");
    }

    pub(super) fn frame_at(&self, segment: u64, at: u64) -> Option<&Laid> {
        self.frames.iter().find(|frame| frame.segment == segment && frame.bytes.contains(&at))
    }

    /// One byte of a segment file is another one.
    pub(super) fn expect_byte(&self, segment: u64, at: u64) -> Expected {
        if segment > self.last_segment() {
            return Expected::State(self.end);
        }
        if at < HEADER_BYTES {
            return Expected::Reported(vec![path(segment)], Some(0..HEADER_BYTES));
        }
        match self.frame_at(segment, at) {
            None => Expected::State(self.end),
            Some(frame) if frame.lsn < self.vouched => {
                Expected::Reported(vec![path(segment)], Some(frame.bytes.clone()))
            }
            Some(frame) => Expected::State(frame.lsn),
        }
    }

    /// A segment file holds something else.
    pub(super) fn expect_content(&self, segment: u64, now: &[u8]) -> Expected {
        if segment > self.last_segment() {
            return Expected::State(self.end);
        }
        let before = self.disk.read_file(&path(segment));
        let same = |bytes: Range<usize>| now.get(bytes.clone()) == before.get(bytes);
        if now.len() < before.len() || !same(0..HEADER_BYTES as usize) {
            return Expected::Reported(vec![path(segment)], None);
        }
        let intact =
            |frame: &&Laid| frame.segment != segment || same(frame.bytes.start as usize..frame.bytes.end as usize);
        let Some(first) = self.frames.iter().find(|frame| !intact(frame)) else {
            return Expected::State(self.end);
        };
        let vouched = self.frames.iter().filter(intact).map(|frame| frame.durable).max().unwrap_or_default();
        if vouched > first.lsn {
            Expected::Reported(vec![path(segment)], Some(first.bytes.clone()))
        } else if first.lsn < self.given_up_at() {
            Expected::Reported(vec![path(segment), path(self.oldest() - 1)], None)
        } else {
            Expected::ReportedOrState(path(segment), first.lsn)
        }
    }
}
