//! How a checkpoint replaces the one before it on a store that knows only small transactions.
//!
//! ```text
//! leaf trees:  low key length u16 BE ‖ low key ‖ checkpoint number u64 BE → sealed leaf, or sealed "removed"
//! meta:        what the newest checkpoint is, see `meta`
//! ```
//! A save (1) writes the changed leaves under the next number and "removed" for low keys that are gone, (2) flushes,
//! (3) inserts the meta — the switch —, flushes, (4) deletes the older versions of what it wrote, (5) flushes and
//! deletes the "removed". The length stands first so that the versions of one low key are neighbours. The content of
//! checkpoint n is, for each low key, its newest version with a number ≤ n.
//!
//! # Why every kill point is harmless
//! * Before (3): the meta says n − 1; versions numbered n are beyond it. They are deleted at the next load, before
//!   the number n can be given again, so they never mix with a later checkpoint's.
//! * Between (3) and (4), or within (4): the older versions are covered by the newer ones of number n.
//! * Within (5): nothing older stands behind a "removed" any more, so with or without it the key is gone. At a load
//!   the same order holds.
//! * A store that loses or reorders writes is found out by the digests, which are kept here and not read back.
//!
//! Never here: sled, files, whether a checkpoint fits the log.

mod meta;
mod sorting;

use std::collections::BTreeMap;

use super::delta::{Delta, Digest, INDEX_TREES, Meta, Snapshot, Tree, Values};
use super::seal;
use super::store::StoreError;

use meta::{StoredMeta, decode_meta};
use sorting::{Sorted, leaf_of, numbered};

#[cfg(test)]
pub(super) use self::meta::claim_beyond;
pub(super) use self::meta::encode_meta;

/// Values in one transaction.
pub(super) const BATCH_MAX: usize = 500;
/// The engine's bytes are stored in pieces of this length.
const PIECE_BYTES: usize = 3 << 10;
const TREES: usize = Tree::ALL.len();

/// Key and value; `None` deletes.
pub(super) type Write = (Vec<u8>, Option<Vec<u8>>);

/// A dumb sorted store of several trees and one meta value.
pub(super) trait Shelf {
    /// All entries of a tree by key.
    fn read(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;
    /// All or nothing; at most [`BATCH_MAX`].
    fn write(&mut self, tree: Tree, batch: Vec<Write>) -> Result<(), StoreError>;
    fn meta(&mut self) -> Result<Option<Vec<u8>>, StoreError>;
    fn set_meta(&mut self, meta: Vec<u8>) -> Result<(), StoreError>;
    /// What was written before is on the medium before what is written after.
    fn flush(&mut self) -> Result<(), StoreError>;
}

/// What the newest checkpoint consists of, known without asking the shelf.
#[derive(Debug, Default)]
pub(super) struct Versions {
    number: u64,
    trees: [BTreeMap<Box<[u8]>, Version>; TREES],
    digests: [Digest; TREES],
    content_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    number: u64,
    hash: u64,
    bytes: u32,
}

impl Versions {
    /// For a new shelf, counting on from an older one.
    pub(super) fn after(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Nothing is stored, so a whole delta can be written in place.
    pub(super) fn is_empty(&self) -> bool {
        self.trees.iter().all(BTreeMap::is_empty)
    }

    /// Reads the newest checkpoint and deletes whatever does not belong to it.
    pub(super) fn load(shelf: &mut dyn Shelf) -> Result<(Self, Option<Snapshot>), StoreError> {
        let stored = match shelf.meta()? {
            Some(bytes) => Some(decode_meta(&bytes).ok_or_else(|| StoreError("the meta fails its checksum".into()))?),
            None => None,
        };
        let number = stored.as_ref().map_or(0, |stored| stored.number);
        let mut versions = Self::after(number);
        let mut values: [Values; TREES] = Default::default();
        for (tree, values) in Tree::ALL.into_iter().zip(&mut values) {
            let mut sorted = Sorted::new(tree, number);
            shelf.read(tree, &mut |key, value| sorted.take(key, value))?;
            sorted.finish();
            sorted.newest.sort_unstable();
            for (low, newest, sealed) in sorted.newest {
                versions.note(tree, low.clone(), newest, leaf_of(&sealed));
                values.push((low, sealed));
            }
            delete(shelf, tree, sorted.stale)?;
            if !sorted.removed.is_empty() {
                shelf.flush()?;
                delete(shelf, tree, sorted.removed)?;
            }
        }
        let Some(stored) = stored else { return Ok((versions, None)) };
        let StoredMeta { mut meta, number, engine_len, digests } = stored;
        let (engine, damage) = match assemble(values.last_mut(), digests.last(), engine_len) {
            Ok(engine) => (engine, None),
            Err(damage) => (Vec::new(), Some(damage)),
        };
        meta.engine = engine;
        let mut trees: [Values; INDEX_TREES] = Default::default();
        trees.iter_mut().zip(values).for_each(|(tree, values)| *tree = values);
        Ok((versions, Some(Snapshot { meta, number, digests, damage, trees })))
    }

    /// The five steps. After an error neither the shelf nor these versions may be used for another save.
    pub(super) fn save(&mut self, on: &mut dyn Shelf, delta: &Delta, meta: &Meta) -> Result<u64, StoreError> {
        let number = self.number + planted!(NumberReused, 0, 1);
        let pieces: Vec<(Box<[u8]>, &[u8])> = (0_u32..)
            .zip(meta.engine.chunks(PIECE_BYTES))
            .map(|(at, piece)| (at.to_be_bytes().into(), piece))
            .collect();
        let spare_pieces: Vec<Box<[u8]>> = self
            .tree(Tree::Engine)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|key| !pieces.iter().any(|piece| piece.0 == **key))
            .cloned()
            .collect();
        let mut stale: Vec<(Tree, Vec<Write>)> = Vec::new();
        let mut removed: Vec<(Tree, Vec<Write>)> = Vec::new();
        for (tree, changes) in Tree::ALL.into_iter().zip(&delta.trees) {
            let puts = changes.puts.iter().map(|(low, leaf)| (low, &**leaf));
            let (old, gone) = self.write_tree(on, tree, number, puts, &changes.removed)?;
            stale.push((tree, old));
            removed.push((tree, gone));
        }
        let puts = pieces.iter().map(|(key, piece)| (key, *piece));
        let (old, gone) = self.write_tree(on, Tree::Engine, number, puts, &spare_pieces)?;
        stale.push((Tree::Engine, old));
        removed.push((Tree::Engine, gone));
        planted!(MetaBeforeFlush, (), on.flush()?);
        on.set_meta(encode_meta(meta, meta.engine.len() as u64, number, &self.digests))?;
        planted!(OldVersionsGoFirst, (), on.flush()?);
        self.number = number;
        for (tree, writes) in stale {
            delete(on, tree, writes)?;
        }
        on.flush()?;
        for (tree, writes) in removed {
            delete(on, tree, writes)?;
        }
        Ok(number)
    }

    /// Step 1 for one tree; gives what steps 4 and 5 delete.
    fn write_tree<'a>(
        &mut self,
        on: &mut dyn Shelf,
        tree: Tree,
        number: u64,
        puts: impl Iterator<Item = (&'a Box<[u8]>, &'a [u8])>,
        removals: &[Box<[u8]>],
    ) -> Result<(Vec<Write>, Vec<Write>), StoreError> {
        let (mut stale, mut removed) = (Vec::new(), Vec::new());
        let mut batch = Vec::new();
        for (low, leaf) in puts {
            let hash = seal::hash(tree, low, leaf);
            let old = self.version(tree, low);
            if old.is_some_and(|old| old.hash == hash) {
                continue;
            }
            stale.extend(old.map(|old| (numbered(low, old.number), None)));
            batch.push((numbered(low, number), Some(seal::seal(tree, low, Some(leaf)))));
            self.note(tree, low.clone(), number, leaf);
            if batch.len() == BATCH_MAX {
                on.write(tree, std::mem::take(&mut batch))?;
            }
        }
        for low in removals {
            let Some(old) = self.version(tree, low) else { continue };
            stale.push((numbered(low, old.number), None));
            batch.push((numbered(low, number), Some(seal::seal(tree, low, None))));
            removed.push((numbered(low, number), None));
            if planted!(RemovalsNotWritten) {
                batch.pop();
            }
            self.forget(tree, low);
            if batch.len() == BATCH_MAX {
                on.write(tree, std::mem::take(&mut batch))?;
            }
        }
        if !batch.is_empty() {
            on.write(tree, batch)?;
        }
        Ok((stale, removed))
    }

    fn tree(&self, tree: Tree) -> Option<&BTreeMap<Box<[u8]>, Version>> {
        self.trees.get(tree as usize)
    }

    fn version(&self, tree: Tree, low: &[u8]) -> Option<Version> {
        self.tree(tree)?.get(low).copied()
    }

    fn note(&mut self, tree: Tree, low: Box<[u8]>, number: u64, leaf: &[u8]) {
        self.forget(tree, &low);
        let bytes = u32::try_from(low.len() + leaf.len()).unwrap_or(u32::MAX);
        let version = Version { number, hash: seal::hash(tree, &low, leaf), bytes };
        if let Some(digest) = self.digests.get_mut(tree as usize) {
            digest.add(version.hash);
        }
        self.content_bytes += u64::from(bytes);
        self.trees.get_mut(tree as usize).map(|tree| tree.insert(low, version));
    }

    fn forget(&mut self, tree: Tree, low: &[u8]) {
        let Some(old) = self.trees.get_mut(tree as usize).and_then(|tree| tree.remove(low)) else { return };
        if let Some(digest) = self.digests.get_mut(tree as usize) {
            digest.sub(old.hash);
        }
        self.content_bytes -= u64::from(old.bytes);
    }
}

fn delete(shelf: &mut dyn Shelf, tree: Tree, mut writes: Vec<Write>) -> Result<(), StoreError> {
    while !writes.is_empty() {
        let rest = writes.split_off(BATCH_MAX.min(writes.len()));
        shelf.write(tree, writes)?;
        writes = rest;
    }
    Ok(())
}

/// The engine's bytes from their pieces, checked.
fn assemble(pieces: Option<&mut Values>, expected: Option<&Digest>, len: u64) -> Result<Vec<u8>, String> {
    let mut engine = Vec::new();
    let mut digest = Digest::default();
    for (at, (key, sealed)) in (0_u32..).zip(pieces.map(std::mem::take).unwrap_or_default()) {
        let piece = seal::open(Tree::Engine, &key, &sealed)?.ok_or("a removed piece of the engine's bytes")?;
        if *key != at.to_be_bytes() {
            return Err("a piece of the engine's bytes is missing".into());
        }
        digest.add(seal::hash(Tree::Engine, &key, piece));
        engine.extend_from_slice(piece);
    }
    if Some(&digest) != expected || engine.len() as u64 != len {
        return Err("the engine's bytes are not as they were saved".into());
    }
    Ok(engine)
}
