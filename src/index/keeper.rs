//! Owns the store on its own thread, under deadlines; the rest of the house never waits longer for it.
//!
//! # Invariants
//! * A call returns within its deadline, whatever the store does: hang, panic, or fail.
//! * After the first call that does not succeed there is no store for the rest of the run: its thread is left alone
//!   and told, by `abandoned`, to touch nothing more.
//!
//! Never here: what a checkpoint holds, whether to trust it, files.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::delta::{Delta, Meta, Snapshot};
use super::folder;
use super::memory::MemoryHandle;
use super::sled::SledStore;
use super::store::{Loaded, Saved, Store, StoreError};

/// How long the keeper waits for its store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For each load or save.
    pub(crate) base: Duration,
    /// On top, per GB of index.
    pub(crate) per_gb: Duration,
    /// For the store's lock, of which a dropped store lets go late.
    pub(crate) lock: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { base: Duration::from_secs(10), per_gb: Duration::from_secs(1), lock: Duration::from_secs(1) }
    }
}

impl Patience {
    pub(super) fn deadline(self, bytes: u64) -> Duration {
        let extra_ms = self.per_gb.as_millis().saturating_mul(u128::from(bytes)) / 1_000_000_000;
        self.base.saturating_add(Duration::from_millis(u64::try_from(extra_ms).unwrap_or(u64::MAX)))
    }
}

type Call = Box<dyn FnOnce(&mut dyn Store) + Send>;

enum Door {
    Thread {
        calls: Sender<Call>,
        /// Disconnects when the thread has let its store go.
        ended: Receiver<()>,
    },
    Inline(Box<dyn Store>),
    Closed,
}

/// The saving side under deadlines. Past one, or after any failure, it is gone for the rest of the run.
pub(crate) struct Keeper {
    door: Mutex<Door>,
    state: Mutex<State>,
    patience: Patience,
    /// Of the index as last seen, for the deadline.
    bytes: AtomicU64,
    abandoned: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    gone: Option<StoreError>,
    wants_whole: bool,
    notes: Vec<String>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("gone", &self.gone()).finish_non_exhaustive()
    }
}

impl Keeper {
    /// sled in `<root>/index`, on a thread of its own. Never fails: a store that cannot be had is `gone`.
    pub(crate) fn sled(root: &Path, patience: Patience) -> Self {
        let abandoned = Arc::new(AtomicBool::new(false));
        let store = SledStore::new(root, patience.lock, Arc::clone(&abandoned));
        let keeper = Self::on_thread(Box::new(store), patience, abandoned);
        keeper.bytes.store(folder::bytes(root), Ordering::Relaxed);
        keeper
    }

    /// The memory twin, called in place: no thread.
    pub(crate) fn memory(handle: &MemoryHandle) -> Self {
        Self::new(Door::Inline(Box::new(handle.store(false))), Patience::default(), Arc::default(), None)
    }

    /// The memory twin on a thread of its own, as sled is kept.
    #[cfg(test)]
    pub(crate) fn memory_on_thread(handle: &MemoryHandle, patience: Patience) -> Self {
        Self::on_thread(Box::new(handle.store(true)), patience, Arc::default())
    }

    /// No store at all.
    pub(crate) fn absent() -> Self {
        let gone = StoreError("this backlog keeps no index".into());
        Self::new(Door::Closed, Patience::default(), Arc::default(), Some(gone))
    }

    fn new(door: Door, patience: Patience, abandoned: Arc<AtomicBool>, gone: Option<StoreError>) -> Self {
        let state = State { gone, ..State::default() };
        Self { door: Mutex::new(door), state: Mutex::new(state), patience, bytes: AtomicU64::new(0), abandoned }
    }

    fn on_thread(store: Box<dyn Store>, patience: Patience, abandoned: Arc<AtomicBool>) -> Self {
        let (calls, inbox) = unbounded::<Call>();
        let (end, ended) = bounded::<()>(0);
        let started = thread::Builder::new().name("backlog-index".into()).spawn(move || {
            // Dropped last, also when dropping the store panics.
            let _end = end;
            serve(store, &inbox);
        });
        match started {
            Ok(_) => Self::new(Door::Thread { calls, ended }, patience, abandoned, None),
            Err(e) => {
                let gone = StoreError(format!("its thread did not start: {e}"));
                Self::new(Door::Closed, patience, abandoned, Some(gone))
            }
        }
    }

    /// The newest checkpoint, unverified: ask [`super::trust`], then [`super::Index::load`]. Call it once, first.
    pub(crate) fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let Loaded { snapshot, notes } = self.call("opening the index", |store| store.load())?;
        self.state.lock().notes.extend(notes);
        Ok(snapshot)
    }

    /// Blocks until saved, failed or past the deadline.
    pub(crate) fn save(&self, delta: Delta, meta: Meta) -> Result<Saved, StoreError> {
        self.bytes.fetch_max(delta.bytes(), Ordering::Relaxed);
        let saved = self.call("saving the index", move |store| store.save(&delta, &meta))?;
        self.bytes.store(saved.file_bytes, Ordering::Relaxed);
        self.state.lock().wants_whole = saved.wants_whole;
        Ok(saved)
    }

    /// Whether the next save should be given everything.
    pub(crate) fn wants_whole(&self) -> bool {
        self.state.lock().wants_whole
    }

    /// Why there is no store any more in this run.
    pub(crate) fn gone(&self) -> Option<StoreError> {
        self.state.lock().gone.clone()
    }

    /// What the opening did to the folder (moved aside, swept), for the recovery report.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.state.lock().notes.clone()
    }

    /// Lets the store go and waits for it, at most the deadline.
    pub(crate) fn close(&self) {
        let door = std::mem::replace(&mut *self.door.lock(), Door::Closed);
        self.state.lock().gone.get_or_insert(StoreError("the backlog is closed".into()));
        match door {
            Door::Thread { calls, ended } => {
                drop(calls);
                // Nothing is ever sent: it ends by disconnecting, or the deadline passes.
                if ended.recv_timeout(self.deadline()) == Err(RecvTimeoutError::Timeout) {
                    self.abandoned.store(true, Ordering::SeqCst);
                }
            }
            Door::Inline(store) => drop(catch_unwind(AssertUnwindSafe(|| drop(store)))),
            Door::Closed => {}
        }
    }

    fn deadline(&self) -> Duration {
        self.patience.deadline(self.bytes.load(Ordering::Relaxed))
    }

    fn call<R: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce(&mut dyn Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        if let Some(gone) = self.gone() {
            return Err(gone);
        }
        let mut door = self.door.lock();
        let result = match &mut *door {
            Door::Thread { calls, .. } => {
                let (reply, answer) = bounded(1);
                // The answer of an abandoned call finds nobody, which is fine.
                let sent = calls.send(Box::new(move |store| drop(reply.send(call(store)))));
                let deadline = planted!(KeeperWaitsForEver, Duration::MAX, self.deadline());
                match sent.map_or(Err(RecvTimeoutError::Disconnected), |()| answer.recv_timeout(deadline)) {
                    Ok(result) => result,
                    Err(RecvTimeoutError::Timeout) => Err(StoreError(format!("not done within {deadline:?}"))),
                    Err(RecvTimeoutError::Disconnected) => Err(StoreError("it panicked".into())),
                }
            }
            Door::Inline(store) => catch_unwind(AssertUnwindSafe(|| call(store.as_mut())))
                .unwrap_or_else(|_| Err(StoreError("it panicked".into()))),
            Door::Closed => Err(StoreError("the backlog is closed".into())),
        };
        result.map_err(|why| {
            let why = StoreError(format!("{what} failed: {why}"));
            self.abandoned.store(true, Ordering::SeqCst);
            self.state.lock().gone = planted!(KeeperForgetsFailure, None, Some(why.clone()));
            // Without calls to come the thread ends, if it ever comes back.
            planted!(KeeperGoesOn, (), *door = Door::Closed);
            why
        })
    }
}

/// The owner thread: calls in order, until there are none to come or one panics.
fn serve(mut store: Box<dyn Store>, inbox: &Receiver<Call>) {
    while let Ok(call) = inbox.recv() {
        // A panic drops the reply channel unanswered: that is how the caller learns of it.
        if catch_unwind(AssertUnwindSafe(|| call(store.as_mut()))).is_err() {
            break;
        }
    }
    // Whoever panicked once may do so again while it is dropped.
    drop(catch_unwind(AssertUnwindSafe(|| drop(store))));
}
