//! Sorts the segment files: which one the log's last frames lie in, and which belong to the chain.
//!
//! # Invariants
//! * A file is part of the chain by its header and its number alone; only behind the last frames may one be refused.
//! * A segment of another log is never refused silently: somebody has mixed up two directories.
//!
//! Never here: the frames behind the first of a segment (`tail`).

use crate::disk::{Access, Disk};
use crate::error::{Error, Result};
use crate::ids::SegmentId;

use super::files::open;
use super::folder::{Folder, Found, Verdict, missing, unreadable};
use super::frame::Seed;
use super::segment::{Geometry, next, path};
use super::window::{GLIMPSE, Window};

/// A segment of the chain, or a prepared one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    pub(super) id: SegmentId,
    pub(super) salt: u64,
}

/// What lies below the chain and does not join it.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) ids: Vec<SegmentId>,
    /// Why it does not join.
    pub(super) fault: Error,
}

/// T: the highest segment whose first frame is valid; else segment 1, if it stands there alone with prepared ones.
/// `None`: there is no segment.
pub(super) fn top_segment(disk: &dyn Disk, geometry: Geometry, folder: &Folder) -> Result<Option<Sound>> {
    for found in folder.segments.iter().rev() {
        match &found.verdict {
            Verdict::Sound(header) => {
                let id = found.id;
                let file = open(disk, &path(id), Access::Read)?;
                let mut window = Window::new(file, geometry, id, Seed::new(header.salt), GLIMPSE);
                let first = window.frame(geometry.first_frame(id)).map_err(|e| unreadable(disk, id, e))?;
                if first.is_ok() {
                    return Ok(Some(Sound { id, salt: header.salt }));
                }
            }
            // A header that is not sound, on a file nothing was written to yet; if the log needs it, `find_end` says
            // so.
            Verdict::Broken { .. } => {}
            Verdict::Foreign(_) => return Err(found.error(disk)),
        }
    }
    match folder.segments.first() {
        None if folder.spares.is_empty() => Ok(None),
        // No frame anywhere: a log that has just begun. It begins with segment 1.
        Some(Found { id: SegmentId(1), verdict: Verdict::Sound(header) }) => {
            Ok(Some(Sound { id: SegmentId(1), salt: header.salt }))
        }
        Some(lowest) => Err(no_first_frame(disk, geometry, lowest)?),
        None => Err(missing(disk, SegmentId(1))),
    }
}

/// No segment begins with a frame, though the log had begun: what is wrong with the lowest one.
fn no_first_frame(disk: &dyn Disk, geometry: Geometry, lowest: &Found) -> Result<Error> {
    let Verdict::Sound(header) = &lowest.verdict else { return Ok(lowest.error(disk)) };
    let start = geometry.first_frame(lowest.id);
    let file = open(disk, &path(lowest.id), Access::Read)?;
    let mut window = Window::new(file, geometry, lowest.id, Seed::new(header.salt), GLIMPSE);
    Ok(match window.next_likely(start).map_err(|e| unreadable(disk, lowest.id, e))? {
        Some(_) => {
            let what = "no valid frame where the log begins, but remains of frames behind";
            Error::corrupt(disk.display(&path(lowest.id)), geometry.offset(start), what)
        }
        // Prepared, and never written to: the one before it is gone.
        None => missing(disk, SegmentId(lowest.id.0.saturating_sub(1))),
    })
}

/// Chain, prepared, refuse, below: as in the picture of `survey`.
pub(super) type Parts = (Vec<Sound>, Vec<Sound>, Vec<SegmentId>, Option<Below>);

/// Sorts the segment files around the tail into the chain, what is below it, and what is behind it.
pub(super) fn split(disk: &dyn Disk, folder: &Folder, tail: SegmentId) -> Parts {
    let sound = |found: &Found| match found.verdict {
        Verdict::Sound(header) => Some(Sound { id: found.id, salt: header.salt }),
        _ => None,
    };
    let (mut prepared, mut refuse) = (Vec::new(), Vec::new());
    let mut expected = next(tail);
    for found in folder.segments.iter().filter(|found| found.id > tail) {
        match sound(found) {
            Some(ready) if ready.id == expected => {
                prepared.push(ready);
                expected = next(expected);
            }
            _ => refuse.push(found.id),
        }
    }

    let mut chain = Vec::new();
    let mut fault = None;
    let mut expected = tail;
    let mut down = folder.segments.iter().filter(|found| found.id <= tail).rev().peekable();
    while let Some(found) = down.peek() {
        match sound(found) {
            _ if found.id != expected => fault = Some(missing(disk, expected)),
            None => fault = Some(found.error(disk)),
            Some(segment) => {
                chain.push(segment);
                down.next();
                if expected.0 == 1 {
                    break;
                }
                expected = SegmentId(expected.0 - 1);
                continue;
            }
        }
        break;
    }
    chain.reverse();
    let mut ids: Vec<SegmentId> = down.map(|found| found.id).collect();
    ids.reverse();
    (chain, prepared, refuse, fault.map(|fault| Below { ids, fault }))
}
