//! `unique`: 128-bit hash → id.
//!
//! ```text
//! entry: n u8 | step from the hash before, n bytes LE | id, signed step varint      key: hash u128 BE
//! ```
//! Hashes are random, so a step is some 14 bytes; with the id about 20 bytes a key. Leaves are small, because every
//! insert meets another one.

use super::super::packed::Layout;
use super::super::varint::{self, Reader};

#[derive(Debug)]
pub(in crate::index) struct Uniques;

impl Layout for Uniques {
    type Key = u128;
    type Value = u64;
    const LEAF_ENTRIES_MAX: usize = 80;

    fn key_bytes(key: u128) -> Box<[u8]> {
        Box::new(key.to_be_bytes())
    }

    fn key_from(bytes: &[u8]) -> Option<u128> {
        Some(u128::from_be_bytes(bytes.try_into().ok()?))
    }

    fn start(low: u128) -> (u128, u64) {
        (low, 0)
    }

    fn encode(before: &(u128, u64), item: &(u128, u64), out: &mut Vec<u8>) {
        let step = item.0.wrapping_sub(before.0);
        let used = (128 - step.leading_zeros()).div_ceil(8);
        out.push(u8::try_from(used).unwrap_or(16));
        out.extend(step.to_le_bytes().into_iter().take(used as usize));
        varint::put(out, varint::zigzag(before.1, item.1));
    }

    #[inline]
    fn decode(before: &(u128, u64), from: &mut Reader<'_>) -> Option<(u128, u64)> {
        let used = usize::from(from.byte()?);
        let mut step = [0; 16];
        step.get_mut(..used)?.copy_from_slice(from.bytes(used)?);
        let hash = before.0.checked_add(u128::from_le_bytes(step))?;
        Some((hash, varint::unzigzag(before.1, from.varint()?)))
    }
}
