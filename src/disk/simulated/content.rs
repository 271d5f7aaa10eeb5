//! The bytes of one simulated file, as copy-on-write pages: a copy costs one reference.
//!
//! # Invariants
//! * Bytes of the last page at and beyond `len` are zero.
//! * A hole was never written; a page of zeros was, and takes room on the disk.

use std::sync::Arc;

/// Bytes of one page, the unit of copying and of room taken.
pub(super) const PAGE: usize = 4096;
/// Bytes of one sector, the unit the medium writes whole.
pub(super) const SECTOR: u64 = 512;

static ZEROS: [u8; PAGE] = [0; PAGE];

#[derive(Clone)]
enum Page {
    Hole,
    Zeros,
    Bytes(Arc<[u8; PAGE]>),
}

/// What one write carries; fills with zeros are common and large.
#[derive(Clone)]
pub(super) enum Bytes {
    Zeros(usize),
    Copied(Arc<[u8]>),
}

#[derive(Clone, Default)]
pub(super) struct Content {
    pages: Arc<Vec<Page>>,
    len: u64,
}

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if is_zero(bytes) { Self::Zeros(bytes.len()) } else { Self::Copied(bytes.into()) }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Zeros(len) => *len,
            Self::Copied(bytes) => bytes.len(),
        }
    }
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let n = (self.len.saturating_sub(offset)).min(buf.len() as u64) as usize;
        for (page, within, at) in pieces(offset, n) {
            let out = &mut buf[at..at + within.len()];
            match &self.pages[page] {
                Page::Bytes(bytes) => out.copy_from_slice(&bytes[within]),
                Page::Hole | Page::Zeros => out.fill(0),
            }
        }
        n
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &Bytes) {
        if bytes.len() == 0 {
            return;
        }
        self.grow(offset + bytes.len() as u64);
        let pages = Arc::make_mut(&mut self.pages);
        for (page, within, at) in pieces(offset, bytes.len()) {
            let piece = match bytes {
                Bytes::Zeros(_) => &ZEROS[..within.len()],
                Bytes::Copied(all) => &all[at..at + within.len()],
            };
            pages[page].put(within, piece);
        }
    }

    pub(super) fn write_slice(&mut self, offset: u64, bytes: &[u8]) {
        self.write(offset, &Bytes::of(bytes));
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let pages = Arc::make_mut(&mut self.pages);
            pages.truncate((len as usize).div_ceil(PAGE));
            let kept = len as usize % PAGE;
            if let Some(last) = pages.last_mut().filter(|_| kept != 0) {
                last.put(kept..PAGE, &ZEROS[kept..]);
            }
            self.len = len;
        }
        self.grow(len);
    }

    /// Takes over `from`'s bytes in `[start, end)`, as far as `from` reaches.
    pub(super) fn copy_range(&mut self, from: &Self, start: u64, end: u64) {
        let end = end.min(from.len);
        if start >= end {
            return;
        }
        self.grow(end);
        let pages = Arc::make_mut(&mut self.pages);
        for (page, within, _) in pieces(start, (end - start) as usize) {
            match &from.pages[page] {
                whole if within.len() == PAGE => pages[page] = whole.clone(),
                Page::Bytes(bytes) => pages[page].put(within.clone(), &bytes[within]),
                Page::Hole if matches!(pages[page], Page::Hole) => {}
                Page::Hole | Page::Zeros => pages[page].put(within.clone(), &ZEROS[within]),
            }
        }
    }

    /// Pages that take room, count.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.iter().filter(|page| !matches!(page, Page::Hole)).count() as u64
    }

    /// How much of a write of `len` bytes at `offset` fits when `free` more pages may be taken.
    pub(super) fn fitting(&self, offset: u64, len: usize, mut free: u64) -> usize {
        for (page, _, at) in pieces(offset, len) {
            if matches!(self.pages.get(page), None | Some(Page::Hole)) {
                if free == 0 {
                    return at;
                }
                free -= 1;
            }
        }
        len
    }

    /// Whether the byte at `offset` was never written.
    pub(super) fn is_hole(&self, offset: u64) -> bool {
        offset >= self.len || matches!(self.pages[offset as usize / PAGE], Page::Hole)
    }

    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        let same = |(a, b): (&Page, &Page)| match (a, b) {
            (Page::Bytes(a), Page::Bytes(b)) => Arc::ptr_eq(a, b) || a == b,
            (Page::Bytes(a), _) | (_, Page::Bytes(a)) => is_zero(&a[..]),
            _ => true,
        };
        self.len == other.len
            && (Arc::ptr_eq(&self.pages, &other.pages) || self.pages.iter().zip(other.pages.iter()).all(same))
    }

    fn grow(&mut self, len: u64) {
        if len > self.len {
            let pages = (len as usize).div_ceil(PAGE);
            if pages > self.pages.len() {
                Arc::make_mut(&mut self.pages).resize(pages, Page::Hole);
            }
            self.len = len;
        }
    }
}

impl Page {
    fn put(&mut self, within: std::ops::Range<usize>, bytes: &[u8]) {
        match self {
            _ if within.len() == PAGE && is_zero(bytes) => *self = Self::Zeros,
            Self::Bytes(page) => Arc::make_mut(page)[within].copy_from_slice(bytes),
            Self::Hole | Self::Zeros if is_zero(bytes) => *self = Self::Zeros,
            Self::Hole | Self::Zeros => {
                let mut page = [0; PAGE];
                page[within].copy_from_slice(bytes);
                *self = Self::Bytes(Arc::new(page));
            }
        }
    }
}

/// The sectors, as byte ranges, that `[offset, offset + len)` touches: first byte and end.
pub(super) fn sectors(offset: u64, len: u64) -> (u64, u64) {
    (offset / SECTOR * SECTOR, (offset + len).div_ceil(SECTOR) * SECTOR)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

/// Cuts a range at page borders: page, range within it, position within the whole.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let (start, mut at) = (offset as usize, 0);
    std::iter::from_fn(move || {
        let (page, within) = ((start + at) / PAGE, (start + at) % PAGE);
        let n = (PAGE - within).min(len - at);
        let piece = (n > 0).then_some((page, within..within + n, at));
        at += n;
        piece
    })
}
