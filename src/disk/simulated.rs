//! A directory in memory that can lose power, run full, fail and lie as real disks do, the same way each time.
//!
//! It keeps a trace of every changing operation, numbered from 0, and builds what a crash after any of them could
//! leave. The model of durability stands in `crash`.
//!
//! # Invariants
//! * Deterministic: the same calls in the same order give the same answers, trace and images.
//!
//! Never here: time and threads; whoever needs an order of calls brings it about himself.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a simulator that is wrong must stop the test; its offsets fit memory"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

mod content;
mod crash;
mod door;
mod fault;
mod fuse;
mod image;
mod medium;
mod tamper;
mod trace;

pub use crash::{CrashMode, Replayer};
pub use fault::{Call, Fault};
pub(crate) use fuse::{Burnt, Died, Moment, MomentKind};
pub use trace::TraceOp;

use content::{Content, PAGE, SECTOR};
use fault::{Faults, Leave};
use fuse::Fuse;
use medium::{Ino, Medium, Op};

/// A simulated directory. A clone is another handle to the same one.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// Where the trace began.
    base: Arc<Medium>,
    medium: Arc<Medium>,
    trace: Vec<Op>,
    faults: Faults,
    capacity: Option<u64>,
    locked: BTreeSet<Ino>,
    /// Open handles of each file.
    open: BTreeMap<Ino, usize>,
    stop_after: Option<usize>,
    off: bool,
    /// Sectors that do not read.
    broken: BTreeSet<(Ino, u64)>,
    fuse: Option<Fuse>,
}

impl SimDisk {
    /// An empty directory, all of it durable.
    pub fn new() -> Self {
        Self::from_medium(Medium::new())
    }

    /// Another disk that shows the same files, all of them durable, unlocked, with an empty trace.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::from_medium(self.state.lock().medium.settled())
    }

    /// Changing operations so far, count: the largest cut.
    pub fn ops(&self) -> usize {
        self.state.lock().trace.len()
    }

    /// What operation `n` was.
    pub fn op(&self, n: usize) -> Option<TraceOp> {
        self.state.lock().trace.get(n).map(TraceOp::of)
    }

    /// All operations so far.
    pub fn trace(&self) -> Vec<TraceOp> {
        self.state.lock().trace.iter().map(TraceOp::of).collect()
    }

    /// What a crash right after the first `cut` operations could leave. For many cuts of one trace, see
    /// [`replayer`](Self::replayer).
    ///
    /// # Panics
    /// If there were fewer operations.
    #[must_use]
    pub fn crash_image(&self, cut: usize, mode: CrashMode) -> Self {
        let state = self.state.lock();
        assert!(cut <= state.trace.len(), "cut={cut} lies beyond the trace: ops={}", state.trace.len());
        if cut == state.trace.len() {
            return Self::from_medium(state.medium.after_crash(mode));
        }
        let mut replayer = Replayer::new((*state.base).clone(), state.trace[..cut].into());
        replayer.advance_to(cut);
        replayer.image(mode)
    }

    /// Walks the trace as it stands now, from its beginning.
    pub fn replayer(&self) -> Replayer {
        let state = self.state.lock();
        Replayer::new((*state.base).clone(), state.trace[..].into())
    }

    /// Lets the trace begin here: what is unsynced stays so, numbers start at 0 again. Files that no crash can bring
    /// back and nobody holds open are forgotten too, so that a long run needs no more memory than a short one.
    pub fn forget_trace(&self) {
        let mut state = self.state.lock();
        let State { medium, open, .. } = &mut *state;
        Arc::make_mut(medium).forget_removed(|ino| open.contains_key(&ino));
        state.base = state.medium.clone();
        state.trace.clear();
    }

    /// Calls so far, of every kind, reads and failed ones included.
    pub fn calls(&self) -> u64 {
        self.calls_of(&[])
    }

    /// Calls so far of these kinds; none given: of all.
    pub fn calls_of(&self, kinds: &[Call]) -> u64 {
        self.state.lock().faults.calls(kinds)
    }

    /// Lets the `k`-th call from now fail (0 = the next), counting only the fault's kinds of calls.
    pub fn fail_call(&self, k: u64, fault: Fault) {
        self.state.lock().faults.arm(k, fault);
    }

    /// Takes back all faults, also those for good. Power stays as it is.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Room for file bytes, in whole pages of 4096; beyond it writes are short, then ENOSPC. Written zeros take
    /// room, holes do not; overwriting never needs any; removing a file gives its room back. `None` = no bound.
    pub fn set_capacity(&self, bytes: impl Into<Option<u64>>) {
        self.state.lock().capacity = bytes.into();
    }

    /// Room taken by file bytes.
    pub fn used(&self) -> u64 {
        self.state.lock().allocated_pages() * PAGE as u64
    }

    /// Every call from now on fails and changes nothing: ends a run in its middle. Images can still be made.
    pub fn power_off(&self) {
        self.state.lock().off = true;
    }

    /// Power goes off as soon as the trace holds `ops` operations.
    pub fn stop_after(&self, ops: usize) {
        let mut state = self.state.lock();
        state.stop_after = Some(ops);
        state.off |= state.trace.len() >= ops;
    }

    /// Whether power is off.
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    fn from_medium(medium: Medium) -> Self {
        let medium = Arc::new(medium);
        let state = State {
            base: medium.clone(),
            medium,
            trace: Vec::new(),
            faults: Faults::default(),
            capacity: None,
            locked: BTreeSet::new(),
            open: BTreeMap::new(),
            stop_after: None,
            off: false,
            broken: BTreeSet::new(),
            fuse: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl State {
    fn enter(&mut self, call: Call) -> io::Result<Leave> {
        self.alive()?;
        self.faults.enter(call)
    }

    fn alive(&mut self) -> io::Result<()> {
        self.lives()?;
        if self.off { Err(io::Error::other("the simulated disk has no power")) } else { Ok(()) }
    }

    fn record(&mut self, op: Op) {
        self.burn(MomentKind::Before);
        Arc::make_mut(&mut self.medium).apply(&op);
        self.trace.push(op);
        self.off |= self.stop_after == Some(self.trace.len());
        self.burn(MomentKind::After);
    }

    /// Fails a read of broken sectors.
    fn readable(&self, ino: Ino, offset: u64, len: usize) -> io::Result<()> {
        let mut touched =
            self.broken.range((ino, offset / SECTOR)..=(ino, (offset + (len as u64).max(1) - 1) / SECTOR));
        touched.next().map_or(Ok(()), |_| Err(io::Error::from_raw_os_error(5)))
    }

    fn mend(&mut self, ino: Ino, offset: u64, len: usize) {
        self.broken.retain(|(broken, sector)| {
            *broken != ino || *sector < offset / SECTOR || sector * SECTOR >= offset + len as u64
        });
    }

    fn content(&self, ino: Ino) -> &Content {
        &self.medium.inodes[&ino].cached
    }

    fn allocated_pages(&self) -> u64 {
        self.medium.files().map(|(_, content)| content.allocated()).sum()
    }
}
