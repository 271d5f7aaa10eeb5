//! What the fuzz targets run: any bytes in, and nothing may panic, hang or break a promise.
//!
//! The targets themselves (`fuzz/`) are one line each; the same functions are replayed with seeds by
//! `tests/fuzz_corpus.rs` on a stable toolchain.
//!
//! * [`frames`]: bytes as what stands in a segment.
//! * [`records`]: bytes as the body of a record.
//! * [`log`]: bytes as damage to a directory, which is then opened.
//! * `program`: bytes as a program of verbs, maintenance and crashes.
//!
//! Not part of the public interface: no promise about it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what goes wrong here must stop the run"
)]

mod damage;
mod program;
mod world;

pub use damage::{log, log_seeds};
pub use program::{program, program_seeds};

use crate::job;
use crate::log::fuzzed;

const SEGMENT_BYTES: u32 = 64 << 10;

/// Bytes, one after the other; zeros behind the last.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The first byte says whether checksums are mended before, the next eight are the salt, then what stands in a segment.
/// Gives how many frames and records verified.
pub fn frames(data: &[u8]) -> (u64, u64) {
    let mut bytes = Bytes::new(data);
    let mend = bytes.u8() & 1 == 1;
    let salt = u64::from_le_bytes(std::array::from_fn(|_| bytes.u8()));
    let mut segment = bytes.0.to_vec();
    if mend {
        fuzzed::mend(&mut segment, salt, SEGMENT_BYTES);
    }
    fuzzed::parse_all(&segment, salt, SEGMENT_BYTES)
}

/// The first byte is the kind, the rest the body. Whether it can be read.
pub fn records(data: &[u8]) -> bool {
    let Some((kind, body)) = data.split_first() else { return false };
    let peeked = job::peek(body);
    let Ok(record) = job::decode(*kind, body) else { return false };
    if *kind == job::kind::JOB {
        let peeked = peeked.expect("what can be read can be peeked into");
        let _ = peeked.lane();
    }
    // Read, written, read: the same.
    let (again, bytes) = job::encode(&record);
    assert_eq!(again, *kind);
    let reread = job::decode(again, &bytes).expect("what was written can be read");
    assert_eq!(job::encode(&reread).1, bytes);
    true
}

/// Frames and records of a real log, to begin with.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    damage::segments().into_iter().map(|(salt, frames)| [&[0], &salt.to_le_bytes()[..], &frames].concat()).collect()
}

/// See [`frame_seeds`].
pub fn record_seeds() -> Vec<Vec<u8>> {
    damage::record_bodies()
}
