//! The memory twin of the store, which can lie as sled can.
//!
//! It keeps checkpoints by the same steps as the real one ([`super::versions`]) and remembers what stood after each
//! save, so that a test can reopen "as of save n" beside a log cut at the same moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::delta::{Delta, Meta, Tree};
use super::store::{Loaded, Saved, Store, StoreError};
use super::versions::{self, Shelf, Versions, Write};

/// How a store can fail its owner.
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
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Completed saves so far.
    pub(crate) fn saves(&self) -> usize {
        self.0.state.lock().history.len()
    }

    /// Writes so far, of all saves and loads together.
    pub(crate) fn writes(&self) -> usize {
        self.0.state.lock().writes
    }

    /// A new, independent store holding what stood after save `n` (0: nothing).
    pub(crate) fn as_of(&self, n: usize) -> Self {
        let mut history = self.0.state.lock().history.clone();
        history.truncate(n);
        Self::holding(history.last().cloned().unwrap_or_default(), history)
    }

    /// A new, independent store holding what stands now, the middle of a save included.
    pub(crate) fn fork(&self) -> Self {
        let state = self.0.state.lock();
        Self::holding(state.content.clone(), state.history.clone())
    }

    fn holding(content: Content, history: Vec<Content>) -> Self {
        let state = State { content, history, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() }))
    }

    /// What is kept changes at once, what calls do from the next call on.
    pub(crate) fn lie(&self, lie: Lie) {
        let mut state = self.0.state.lock();
        match lie {
            Lie::LostEverything => state.content = Content::default(),
            Lie::Older(n) => {
                state.content = n.checked_sub(1).and_then(|at| state.history.get(at)).cloned().unwrap_or_default();
            }
            Lie::Holed(n) => state.content.punch(n),
            Lie::Garbled(n) => state.content.flip(n),
            Lie::NewerThanLog => {
                let forged = state.content.meta.as_deref().and_then(versions::claim_beyond);
                state.content.meta = forged;
            }
            Lie::FailsAfter(n) => state.writes_left = Some(n),
            Lie::Fails | Lie::Panics | Lie::Hangs => state.lie = Some(lie),
        }
    }

    /// Lets a hanging call return.
    pub(crate) fn release(&self) {
        self.0.state.lock().lie = None;
        self.0.released.notify_all();
    }

    /// Bits that [`Lie::Garbled`] can flip.
    pub(crate) fn bits(&self) -> usize {
        let state = self.0.state.lock();
        let values = state.content.trees.iter().flat_map(BTreeMap::values).map(|value| value.len());
        (values.sum::<usize>() + state.content.meta.as_ref().map_or(0, Vec::len)) * 8
    }

    /// Values that [`Lie::Holed`] can lose.
    pub(crate) fn values(&self) -> usize {
        self.0.state.lock().content.trees.iter().map(BTreeMap::len).sum()
    }

    /// Puts back every value of save `n` that a newer one replaced, under the newer one's key; gives how many.
    #[cfg(test)]
    pub(super) fn mix_with_older(&self, n: usize) -> usize {
        let mut state = self.0.state.lock();
        let Some(older) = n.checked_sub(1).and_then(|at| state.history.get(at)).cloned() else { return 0 };
        let mut mixed = 0;
        for (tree, older) in state.content.trees.iter_mut().zip(&older.trees) {
            for (key, value) in tree.iter_mut() {
                let low = |key: &[u8]| key.len().checked_sub(8).and_then(|at| key.get(..at).map(<[u8]>::to_vec));
                let old = older.iter().find(|old| low(old.0) == low(key)).map(|old| Arc::clone(old.1));
                if let Some(old) = old.filter(|old| old != value) {
                    *value = old;
                    mixed += 1;
                }
            }
        }
        mixed
    }

    /// The store itself; `may_hang`: it has a thread of its own.
    pub(super) fn store(&self, may_hang: bool) -> MemoryStore {
        MemoryStore { handle: self.clone(), versions: Versions::default(), may_hang }
    }
}

impl Content {
    fn punch(&mut self, n: usize) {
        let all = self.trees.iter().map(BTreeMap::len).sum::<usize>().max(1);
        let at = self.trees.iter().enumerate().flat_map(|(at, tree)| tree.keys().map(move |key| (at, key)));
        let Some((at, key)) = at.clone().nth(n % all).map(|(at, key)| (at, key.clone())) else { return };
        self.trees.get_mut(at).map(|tree| tree.remove(&key));
    }

    fn flip(&mut self, n: usize) {
        let values = self.trees.iter().flat_map(BTreeMap::values).map(|value| value.len()).sum::<usize>();
        let all = values + self.meta.as_ref().map_or(0, Vec::len);
        let (mut byte, bit) = (n / 8 % all.max(1), n % 8);
        for value in self.trees.iter_mut().flat_map(BTreeMap::values_mut) {
            if byte < value.len() {
                let mut garbled = value.to_vec();
                garbled.get_mut(byte).into_iter().for_each(|byte| *byte ^= 1 << bit);
                *value = garbled.into();
                return;
            }
            byte -= value.len();
        }
        self.meta.as_mut().and_then(|meta| meta.get_mut(byte)).into_iter().for_each(|byte| *byte ^= 1 << bit);
    }

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
            let mut shelf = MemoryShelf { handle: &self.handle, aside: Some(Content::default()) };
            let mut versions = Versions::after(self.versions.number());
            let number = versions.save(&mut shelf, delta, meta)?;
            if let Some(content) = shelf.aside {
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
