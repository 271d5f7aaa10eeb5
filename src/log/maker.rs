//! Prepares segments ahead of the commit path, recycles and removes old ones.
//!
//! ```text
//! new:       next.tmp: fill with zeros, header, sync → rename → sync directory → published
//! recycled:  <id>.seg → rename to spare-<k> → sync directory;  header, sync → rename → sync directory → published
//! damaged:   <id>.seg → rename to <id>.seg.damaged → sync directory; never touched again
//! ```
//! A prepared file is allocated and synced at full length, so that the commit path overwrites only: its syncs carry
//! no metadata, and a full disk cannot stop it.
//!
//! # Invariants
//! * Under a segment's name stands a complete file, or none: content is synced before the name is given.
//! * Published = the name is durable. Until then nobody may write into it.
//! * One segment at a time is removed, oldest first, and its name is durably gone before the next one goes.
//! * Nothing here poisons. What failed half way is taken back, or remembered and cleared by the next call.
//!
//! Never here: when to do it and how many to keep (`engine`).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::ids::SegmentId;
use crate::random::Random;

use super::chain::Ready;
use super::commit::Log;
use super::files::{again, allocation_failed, create_afresh, open, remove, sync_data, sync_dir, write_zeros};
use super::segment::{FOLDER, Geometry, HEADER_BYTES, Header, TEMPORARY, next, path, spare_path};

/// The maker's memory between its steps.
#[derive(Debug)]
pub(super) struct Maker {
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    geometry: Geometry,
    log_id: u128,
    spares: VecDeque<u64>,
    spare_next: u64,
    /// Names that must go before anything is made again.
    debris: Vec<String>,
    removing: Option<Removing>,
}

/// A removal that has begun; a failed one goes on with the next call.
#[derive(Debug)]
struct Removing {
    named_anew: bool,
    /// The name it gets; none: it is unlinked.
    to: Option<String>,
    spare: Option<u64>,
}

/// What becomes of a segment's file that leaves the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Spare,
    Gone,
    /// Kept for a person to look at, as `NAME.damaged`.
    Damaged,
}

impl Maker {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        random: Arc<dyn Random>,
        geometry: Geometry,
        log_id: u128,
        spares: VecDeque<u64>,
    ) -> Self {
        let spare_next = spares.iter().max().map_or(0, |highest| highest + 1);
        Self { disk, random, geometry, log_id, spares, spare_next, debris: Vec::new(), removing: None }
    }

    pub(super) fn spares(&self) -> u64 {
        self.spares.len() as u64
    }

    /// Makes the file of segment `id` and gives it its name, durably.
    pub(super) fn make(&mut self, id: SegmentId, epoch: u64) -> Result<Ready> {
        self.clear_debris()?;
        let salt = planted!(SaltRepeats, 7, self.random.u64()?);
        let segment_bytes = self.geometry.segment_bytes();
        let header = Header { log_id: self.log_id, segment: id, segment_bytes, epoch, salt };
        let spare = self.spares.pop_front();
        let (from, made) = match spare {
            Some(number) => (spare_path(number), self.recycle(number, &header)),
            None => (TEMPORARY.to_owned(), self.fill(&header)),
        };
        let named = made.and_then(|file| self.give_name(&from, id).map(|()| file));
        match named {
            Ok(file) => Ok(Ready { id, salt, file }),
            Err(e) => {
                self.take_back(&from, spare, id);
                Err(e)
            }
        }
    }

    fn recycle(&self, number: u64, header: &Header) -> Result<Arc<dyn DiskFile>> {
        let name = spare_path(number);
        let file = open(&*self.disk, &name, Access::ReadWrite)?;
        file.write_all_at(&header.encode(), 0)
            .and_then(|()| planted!(RecycledNotSynced, Ok(()), sync_data(&file)))
            .map_err(|e| allocation_failed(format!("cannot prepare {}", self.disk.display(&name)), e))?;
        Ok(file)
    }

    fn fill(&self, header: &Header) -> Result<Arc<dyn DiskFile>> {
        let fill = || -> io::Result<Arc<dyn DiskFile>> {
            let file = create_afresh(&*self.disk, TEMPORARY)?;
            file.write_all_at(&header.encode(), 0)?;
            write_zeros(&file, HEADER_BYTES as u64, u64::from(self.geometry.segment_bytes()))?;
            planted!(NewSegmentNotSynced, (), sync_data(&file)?);
            Ok(file)
        };
        fill().map_err(|e| allocation_failed(format!("cannot prepare {}", self.disk.display(TEMPORARY)), e))
    }

    fn give_name(&self, from: &str, id: SegmentId) -> Result<()> {
        let to = path(id);
        again(|| self.disk.rename(from, &to))
            .map_err(|e| allocation_failed(format!("cannot rename {} to {to}", self.disk.display(from)), e))?;
        planted!(MakerNoDirSync, Ok(()), sync_dir(&*self.disk, FOLDER))
    }

    /// After a failure: the segment's name must not stand, and a spare stays a spare where that is possible.
    fn take_back(&mut self, from: &str, spare: Option<u64>, id: SegmentId) {
        let to = path(id);
        let Some(number) = spare else {
            self.debris.extend(planted!(DebrisForgotten, [from.to_owned(), from.to_owned()], [to, from.to_owned()]));
            // What cannot be cleared now is cleared by the next call.
            let _ = self.clear_debris();
            return;
        };
        match again(|| self.disk.rename(&to, from)) {
            Ok(()) => self.spares.push_front(number),
            // It never got its new name.
            Err(e) if e.kind() == io::ErrorKind::NotFound => match open(&*self.disk, from, Access::Read) {
                Ok(_) => self.spares.push_front(number),
                Err(_) => self.debris.push(from.to_owned()),
            },
            Err(_) => self.debris.extend([to, from.to_owned()]),
        }
    }

    fn clear_debris(&mut self) -> Result<()> {
        while let Some(name) = self.debris.last() {
            remove(&*self.disk, name)?;
            self.debris.pop();
        }
        Ok(())
    }

    /// Renames or unlinks the oldest segment's file and makes that durable; goes on where a failed call stopped.
    fn give_up(&mut self, id: SegmentId, fate: Fate) -> Result<()> {
        let spare_next = &mut self.spare_next;
        let removing = self.removing.get_or_insert_with(|| {
            let spare = (fate == Fate::Spare).then(|| {
                *spare_next += 1;
                *spare_next - 1
            });
            let damaged = (fate == Fate::Damaged).then(|| format!("{}.damaged", path(id)));
            Removing { named_anew: false, to: spare.map(spare_path).or(damaged), spare }
        });
        if !removing.named_anew {
            let from = path(id);
            let done = match &removing.to {
                Some(to) => again(|| self.disk.rename(&from, to)),
                None => again(|| self.disk.remove(&from)),
            };
            match done {
                Ok(()) => removing.named_anew = true,
                // Gone already: a call that failed had done it. Nobody knows whether the spare stands.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    removing.named_anew = true;
                    if let Some(number) = removing.spare.take() {
                        self.debris.push(spare_path(number));
                    }
                }
                Err(e) => return Err(Error::io(format!("cannot give up {}", self.disk.display(&from)), e)),
            }
        }
        planted!(RemovalNoDirSync, (), sync_dir(&*self.disk, FOLDER)?);
        self.spares.extend(removing.spare);
        self.removing = None;
        Ok(())
    }

    fn drop_spares(&mut self) -> Result<()> {
        if self.spares.is_empty() {
            return Ok(());
        }
        while let Some(number) = self.spares.front() {
            remove(&*self.disk, &spare_path(*number))?;
            self.spares.pop_front();
        }
        sync_dir(&*self.disk, FOLDER)
    }
}

impl Log {
    /// Prepares the next segment: from a spare, or new. `Full`: no space, nothing is left behind. Never poisons.
    pub(crate) fn make_segment(&self, epoch: u64) -> Result<SegmentId> {
        let mut maker = self.maker.lock();
        let segment = maker.make(next(self.ready_through()), epoch)?;
        let id = segment.id;
        self.shared.chain.publish(segment);
        Ok(id)
    }

    /// Takes the oldest segment out of the log: its file becomes a spare, is kept aside, or goes. After an error call
    /// it again; until it succeeds the segment counts as the oldest, cannot be read, and its file is not used.
    pub(crate) fn remove_oldest(&self, segment: SegmentId, fate: Fate) -> Result<()> {
        let mut maker = self.maker.lock();
        if segment >= self.current() || !(self.shared.chain.begin_removal(segment) || planted!(RemovesAnySegment)) {
            let shown = self.file_name(segment);
            return Err(Error::invalid(format!(
                "file={shown}: only the oldest segment can be removed, and only behind its end"
            )));
        }
        maker.give_up(segment, fate)?;
        self.shared.chain.end_removal(segment);
        Ok(())
    }

    /// Unlinks prepared segments beyond `keep_prepared` (at least one stays), highest first, and all spares.
    pub(crate) fn drop_surplus(&self, keep_prepared: u64) -> Result<()> {
        let mut maker = self.maker.lock();
        maker.clear_debris()?;
        // A stage that was told of room may be about to take one.
        while let Some(id) = self.shared.chain.unpublish(keep_prepared.max(1)) {
            // Each durably before the next: a gap would look like a lost segment.
            maker.debris.push(path(id));
            maker.clear_debris()?;
            planted!(SurplusNoDirSync, (), sync_dir(&*self.disk, FOLDER)?);
        }
        maker.drop_spares()
    }
}
