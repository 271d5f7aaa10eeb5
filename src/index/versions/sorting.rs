//! Telling the versions of a tree apart.

use super::super::delta::Tree;
use super::super::seal;
use super::Write;

type Version = (Box<[u8]>, u64, Vec<u8>);

/// The versions of one tree as they come by key, told apart: the newest of each low key, and what is to be deleted.
pub(super) struct Sorted {
    tree: Tree,
    number: u64,
    /// Low key, number, sealed leaf.
    pub(super) newest: Vec<Version>,
    candidate: Option<Version>,
    pub(super) stale: Vec<Write>,
    /// To be deleted when nothing older stands behind them.
    pub(super) removed: Vec<Write>,
}

impl Sorted {
    pub(super) fn new(tree: Tree, number: u64) -> Self {
        Self { tree, number, newest: Vec::new(), candidate: None, stale: Vec::new(), removed: Vec::new() }
    }

    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        let Some((low, number)) = split(key).filter(|(_, number)| *number <= self.number) else {
            self.stale.push((key.to_vec(), None));
            return;
        };
        match &self.candidate {
            Some((held, older, _)) if **held == *low => self.stale.push((numbered(held, *older), None)),
            _ => self.finish(),
        }
        self.candidate = Some((low.into(), number, value.to_vec()));
    }

    pub(super) fn finish(&mut self) {
        let Some((low, number, sealed)) = self.candidate.take() else { return };
        if seal::open(self.tree, &low, &sealed) == Ok(None) {
            self.removed.push((numbered(&low, number), None));
        } else {
            self.newest.push((low, number, sealed));
        }
    }
}

pub(super) fn numbered(low: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(low.len() + 10);
    key.extend_from_slice(&u16::try_from(low.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(low);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The inverse of [`numbered`].
fn split(key: &[u8]) -> Option<(&[u8], u64)> {
    let (len, rest) = key.split_first_chunk::<2>()?;
    let (low, number) = rest.split_last_chunk::<8>()?;
    (low.len() == usize::from(u16::from_be_bytes(*len))).then_some((low, u64::from_be_bytes(*number)))
}

/// The leaf within a sealed value, checked or not.
pub(super) fn leaf_of(sealed: &[u8]) -> &[u8] {
    sealed.get(1..sealed.len().saturating_sub(4)).unwrap_or_default()
}
