//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use crate::disk::Disk;
use crate::error::Result;
use crate::random::Random;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) min_reader: u32,
    pub(crate) log_id: u128,
    pub(crate) segment_bytes: u32,
    pub(crate) hash_key: [u8; 16],
}
impl Identity {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>> {
        todo!()
    }
    pub(crate) fn create(disk: &dyn Disk, random: &dyn Random, segment_bytes: u32) -> Result<Self> {
        todo!()
    }
}
