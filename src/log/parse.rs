//! Bytes as a verified frame: the only maker of [`Frame`].
//!
//! The checks, in this order, each before the next one reads further: the LSN field is the position · version ·
//! flags and length within bounds · records tile the frame · the seeded CRC · padding is zero · each body's CRC.
//!
//! # Invariants
//! * Takes any bytes: never panics, never reads or allocates by a length it has not bounded.
//! * A frame whose headers verify *vouches* for its durable LSN, whatever became of its bodies.
//!
//! Never here: reading the bytes from a file (`window`).

use std::fmt;

use crate::ids::{Lsn, Place};

use super::bytes::{u32_at, u64_at};
use super::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FRAME_VERSION, Flags, RECORD_HEADER_BYTES, SEAL_BYTES, Seed};

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    Short,
    Lsn,
    Version,
    Bounds,
    Crc,
    Records,
    Padding,
    /// With the offset of the record in the frame.
    Body(usize),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bad::Short => f.write_str("the file ends inside a frame"),
            Bad::Lsn => f.write_str("no frame where one must start (the LSN field is not the position)"),
            Bad::Version => f.write_str("unknown frame version"),
            Bad::Bounds => f.write_str("the frame's length or flags are out of bounds"),
            Bad::Crc => f.write_str("the frame's headers do not match their CRC"),
            Bad::Records => f.write_str("the records do not fill the frame"),
            Bad::Padding => f.write_str("padding is not zero"),
            Bad::Body(at) => write!(f, "a record body does not match its CRC (record at byte {at} of the frame)"),
        }
    }
}

/// A frame header that is plausible: right position, known version, length within bounds. Not yet verified.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) lsn: Lsn,
    pub(super) length: usize,
    pub(super) durable: Lsn,
    flags: u8,
    count: usize,
}

/// Judges the first 32 bytes at `lsn`, with `room` bytes to the end of the segment.
pub(super) fn head(bytes: &[u8], lsn: Lsn, room: u64) -> Result<Head, Bad> {
    let length_field = u32_at(bytes, 4).ok_or(Bad::Short)?;
    let count_field = u32_at(bytes, 8).ok_or(Bad::Short)?;
    let marks = u32_at(bytes, 12).ok_or(Bad::Short)?;
    let durable = u64_at(bytes, 24).ok_or(Bad::Short)?;
    if u64_at(bytes, 16) != Some(lsn.0) && !planted!(PositionUnchecked) {
        return Err(Bad::Lsn);
    }
    let [version, flags, zero_a, zero_b] = marks.to_le_bytes();
    if version != FRAME_VERSION && !planted!(VersionUnchecked) {
        return Err(Bad::Version);
    }
    let kept_free = if flags == Flags::SEAL { 0 } else { SEAL_BYTES as u64 };
    let length = length_field as usize;
    let count = count_field as usize;
    let empty_is_right = match flags {
        Flags::NONE => count > 0,
        Flags::CLOSED => true,
        Flags::SEAL => count == 0,
        _ => return Err(Bad::Bounds),
    };
    let bounded = length.is_multiple_of(ALIGNMENT)
        && length >= FRAME_HEADER_BYTES
        && u64::from(length_field).saturating_add(kept_free) <= room
        && count <= (length - FRAME_HEADER_BYTES) / RECORD_HEADER_BYTES
        && empty_is_right
        && (zero_a, zero_b) == (0, 0)
        && durable <= lsn.0;
    if !bounded {
        return Err(Bad::Bounds);
    }
    Ok(Head { lsn, length, durable: Lsn(durable), flags, count })
}

/// Verifies the headers of the frame that begins at byte 0; its bodies are not looked at.
pub(super) fn headers<'a>(bytes: &'a [u8], head: &Head, seed: &Seed) -> Result<&'a [u8], Bad> {
    let bytes = bytes.get(..head.length).ok_or(Bad::Short)?;
    let mut crc = seed.hasher();
    crc.update(bytes.get(planted!(CrcSkipsHeader, FRAME_HEADER_BYTES, 4)..FRAME_HEADER_BYTES).ok_or(Bad::Short)?);
    let mut rest = bytes.get(FRAME_HEADER_BYTES..).ok_or(Bad::Short)?;
    for _ in 0..head.count {
        let record = Record::split(rest).ok_or(Bad::Records)?;
        crc.update(planted!(CrcSkipsRecordHeaders, &[], record.header));
        rest = record.rest;
    }
    if !rest.is_empty() {
        return Err(Bad::Records);
    }
    if u32_at(bytes, 0) != Some(crc.finalize()) {
        return Err(Bad::Crc);
    }
    Ok(bytes)
}

/// The frame that begins at byte 0, of which only the headers are verified.
pub(super) fn frame_of_headers<'a>(bytes: &'a [u8], head: &Head, seed: &Seed) -> Result<Frame<'a>, Bad> {
    let bytes = headers(bytes, head, seed)?;
    let end = Lsn(head.lsn.0 + head.length as u64);
    Ok(Frame { lsn: head.lsn, end, durable: head.durable, flags: head.flags, bytes })
}

/// Verifies the whole frame that begins at byte 0.
pub(super) fn frame<'a>(bytes: &'a [u8], head: &Head, seed: &Seed) -> Result<Frame<'a>, Bad> {
    let bytes = headers(bytes, head, seed)?;
    let mut rest = bytes.get(FRAME_HEADER_BYTES..).ok_or(Bad::Short)?;
    while let Some(record) = Record::split(rest) {
        let at = head.length - rest.len();
        if record.padding.iter().any(|byte| *byte != 0) && !planted!(PaddingUnchecked) {
            return Err(Bad::Padding);
        }
        if crc32fast::hash(record.body) != record.body_crc && !planted!(BodyCrcUnchecked) {
            return Err(Bad::Body(at));
        }
        rest = record.rest;
    }
    let end = Lsn(head.lsn.0 + head.length as u64);
    Ok(Frame { lsn: head.lsn, end, durable: head.durable, flags: head.flags, bytes })
}

/// One record cut from the front of bytes; nothing verified but that it fits.
struct Record<'a> {
    header: &'a [u8],
    body_crc: u32,
    kind: u8,
    id: u64,
    body: &'a [u8],
    padding: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (header, after) = bytes.split_at_checked(RECORD_HEADER_BYTES)?;
        let (kind, body_len) = kind_and_length(header)?;
        let (body, after) = after.split_at_checked(body_len)?;
        let (padding, rest) = after.split_at_checked(body_len.next_multiple_of(ALIGNMENT) - body_len)?;
        Some(Self { header, body_crc: u32_at(header, 0)?, kind, id: u64_at(header, 8)?, body, padding, rest })
    }
}

fn kind_and_length(header: &[u8]) -> Option<(u8, usize)> {
    let word = u32_at(header, 4)?;
    let [kind, ..] = word.to_le_bytes();
    (kind != 0 || planted!(ZeroRecordAccepted)).then_some((kind, (word >> 8) as usize))
}

/// One record by itself, at a place that the index remembers: the kind, if header, id, length and CRC agree.
pub(super) fn record_alone(bytes: &[u8], id: u64) -> Result<u8, &'static str> {
    let (kind, body_len) = kind_and_length(bytes).ok_or("no record where one must start")?;
    if u64_at(bytes, 8) != Some(id) && !planted!(AnotherRecordAccepted) {
        return Err("another record than the one looked for");
    }
    match bytes.get(RECORD_HEADER_BYTES..) {
        Some(body) if body.len() == body_len => {
            if planted!(LoneRecordUnchecked) || u32_at(bytes, 0) == Some(crc32fast::hash(body)) {
                Ok(kind)
            } else {
                Err("a record body does not match its CRC")
            }
        }
        _ => Err("the record has another length than the one looked for"),
    }
}

/// A verified frame; of a damaged one that is passed over, only the headers are.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Where it starts.
    pub(crate) lsn: Lsn,
    /// Where the next one starts (behind a seal: nowhere, the log goes on in the next segment).
    pub(crate) end: Lsn,
    /// What was known durable when it was made.
    pub(crate) durable: Lsn,
    pub(crate) flags: u8,
    bytes: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    // Payloads never show in Debug.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame(lsn={} end={} durable={} flags={})", self.lsn, self.end, self.durable, self.flags)
    }
}

impl<'a> Frame<'a> {
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'a>> + use<'a> {
        let end = self.end;
        let mut rest = self.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        std::iter::from_fn(move || {
            let lsn = Lsn(end.0 - rest.len() as u64);
            let record = Record::split(rest)?;
            rest = record.rest;
            let place = Place { lsn, len: super::record_len(record.body.len()) };
            Some(RecordView { kind: record.kind, id: record.id, body: record.body, body_crc: record.body_crc, place })
        })
    }

    pub(super) fn is_seal(&self) -> bool {
        self.flags == Flags::SEAL
    }

    /// The last word of a clean close: everything before it was durable.
    pub(super) fn is_clean_close(&self) -> bool {
        self.flags == Flags::CLOSED && self.durable == self.lsn
    }
}

/// A record of a verified frame.
#[derive(Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: &'a [u8],
    body_crc: u32,
    pub(crate) place: Place,
}

impl RecordView<'_> {
    /// Whether the body matches its CRC; never in doubt but in a frame that was passed over as damaged.
    pub(crate) fn is_sound(&self) -> bool {
        crc32fast::hash(self.body) == self.body_crc
    }
}

impl fmt::Debug for RecordView<'_> {
    // Payloads never show in Debug.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordView(kind={} id={} lsn={} body={} bytes)", self.kind, self.id, self.place.lsn, self.body.len())
    }
}

/// Where a frame's header names its own LSN, which is never zero.
pub(super) const LSN_AT: usize = 16;

/// Could a frame start here? For scans: cheap, and false on zeros and on what an earlier life of the file left.
pub(super) fn carries_lsn(bytes: &[u8], lsn: Lsn) -> bool {
    u64_at(bytes, LSN_AT) == Some(lsn.0)
}
