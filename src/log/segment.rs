//! One file of the log: its name, its header block, and where a position lies.
//!
//! ```text
//! header block, 4096 bytes, little-endian
//! offset size
//!      0    8  magic "BKLGSEGM"
//!      8    4  format version (1)
//!     12    4  length of this block (4096)
//!     16   16  log id, as in the file `format`
//!     32    8  segment id
//!     40    8  base: the LSN of byte 0 = segment id × segment bytes
//!     48    4  segment bytes: the length of every segment of this log
//!     52    4  zero
//!     56    8  epoch: which opening of the directory made it (a note for people)
//!     64    8  salt: random, seeds the CRC of every frame in this segment
//!     72 4020  zero
//!   4092    4  CRC-32 of bytes 0..4092
//!   4096       first frame
//! ```
//!
//! # Invariants
//! * A segment has its full length from birth and never changes it.
//! * Each use of a file, also a recycled one, has a salt of its own: frames of its earlier life do not parse.
//!
//! Never here: the frames (`frame`, `parse`), which segments there are (`chain`).

use crate::ids::{Lsn, SegmentId};

use super::bytes::{put, u32_at, u64_at, u128_at};

/// Bytes before the first frame of a segment.
pub(super) const HEADER_BYTES: usize = 4096;
/// Version of header block and frames; also the newest that this release reads.
pub(super) const FORMAT_VERSION: u32 = 1;
/// The folder of all files made here.
pub(super) const FOLDER: &str = "log";

const MAGIC: &[u8; 8] = b"BKLGSEGM";
const CRC_AT: usize = HEADER_BYTES - 4;
pub(super) const SALT_AT: usize = 64;

/// What position lies where. All segments have one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    segment_bytes: u32,
}

impl Geometry {
    pub(super) fn new(segment_bytes: u32) -> Self {
        Self { segment_bytes }
    }

    pub(super) fn segment_bytes(self) -> u32 {
        self.segment_bytes
    }

    /// LSN of the segment's byte 0; also where the segment before it ends.
    pub(super) fn base(self, id: SegmentId) -> Lsn {
        Lsn(id.0.saturating_mul(u64::from(self.segment_bytes)))
    }

    pub(super) fn end(self, id: SegmentId) -> Lsn {
        self.base(next(id))
    }

    pub(super) fn first_frame(self, id: SegmentId) -> Lsn {
        Lsn(self.base(id).0.saturating_add(HEADER_BYTES as u64))
    }

    pub(super) fn segment_of(self, lsn: Lsn) -> SegmentId {
        SegmentId(lsn.0 / u64::from(self.segment_bytes))
    }

    /// Offset in the file.
    pub(super) fn offset(self, lsn: Lsn) -> u64 {
        lsn.0 % u64::from(self.segment_bytes)
    }

    /// Bytes from `lsn` to the end of its segment.
    pub(super) fn room(self, lsn: Lsn) -> u64 {
        u64::from(self.segment_bytes) - self.offset(lsn)
    }
}

pub(super) fn next(id: SegmentId) -> SegmentId {
    SegmentId(id.0.saturating_add(1))
}

/// Path of a segment file: the one place where it is spelled.
pub(super) fn path(id: SegmentId) -> String {
    format!("{FOLDER}/{:016x}.seg", id.0)
}

/// Path of a file waiting to be used again.
pub(super) fn spare_path(number: u64) -> String {
    format!("{FOLDER}/spare-{number}")
}

/// The one temporary name of a segment that is being made.
pub(super) const TEMPORARY: &str = "log/next.tmp";

/// What a name in the folder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Segment(SegmentId),
    Spare(u64),
    Temporary,
    /// Not ours: left alone.
    Other,
}

pub(super) fn name(file: &str) -> Name {
    let spelled = |id: u64| path(SegmentId(id)).strip_prefix("log/") == Some(file);
    if TEMPORARY.strip_prefix("log/") == Some(file) {
        return Name::Temporary;
    }
    if let Some(hex) = file.strip_suffix(".seg") {
        return match u64::from_str_radix(hex, 16) {
            Ok(id) if spelled(id) => Name::Segment(SegmentId(id)),
            _ => Name::Other,
        };
    }
    match file.strip_prefix("spare-").map(str::parse) {
        Some(Ok(number)) if spare_path(number).ends_with(file) => Name::Spare(number),
        _ => Name::Other,
    }
}

/// The header block's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log_id: u128,
    pub(super) segment: SegmentId,
    pub(super) segment_bytes: u32,
    pub(super) epoch: u64,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; HEADER_BYTES];
        put(&mut block, 0, MAGIC);
        put(&mut block, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut block, 12, &4096_u32.to_le_bytes());
        put(&mut block, 16, &self.log_id.to_le_bytes());
        put(&mut block, 32, &self.segment.0.to_le_bytes());
        put(&mut block, 40, &Geometry::new(self.segment_bytes).base(self.segment).0.to_le_bytes());
        put(&mut block, 48, &self.segment_bytes.to_le_bytes());
        put(&mut block, 56, &self.epoch.to_le_bytes());
        put(&mut block, SALT_AT, &self.salt.to_le_bytes());
        let crc = crc32fast::hash(block.get(..CRC_AT).unwrap_or_default());
        put(&mut block, CRC_AT, &crc.to_le_bytes());
        block
    }

    /// Says what is wrong with the block; whose it is, is judged by [`Header::belongs`].
    pub(super) fn decode(block: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "the header block is cut short";
        let sum = block.get(..CRC_AT).map(crc32fast::hash).ok_or(SHORT)?;
        if !block.starts_with(MAGIC) {
            return Err("the header block does not begin with the magic of a segment");
        }
        if u32_at(block, CRC_AT) != Some(sum) && !planted!(HeaderCrcUnchecked) {
            return Err("the header block does not match its CRC");
        }
        if u32_at(block, 8) != Some(FORMAT_VERSION) {
            return Err("the header block has another format version");
        }
        let read = || {
            let header = Self {
                log_id: u128_at(block, 16)?,
                segment: SegmentId(u64_at(block, 32)?),
                segment_bytes: u32_at(block, 48)?,
                epoch: u64_at(block, 56)?,
                salt: u64_at(block, SALT_AT)?,
            };
            Some(header)
        };
        read().ok_or(SHORT)
    }
}
