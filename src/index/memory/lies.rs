//! What only tests ask of the memory twin: to lie, to show its past, to fork.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::super::versions;
use super::{Content, Lie, MemoryHandle, Shared, State};

impl MemoryHandle {
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

    /// How many hold it: this handle, and every store that was not let go.
    #[cfg(test)]
    pub(crate) fn owners(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    fn holding(content: Content, history: Vec<Content>) -> Self {
        let state = State { content, history, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() }))
    }

    /// Whether a checkpoint stands there, as far as its owner will know.
    #[cfg(test)]
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.0.state.lock().content.meta.as_deref().and_then(versions::claim_beyond).is_some()
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
    pub(in crate::index) fn mix_with_older(&self, n: usize) -> usize {
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
}
