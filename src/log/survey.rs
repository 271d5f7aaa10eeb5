//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use std::sync::Arc;

use super::frame::Frame;
use super::identity::Identity;
use super::log::Raw;
use crate::disk::Disk;
use crate::error::Result;
use crate::ids::{Lsn, Place, SegmentId};

#[derive(Debug)]
pub(crate) struct Survey;
impl Survey {
    pub(crate) fn look(disk: &Arc<dyn Disk>, identity: &Identity) -> Result<Self> {
        todo!()
    }
    /// For a reader beside a living owner: ends at the vouched position, and judges nothing behind it.
    pub(crate) fn look_beside(disk: &Arc<dyn Disk>, identity: &Identity) -> Result<Self> {
        todo!()
    }
    pub(crate) fn start(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn end(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn vouched(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn clean(&self) -> bool {
        todo!()
    }
    pub(crate) fn oldest(&self) -> SegmentId {
        todo!()
    }
    pub(crate) fn is_fresh(&self) -> bool {
        todo!()
    }
    pub(crate) fn vouch(&mut self, durable: Lsn) -> Result<()> {
        todo!()
    }
    /// Segments through `id` were given up before: leftovers are no longer part of the chain (repair removes them).
    pub(crate) fn trimmed_through(&mut self, id: SegmentId) -> Result<()> {
        todo!()
    }
    pub(crate) fn walk(&self, from: Lsn, visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>) -> Result<()> {
        todo!()
    }
    pub(crate) fn read(&self, place: Place, id: u64) -> Result<Raw> {
        todo!()
    }
    pub(crate) fn segments(&self) -> u64 {
        todo!()
    }
    /// First frame of the segment the log ends in.
    pub(crate) fn tail_start(&self) -> Lsn {
        todo!()
    }
}
