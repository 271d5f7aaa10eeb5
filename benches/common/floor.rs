//! The floors: the same bytes appended and synced, with nothing around them.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Length of the file of a floor, and of the fresh space of one turn: a segment of the log.
const FILE_BYTES: usize = 32 << 20;

/// `bytes` written and synced with `fdatasync`, one after the other, into a file that was filled and synced before.
pub(crate) struct Floor {
    file: File,
    room: usize,
    syncs: Vec<Duration>,
}

impl Floor {
    /// What a reader of the figures must know of the file.
    pub(crate) const STATE: &str = "one file of 32 MiB, filled with zeros and synced before, written again and again";

    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let path = dir.join("floor");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        prefill(&mut file)?;
        Ok(Self { file, room: FILE_BYTES, syncs: Vec::new() })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.room {
            self.file.rewind()?;
            self.room = FILE_BYTES;
        }
        self.file.write_all(bytes)?;
        let started = Instant::now();
        self.file.sync_data()?;
        self.syncs.push(started.elapsed());
        self.room -= bytes.len();
        Ok(())
    }

    /// Appends per second of `bytes` each, over about `spell`.
    pub(crate) fn rate(&mut self, bytes: &[u8], spell: Duration) -> io::Result<f64> {
        let started = Instant::now();
        let mut n = 0_u32;
        while started.elapsed() < spell {
            self.append(bytes)?;
            n += 1;
        }
        Ok(f64::from(n) / started.elapsed().as_secs_f64())
    }

    /// What the syncs since the last call took.
    pub(crate) fn take_syncs(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.syncs)
    }
}

/// Appends per second of `bytes` each, synced one by one, into fresh space; making and filling the file counts.
pub(crate) fn fresh_batches_rate(dir: &Path, bytes: &[u8]) -> io::Result<f64> {
    let path = dir.join("floor-fresh");
    let started = Instant::now();
    let mut file = File::create(&path)?;
    prefill(&mut file)?;
    let mut n = 0_u32;
    for _ in 0..FILE_BYTES / bytes.len() {
        file.write_all(bytes)?;
        file.sync_data()?;
        n += 1;
    }
    let rate = f64::from(n) / started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Zeros from end to end, synced; stands at its start then.
fn prefill(file: &mut File) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES / zeros.len() {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    file.rewind()
}
