//! Which segments there are, from the oldest to the last prepared one, and their open files.
//!
//! ```text
//!   oldest … sealed … | current … (staged ahead) | prepared … ready_through
//!   └ opened for reading, a few kept open        └ pinned: one file from birth to seal
//! ```
//!
//! # Invariants
//! * Ids are contiguous. A segment is looked up by its id, so a recycled file is never read as what it was.
//! * A segment that can still be written keeps the one open file it was made with: the system reports a failed
//!   write-back once to each open file, and a file opened later may never hear of it.
//! * No lock here is held over I/O.
//!
//! Never here: making and removing the files (`maker`), the marks (`commit`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::Result;
use crate::ids::SegmentId;
use crate::sync::{AtomicU64, Mutex};

use super::files;
use super::frame::Seed;
use super::segment::{Geometry, next, path};
use super::walk::Source;

/// Files kept open for reading beside the pinned ones.
const OPEN_FILES: usize = 64;

/// A segment that may be written: made with a salt, held open.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: SegmentId,
    pub(super) salt: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

#[derive(Debug)]
pub(super) struct Chain {
    disk: Arc<dyn Disk>,
    geometry: Geometry,
    ready_through: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    oldest: SegmentId,
    /// From `oldest` on, without a gap.
    salts: VecDeque<u64>,
    /// Above `oldest` while that one is being removed.
    readable_from: SegmentId,
    /// The highest segment that positions were given in.
    staged: SegmentId,
    pinned: BTreeMap<SegmentId, Arc<dyn DiskFile>>,
    /// Least recently used first.
    opened: VecDeque<(SegmentId, Arc<dyn DiskFile>)>,
}

impl State {
    fn salt(&self, id: SegmentId) -> Option<u64> {
        let nth = id.0.checked_sub(self.oldest.0)?;
        self.salts.get(usize::try_from(nth).ok()?).copied()
    }

    fn keep_open(&mut self, id: SegmentId, file: Arc<dyn DiskFile>) {
        self.opened.retain(|(other, _)| *other != id);
        self.opened.push_back((id, file));
        if self.opened.len() > OPEN_FILES {
            self.opened.pop_front();
        }
    }
}

impl Chain {
    /// `sealed`: salts from `oldest` on; then the segments that may be written, the current one first.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        geometry: Geometry,
        oldest: SegmentId,
        sealed: impl IntoIterator<Item = u64>,
        ready: Vec<Ready>,
    ) -> Self {
        let mut salts: VecDeque<u64> = sealed.into_iter().collect();
        let staged = SegmentId(oldest.0 + salts.len() as u64);
        salts.extend(ready.iter().map(|segment| segment.salt));
        let ready_through = (oldest.0 + salts.len() as u64).saturating_sub(1);
        let pinned = ready.into_iter().map(|segment| (segment.id, segment.file)).collect();
        let state = State { oldest, salts, readable_from: oldest, staged, pinned, opened: VecDeque::new() };
        Self { disk, geometry, ready_through: AtomicU64::new(ready_through), state: Mutex::new(state) }
    }

    pub(super) fn ready_through(&self) -> SegmentId {
        SegmentId(self.ready_through.load(Ordering::SeqCst))
    }

    pub(super) fn oldest(&self) -> SegmentId {
        self.state.lock().oldest
    }

    pub(super) fn segments(&self) -> u64 {
        self.state.lock().salts.len() as u64
    }

    /// A new prepared segment joins at the end.
    pub(super) fn publish(&self, segment: Ready) {
        let mut state = self.state.lock();
        assert_eq!(segment.id, next(self.ready_through()), "segments are made one after the other");
        state.salts.push_back(segment.salt);
        state.pinned.insert(segment.id, segment.file);
        self.ready_through.store(segment.id.0, Ordering::SeqCst);
    }

    /// Takes the last prepared segment out if more than `keep` are left unstaged.
    pub(super) fn unpublish(&self, keep: u64) -> Option<SegmentId> {
        let mut state = self.state.lock();
        let last = self.ready_through();
        if last.0.saturating_sub(state.staged.0) <= keep {
            return None;
        }
        state.salts.pop_back();
        state.pinned.remove(&last);
        self.ready_through.store(last.0 - 1, Ordering::SeqCst);
        Some(last)
    }

    /// The stage moves on to the next prepared segment; `None`: there is none.
    pub(super) fn stage_next(&self) -> Option<(SegmentId, Seed)> {
        let mut state = self.state.lock();
        let id = next(state.staged);
        let salt = state.salt(id)?;
        state.staged = id;
        Some((id, Seed::new(salt)))
    }

    pub(super) fn seed(&self, id: SegmentId) -> Option<Seed> {
        self.state.lock().salt(id).map(Seed::new)
    }

    /// The file of a segment that may be written.
    pub(super) fn writable(&self, id: SegmentId) -> Option<Arc<dyn DiskFile>> {
        self.state.lock().pinned.get(&id).cloned()
    }

    /// Its seal is durable: it will only be read from now on.
    pub(super) fn sealed(&self, id: SegmentId) {
        let mut state = self.state.lock();
        if let Some(file) = state.pinned.remove(&id) {
            state.keep_open(id, file);
        }
    }

    /// From here on reads of it fail; `false`: it is not the oldest.
    pub(super) fn begin_removal(&self, id: SegmentId) -> bool {
        let mut state = self.state.lock();
        if state.oldest != id || state.pinned.contains_key(&id) {
            return false;
        }
        state.readable_from = planted!(RecycledStillRead, id, next(id));
        state.opened.retain(|(other, _)| *other != id);
        true
    }

    pub(super) fn end_removal(&self, id: SegmentId) {
        let mut state = self.state.lock();
        if state.oldest == id {
            state.salts.pop_front();
            state.oldest = next(id);
        }
    }
}

impl Source for Chain {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn segment(&self, id: SegmentId) -> Result<(Arc<dyn DiskFile>, Seed)> {
        let (salt, held) = {
            let mut state = self.state.lock();
            let salt = if id < state.readable_from { None } else { state.salt(id) };
            let Some(salt) = salt else {
                drop(state);
                return Err(self.gone(id));
            };
            let held = state.pinned.get(&id).cloned().or_else(|| {
                let at = state.opened.iter().position(|(other, _)| *other == id)?;
                let (_, file) = state.opened.remove(at)?;
                state.opened.push_back((id, Arc::clone(&file)));
                Some(file)
            });
            (salt, held)
        };
        if let Some(file) = held {
            return Ok((file, Seed::new(salt)));
        }
        let file = files::open(&*self.disk, &path(id), Access::Read)
            .map_err(|e| if self.holds(id) { e } else { self.gone(id) })?;
        let mut state = self.state.lock();
        if id >= state.readable_from {
            state.keep_open(id, Arc::clone(&file));
        }
        Ok((file, Seed::new(salt)))
    }

    fn shown(&self, id: SegmentId) -> String {
        self.disk.display(&path(id))
    }

    fn holds(&self, id: SegmentId) -> bool {
        let state = self.state.lock();
        id >= state.readable_from && state.salt(id).is_some()
    }
}
