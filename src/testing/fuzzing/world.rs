//! A directory in memory with its own clock, and how to open it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ManualClock;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::engine::{Doors, Drive, Engine, IndexChoice, Settings, Source};
use crate::error::Result;
use crate::index::MemoryHandle;
use crate::random::SeededRandom;

use super::SEGMENT_BYTES;

const START_MS: u64 = 1_700_000_000_000;

#[derive(Clone)]
pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) memory: MemoryHandle,
    pub(super) seed: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(SimDisk::new())
    }

    pub(super) fn on(disk: SimDisk) -> Self {
        Self { disk, clock: Arc::new(ManualClock::new(START_MS)), memory: MemoryHandle::new(), seed: 1 }
    }

    /// With the saved index, or as if there were none.
    pub(super) fn open(&self, with_index: bool) -> Result<Engine> {
        let index = if with_index { IndexChoice::Memory(self.memory.clone()) } else { IndexChoice::None };
        let doors = Doors {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(SeededRandom::new(self.seed)),
            drive: Drive::Inline,
            index,
        };
        let settings = Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, ..Settings::default() };
        Engine::open(doors, settings)
    }

    /// What a crash now leaves, with another process' clock at the same time.
    pub(super) fn crashed(&self, mode: CrashMode) -> Self {
        Self {
            disk: self.disk.crash_image(self.disk.ops(), mode),
            clock: Arc::new(ManualClock::new(self.clock.wall_ms())),
            memory: self.memory.clone(),
            seed: self.seed.wrapping_add(1),
        }
    }
}

/// Every live job and cell, but for the nonces of the openings.
pub(super) fn dump(engine: &Engine) -> Result<String> {
    let mut out = Vec::new();
    Source::dump(&**engine, &mut out)?;
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(text
        .lines()
        .filter(|line| !line.starts_with("{\"cell\":2,"))
        .fold(String::new(), |text, line| text + line + "\n"))
}
