//! One verb as bytes: the atomic unit of the log.
//!
//! ```text
//! frame header, 32 bytes, little-endian            record, 16 bytes + body
//! offset size                                      offset size
//!      0    4  CRC-32, seeded (see below)               0    4  CRC-32 of the body, unseeded
//!      4    4  length: the whole frame, header          4    1  kind, never 0
//!              to the last record's padding             5    3  length of the body
//!      8    4  records, count                           8    8  id: a job's number, or 0
//!     12    1  version (1)                             16       body
//!     13    1  flags: 1 seal, 2 closed                          zeros up to the next multiple of 8
//!     14    2  zero
//!     16    8  LSN of byte 0 of this frame
//!     24    8  durable LSN: the highest known durable when the frame was made
//!     32       records, one behind the other
//! ```
//!
//! The frame's CRC runs over the segment's salt (8 bytes), frame header bytes 4..32, then every record header in
//! order. Bodies stand under their own CRC, which is made outside the engine's lock.
//!
//! # Invariants
//! * A frame lies in one segment, starts at a multiple of 8, and leaves 32 bytes behind it for the seal.
//! * A frame without records is a seal or a closed frame; a seal has none and is the last frame of its segment.
//! * All zero is never a frame (version, length), nor a record (kind).
//! * `durable ≤ lsn`.
//!
//! Never here: reading them back (`parse`), what kinds mean (`job::record`).

use std::fmt;

use crate::ids::{Lsn, Place};

use super::bytes::{put, to_u32};

pub(super) const FRAME_HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 16;
/// A seal is a bare frame header; so many bytes are kept free at the end of every segment.
pub(super) const SEAL_BYTES: usize = FRAME_HEADER_BYTES;
pub(super) const FRAME_VERSION: u8 = 1;
pub(super) const ALIGNMENT: usize = 8;
/// The body length is stored in three bytes.
pub(super) const BODY_BYTES_MAX: usize = (1 << 24) - 1;

/// Bits of a frame's flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags;

impl Flags {
    /// An ordinary frame.
    pub(crate) const NONE: u8 = 0;
    /// The last frame of its segment.
    pub(crate) const SEAL: u8 = 1;
    /// Everything before was durable, and the backlog was closed.
    pub(crate) const CLOSED: u8 = 2;
}

/// A record's body with its CRC, made before the engine's lock is taken.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Body {
    crc: u32,
    bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        assert!(bytes.len() <= BODY_BYTES_MAX, "a record body is bounded by `limits`");
        Self { crc: crc32fast::hash(&bytes), bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Body {
    // Payloads never show in Debug.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// A record to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    /// Not 0.
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: &'a Body,
}

/// Header and body, padding not: what [`Place::len`] says.
pub(crate) fn record_len(body_len: usize) -> u32 {
    to_u32(RECORD_HEADER_BYTES + body_len)
}

/// Bytes of a whole frame with these bodies.
pub(crate) fn frame_len(body_lens: impl Iterator<Item = usize>) -> usize {
    body_lens.fold(FRAME_HEADER_BYTES, |sum, len| sum + RECORD_HEADER_BYTES + len.next_multiple_of(ALIGNMENT))
}

/// What the CRC of every frame in a segment begins with.
#[derive(Debug, Clone)]
pub(super) struct Seed(crc32fast::Hasher);

impl Seed {
    pub(super) fn new(salt: u64) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&planted!(CrcUnsalted, 0, salt).to_le_bytes());
        Self(hasher)
    }

    pub(super) fn hasher(&self) -> crc32fast::Hasher {
        self.0.clone()
    }
}

/// Appends the frame's bytes to `out`; tells for each draft where its record lies. Gives the frame's length.
pub(super) fn encode(
    out: &mut Vec<u8>,
    seed: &Seed,
    (lsn, durable): (Lsn, Lsn),
    flags: u8,
    drafts: &[Draft<'_>],
    mut placed: impl FnMut(usize, Place),
) -> usize {
    let start = out.len();
    let length = frame_len(drafts.iter().map(|draft| draft.body.bytes.len()));
    out.reserve(length);

    let mut header = [0; FRAME_HEADER_BYTES];
    put(&mut header, 4, &to_u32(length).to_le_bytes());
    put(&mut header, 8, &to_u32(drafts.len()).to_le_bytes());
    put(&mut header, 12, &[FRAME_VERSION, flags]);
    put(&mut header, 16, &lsn.0.to_le_bytes());
    put(&mut header, 24, &durable.0.to_le_bytes());
    let mut crc = seed.hasher();
    crc.update(header.get(planted!(CrcSkipsHeader, FRAME_HEADER_BYTES, 4)..).unwrap_or_default());
    out.extend_from_slice(&header);

    for (nth, draft) in drafts.iter().enumerate() {
        let record = record_header(draft);
        crc.update(planted!(CrcSkipsRecordHeaders, &[], &record));
        let at = Lsn(lsn.0 + (out.len() - start) as u64);
        placed(nth, Place { lsn: at, len: record_len(draft.body.bytes.len()) });
        out.extend_from_slice(&record);
        out.extend_from_slice(&draft.body.bytes);
        out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
    }
    put(out.get_mut(start..).unwrap_or_default(), 0, &crc.finalize().to_le_bytes());
    debug_assert_eq!(out.len() - start, length);
    length
}

fn record_header(draft: &Draft<'_>) -> [u8; RECORD_HEADER_BYTES] {
    debug_assert_ne!(draft.kind, 0, "kind 0 marks unwritten bytes");
    let kind_and_length = (to_u32(draft.body.bytes.len()) << 8) | u32::from(draft.kind);
    let mut header = [0; RECORD_HEADER_BYTES];
    put(&mut header, 0, &draft.body.crc.to_le_bytes());
    put(&mut header, 4, &kind_and_length.to_le_bytes());
    put(&mut header, 8, &draft.id.to_le_bytes());
    header
}
