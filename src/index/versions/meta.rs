//! The one value whose insert is the switch from checkpoint to checkpoint.
//!
//! ```text
//! version u8 | number u64 | log_id u128 | index_lsn u64 | durable_lsn u64 | engine bytes u64
//! | for each tree: count u64, sum u64 | crc u32                                      little-endian
//! ```

use super::super::delta::{Digest, Meta};
use super::super::varint::Reader;
use super::TREES;
use crate::ids::Lsn;

const META_VERSION: u8 = 1;

pub(super) struct StoredMeta {
    pub(super) meta: Meta,
    pub(super) number: u64,
    pub(super) engine_len: u64,
    pub(super) digests: [Digest; TREES],
}

pub(in crate::index) fn encode_meta(meta: &Meta, engine_len: u64, number: u64, digests: &[Digest; TREES]) -> Vec<u8> {
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

pub(super) fn decode_meta(bytes: &[u8]) -> Option<StoredMeta> {
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
#[cfg(test)]
pub(in crate::index) fn claim_beyond(meta: &[u8]) -> Option<Vec<u8>> {
    let mut stored = decode_meta(meta)?;
    stored.meta.index_lsn = Lsn(u64::MAX / 2);
    stored.meta.durable_lsn = stored.meta.index_lsn;
    Some(encode_meta(&stored.meta, stored.engine_len, stored.number, &stored.digests))
}
