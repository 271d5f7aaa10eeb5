//! What tests of a backlog stand on: doors to the outside that a test may swap, and a judge.
//!
//! * [`Disk`], [`Clock`], [`Random`] and their simulated twins.
//! * [`oracle`] says what a backlog must do, and convicts what it must never do.
//!
//! Never here: code that a backlog itself runs.

pub mod oracle;

#[cfg(feature = "testing")]
pub use crate::{
    clock::{Clock, ManualClock},
    disk::simulated::{Call, CrashMode, Fault, Replayer, SimDisk, TraceOp},
    disk::{Access, Disk, DiskFile, Lock},
    queue::Parts,
    random::{Random, SeededRandom},
};

#[cfg(test)]
mod tests;
