//! Finds the chain and where the log ends. Looking changes nothing.
//!
//! ```text
//!   below        chain: contiguous, sound headers           behind the tail
//!  ┌───────┐ ┌────────┬────────┬───────────────────┐ ┌──────────┬───────────────┐
//!  │ fault │ │ sealed │ sealed │ tail …L…V torn  0 │ │ prepared │ refuse        │
//!  └───────┘ └────────┴────────┴───────────────────┘ └──────────┴───────────────┘
//!                                  L: vouched   V: end of the valid frames
//! ```
//! T is the highest segment whose first frame is valid. Its frames are walked to V. If the last one is a seal, the
//! log ends in T+1, which has no frame yet; it must be there, since it was made before the seal was written.
//!
//! # Invariants
//! * Only the segment that V lies in may have a torn tail. Bytes below the highest vouched LSN that do not verify
//!   are corruption; so is a missing, short or foreign segment of the chain.
//! * What is wrong *below* a sound chain is told when somebody needs it (`walk`, `repair`), or never, if the engine
//!   knows those segments for trimmed: an old file system may bring a removed file back with another's bytes.
//! * Reads all header blocks, one frame of each segment behind T, and T. No other frame is looked at.
//!
//! Never here: changing anything (`repair`), what frames say (`engine`).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Lsn, Place, SegmentId};
use crate::sync::Mutex;

use super::commit::Raw;
use super::files::again;
use super::folder::{Folder, missing, unreadable};
use super::frame::Seed;
use super::identity::Identity;
use super::parse::Frame;
use super::segment::{Geometry, SALT_AT, next, path};
use super::sort::{Below, Sound, split, top_segment};
use super::tail::{GivenUp, Tail, find_end};
use super::walk::{self, Source};

/// Sees frames, and of damaged ones what is wrong with them.
pub(crate) type DamageVisitor<'a> = dyn FnMut(&Frame<'_>, Option<Error>) -> Result<()> + 'a;

/// What was found in the directory. See the picture above.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) identity: Identity,
    pub(super) geometry: Geometry,
    pub(super) chain: Vec<Sound>,
    pub(super) prepared: Vec<Sound>,
    /// Segment files that repair removes: behind the tail, without a sound header or behind a gap.
    pub(super) refuse: Vec<SegmentId>,
    /// Given up before this start; repair removes them, lowest first.
    pub(super) trimmed: Vec<SegmentId>,
    below: Option<Below>,
    pub(super) spares: Vec<u64>,
    pub(super) temporary: bool,
    pub(super) tail: Tail,
    owner: Owner,
    /// Frames of the tail's segment that have a damaged body.
    passed: Vec<Lsn>,
    /// Files kept open for reading, the oldest first.
    opened: Mutex<VecDeque<(SegmentId, Arc<dyn DiskFile>)>>,
}

/// Is the directory ours while we look?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Us,
    Another,
}

impl Survey {
    /// Looks at a directory that nobody else writes to.
    pub(crate) fn look(disk: &Arc<dyn Disk>, identity: &Identity) -> Result<Self> {
        Self::look_as(disk, identity, Owner::Us, &|_| None)
    }

    /// Looks beside a living owner: ends at the vouched position (`given_up` reads the words that vouch by what is
    /// gone) and judges nothing behind it. What the owner removes meanwhile looks damaged; so a fault is believed only
    /// if it stands when looked at again.
    pub(crate) fn look_beside(disk: &Arc<dyn Disk>, identity: &Identity, given_up: GivenUp<'_>) -> Result<Self> {
        const TRIES: usize = 5;
        let mut looked = Self::look_as(disk, identity, Owner::Another, given_up);
        for _ in 1..TRIES {
            if looked.is_ok() {
                break;
            }
            looked = Self::look_as(disk, identity, Owner::Another, given_up);
        }
        looked
    }

    fn look_as(disk: &Arc<dyn Disk>, identity: &Identity, owner: Owner, given_up: GivenUp<'_>) -> Result<Self> {
        let geometry = Geometry::new(identity.segment_bytes);
        let folder = Folder::read(&**disk, identity)?;
        let Some(top) = top_segment(&**disk, geometry, &folder)? else {
            let tail = Tail::fresh(geometry);
            let empty = (Vec::new(), Vec::new(), Vec::new(), None);
            return Ok(Self::assemble(disk, identity, owner, folder, empty, tail, Vec::new()));
        };
        let (mut passed, mut first) = (Vec::new(), None);
        let tail = loop {
            let mut tail = find_end(&**disk, geometry, &folder, top, given_up, &passed)?;
            if owner == Owner::Another {
                tail.stop_at_vouched();
                break tail;
            }
            let Err(damage) = tail.judge(&**disk) else { break tail };
            // Vouched for, and not torn: a damaged body. Whether that may be is for the engine to say.
            let is_new = !passed.contains(&tail.end);
            if damage.kind() != ErrorKind::Corrupt || !is_new || !tail.ends_before_headers(&**disk)? {
                return Err(first.unwrap_or(damage));
            }
            passed.push(tail.end);
            first.get_or_insert(damage);
        };
        let parts = split(&**disk, &folder, tail.segment);
        Ok(Self::assemble(disk, identity, owner, folder, parts, tail, passed))
    }

    fn assemble(
        disk: &Arc<dyn Disk>,
        identity: &Identity,
        owner: Owner,
        folder: Folder,
        (chain, prepared, refuse, below): (Vec<Sound>, Vec<Sound>, Vec<SegmentId>, Option<Below>),
        tail: Tail,
        passed: Vec<Lsn>,
    ) -> Self {
        Self {
            disk: Arc::clone(disk),
            identity: identity.clone(),
            geometry: Geometry::new(identity.segment_bytes),
            chain,
            prepared,
            refuse,
            trimmed: Vec::new(),
            below,
            spares: folder.spares,
            temporary: folder.temporary,
            tail,
            owner,
            passed,
            opened: Mutex::default(),
        }
    }

    /// First frame position of the oldest segment.
    pub(crate) fn start(&self) -> Lsn {
        self.geometry.first_frame(self.oldest())
    }

    /// V: end of the valid frames.
    pub(crate) fn end(&self) -> Lsn {
        self.tail.end
    }

    /// L: everything below was synced, somebody said so.
    #[cfg(test)]
    pub(crate) fn vouched(&self) -> Lsn {
        self.tail.vouched
    }

    /// Did the log end with a clean close?
    pub(crate) fn clean(&self) -> bool {
        self.tail.clean
    }

    pub(crate) fn oldest(&self) -> SegmentId {
        let below = self.below.as_ref().and_then(|below| below.ids.first());
        below.copied().or(self.chain.first().map(|sound| sound.id)).unwrap_or(SegmentId(1))
    }

    /// Is there no segment at all?
    pub(crate) fn is_fresh(&self) -> bool {
        self.chain.is_empty()
    }

    /// First frame position of the newest segment that holds a frame: a short walk from here meets all that stands
    /// in every first frame.
    pub(crate) fn newest_start(&self) -> Lsn {
        self.geometry.first_frame(self.tail.newest())
    }

    /// Segments from the oldest to the one the log ends in.
    pub(crate) fn segments(&self) -> u64 {
        let below = self.below.as_ref().map_or(0, |below| below.ids.len());
        (below + self.chain.len()) as u64
    }

    /// A checkpoint says that the log was durable up to here.
    pub(crate) fn vouch(&mut self, durable: Lsn) -> Result<()> {
        if durable > self.tail.end && !planted!(CheckpointVouchUnchecked) {
            let what =
                format!("the log ends at lsn={}, but a checkpoint saw it durable up to lsn={durable}", self.tail.end);
            return Err(self.corrupt(self.tail.end, what));
        }
        self.tail.vouched = self.tail.vouched.max(durable);
        Ok(())
    }

    /// Segments through `id` were given up before: leftovers of them are no longer part of the chain. An error if
    /// a segment behind `id` is missing.
    pub(crate) fn trimmed_through(&mut self, id: SegmentId) -> Result<()> {
        if self.oldest() > next(id) && !planted!(TrimMarkUnchecked) {
            return Err(missing(&*self.disk, next(id)));
        }
        if id >= self.tail.segment {
            return Err(self.corrupt(
                self.tail.end,
                format!("segment {:016x} is marked as given up, but the log ends before", id.0),
            ));
        }
        if let Some(below) = &mut self.below {
            self.trimmed.extend(below.ids.iter().copied().filter(|old| *old <= id));
            below.ids.retain(|old| *old > id);
        }
        self.trimmed.extend(self.chain.iter().map(|sound| sound.id).filter(|old| *old <= id));
        self.chain.retain(|sound| sound.id > id);
        if self.chain.first().is_some_and(|first| first.id == next(id)) {
            self.below = None;
        }
        Ok(())
    }

    /// What does not join the chain, if the engine did not explain it.
    pub(super) fn fault(&self) -> Result<()> {
        self.below.as_ref().map_or(Ok(()), |below| Err(below.fault.clone()))
    }

    /// Visits the frames that start in `from..V`; `from` is a frame border. Damage ends it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn walk(&self, from: Lsn, visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>) -> Result<()> {
        self.walk_past_damage(from, &mut |frame, damage| damage.map_or_else(|| visit(frame), Err))
    }

    /// Visits the frames that start in `from..V`; `from` is a frame border. A frame with a damaged body is shown with
    /// what is wrong, see [`RecordView::is_sound`].
    ///
    /// [`RecordView::is_sound`]: super::RecordView::is_sound
    pub(crate) fn walk_past_damage(&self, from: Lsn, visit: &mut DamageVisitor<'_>) -> Result<()> {
        let whole = self.chain.first().is_some_and(|first| self.geometry.segment_of(from) >= first.id);
        if !whole {
            self.fault()?;
        }
        walk::walk_past(self, from, self.tail.end, visit)
    }

    /// The damaged frames before `to` that finding the end of the log has passed over.
    pub(crate) fn walk_passed(&self, to: Lsn, visit: &mut DamageVisitor<'_>) -> Result<()> {
        for lsn in self.passed.iter().filter(|lsn| **lsn < to) {
            walk::walk_past(self, *lsn, Lsn(lsn.0 + 1), visit)?;
        }
        Ok(())
    }

    /// Reads one record, for opens that only read. `Invalid`: the living owner recycled the segment; start over.
    pub(crate) fn read(&self, place: Place, id: u64) -> Result<Raw> {
        walk::read(self, place, id)
    }

    /// The record verified, but its reader could make nothing of it.
    pub(crate) fn damaged(&self, place: Place, what: impl std::fmt::Display) -> Error {
        self.corrupt(place.lsn, what)
    }

    fn file(&self, id: SegmentId) -> Result<Arc<dyn DiskFile>> {
        const KEPT: usize = 16;
        let held = self.opened.lock().iter().find(|(held, _)| *held == id).map(|(_, file)| Arc::clone(file));
        if let Some(file) = held {
            return Ok(file);
        }
        let file = match again(|| self.disk.open(&path(id), Access::Read)) {
            Ok(file) => file,
            Err(e) if self.owner == Owner::Another && e.kind() == io::ErrorKind::NotFound => return Err(self.gone(id)),
            Err(e) => return Err(unreadable(&*self.disk, id, e)),
        };
        let mut opened = self.opened.lock();
        if opened.len() == KEPT {
            opened.pop_front();
        }
        opened.push_back((id, Arc::clone(&file)));
        Ok(file)
    }

    fn salt(&self, id: SegmentId) -> Option<u64> {
        self.chain.iter().find(|sound| sound.id == id).map(|sound| sound.salt)
    }
}

impl Source for Survey {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn segment(&self, id: SegmentId) -> Result<(Arc<dyn DiskFile>, Seed)> {
        let salt = self.salt(id).ok_or_else(|| missing(&*self.disk, id))?;
        Ok((self.file(id)?, Seed::new(salt)))
    }

    fn shown(&self, id: SegmentId) -> String {
        self.disk.display(&path(id))
    }

    /// A living owner may recycle a file that we hold open; the new header comes before anything else changes.
    fn holds(&self, id: SegmentId) -> bool {
        let unchanged = |file: Arc<dyn DiskFile>| {
            let mut salt = [0; 8];
            let read = file.read_exact_at(&mut salt, SALT_AT as u64);
            read.is_ok() && self.salt(id) == Some(u64::from_le_bytes(salt))
        };
        self.owner == Owner::Us || self.file(id).is_ok_and(unchanged)
    }
}
