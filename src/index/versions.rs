//! How a checkpoint replaces the one before it on a store that knows only small transactions.
//!
//! ```text
//! leaf trees:  low key length u16 BE ‖ low key ‖ checkpoint number u64 BE → sealed leaf, or sealed "removed"
//! meta:        version u8 | number u64 | log_id u128 | index_lsn u64 | durable_lsn u64 | engine bytes u64
//!              | per tree: count u64, sum u64 | crc u32                               little-endian
//! ```
//! A save (1) writes the changed leaves under the next number and "removed" for low keys that are gone, (2) flushes,
//! (3) inserts the meta — the switch —, flushes, (4) deletes the older versions of what it wrote, (5) flushes and
//! deletes the "removed". The length stands first so that the versions of one low key are neighbours. The content of checkpoint n is, for each low key, its newest version with a number ≤ n.
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

use std::collections::BTreeMap;

use super::delta::{Delta, Digest, INDEX_TREES, Meta, Snapshot, Tree};
use super::seal;
use super::store::StoreError;
use super::varint::Reader;
use crate::ids::Lsn;

/// Values in one transaction.
pub(super) const BATCH_MAX: usize = 500;
/// The engine's bytes are stored in pieces of this length.
const PIECE_BYTES: usize = 3 << 10;
const META_VERSION: u8 = 1;
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

struct StoredMeta {
    meta: Meta,
    number: u64,
    engine_len: u64,
    digests: [Digest; TREES],
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
        let mut values: [Vec<(Box<[u8]>, Vec<u8>)>; TREES] = Default::default();
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
        let mut trees: [Vec<(Box<[u8]>, Vec<u8>)>; INDEX_TREES] = Default::default();
        trees.iter_mut().zip(values).for_each(|(tree, values)| *tree = values);
        Ok((versions, Some(Snapshot { meta, number, digests, damage, trees })))
    }

    /// The five steps. After an error neither the shelf nor these versions may be used for another save.
    pub(super) fn save(&mut self, shelf: &mut dyn Shelf, delta: &Delta, meta: &Meta) -> Result<u64, StoreError> {
        let number = self.number + 1;
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
            let (old, gone) = self.write_tree(shelf, tree, number, puts, &changes.removed)?;
            stale.push((tree, old));
            removed.push((tree, gone));
        }
        let puts = pieces.iter().map(|(key, piece)| (key, *piece));
        let (old, gone) = self.write_tree(shelf, Tree::Engine, number, puts, &spare_pieces)?;
        stale.push((Tree::Engine, old));
        removed.push((Tree::Engine, gone));
        shelf.flush()?;
        shelf.set_meta(encode_meta(meta, meta.engine.len() as u64, number, &self.digests))?;
        shelf.flush()?;
        self.number = number;
        for (tree, writes) in stale {
            delete(shelf, tree, writes)?;
        }
        shelf.flush()?;
        for (tree, writes) in removed {
            delete(shelf, tree, writes)?;
        }
        Ok(number)
    }

    /// Step 1 for one tree; gives what steps 4 and 5 delete.
    fn write_tree<'a>(
        &mut self,
        shelf: &mut dyn Shelf,
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
                shelf.write(tree, std::mem::take(&mut batch))?;
            }
        }
        for low in removals {
            let Some(old) = self.version(tree, low) else { continue };
            stale.push((numbered(low, old.number), None));
            batch.push((numbered(low, number), Some(seal::seal(tree, low, None))));
            removed.push((numbered(low, number), None));
            self.forget(tree, low);
            if batch.len() == BATCH_MAX {
                shelf.write(tree, std::mem::take(&mut batch))?;
            }
        }
        if !batch.is_empty() {
            shelf.write(tree, batch)?;
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

/// The versions of one tree as they come by key, told apart: the newest of each low key, and what is to be deleted.
struct Sorted {
    tree: Tree,
    number: u64,
    newest: Vec<(Box<[u8]>, u64, Vec<u8>)>,
    candidate: Option<(Box<[u8]>, u64, Vec<u8>)>,
    stale: Vec<Write>,
    removed: Vec<Write>,
}

impl Sorted {
    fn new(tree: Tree, number: u64) -> Self {
        Self { tree, number, newest: Vec::new(), candidate: None, stale: Vec::new(), removed: Vec::new() }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
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

    fn finish(&mut self) {
        let Some((low, number, sealed)) = self.candidate.take() else { return };
        if seal::open(self.tree, &low, &sealed) == Ok(None) {
            self.removed.push((numbered(&low, number), None));
        } else {
            self.newest.push((low, number, sealed));
        }
    }
}

fn numbered(low: &[u8], number: u64) -> Vec<u8> {
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
fn leaf_of(sealed: &[u8]) -> &[u8] {
    sealed.get(1..sealed.len().saturating_sub(4)).unwrap_or_default()
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
fn assemble(
    pieces: Option<&mut Vec<(Box<[u8]>, Vec<u8>)>>,
    expected: Option<&Digest>,
    len: u64,
) -> Result<Vec<u8>, String> {
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

fn encode_meta(meta: &Meta, engine_len: u64, number: u64, digests: &[Digest; TREES]) -> Vec<u8> {
    let mut bytes = vec![META_VERSION];
    bytes.extend(number.to_le_bytes());
    bytes.extend(meta.log_id.to_le_bytes());
    bytes.extend(meta.index_lsn.0.to_le_bytes());
    bytes.extend(meta.durable_lsn.0.to_le_bytes());
    bytes.extend(engine_len.to_le_bytes());
    for digest in digests {
        bytes.extend(digest.count.to_le_bytes());
        bytes.extend(digest.sum.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn decode_meta(bytes: &[u8]) -> Option<StoredMeta> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut from = Reader::new(body);
    if from.byte()? != META_VERSION {
        return None;
    }
    let number = u64::from_le_bytes(from.array()?);
    let log_id = u128::from_le_bytes(from.array()?);
    let index_lsn = Lsn(u64::from_le_bytes(from.array()?));
    let durable_lsn = Lsn(u64::from_le_bytes(from.array()?));
    let engine_len = u64::from_le_bytes(from.array()?);
    let mut digests = [Digest::default(); TREES];
    for digest in &mut digests {
        digest.count = u64::from_le_bytes(from.array()?);
        digest.sum = u64::from_le_bytes(from.array()?);
    }
    let meta = Meta { log_id, index_lsn, durable_lsn, engine: Vec::new() };
    from.is_empty().then_some(StoredMeta { meta, number, engine_len, digests })
}

/// The meta of a store that claims to be beyond every log; for the twin that lies.
pub(super) fn claim_beyond(meta: &[u8]) -> Option<Vec<u8>> {
    let mut stored = decode_meta(meta)?;
    stored.meta.index_lsn = Lsn(u64::MAX / 2);
    stored.meta.durable_lsn = stored.meta.index_lsn;
    Some(encode_meta(&stored.meta, stored.engine_len, stored.number, &stored.digests))
}
