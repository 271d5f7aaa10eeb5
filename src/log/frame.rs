//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use crate::ids::{Lsn, Place};

pub(crate) struct Flags;
impl Flags {
    pub(crate) const SEAL: u8 = 1;
    pub(crate) const CLOSED: u8 = 2;
}
pub(crate) struct Body {
    crc: u32,
    bytes: Vec<u8>,
}
impl Body {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { crc: crc32fast::hash(&bytes), bytes }
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
pub(crate) struct Draft<'a> {
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: &'a Body,
}
pub(crate) fn record_len(body_len: usize) -> u32 {
    todo!()
}
pub(crate) fn frame_len(body_lens: impl Iterator<Item = usize>) -> usize {
    todo!()
}
pub(crate) struct Frame<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) end: Lsn,
    pub(crate) durable: Lsn,
    pub(crate) flags: u8,
    bytes: &'a [u8],
}
pub(crate) struct RecordView<'a> {
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) body: &'a [u8],
    pub(crate) place: Place,
}
impl<'a> Frame<'a> {
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'a>> + use<'a> {
        std::iter::empty()
    }
}
