//! The end of the log: V behind the last valid frame, L up to which somebody vouched for it.
//!
//! # Invariants
//! * L ≤ V. Bytes below L were synced; bytes in L..V may be shown by a page cache that the medium does not back.
//! * If the log ends behind a seal, the sealed segment may not be durable either: the seal's sync may have failed,
//!   or never begun. Only a frame in the next segment proves that it succeeded.
//! * A clean close counts only if nothing behind it parses: a later run may have pushed frames that were torn.
//!
//! Never here: making it true (`repair`).

use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::ids::{Lsn, SegmentId};

use super::files::open;
use super::folder::{Folder, Verdict, missing, unreadable};
use super::frame::{ALIGNMENT, Seed};
use super::parse::Frame;
use super::segment::{Geometry, next, path};
use super::sort::Sound;
use super::window::{PIECE, Window};

/// Where the log ends.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    geometry: Geometry,
    /// The segment of `end`.
    pub(super) segment: SegmentId,
    salt: u64,
    /// V.
    pub(super) end: Lsn,
    /// L.
    pub(super) vouched: Lsn,
    pub(super) clean: bool,
    /// Set if `segment` has no frame yet: where the segment before it ends, behind its seal.
    pub(super) seal_end: Option<Lsn>,
    /// Where the last remains of frames behind `end` end.
    pub(super) remains: Lsn,
}

impl Tail {
    /// Of a log without segments: it will begin with segment 1.
    pub(super) fn fresh(geometry: Geometry) -> Self {
        let segment = SegmentId(1);
        let end = geometry.first_frame(segment);
        Self { geometry, segment, salt: 0, end, vouched: end, clean: false, seal_end: None, remains: end }
    }

    /// The segment of the newest frames. Not told by `seal_end`: a seal that fills its segment to the last byte ends
    /// where the next one begins.
    pub(super) fn newest(&self) -> SegmentId {
        // Behind a seal, or beside an owner whose first frames there nobody vouches for yet.
        let is_empty = self.end <= self.geometry.first_frame(self.segment);
        if is_empty && self.segment.0 > 1 { SegmentId(self.segment.0 - 1) } else { self.segment }
    }

    /// Nothing behind L is looked at: its owner lives, and works on it.
    pub(super) fn stop_at_vouched(&mut self) {
        self.end = self.vouched;
        self.segment = self.geometry.segment_of(self.end);
        self.clean = false;
        self.seal_end = None;
        self.remains = self.end;
    }

    /// Looks behind V: for someone who vouches for more, and for remains of frames.
    pub(super) fn judge(&mut self, disk: &dyn Disk) -> Result<()> {
        let id = self.segment;
        let io = |e| unreadable(disk, id, e);
        let mut window = window(disk, self.geometry, id, self.salt)?;
        let mut at = self.end;
        while let Some(likely) = window.next_likely(at).map_err(io)? {
            if let Ok(head) = window.head(likely).map_err(io)? {
                self.remains = self.remains.max(Lsn(likely.0 + head.length as u64));
            }
            if let Some(head) = window.vouching(likely).map_err(io)? {
                self.clean = planted!(CleanInSpiteOfRemains, self.clean, false);
                if head.durable > self.end && !planted!(BadCrcEndsTheLog) {
                    let what = format!(
                        "no valid frame here, but the frame at offset {} knew the log durable up to lsn={}",
                        self.geometry.offset(likely),
                        head.durable
                    );
                    return Err(Error::corrupt(disk.display(&path(id)), self.geometry.offset(self.end), what));
                }
                // Between two frames of the torn tail somebody may vouch for a part of what is valid.
                self.vouched = self.vouched.max(planted!(VouchInTheTailUnseen, Lsn(0), head.durable));
            }
            at = Lsn(likely.0 + ALIGNMENT as u64);
        }
        Ok(())
    }
}

impl Tail {
    /// Whether a frame stands at the end whose headers are sound: then not the tail is torn, but a body damaged.
    pub(super) fn ends_before_headers(&self, disk: &dyn Disk) -> Result<bool> {
        let mut window = window(disk, self.geometry, self.segment, self.salt)?;
        let head = window.vouching(self.end).map_err(|e| unreadable(disk, self.segment, e))?;
        Ok(head.is_some())
    }
}

fn window(disk: &dyn Disk, geometry: Geometry, id: SegmentId, salt: u64) -> Result<Window> {
    let file: Arc<dyn DiskFile> = open(disk, &path(id), Access::Read)?;
    Ok(Window::new(file, geometry, id, Seed::new(salt), PIECE))
}

/// What a frame says of segments that were given up: through which one, if it says so.
pub(crate) type GivenUp<'a> = &'a dyn Fn(&Frame<'_>) -> Option<SegmentId>;

/// Walks T to its last valid frame, and over a seal into the next segment.
///
/// A segment goes only after the word that gives it up is durable: so a segment that is gone vouches for the first
/// frame that gave it up. (T's own first frame only repeats what earlier segments said.)
///
/// `passed`: frames with sound headers and a damaged body that somebody behind them vouches for. They are no end.
pub(super) fn find_end(
    disk: &dyn Disk,
    geometry: Geometry,
    folder: &Folder,
    top: Sound,
    given_up: GivenUp<'_>,
    passed: &[Lsn],
) -> Result<Tail> {
    let mut window = window(disk, geometry, top.id, top.salt)?;
    let start = geometry.first_frame(top.id);
    let (mut end, mut vouched) = (start, start);
    let oldest = folder.segments.first().map_or(top.id, |found| found.id);
    let mut said = None;
    let (mut clean, mut sealed) = (false, false);
    while !sealed {
        let io = |e| unreadable(disk, top.id, e);
        if passed.contains(&end) {
            let Ok(frame) = window.frame_of_headers(end).map_err(io)? else { break };
            (vouched, clean, end) = (vouched.max(frame.durable), false, frame.end);
            continue;
        }
        match window.frame(end).map_err(io)? {
            Err(_) => break,
            Ok(frame) => {
                vouched = vouched.max(frame.durable);
                let says = given_up(&frame);
                if says > said {
                    let is_gone = says < Some(oldest);
                    if is_gone && frame.lsn > start && !planted!(RemovalDoesNotVouch) {
                        vouched = vouched.max(frame.end);
                    }
                    said = says;
                }
                clean = frame.is_clean_close();
                sealed = frame.is_seal();
                end = frame.end;
            }
        }
    }
    let Sound { id: segment, salt } = top;
    if !sealed {
        return Ok(Tail { geometry, segment, salt, end, vouched, clean, seal_end: None, remains: end });
    }
    let segment = next(top.id);
    let salt = match folder.segment(segment) {
        None => return Err(missing(disk, segment)),
        Some(found) => match &found.verdict {
            Verdict::Sound(header) => header.salt,
            _ => return Err(found.error(disk)),
        },
    };
    let seal_end = Some(end);
    let end = geometry.first_frame(segment);
    Ok(Tail { geometry, segment, salt, end, vouched, clean: false, seal_end, remains: end })
}
