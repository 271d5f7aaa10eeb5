//! What the benches and `examples/bench` share: the floors, the jobs, and the loads that are timed.
//!
//! A floor is the least that a durable job can cost on this disk: its bytes appended and synced. Floors and figures are
//! taken in turn in one run, since a disk is a different one an hour later.

#![allow(dead_code, unused_imports, reason = "each bench uses its part")]

mod crew;
mod floor;
mod jobs;
mod spell;

use std::error::Error;

pub(crate) use crew::{Ending, cycle, drain, drain_by_hand, due, due_latenesses, run, start_latencies};
pub(crate) use floor::{Floor, fresh_batches_rate};
pub(crate) use jobs::{BATCH, JOB_BYTES, Work, fill, fill_with, raw, works};
pub(crate) use spell::{enqueue_batch_rate, enqueue_rate, enqueue_raw_batch_rate, median, percentile};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
