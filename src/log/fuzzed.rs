//! Any bytes as a segment, for the fuzzer: parsed, or first mended, so that what lies behind the checksums is reached.
//!
//! # Invariants
//! * A frame that verifies says the same when it is written anew: byte for byte.

use crate::ids::{Lsn, SegmentId};

use super::bytes::{put, to_u32, u32_at, u64_at};
use super::frame::{self, ALIGNMENT, Body, Draft, FRAME_HEADER_BYTES, FRAME_VERSION, RECORD_HEADER_BYTES, Seed};
use super::parse;
use super::segment::{Geometry, HEADER_BYTES, Header};

/// The segment the bytes are taken for: the one their first frame says.
fn segment_of(bytes: &[u8], segment_bytes: u32) -> SegmentId {
    let said = u64_at(bytes, 16).map_or(1, |lsn| lsn / u64::from(segment_bytes));
    SegmentId(said.clamp(1, 1 << 32))
}

/// Parses what may stand behind the header of a segment. Gives how many frames and records verified.
pub(crate) fn parse_all(bytes: &[u8], salt: u64, segment_bytes: u32) -> (u64, u64) {
    let (geometry, seed) = (Geometry::new(segment_bytes), Seed::new(salt));
    let (mut frames, mut records) = (0, 0);
    let id = segment_of(bytes, segment_bytes);
    let (mut at, mut rest) = (geometry.first_frame(id), bytes);
    while rest.len() >= FRAME_HEADER_BYTES && geometry.segment_of(at) == id {
        let head = parse::head(rest, at, geometry.room(at));
        let frame = head.and_then(|head| parse::frame(rest, &head, &seed));
        let step = match frame {
            Ok(frame) => {
                frames += 1;
                records += write_anew(&frame, rest, &seed);
                usize::try_from(frame.end.0 - at.0).unwrap_or(ALIGNMENT)
            }
            Err(_) => ALIGNMENT,
        };
        at = Lsn(at.0 + step as u64);
        rest = rest.get(step..).unwrap_or_default();
    }
    (frames, records)
}

fn write_anew(frame: &parse::Frame<'_>, original: &[u8], seed: &Seed) -> u64 {
    let bodies: Vec<(u8, u64, Body)> =
        frame.records().map(|record| (record.kind, record.id, Body::new(record.body.to_vec()))).collect();
    let drafts: Vec<Draft<'_>> = bodies.iter().map(|(kind, id, body)| Draft { kind: *kind, id: *id, body }).collect();
    let mut out = Vec::new();
    let length = frame::encode(&mut out, seed, (frame.lsn, frame.durable), frame.flags, &drafts, |_, _| {});
    assert_eq!(Some(out.as_slice()), original.get(..length), "a frame that verified says something else written anew");
    drafts.len() as u64
}

/// Mends the checksums and positions of whatever has the shape of a frame, so that the rest of it is looked at.
pub(crate) fn mend(bytes: &mut [u8], salt: u64, segment_bytes: u32) {
    let (geometry, seed) = (Geometry::new(segment_bytes), Seed::new(salt));
    let id = segment_of(bytes, segment_bytes);
    let (mut at, mut start) = (geometry.first_frame(id), 0);
    while geometry.segment_of(at) == id {
        let Some(rest) = bytes.get_mut(start..) else { return };
        let step = mend_frame(rest, at, geometry.room(at), &seed).unwrap_or(ALIGNMENT);
        (at, start) = (Lsn(at.0 + step as u64), start + step);
    }
}

/// A whole segment file: header block, then frames. `None`: it has no sound header.
pub(crate) fn mend_segment(bytes: &mut [u8]) -> Option<()> {
    let header = Header::decode(bytes.get(..HEADER_BYTES)?).ok()?;
    let geometry = Geometry::new(header.segment_bytes);
    let seed = Seed::new(header.salt);
    let (mut at, mut start) = (geometry.first_frame(header.segment), HEADER_BYTES);
    while start + FRAME_HEADER_BYTES <= bytes.len() {
        let step = mend_frame(bytes.get_mut(start..)?, at, geometry.room(at), &seed).unwrap_or(ALIGNMENT);
        (at, start) = (Lsn(at.0 + step as u64), start + step);
    }
    Some(())
}

fn mend_frame(bytes: &mut [u8], lsn: Lsn, room: u64, seed: &Seed) -> Option<usize> {
    let length = usize::try_from(u32_at(bytes, 4)?).ok()?;
    let shaped = length >= FRAME_HEADER_BYTES && length.is_multiple_of(ALIGNMENT) && length <= bytes.len();
    if !shaped || *bytes.get(12)? != FRAME_VERSION {
        return None;
    }
    let bytes = bytes.get_mut(..length)?;
    put(bytes, 16, &lsn.0.to_le_bytes());
    parse::head(bytes, lsn, room).ok()?;
    let mut crc = seed.hasher();
    let mut records: Vec<usize> = Vec::new();
    let mut at = FRAME_HEADER_BYTES;
    while at < length {
        let body_len = usize::try_from(u32_at(bytes, at + 4)? >> 8).ok()?;
        let body = bytes.get(at + RECORD_HEADER_BYTES..)?.get(..body_len)?;
        let sum = crc32fast::hash(body);
        put(bytes, at, &sum.to_le_bytes());
        let end = at + RECORD_HEADER_BYTES + body_len;
        let next = at + RECORD_HEADER_BYTES + body_len.next_multiple_of(ALIGNMENT);
        bytes.get_mut(end..next)?.fill(0);
        records.push(at);
        at = next;
    }
    put(bytes, 8, &to_u32(records.len()).to_le_bytes());
    crc.update(bytes.get(4..FRAME_HEADER_BYTES)?);
    for at in records {
        crc.update(bytes.get(at..at + RECORD_HEADER_BYTES)?);
    }
    put(bytes, 0, &crc.finalize().to_le_bytes());
    Some(length)
}
