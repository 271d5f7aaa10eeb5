//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use std::sync::Arc;

use super::log::Log;
use super::stage::Stage;
use super::survey::Survey;
use crate::error::Result;
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub(crate) bytes_cut: u64,
    pub(crate) rewritten: u64,
}
impl Survey {
    pub(crate) fn repair(self, random: Arc<dyn Random>, epoch: u64) -> Result<(Log, Stage, Repaired)> {
        todo!()
    }
}
