//! Checksums of saved values: one for each value alone, and a digest that shows when one is missing.
//!
//! ```text
//! sealed value: state u8 (1 leaf, 2 removed) | leaf | crc u32 LE over tree u8, key, state, leaf
//! digest of a tree: how many leaves, and the wrapping sum of SipHash-1-3 over tree u8, key length u64, key, leaf
//! ```
//! The key of a sealed value is the leaf's low key and the number of the checkpoint that wrote it.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::delta::{Digest, Tree};

const LEAF: u8 = 1;
const REMOVED: u8 = 2;
/// Stored digests depend on it.
const HASH_KEY: [u8; 16] = *b"backlog's leaves";

fn crc(tree: Tree, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[tree as u8]);
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// A value as it is stored; `None` says that there is no leaf under this low key any more.
pub(super) fn seal(tree: Tree, key: &[u8], leaf: Option<&[u8]>) -> Vec<u8> {
    let bytes = leaf.unwrap_or_default();
    let mut sealed = Vec::with_capacity(bytes.len() + 5);
    sealed.push(if leaf.is_some() { LEAF } else { REMOVED });
    sealed.extend_from_slice(bytes);
    let crc = crc(tree, key, &sealed);
    sealed.extend_from_slice(&crc.to_le_bytes());
    sealed
}

/// What was sealed; `Err` if it is not as it was.
pub(super) fn open<'a>(tree: Tree, key: &[u8], sealed: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let damaged = || format!("a value of tree={} fails its checksum: key={}", tree.name(), hex(key));
    let (body, stored) = sealed.split_last_chunk::<4>().ok_or_else(damaged)?;
    if u32::from_le_bytes(*stored) != crc(tree, key, body) && !planted!(GarbledIndexTrusted) {
        return Err(damaged());
    }
    match body.split_first() {
        Some((&LEAF, leaf)) => Ok(Some(leaf)),
        Some((&REMOVED, [])) => Ok(None),
        _ => Err(damaged()),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A leaf's part of its tree's digest.
pub(super) fn hash(tree: Tree, key: &[u8], leaf: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&HASH_KEY);
    hasher.write_u8(tree as u8);
    hasher.write_u64((key.len() as u64).to_le());
    hasher.write(key);
    hasher.write(leaf);
    hasher.finish()
}

impl Digest {
    pub(super) fn add(&mut self, hash: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    pub(super) fn sub(&mut self, hash: u64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash);
    }
}
