//! What stands in the log's folder, and whose segments the header blocks say they are.
//!
//! # Invariants
//! * Every header block is read, nothing else. Names that are not ours are left alone.
//!
//! Never here: which of the segments belong to the chain (`survey`).

use std::io;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::ids::SegmentId;

use super::files::again;
use super::identity::Identity;
use super::segment::{FOLDER, HEADER_BYTES, Header, Name, name, path};

/// What the header block says.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Sound(Header),
    /// No header of a segment, or a file cut short: where, and what is wrong.
    Broken {
        offset: u64,
        what: String,
    },
    /// A sound header of another log.
    Foreign(String),
}

#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) id: SegmentId,
    pub(super) verdict: Verdict,
}

impl Found {
    /// The verdict as an error, where the log needs this segment.
    pub(super) fn error(&self, disk: &dyn Disk) -> Error {
        let (offset, what) = match &self.verdict {
            Verdict::Sound(_) => (0, "the segment does not belong here"),
            Verdict::Broken { offset, what } => (*offset, what.as_str()),
            Verdict::Foreign(what) => (0, what.as_str()),
        };
        Error::corrupt(disk.display(&path(self.id)), offset, what)
    }
}

/// The folder's files by their names, lowest first.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) segments: Vec<Found>,
    pub(super) spares: Vec<u64>,
    pub(super) temporary: bool,
}

impl Folder {
    /// A folder that is not there is empty.
    pub(super) fn read(disk: &dyn Disk, identity: &Identity) -> Result<Self> {
        let mut folder = Self::default();
        let names = match again(|| disk.list(FOLDER)) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(folder),
            Err(e) => return Err(Error::io(format!("cannot list {}", disk.display(FOLDER)), e)),
        };
        for file in names {
            match name(&file) {
                Name::Segment(id) => {
                    // Gone since it was listed: a living owner gives segments up. If the log needs it, it is missing.
                    folder.segments.extend(judge(disk, identity, id)?.map(|verdict| Found { id, verdict }));
                }
                Name::Spare(number) => folder.spares.push(number),
                Name::Temporary => folder.temporary = true,
                Name::Other => {}
            }
        }
        folder.segments.sort_unstable_by_key(|found| found.id);
        folder.spares.sort_unstable();
        Ok(folder)
    }

    pub(super) fn segment(&self, id: SegmentId) -> Option<&Found> {
        self.segments.iter().find(|found| found.id == id)
    }
}

/// `None`: there is no such file.
fn judge(disk: &dyn Disk, identity: &Identity, id: SegmentId) -> Result<Option<Verdict>> {
    let shown = || disk.display(&path(id));
    let file = match again(|| disk.open(&path(id), Access::Read)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(format!("cannot open {}", shown()), e)),
    };
    judge_file(&file, identity, id).map(Some).map_err(|e| Error::io(format!("cannot read {}", shown()), e))
}

fn judge_file(file: &Arc<dyn DiskFile>, identity: &Identity, id: SegmentId) -> io::Result<Verdict> {
    let len = again(|| file.len())?;
    if len < u64::from(identity.segment_bytes) && !planted!(ShortFileAccepted) {
        let what = format!("the file is cut short: {len} bytes of {}", identity.segment_bytes);
        return Ok(Verdict::Broken { offset: len, what });
    }
    let mut block = vec![0; HEADER_BYTES];
    file.read_exact_at(&mut block, 0)?;
    let header = match Header::decode(&block) {
        Ok(header) => header,
        Err(what) => return Ok(Verdict::Broken { offset: 0, what: what.to_owned() }),
    };
    if header.log_id != identity.log_id && !planted!(ForeignSegmentAccepted) {
        let what =
            format!("the segment belongs to another log: log_id={:032x}, not {:032x}", header.log_id, identity.log_id);
        return Ok(Verdict::Foreign(what));
    }
    if header.segment != id && !planted!(MisnamedSegmentAccepted) {
        // Copied by hand, or what a file system put into a removed file that it brought back.
        let what = format!("the file holds segment {:016x} under another name", header.segment.0);
        return Ok(Verdict::Broken { offset: 32, what });
    }
    if header.segment_bytes != identity.segment_bytes {
        let what = format!("segment_bytes={}, but {} in `format`", header.segment_bytes, identity.segment_bytes);
        return Ok(Verdict::Broken { offset: 48, what });
    }
    Ok(Verdict::Sound(header))
}

/// A segment that the log needs is not there, or something that is no file stands in its place.
pub(super) fn missing(disk: &dyn Disk, id: SegmentId) -> Error {
    let what = match again(|| disk.open(&path(id), Access::Read)) {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => format!("the segment is missing: {e}"),
        _ => "the segment is missing".to_owned(),
    };
    Error::corrupt(disk.display(&path(id)), 0, what)
}

pub(super) fn unreadable(disk: &dyn Disk, id: SegmentId, e: io::Error) -> Error {
    Error::io(format!("cannot read {}", disk.display(&path(id))), e)
}
