//! One segment, read forward in large pieces.
//!
//! # Invariants
//! * Holds one piece, or one frame where that is larger: never more than a segment.
//! * What it gives out is verified (`parse`).
//!
//! Never here: which segment comes next (`walk`).

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::ids::{Lsn, SegmentId};

use super::bytes::to_usize;
use super::frame::{ALIGNMENT, FRAME_HEADER_BYTES, Seed};
use super::parse::{self, Bad, Frame, Head, LSN_AT};
use super::segment::Geometry;

/// For reading on and on.
pub(super) const PIECE: usize = 1 << 20;
/// For a look at one frame.
pub(super) const GLIMPSE: usize = 4 << 10;

/// Zeros are passed over in strides of this many bytes.
const PAGE: usize = 4 << 10;

/// A frame, or why there is none.
pub(super) type Parsed<'a> = Result<Frame<'a>, Bad>;

#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    geometry: Geometry,
    segment: SegmentId,
    seed: Seed,
    piece: usize,
    buf: Vec<u8>,
    /// Offset in the file of the first byte in `buf`.
    start: u64,
}

impl Window {
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        geometry: Geometry,
        segment: SegmentId,
        seed: Seed,
        piece: usize,
    ) -> Self {
        Self { file, geometry, segment, seed, piece, buf: Vec::new(), start: 0 }
    }

    /// The frame at `lsn`, which must lie in this segment.
    pub(super) fn frame(&mut self, lsn: Lsn) -> io::Result<Parsed<'_>> {
        let head = match self.head(lsn)? {
            Ok(head) => head,
            Err(bad) => return Ok(Err(bad)),
        };
        let Self { seed, .. } = self;
        let seed = seed.clone();
        Ok(parse::frame(self.bytes(lsn, head.length)?, &head, &seed))
    }

    /// The frame at `lsn` by its headers alone: its bodies may be damaged.
    pub(super) fn frame_of_headers(&mut self, lsn: Lsn) -> io::Result<Parsed<'_>> {
        let head = match self.head(lsn)? {
            Ok(head) => head,
            Err(bad) => return Ok(Err(bad)),
        };
        let seed = self.seed.clone();
        Ok(parse::frame_of_headers(self.bytes(lsn, head.length)?, &head, &seed))
    }

    /// Does a frame whose headers verify start at `lsn`? Its bodies are not looked at.
    pub(super) fn vouching(&mut self, lsn: Lsn) -> io::Result<Option<Head>> {
        let Ok(head) = self.head(lsn)? else { return Ok(None) };
        let seed = self.seed.clone();
        let bytes = self.bytes(lsn, head.length)?;
        Ok(parse::headers(bytes, &head, &seed).is_ok().then_some(head))
    }

    /// The next position from `lsn` on that carries its own LSN as a frame would.
    pub(super) fn next_likely(&mut self, lsn: Lsn) -> io::Result<Option<Lsn>> {
        let end = self.geometry.end(self.segment);
        let mut at = lsn;
        while at.0 + FRAME_HEADER_BYTES as u64 <= end.0 {
            let bytes = self.bytes(at, self.piece)?;
            if bytes.len() < FRAME_HEADER_BYTES {
                return Ok(None);
            }
            let mut passed = 0;
            while let Some(header) = bytes.get(passed..passed + FRAME_HEADER_BYTES) {
                let lsn = Lsn(at.0 + passed as u64);
                if parse::carries_lsn(header, lsn) {
                    return Ok(Some(lsn));
                }
                // Most of what is looked through was never written: zeros carry no LSN, and are told by the page.
                let page = bytes.get(passed + LSN_AT..passed + LSN_AT + PAGE).filter(|_| passed.is_multiple_of(PAGE));
                passed += if page == Some(&[0; PAGE]) { PAGE } else { ALIGNMENT };
            }
            at = Lsn(at.0 + passed as u64);
        }
        Ok(None)
    }

    pub(super) fn head(&mut self, lsn: Lsn) -> io::Result<Result<Head, Bad>> {
        let room = self.geometry.room(lsn);
        Ok(parse::head(self.bytes(lsn, FRAME_HEADER_BYTES)?, lsn, room))
    }

    /// `n` bytes at `lsn`, fewer where the segment (or a file cut short) ends.
    fn bytes(&mut self, lsn: Lsn, n: usize) -> io::Result<&[u8]> {
        let at = self.geometry.offset(lsn);
        let n = n.min(to_usize(self.geometry.room(lsn)));
        let held = self.start + self.buf.len() as u64;
        if at < self.start || at + n as u64 > held {
            self.refill(at, n)?;
        }
        let from = to_usize(at - self.start);
        let held = self.buf.get(from..).unwrap_or_default();
        Ok(held.get(..n).unwrap_or(held))
    }

    fn refill(&mut self, at: u64, n: usize) -> io::Result<()> {
        // What is held already of the wanted bytes moves to the front; only the rest is read.
        let passed = at.checked_sub(self.start).map_or(usize::MAX, to_usize);
        let have = self.buf.len().saturating_sub(passed);
        self.buf.drain(..if have > 0 { passed } else { 0 });
        self.start = at;
        let room = to_usize(u64::from(self.geometry.segment_bytes()).saturating_sub(at));
        self.buf.resize(n.max(self.piece).min(room).max(have), 0);
        let mut filled = have;
        while let Some(free) = self.buf.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.file.read_at(free, at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.buf.truncate(filled);
                    return Err(e);
                }
            }
        }
        self.buf.truncate(filled);
        Ok(())
    }
}
