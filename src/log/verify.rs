//! The read-only check of a whole log: every frame, every body; damage is listed, and the walk goes on behind it.
//!
//! # Invariants
//! * Changes nothing. Memory is bounded by one segment.
//! * An unvouched tail is not damage. A segment that a living owner removes meanwhile is not damage.
//!
//! Never here: whether records make sense (`engine::verify`).

use std::sync::Arc;

use crate::disk::{Access, Disk};
use crate::error::{ErrorKind, Result};
use crate::ids::{Lsn, SegmentId};

use super::files::open;
use super::folder::{Folder, Found, Verdict, unreadable};
use super::frame::{ALIGNMENT, Seed};
use super::identity::Identity;
use super::segment::{Geometry, Header, next, path};
use super::sort::{Sound, top_segment};
use super::tail::find_end;
use super::window::{PIECE, Window};

/// One place that does not read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) what: String,
}

/// What the check counted and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) segments: u64,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) damage: Vec<Damage>,
}

/// Checks what is known of the log: from its oldest segment up to a position. Without that, everything there is up to
/// the end of the valid frames.
pub(crate) fn verify(disk: &Arc<dyn Disk>, identity: &Identity, known: Option<(SegmentId, Lsn)>) -> Result<Verified> {
    let mut folder = Folder::read(&**disk, identity)?;
    let (oldest, up_to) = known.map_or((SegmentId(0), None), |(oldest, up_to)| (oldest, Some(up_to)));
    // Leftovers of segments that were given up are no part of the log.
    folder.segments.retain(|found| found.id >= oldest);
    let geometry = Geometry::new(identity.segment_bytes);
    let mut check = Check { disk: &**disk, identity, geometry, up_to, verified: Verified::default() };
    let last = match up_to {
        Some(lsn) => Some(geometry.segment_of(lsn)).filter(|id| lsn > geometry.first_frame(*id)),
        None => check.last_with_frames(&folder)?,
    };
    let (Some(last), Some(first)) = (last, folder.segments.first().map(|found| found.id)) else {
        // With nothing written yet only the header blocks can be wrong.
        for found in &folder.segments {
            check.header(found);
        }
        // Or the very first frame, where the log is known to have begun.
        if check.verified.damage.is_empty()
            && let Err(e) = top_segment(&**disk, geometry, &folder)
        {
            let lowest = folder.segments.first().map_or(SegmentId(1), |found| found.id);
            check.report(lowest, geometry.offset(geometry.first_frame(lowest)), e.to_string());
        }
        return Ok(check.verified);
    };
    let mut id = first;
    while id <= last {
        match folder.segment(id) {
            Some(found) => check.segment(found, id == last)?,
            None if check.removed_meanwhile(id)? => {}
            None => check.report(id, 0, "the segment is missing"),
        }
        id = next(id);
    }
    if up_to.is_none() {
        check.behind(&folder, last)?;
    }
    Ok(check.verified)
}

struct Check<'a> {
    disk: &'a dyn Disk,
    identity: &'a Identity,
    geometry: Geometry,
    up_to: Option<Lsn>,
    verified: Verified,
}

impl Check<'_> {
    fn report(&mut self, id: SegmentId, offset: u64, what: impl Into<String>) {
        self.verified.damage.push(Damage { file: self.disk.display(&path(id)), offset, what: what.into() });
    }

    fn header(&mut self, found: &Found) -> Option<Header> {
        match &found.verdict {
            Verdict::Sound(header) => return Some(*header),
            Verdict::Broken { offset, what } => self.report(found.id, *offset, what),
            Verdict::Foreign(what) => self.report(found.id, 0, what),
        }
        None
    }

    fn window(&self, id: SegmentId, header: &Header) -> Result<Window> {
        let file = open(self.disk, &path(id), Access::Read)?;
        Ok(Window::new(file, self.geometry, id, Seed::new(header.salt), PIECE))
    }

    /// The highest segment in which some frame verifies at its start.
    fn last_with_frames(&self, folder: &Folder) -> Result<Option<SegmentId>> {
        for found in folder.segments.iter().rev() {
            if let Verdict::Sound(header) = &found.verdict {
                let mut window = self.window(found.id, header)?;
                let first = window.frame(self.geometry.first_frame(found.id));
                if first.map_err(|e| unreadable(self.disk, found.id, e))?.is_ok() {
                    return Ok(Some(found.id));
                }
            }
        }
        Ok(None)
    }

    fn segment(&mut self, found: &Found, last: bool) -> Result<()> {
        let before = self.verified.clone();
        let walked = match self.header(found) {
            Some(header) => self.frames(found.id, &header, last),
            None => Ok(()),
        };
        let troubled = walked.is_err() || self.verified.damage.len() > before.damage.len();
        if troubled && self.removed_meanwhile(found.id)? {
            self.verified = before;
            return Ok(());
        }
        self.verified.segments += 1;
        walked
    }

    /// A living owner removes from the oldest on.
    fn removed_meanwhile(&self, id: SegmentId) -> Result<bool> {
        let now = Folder::read(self.disk, self.identity)?;
        Ok(now.segments.first().is_some_and(|oldest| oldest.id > id))
    }

    fn frames(&mut self, id: SegmentId, header: &Header, last: bool) -> Result<()> {
        let io = |e| unreadable(self.disk, id, e);
        let mut window = self.window(id, header)?;
        let end = self.geometry.end(id).min(self.up_to.unwrap_or(Lsn(u64::MAX)));
        let (mut at, mut sealed, mut damaged) = (self.geometry.first_frame(id), false, false);
        while at < end && !sealed {
            let bad = match window.frame(at).map_err(io)? {
                Ok(frame) => {
                    self.verified.frames += 1;
                    self.verified.records += frame.records().count() as u64;
                    self.verified.bytes += frame.end.0 - frame.lsn.0;
                    (at, sealed) = (frame.end, frame.is_seal());
                    continue;
                }
                Err(bad) => bad,
            };
            if last && self.up_to.is_none() && !planted!(VerifyBlamesTheTail) {
                // The torn tail, or damage before frames that knew better: `behind` tells.
                return Ok(());
            }
            damaged = true;
            let found = next_frame(&mut window, Lsn(at.0 + ALIGNMENT as u64)).map_err(io)?;
            let offset = self.geometry.offset(at);
            self.verified.damage.push(Damage { file: self.disk.display(&path(id)), offset, what: bad.to_string() });
            at = planted!(VerifyStopsAtTheFirst, end, found.unwrap_or(end));
        }
        if !sealed && !damaged && !last {
            let offset = self.geometry.offset(at);
            self.report(id, offset, "the segment ends without a seal");
        }
        Ok(())
    }

    /// What opening would say of the end of the log.
    fn behind(&mut self, folder: &Folder, last: SegmentId) -> Result<()> {
        let Some(Verdict::Sound(header)) = folder.segment(last).map(|found| &found.verdict) else { return Ok(()) };
        let top = Sound { id: last, salt: header.salt };
        let judged = find_end(self.disk, self.geometry, folder, top, &|_| None, &[]).and_then(|mut tail| {
            let (id, offset) = (tail.segment, self.geometry.offset(tail.end));
            match tail.judge(self.disk) {
                Err(e) if e.kind() == ErrorKind::Corrupt => Ok(Some((id, offset, e))),
                other => other.map(|()| None),
            }
        });
        match judged {
            Ok(None) => Ok(()),
            Ok(Some((id, offset, e))) => {
                self.report(id, offset, e.to_string());
                Ok(())
            }
            // The successor of a sealed segment is missing or broken.
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                self.report(next(last), 0, e.to_string());
                Ok(())
            }
            Err(e) => Err(e),
        }
    }
}

/// The next frame of which everything verifies.
fn next_frame(window: &mut Window, from: Lsn) -> std::io::Result<Option<Lsn>> {
    let mut at = from;
    while let Some(likely) = window.next_likely(at)? {
        if window.frame(likely)?.is_ok() {
            return Ok(Some(likely));
        }
        at = Lsn(likely.0 + ALIGNMENT as u64);
    }
    Ok(None)
}
