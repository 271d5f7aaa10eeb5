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

/// How an insert into packed bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spliced {
    /// The new bytes are there.
    Done,
    /// The key was there already.
    Standing,
    /// It belongs behind the last entry.
    AtEnd,
}

/// Packs the entries of `bytes` and one more into `out`: only it and the one behind it are coded anew.
pub(super) fn splice<L: Layout>(low: L::Key, bytes: &[u8], item: &(L::Key, L::Value), out: &mut Vec<u8>) -> Spliced {
    let mut decoder = Decoder::<L>::new(low, bytes);
    let (count, first) = (decoder.left(), decoder.at(bytes));
    loop {
        let (before, start) = (decoder.before, decoder.at(bytes));
        let Some(next) = decoder.next() else { return Spliced::AtEnd };
        if next.0 == item.0 {
            return Spliced::Standing;
        }
        if next.0 > item.0 {
            let cut = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
            out.clear();
            varint::put(out, count as u64 + 1);
            out.extend_from_slice(cut(first, start));
            L::encode(&before, item, out);
            L::encode(item, &next, out);
            out.extend_from_slice(cut(decoder.at(bytes), bytes.len()));
            return Spliced::Done;
        }
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

    /// How far it has read into its `bytes`.
    fn at(&self, bytes: &[u8]) -> usize {
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
