//! Makes the tail true before anything is served.
//!
//! 1. names: leftovers go, the directory is synced (a name that is only in the cache must not be built on);
//! 2. bytes: L..V is written again in place, each file is synced once. What is behind V must not come back: V to the end
//!    of the segment is zeroed; or, which costs no writing, the log goes on in the next segment (the first frame seals this
//!    one at V), where more segments are prepared than the reserve and much would have to be zeroed;
//! 3. at least one prepared segment stands behind the tail, where the disk has room for it.
//!
//! After a clean close only the closed frame is written again, and nothing is zeroed.
//!
//! # Invariants
//! * Afterwards everything below V is durable, and nothing behind V parses, or is ever written to or looked at again.
//! * The reserve is left alone: on a full disk nothing could take its place (rule 10).
//! * Idempotent: the bytes written are those that were read, or zeros behind V; a crash at any operation leaves a
//!   directory in which the same survey is found.
//!
//! Never here: judging (`survey`).

use std::sync::Arc;

use crate::disk::{Access, DiskFile};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Lsn, SegmentId};
use crate::random::Random;

use super::bytes::to_usize;
use super::chain::{Chain, Ready};
use super::commit::{Log, Marks};
use super::files::{again, open, remove, sync_data, sync_dir, write_zeros};
use super::maker::Maker;
use super::segment::{FOLDER, Geometry, TEMPORARY, path, spare_path};
use super::sort::Sound;
use super::stage::{Buffers, RESERVE, Shared, Stage};
use super::survey::Survey;
use super::window::PIECE;

/// What is less than this part of a segment is zeroed: a segment left half empty costs more.
const LEFT_PART: u64 = 8;

/// What repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Remains of frames behind V that were zeroed.
    pub(crate) bytes_cut: u64,
    /// Bytes in L..V, written again.
    pub(crate) rewritten: u64,
}

impl Survey {
    /// Repairs the tail and opens the log for writing. `may_leave`: there may be a segment more than there need be.
    pub(crate) fn repair(
        mut self,
        random: Arc<dyn Random>,
        epoch: u64,
        may_leave: bool,
    ) -> Result<(Log, Stage, Repaired)> {
        self.fault()?;
        let disk = Arc::clone(&self.disk);
        self.repair_names()?;
        let mut repaired = Repaired { bytes_cut: self.tail.remains.0 - self.tail.end.0, rewritten: 0 };
        let mut ready = Vec::new();
        let leaves = may_leave && self.leaves_tail();
        if !self.is_fresh() {
            if let Some(seal_end) = self.tail.seal_end {
                repaired.rewritten = self.rewrite_sealed(seal_end)?;
            }
            let (file, rewritten) = self.repair_tail(leaves)?;
            repaired.rewritten += rewritten;
            ready = self.ready(file)?;
            self.remove_trimmed()?;
        }

        let (geometry, end) = (self.geometry, self.tail.end);
        let sealed: Vec<u64> =
            self.chain.iter().filter(|sound| sound.id < self.tail.segment).map(|sound| sound.salt).collect();
        let chain = Chain::new(Arc::clone(&disk), geometry, self.oldest(), sealed, ready);
        let mut maker = Maker::new(Arc::clone(&disk), random, geometry, self.identity.log_id, self.spares.into());
        if self.chain.is_empty() {
            chain.publish(maker.make(self.tail.segment, epoch)?);
        }
        let shared = Arc::new(Shared { chain, marks: Marks::new(end), buffers: Buffers::default() });
        let (Some(seed), Some(file)) = (shared.chain.seed(self.tail.segment), shared.chain.writable(self.tail.segment))
        else {
            return Err(Error::invalid("the tail segment was not opened"));
        };
        let log = Log::new(disk, geometry, Arc::clone(&shared), maker, file);
        if log.ready_through() == self.tail.segment {
            match log.make_segment(epoch) {
                // A full disk must not keep accepted jobs from being worked; the engine waits for room.
                Err(e) if e.kind() == ErrorKind::Full => {}
                made => {
                    made?;
                }
            }
        }
        Ok((log, Stage::new(shared, geometry, end, seed, leaves), repaired))
    }

    /// Leftovers go; what is left of names becomes durable.
    fn repair_names(&mut self) -> Result<()> {
        let disk = &*self.disk;
        if self.is_fresh() {
            again(|| disk.create_dir(FOLDER))
                .map_err(|e| Error::io(format!("cannot create {}", disk.display(FOLDER)), e))?;
        }
        sync_dir(disk, "")?;
        if self.temporary && !planted!(LeftoverKept) {
            remove(disk, TEMPORARY)?;
        }
        for id in self.refuse.iter().rev() {
            remove(disk, &path(*id))?;
        }
        let full = u64::from(self.geometry.segment_bytes());
        let mut short = Vec::new();
        for number in &self.spares {
            let name = spare_path(*number);
            let file = open(disk, &name, Access::Read)?;
            let len = again(|| file.len()).map_err(|e| Error::io(format!("cannot read {}", disk.display(&name)), e))?;
            if len < full {
                short.push(*number);
            }
        }
        for number in short {
            remove(disk, &spare_path(number))?;
            self.spares.retain(|other| *other != number);
        }
        planted!(OpenNoDirSync, Ok(()), sync_dir(disk, FOLDER))
    }

    /// After the bytes: the mark that gave these segments up may have been in the cache only.
    fn remove_trimmed(&self) -> Result<()> {
        // Lowest first, each durably before the next: a gap would look like a lost segment.
        for id in &self.trimmed {
            remove(&*self.disk, &path(*id))?;
            planted!(TrimmedGoAtOnce, (), sync_dir(&*self.disk, FOLDER)?);
        }
        Ok(())
    }

    /// The log ends behind a seal that nobody vouches for: that segment is made true as well.
    fn rewrite_sealed(&self, seal_end: Lsn) -> Result<u64> {
        let id = self.tail.newest();
        let from = self.tail.vouched.max(self.geometry.first_frame(id));
        if from >= seal_end || planted!(SealedTailNotRewritten) {
            return Ok(0);
        }
        let file = open(&*self.disk, &path(id), Access::ReadWrite)?;
        rewrite(&file, self.geometry, from, seal_end)
            .and_then(|()| sync_data(&file))
            .map_err(|e| self.cannot_repair(id, e))?;
        Ok(seal_end.0 - from.0)
    }

    /// Whether the log goes on in the next segment. A segment must not begin with its seal: so not if there is no frame.
    fn leaves_tail(&self) -> bool {
        let (id, end) = (self.tail.segment, self.tail.end);
        let behind = self.geometry.end(id).0.saturating_sub(end.0);
        !self.tail.clean
            && end > self.geometry.first_frame(id)
            && behind > u64::from(self.geometry.segment_bytes()) / LEFT_PART
            && self.prepared.len() as u64 > planted!(LeavingTakesReserve, 0, RESERVE)
    }

    fn repair_tail(&self, leaves: bool) -> Result<(Arc<dyn DiskFile>, u64)> {
        let (id, end) = (self.tail.segment, self.tail.end);
        let from = self.tail.vouched.max(self.geometry.first_frame(id)).min(end);
        let file = open(&*self.disk, &path(id), Access::ReadWrite)?;
        let mend = || {
            rewrite(&file, self.geometry, from, end)?;
            if !self.tail.clean && !leaves && !planted!(TailReusedInPlace) {
                // Also where zeros are read: the page cache may show what the medium has not.
                write_zeros(&file, self.geometry.offset(end), u64::from(self.geometry.segment_bytes()))?;
            }
            planted!(RepairNotSynced, Ok(()), sync_data(&file))
        };
        mend().map_err(|e| self.cannot_repair(id, e))?;
        Ok((file, end.0 - from.0))
    }

    /// The tail and the prepared segments, held open for writing.
    fn ready(&self, tail: Arc<dyn DiskFile>) -> Result<Vec<Ready>> {
        let mut ready = Vec::with_capacity(1 + self.prepared.len());
        ready.extend(self.chain.last().map(|Sound { id, salt }| Ready { id: *id, salt: *salt, file: tail }));
        for Sound { id, salt } in &self.prepared {
            let file = open(&*self.disk, &path(*id), Access::ReadWrite)?;
            ready.push(Ready { id: *id, salt: *salt, file });
        }
        Ok(ready)
    }

    fn cannot_repair(&self, id: SegmentId, e: std::io::Error) -> Error {
        Error::io(format!("cannot repair {}", self.disk.display(&path(id))), e)
    }
}

/// Writes the bytes of `from..to` over themselves.
fn rewrite(file: &Arc<dyn DiskFile>, geometry: Geometry, from: Lsn, to: Lsn) -> std::io::Result<()> {
    let mut at = from;
    let mut piece = Vec::new();
    while at < to && !planted!(TailNotRewritten) {
        piece.resize(to_usize(to.0 - at.0).min(PIECE), 0);
        file.read_exact_at(&mut piece, geometry.offset(at))?;
        file.write_all_at(&piece, geometry.offset(at))?;
        at = Lsn(at.0 + piece.len() as u64);
    }
    Ok(())
}
