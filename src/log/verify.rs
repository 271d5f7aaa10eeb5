//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use std::sync::Arc;

use super::identity::Identity;
use crate::disk::Disk;
use crate::error::Result;
use crate::ids::Lsn;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) what: String,
}
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) segments: u64,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) damage: Vec<Damage>,
}
pub(crate) fn verify(disk: &Arc<dyn Disk>, identity: &Identity, up_to: Option<Lsn>) -> Result<Verified> {
    todo!()
}
