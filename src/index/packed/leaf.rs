//! One leaf: closed (bytes) or open (entries), and the way between.
//!
//! ```text
//! bytes: count varint | entry | entry | …      each entry coded against the one before, the first against low
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::varint::{self, Reader};
use super::Layout;

/// A packed leaf.
#[derive(Debug, Clone)]
pub(in crate::index) struct Closed {
    /// Shared with a delta on its way to the store.
    pub(super) bytes: Arc<[u8]>,
    pub(super) count: u16,
    /// The last freeze knew this low key.
    pub(super) saved: bool,
    /// Changed since the last freeze; then the low key stands in `dirty` too.
    pub(super) dirty: bool,
}

impl Closed {
    pub(super) fn decode<L: Layout>(&self, low: L::Key) -> Decoder<'_, L> {
        Decoder::new(low, &self.bytes)
    }
}

/// A decoded leaf.
#[derive(Debug)]
pub(super) struct Open<L: Layout> {
    pub(super) low: L::Key,
    /// The next leaf's low key.
    pub(super) high: Option<L::Key>,
    pub(super) entries: VecDeque<(L::Key, L::Value)>,
    pub(super) saved: bool,
    pub(super) dirty: bool,
    pub(super) used: u64,
}

impl<L: Layout> Open<L> {
    #[inline]
    pub(super) fn covers(&self, key: L::Key) -> bool {
        self.low <= key && self.high.is_none_or(|high| key < high)
    }
}

/// Packs entries; `out` is cleared first.
pub(super) fn pack<'a, L: Layout + 'a>(
    low: L::Key,
    entries: impl ExactSizeIterator<Item = &'a (L::Key, L::Value)>,
    out: &mut Vec<u8>,
) {
    out.clear();
    varint::put(out, entries.len() as u64);
    let mut before = L::start(low);
    for entry in entries {
        L::encode(&before, entry, out);
        before = *entry;
    }
}

/// Reads a packed leaf in order; ends early at bytes that are no entry.
#[derive(Debug)]
pub(in crate::index) struct Decoder<'a, L: Layout> {
    reader: Reader<'a>,
    before: (L::Key, L::Value),
    left: usize,
}

impl<'a, L: Layout> Decoder<'a, L> {
    pub(in crate::index) fn new(low: L::Key, bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        // An entry takes a byte at least, so a garbled count is bounded by the bytes there are.
        let left = reader.usize().unwrap_or(0);
        Self { reader, before: L::start(low), left }
    }

    /// Entries not read yet, as the leaf claims.
    pub(in crate::index) fn left(&self) -> usize {
        self.left
    }

    /// What the next entry is coded against.
    pub(super) fn before(&self) -> (L::Key, L::Value) {
        self.before
    }

    /// How far it has read into its `bytes`.
    pub(super) fn at(&self, bytes: &[u8]) -> usize {
        bytes.len() - self.reader.left()
    }

    /// Whether every entry was read and no byte remains.
    pub(in crate::index) fn finished(&self) -> bool {
        self.left == 0 && self.reader.is_empty()
    }
}

impl<L: Layout> Iterator for Decoder<'_, L> {
    type Item = (L::Key, L::Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = L::decode(&self.before, &mut self.reader);
        match entry {
            Some(entry) => self.before = entry,
            // Not an end that `finished` would take for a good one.
            None => self.left += 1,
        }
        entry
    }
}
