//! Promises of the index room.

mod golden;
mod keeping;
mod model;
mod packed;
mod reordering;
mod saving;
mod shadow;
mod sled;
mod trusting;
