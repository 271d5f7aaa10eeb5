//! Promises of the index room.

mod model;
mod packed;
mod shadow;
