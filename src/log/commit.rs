//! Push and sync: the way of staged bytes to the medium, and the two marks that say how far they are.
//!
//! *Push*, by any thread, writes what is staged, in log order. *Sync*, by the committer, makes durable what was
//! pushed before. Where a segment ends, push itself syncs the seal before it writes the next segment's first byte.
//!
//! # Invariants
//! * `durable ≤ written`; both only rise. `written` rises after the bytes are with the system, `durable` after a
//!   successful sync of every file that holds bytes below it.
//! * How far was written and into which file are noted together, so a sync never covers the wrong file.
//! * Syncs of the commit path are one at a time: the system reports a failed write-back to one of two concurrent
//!   syncs only, and the other must not publish what it did not hear.
//! * Lock order: write, sync gate, mark, chain. None but the first two is held over I/O.
//! * The first error poisons; then the disk is not touched again.
//!
//! Never here: who waits for which mark (`engine`), preparing segments (`maker`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::ids::{Lsn, Place, SegmentId};
use crate::sync::{AtomicU64, Mutex};

use super::files;
use super::maker::Maker;
use super::parse::Frame;
use super::poison::Poison;
use super::segment::{Geometry, next, path};
use super::stage::{Chunk, Shared};
use super::walk::{self, Source as _};

/// How far the log is with the system, and how far on the medium.
#[derive(Debug)]
pub(super) struct Marks {
    written: AtomicU64,
    durable: AtomicU64,
}

impl Marks {
    pub(super) fn new(end: Lsn) -> Self {
        Self { written: AtomicU64::new(end.0), durable: AtomicU64::new(end.0) }
    }

    pub(super) fn written(&self) -> Lsn {
        Lsn(self.written.load(Ordering::SeqCst))
    }

    pub(super) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::SeqCst))
    }
}

/// Where the next byte is written, and what a sync now would cover.
#[derive(Debug, Clone)]
struct Mark {
    written: Lsn,
    file: Arc<dyn DiskFile>,
}

/// A record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Raw {
    // Payloads never show in Debug.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw(kind={} body={} bytes)", self.kind, self.body.len())
    }
}

/// The log of an opened directory, shared by all threads. Made by [`Survey::repair`](super::Survey::repair).
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) geometry: Geometry,
    pub(super) shared: Arc<Shared>,
    pub(super) maker: Mutex<Maker>,
    write: Mutex<()>,
    sync_gate: Mutex<()>,
    mark: Mutex<Mark>,
    poison: Poison,
}

impl Log {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        geometry: Geometry,
        shared: Arc<Shared>,
        maker: Maker,
        tail_file: Arc<dyn DiskFile>,
    ) -> Self {
        let mark = Mark { written: shared.marks.written(), file: tail_file };
        Self {
            disk,
            geometry,
            shared,
            maker: Mutex::new(maker),
            write: Mutex::new(()),
            sync_gate: Mutex::new(()),
            mark: Mutex::new(mark),
            poison: Poison::default(),
        }
    }

    /// Writes what is staged and raises `written` to its end. `take` runs under the write lock, so that chunks are
    /// written in the order they were taken.
    pub(crate) fn push(&self, take: impl FnOnce() -> Vec<Chunk>) -> Result<Lsn> {
        let _writing = self.write.lock();
        self.poison.check()?;
        self.poison.guard(|| {
            for chunk in take() {
                self.write_chunk(&chunk)?;
                self.shared.buffers.give(chunk.bytes);
            }
            Ok(self.written())
        })
    }

    fn write_chunk(&self, chunk: &Chunk) -> Result<()> {
        // A sync may have failed since the last chunk.
        self.poison.check()?;
        let Mark { written, file } = self.mark.lock().clone();
        let segment = self.geometry.segment_of(chunk.start);
        if chunk.start != written && !planted!(ChunkOrderUnchecked) {
            return Err(Error::invalid(format!("a chunk for lsn={} came at lsn={written}", chunk.start)));
        }
        file.write_all_at(&chunk.bytes, self.geometry.offset(chunk.start))
            .map_err(|e| Error::io(format!("cannot write {}", self.file_name(segment)), e))?;
        if chunk.seals {
            self.seal(segment, &file)
        } else {
            self.raise_written(Mark { written: Lsn(written.0 + chunk.bytes.len() as u64), file });
            Ok(())
        }
    }

    /// The seal of `segment` is written: nothing goes into the next one before all of this one is durable.
    fn seal(&self, segment: SegmentId, file: &Arc<dyn DiskFile>) -> Result<()> {
        let _gate = self.sync_gate.lock();
        let synced = planted!(SealSyncsTheNext, self.shared.chain.writable(next(segment)), None);
        if !planted!(SealNotSynced) {
            self.sync_file(segment, synced.as_ref().unwrap_or(file))?;
        }
        let following = next(segment);
        let file = self
            .shared
            .chain
            .writable(following)
            .ok_or_else(|| Error::invalid(format!("{} was not prepared", self.file_name(following))))?;
        let start = self.geometry.first_frame(following);
        self.raise_written(Mark { written: start, file });
        self.raise_durable(start);
        self.shared.chain.sealed(segment);
        Ok(())
    }

    /// Makes durable what was written when the call began, and raises `durable`. An error poisons; there is no
    /// second try.
    pub(crate) fn sync(&self) -> Result<Lsn> {
        let _gate = self.sync_gate.lock();
        self.poison.check()?;
        let Mark { written, file } = self.mark.lock().clone();
        if written > self.durable() {
            self.sync_file(self.geometry.segment_of(written), &file)?;
            self.raise_durable(planted!(SyncCoversLaterWrites, self.written(), written));
        }
        Ok(self.durable())
    }

    /// Under the sync gate, and poisoned before that opens: a sync after a failed one may well succeed.
    fn sync_file(&self, segment: SegmentId, file: &Arc<dyn DiskFile>) -> Result<()> {
        self.poison.check()?;
        self.poison.guard(|| {
            crate::telemetry::synced(|| files::sync_data(file))
                .map_err(|e| Error::io(format!("cannot sync {}", self.file_name(segment)), e))
        })?;
        // A write may have failed meanwhile: nothing is acknowledged after that.
        planted!(PoisonUncheckedAfterSync, Ok(()), self.poison.check())
    }

    fn raise_written(&self, to: Mark) {
        let mut mark = self.mark.lock();
        self.shared.marks.written.fetch_max(to.written.0, Ordering::SeqCst);
        *mark = to;
    }

    fn raise_durable(&self, to: Lsn) {
        debug_assert!(to <= self.written());
        self.shared.marks.durable.fetch_max(to.0, Ordering::SeqCst);
    }

    pub(crate) fn written(&self) -> Lsn {
        self.shared.marks.written()
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.shared.marks.durable()
    }

    /// Stops everything; the first cause is kept.
    pub(crate) fn poison(&self, why: &Error) {
        self.poison.set(why);
    }

    /// What everyone is told since the first error of the commit path.
    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.poison.get()
    }

    /// Reads one record. `Corrupt` if it does not verify; `Invalid` if its segment was removed meanwhile:
    /// look the job up again.
    pub(crate) fn read(&self, place: Place, id: u64) -> Result<Raw> {
        walk::read(&self.shared.chain, place, id)
    }

    /// The record verified, but its reader could make nothing of it.
    pub(crate) fn damaged(&self, place: Place, what: impl std::fmt::Display) -> Error {
        self.shared.chain.corrupt(place.lsn, what)
    }

    /// The same for many, neighbours in one read; answers in the order of the question.
    pub(crate) fn read_many(&self, wanted: &[(Place, u64)]) -> Vec<Result<Raw>> {
        walk::read_many(&self.shared.chain, wanted)
    }

    /// Visits the frames that start in `from..to`; both are frame borders, `to` not beyond `written`.
    pub(crate) fn walk(&self, from: Lsn, to: Lsn, visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>) -> Result<()> {
        debug_assert!(to <= self.written());
        walk::walk(&self.shared.chain, from, to, visit)
    }

    pub(crate) fn oldest(&self) -> SegmentId {
        self.shared.chain.oldest()
    }

    /// The segment of `written`.
    pub(crate) fn current(&self) -> SegmentId {
        self.geometry.segment_of(self.written())
    }

    pub(crate) fn segment_of(&self, lsn: Lsn) -> SegmentId {
        self.geometry.segment_of(lsn)
    }

    pub(crate) fn first_frame(&self, segment: SegmentId) -> Lsn {
        self.geometry.first_frame(segment)
    }

    pub(crate) fn segment_bytes(&self) -> u32 {
        self.geometry.segment_bytes()
    }

    /// The last prepared segment.
    pub(crate) fn ready_through(&self) -> SegmentId {
        self.shared.chain.ready_through()
    }

    /// For messages: where the segment's file lies.
    pub(crate) fn file_name(&self, segment: SegmentId) -> String {
        self.disk.display(&path(segment))
    }

    /// Files of full length: chain, prepared and spare.
    pub(crate) fn segment_files(&self) -> u64 {
        let spares = self.maker.lock().spares();
        self.shared.chain.segments() + spares
    }
}
