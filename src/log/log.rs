//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use super::frame::Frame;
use super::stage::Chunk;
use crate::error::{Error, Result};
use crate::ids::{Lsn, Place, SegmentId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}
#[derive(Debug)]
pub(crate) struct Log;
impl Log {
    pub(crate) fn push(&self, take: impl FnOnce() -> Vec<Chunk>) -> Result<Lsn> {
        todo!()
    }
    pub(crate) fn sync(&self) -> Result<Lsn> {
        todo!()
    }
    pub(crate) fn written(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn durable(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn poison(&self, why: &Error) {}
    pub(crate) fn poisoned(&self) -> Option<Error> {
        todo!()
    }
    pub(crate) fn read(&self, place: Place, id: u64) -> Result<Raw> {
        todo!()
    }
    pub(crate) fn read_many(&self, wanted: &[(Place, u64)]) -> Vec<Result<Raw>> {
        todo!()
    }
    pub(crate) fn walk(&self, from: Lsn, to: Lsn, visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>) -> Result<()> {
        todo!()
    }
    pub(crate) fn oldest(&self) -> SegmentId {
        todo!()
    }
    pub(crate) fn current(&self) -> SegmentId {
        todo!()
    }
    pub(crate) fn segment_of(&self, lsn: Lsn) -> SegmentId {
        todo!()
    }
    pub(crate) fn first_frame(&self, s: SegmentId) -> Lsn {
        todo!()
    }
    pub(crate) fn segment_bytes(&self) -> u32 {
        todo!()
    }
    pub(crate) fn ready_through(&self) -> SegmentId {
        todo!()
    }
    pub(crate) fn file_name(&self, s: SegmentId) -> String {
        todo!()
    }
    pub(crate) fn segment_files(&self) -> u64 {
        todo!()
    }
    pub(crate) fn remove_oldest(&self, s: SegmentId, recycle: bool) -> Result<()> {
        todo!()
    }
    pub(crate) fn make_segment(&self, epoch: u64) -> Result<SegmentId> {
        todo!()
    }
    pub(crate) fn drop_surplus(&self, keep_prepared: u64) -> Result<()> {
        todo!()
    }
    /// Is `place` in a segment that is still in the chain? After a failed read: no = removed meanwhile, look again.
    pub(crate) fn holds(&self, lsn: Lsn) -> bool {
        todo!()
    }
}
