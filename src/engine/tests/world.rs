//! A small world to open engines in: simulated disk, manual clock, seeded randomness, an index that outlives handles.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ManualClock;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::engine::look::Source;
use crate::engine::{Doors, Drive, Durability, Engine, Grant, IndexChoice, LeaseKind, NewJob, Settings, Settle};
use crate::error::Result;
use crate::ids::{JobId, Millis};
use crate::index::MemoryHandle;
use crate::job::{Codec, ErrorCause};
use crate::random::SeededRandom;

pub(crate) const START_MS: u64 = 1_700_000_000_000;
pub(crate) const SEGMENT_BYTES: u32 = 64 << 10;

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: MemoryHandle,
    pub(crate) seed: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(), clock: Arc::new(ManualClock::new(START_MS)), memory: MemoryHandle::new(), seed }
    }

    pub(crate) fn doors(&self) -> Doors {
        Doors {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(SeededRandom::new(self.seed)),
            drive: Drive::Inline,
            index: IndexChoice::Memory(self.memory.clone()),
        }
    }

    pub(crate) fn settings() -> Settings {
        Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, ..Settings::default() }
    }

    pub(crate) fn try_open(&self) -> Result<Engine> {
        Engine::open(self.doors(), Self::settings())
    }

    /// With rule 11 switched off: nobody runs alone.
    pub(crate) fn open_without_turns(&self) -> Engine {
        Engine::open(self.doors(), Settings { suspects_alone: false, ..Self::settings() }).unwrap()
    }

    pub(crate) fn open(&self) -> Engine {
        self.try_open().unwrap()
    }

    /// The world as a crash right now leaves it.
    pub(crate) fn crashed(&self, mode: CrashMode) -> Self {
        self.cut(self.disk.ops(), mode)
    }

    /// The world as a crash after `cut` operations leaves it, with the index as it is now.
    pub(crate) fn cut(&self, cut: usize, mode: CrashMode) -> Self {
        Self {
            disk: self.disk.crash_image(cut, mode),
            clock: Arc::new(ManualClock::new(self.clock.wall_ms())),
            memory: self.memory.as_of(self.memory.saves()),
            seed: self.seed.wrapping_add(1),
        }
    }

    /// The same moment for another process: its own clock, the same time.
    pub(crate) fn cut_nothing(&self) -> Self {
        Self {
            clock: Arc::new(ManualClock::new(self.clock.wall_ms())),
            seed: self.seed.wrapping_add(1),
            ..self.clone()
        }
    }

    pub(crate) fn without_index(&self) -> Self {
        Self { memory: MemoryHandle::new(), ..self.clone() }
    }
}

pub(crate) fn job(args: &str) -> NewJob {
    NewJob::new("count", Codec::Raw, args.as_bytes().to_vec())
}

pub(crate) trait Verbs {
    fn add(&self, job: NewJob) -> JobId;
    fn add_many(&self, jobs: Vec<NewJob>) -> Vec<JobId>;
    fn take(&self) -> Option<Grant>;
    fn take_some(&self, n: usize) -> Vec<Grant>;
    fn ack(&self, grant: &Grant) -> bool;
    fn end(&self, grant: &Grant, how: Settle) -> bool;
    fn text(&self) -> String;
    fn idle(&self);
}

impl Verbs for Engine {
    fn add(&self, job: NewJob) -> JobId {
        self.add_many(vec![job])[0]
    }

    fn add_many(&self, jobs: Vec<NewJob>) -> Vec<JobId> {
        let (answers, ticket) = self.enqueue(jobs, Durability::Sync).unwrap();
        self.wait(ticket).unwrap();
        answers.into_iter().map(|answer| answer.id).collect()
    }

    fn take(&self) -> Option<Grant> {
        self.take_some(1).pop()
    }

    fn take_some(&self, n: usize) -> Vec<Grant> {
        self.claim(&[], n, LeaseKind::Pool).unwrap()
    }

    fn ack(&self, grant: &Grant) -> bool {
        self.end(grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() })
    }

    fn end(&self, grant: &Grant, how: Settle) -> bool {
        match self.settle(grant, how).unwrap() {
            Some(ticket) => {
                self.wait(ticket).unwrap();
                true
            }
            None => false,
        }
    }

    /// Every live job and cell, but for the nonces of the openings.
    fn text(&self) -> String {
        dump_of(&**self)
    }

    /// The services' turn: time, segments, compaction, until none has anything to do.
    fn idle(&self) {
        self.promote_due().unwrap();
        self.expire_leases().unwrap();
        while self.make_step().unwrap() {}
        while matches!(self.compact_step(), Ok(true)) {}
    }
}

pub(crate) fn dump_of(source: &impl Source) -> String {
    let mut out = Vec::new();
    source.dump(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().filter(|line| !line.starts_with("{\"cell\":2,")).fold(String::new(), |all, line| all + line + "\n")
}

pub(crate) fn nack(error: &str) -> Settle {
    Settle::Nack { error: error.to_owned(), cause: ErrorCause::Failed, retry_after: None, duration: None }
}

pub(crate) fn at(ms_from_start: u64) -> Millis {
    Millis(START_MS + ms_from_start)
}
