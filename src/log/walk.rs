//! Frames in order, across segments; and records by their place.
//!
//! # Invariants
//! * A visitor sees verified frames only; the first thing that does not verify below `to` is corruption, reported
//!   with file and offset.
//! * Where a segment ends without a seal below `to`, that is corruption too.
//!
//! Never here: where the log ends (`survey`).

use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::ids::{Lsn, Place, SegmentId};

use super::bytes::to_usize;
use super::commit::Raw;
use super::frame::{RECORD_HEADER_BYTES, Seed};
use super::parse::{self, Bad, Frame};
use super::segment::{Geometry, HEADER_BYTES, next};
use super::window::{PIECE, Window};

/// Who knows the segments of a log.
pub(super) trait Source {
    fn geometry(&self) -> Geometry;
    /// The file and the seed of its frames.
    fn segment(&self, id: SegmentId) -> Result<(Arc<dyn DiskFile>, Seed)>;
    /// For messages.
    fn shown(&self, id: SegmentId) -> String;
    /// Is the segment still in the chain? What was read of one that is not may be another's.
    fn holds(&self, id: SegmentId) -> bool;

    fn corrupt(&self, lsn: Lsn, what: impl std::fmt::Display) -> Error {
        let id = self.geometry().segment_of(lsn);
        if self.holds(id) { Error::corrupt(self.shown(id), self.geometry().offset(lsn), what) } else { self.gone(id) }
    }

    fn gone(&self, id: SegmentId) -> Error {
        Error::invalid(format!("file={}: the segment was removed from the log meanwhile; look again", self.shown(id)))
    }

    fn unreadable(&self, id: SegmentId, e: std::io::Error) -> Error {
        if self.holds(id) { Error::io(format!("cannot read {}", self.shown(id)), e) } else { self.gone(id) }
    }
}

/// Visits every frame that starts in `from..to`. Both are frame borders.
pub(super) fn walk(
    source: &impl Source,
    from: Lsn,
    to: Lsn,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
) -> Result<()> {
    walk_past(source, from, to, &mut |frame, damage| damage.map_or_else(|| visit(frame), Err))
}

/// The same; a frame with sound headers and a damaged body is shown too, with what is wrong. Then each record must be
/// asked whether it is sound.
pub(super) fn walk_past(
    source: &impl Source,
    from: Lsn,
    to: Lsn,
    visit: &mut dyn FnMut(&Frame<'_>, Option<Error>) -> Result<()>,
) -> Result<()> {
    let geometry = source.geometry();
    let mut at = from;
    while at < to {
        let id = geometry.segment_of(at);
        let (file, seed) = source.segment(id)?;
        let mut window = Window::new(file, geometry, id, seed, PIECE);
        let end = geometry.end(id).min(to);
        let mut sealed = false;
        while at < end && !sealed {
            let unreadable = |e| source.unreadable(id, e);
            let bad = match window.frame(at).map_err(unreadable)? {
                Ok(frame) => {
                    visit(&frame, None)?;
                    at = frame.end;
                    sealed = frame.is_seal();
                    continue;
                }
                Err(bad) => bad,
            };
            let damage = source.corrupt(at, bad);
            match window.frame_of_headers(at).map_err(unreadable)? {
                Ok(frame) if matches!(bad, Bad::Body(_)) => {
                    visit(&frame, Some(damage))?;
                    at = frame.end;
                }
                _ if planted!(BadCrcEndsTheWalk) => return Ok(()),
                _ => return Err(damage),
            }
        }
        if sealed {
            at = geometry.first_frame(next(id));
        } else if at < to {
            return Err(source.corrupt(at, "the segment ends without a seal"));
        }
    }
    Ok(())
}

/// How many bytes of neighbours are read together, and the largest gap read for nothing.
const TOGETHER_BYTES: u64 = 1 << 20;
const GAP_BYTES: u64 = 16 << 10;

pub(super) fn read(source: &impl Source, place: Place, id: u64) -> Result<Raw> {
    let bytes = read_span(source, place.lsn, end_of(place))?;
    take_record(source, bytes, place, id)
}

/// Answers in the order of the question; neighbours share a read.
pub(super) fn read_many(source: &impl Source, wanted: &[(Place, u64)]) -> Vec<Result<Raw>> {
    let mut order: Vec<(usize, Place, u64)> =
        wanted.iter().enumerate().map(|(nth, (place, id))| (nth, *place, *id)).collect();
    order.sort_unstable_by_key(|(_, place, _)| place.lsn);
    let mut answers: Vec<(usize, Result<Raw>)> = Vec::with_capacity(wanted.len());
    let geometry = source.geometry();
    for group in order.chunk_by(|(_, a, _), (_, b, _)| {
        geometry.segment_of(a.lsn) == geometry.segment_of(b.lsn) && b.lsn.0 <= end_of(*a).0.saturating_add(GAP_BYTES)
    }) {
        read_group(source, group, &mut answers);
    }
    answers.sort_unstable_by_key(|(nth, _)| *nth);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn read_group(source: &impl Source, group: &[(usize, Place, u64)], answers: &mut Vec<(usize, Result<Raw>)>) {
    let mut rest = group;
    while let Some((_, first, _)) = rest.first() {
        let from = first.lsn;
        let fits = |(_, place, _): &&(usize, Place, u64)| end_of(*place).0 - from.0 <= TOGETHER_BYTES;
        let n = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at(n);
        rest = later;
        let end = now.iter().map(|(_, place, _)| end_of(*place)).max().unwrap_or(from);
        let span = read_span(source, from, end);
        for (nth, place, id) in now {
            let answer = span.as_ref().map_err(Error::clone).and_then(|span| {
                let at = to_usize(place.lsn.0 - from.0);
                let bytes = span.get(at..).and_then(|span| span.get(..place.len as usize)).unwrap_or_default();
                take_record(source, bytes.to_vec(), *place, *id)
            });
            // One bad place must not take its neighbours' answers with it.
            let answer = if n > 1 && answer.is_err() { read(source, *place, *id) } else { answer };
            answers.push((*nth, answer));
        }
    }
}

fn end_of(place: Place) -> Lsn {
    Lsn(place.lsn.0.saturating_add(u64::from(place.len)))
}

fn read_span(source: &impl Source, from: Lsn, to: Lsn) -> Result<Vec<u8>> {
    let geometry = source.geometry();
    let segment = geometry.segment_of(from);
    if geometry.offset(from) < HEADER_BYTES as u64
        || to > geometry.end(segment)
        || to.0 < from.0 + RECORD_HEADER_BYTES as u64
    {
        return Err(source.corrupt(from, "no record can lie here"));
    }
    let (file, _) = source.segment(segment)?;
    let mut bytes = vec![0; to_usize(to.0 - from.0)];
    match file.read_exact_at(&mut bytes, geometry.offset(from)) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(source.corrupt(from, "the file ends before the record does"));
        }
        Err(e) => return Err(source.unreadable(segment, e)),
    }
    // Asked after the read: bytes of a file that was recycled meanwhile are another segment's.
    if source.holds(segment) { Ok(bytes) } else { Err(source.gone(segment)) }
}

fn take_record(source: &impl Source, mut bytes: Vec<u8>, place: Place, id: u64) -> Result<Raw> {
    let kind = parse::record_alone(&bytes, id).map_err(|what| source.corrupt(place.lsn, what))?;
    bytes.drain(..RECORD_HEADER_BYTES);
    Ok(Raw { kind, body: bytes })
}
