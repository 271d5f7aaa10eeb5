//! The memory twin of the store, which can lie as sled can.
//!
//! It keeps checkpoints by the same steps as the real one ([`super::versions`]) and remembers what stood after each
//! save, so that a test can reopen "as of save n" beside a log cut at the same moment.

#[cfg(test)]
mod lies;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::delta::{Delta, Meta, Tree};
use super::store::{Loaded, Saved, Store, StoreError};
use super::versions::{Shelf, Versions, Write};

/// How a store can fail its owner.
#[cfg_attr(not(test), allow(dead_code, reason = "tests tell it to lie"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing was ever saved.
    LostEverything,
    /// An earlier checkpoint: as of save n (0: none yet).
    Older(usize),
    /// The n-th value (modulo their number) is missing.
    Holed(usize),
    /// The n-th bit (modulo their number) of all keys' values and the meta is flipped.
    Garbled(usize),
    /// The newest checkpoint claims to be beyond the log.
    NewerThanLog,
    /// Writes fail after the next n of them, in the middle of a save.
    FailsAfter(usize),
    /// The next call fails.
    Fails,
    /// The next call panics.
    Panics,
    /// The next call does not return before [`MemoryHandle::release`] (without a thread: fails).
    Hangs,
}

/// A store in memory that outlives its owners, so that a test can reopen it.
#[derive(Clone, Default)]
pub(crate) struct MemoryHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    content: Content,
    /// What stood after each save.
    history: Vec<Content>,
    lie: Option<Lie>,
    /// Writes until they fail.
    writes_left: Option<usize>,
    /// Writes so far, to know where they can be cut.
    writes: usize,
}

/// Values are shared between the versions that history keeps.
#[derive(Clone, Default, PartialEq, Eq)]
struct Content {
    trees: [BTreeMap<Vec<u8>, Arc<[u8]>>; Tree::ALL.len()],
    meta: Option<Vec<u8>>,
}

impl fmt::Debug for MemoryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHandle").field("saves", &self.saves()).finish_non_exhaustive()
    }
}

impl MemoryHandle {
    #[cfg_attr(not(any(test, feature = "testing")), allow(dead_code, reason = "the twin is for tests"))]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Completed saves so far.
    pub(crate) fn saves(&self) -> usize {
        self.0.state.lock().history.len()
    }

    /// The store itself; `may_hang`: it has a thread of its own.
    pub(super) fn store(&self, may_hang: bool) -> MemoryStore {
        MemoryStore { handle: self.clone(), versions: Versions::default(), may_hang }
    }
}

impl Content {
    fn bytes(&self) -> u64 {
        let entries = self.trees.iter().flatten();
        entries.map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

/// One owner's view of a [`MemoryHandle`].
pub(super) struct MemoryStore {
    handle: MemoryHandle,
    versions: Versions,
    may_hang: bool,
}

impl MemoryStore {
    /// What the next call does, if it was told to lie.
    fn obey(&self) -> Result<(), StoreError> {
        let mut state = self.handle.0.state.lock();
        match state.lie {
            Some(Lie::Fails) => Err(StoreError("told to fail".into())),
            Some(Lie::Panics) => {
                state.lie = None;
                drop(state);
                std::panic::panic_any("told to panic");
            }
            Some(Lie::Hangs) if self.may_hang => {
                while state.lie.is_some() {
                    self.handle.0.released.wait(&mut state);
                }
                Ok(())
            }
            Some(Lie::Hangs) => Err(StoreError("told to hang".into())),
            _ => Ok(()),
        }
    }

    fn saved(&self, number: u64) -> Saved {
        let mut state = self.handle.0.state.lock();
        let content = state.content.clone();
        let file_bytes = content.bytes();
        state.history.push(content);
        Saved::new(number, self.versions.content_bytes(), file_bytes)
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.obey()?;
        match Versions::load(&mut MemoryShelf { handle: &self.handle, aside: None }) {
            Ok((versions, snapshot)) => {
                self.versions = versions;
                Ok(Loaded { snapshot, notes: Vec::new() })
            }
            Err(why) => {
                // As the real one: what cannot be read is put aside, and a fresh store stands in its place.
                let mut state = self.handle.0.state.lock();
                if state.writes_left == Some(0) {
                    return Err(why);
                }
                state.content = Content::default();
                drop(state);
                self.versions = Versions::default();
                Ok(Loaded { snapshot: None, notes: vec![format!("index put aside: {why}")] })
            }
        }
    }

    fn save(&mut self, delta: &Delta, meta: &Meta) -> Result<Saved, StoreError> {
        self.obey()?;
        let number = if delta.whole && !self.versions.is_empty() {
            // A new store beside the old one, then the swap.
            let mut beside = MemoryShelf { handle: &self.handle, aside: Some(Content::default()) };
            let mut versions = Versions::after(self.versions.number());
            let number = versions.save(&mut beside, delta, meta)?;
            if let Some(content) = beside.aside {
                self.handle.0.state.lock().content = content;
            }
            self.versions = versions;
            number
        } else {
            self.versions.save(&mut MemoryShelf { handle: &self.handle, aside: None }, delta, meta)?
        };
        Ok(self.saved(number))
    }
}

struct MemoryShelf<'a> {
    handle: &'a MemoryHandle,
    /// Written instead of the handle's content.
    aside: Option<Content>,
}

impl MemoryShelf<'_> {
    fn change(&mut self, change: impl FnOnce(&mut Content)) -> Result<(), StoreError> {
        let mut state = self.handle.0.state.lock();
        if let Some(left) = state.writes_left {
            state.writes_left = Some(left.checked_sub(1).ok_or_else(|| StoreError("told to fail here".into()))?);
        }
        state.writes += 1;
        change(self.aside.as_mut().unwrap_or(&mut state.content));
        Ok(())
    }
}

impl Shelf for MemoryShelf<'_> {
    fn read(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let state = self.handle.0.state.lock();
        let content = self.aside.as_ref().unwrap_or(&state.content);
        content.trees.get(tree as usize).into_iter().flatten().for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn write(&mut self, tree: Tree, batch: Vec<Write>) -> Result<(), StoreError> {
        self.change(|content| {
            let Some(tree) = content.trees.get_mut(tree as usize) else { return };
            for (key, value) in batch {
                match value {
                    Some(value) => drop(tree.insert(key, value.into())),
                    None => drop(tree.remove(&key)),
                }
            }
        })
    }

    fn meta(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.handle.0.state.lock().content.meta.clone())
    }

    fn set_meta(&mut self, meta: Vec<u8>) -> Result<(), StoreError> {
        self.change(|content| content.meta = Some(meta))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
