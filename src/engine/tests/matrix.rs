//! The corruption matrix: a log of 64 KiB that holds every kind of record, damaged in every way, opened and read whole.
//!
//! What must come of each damage is told beforehand, from where the frames lie and what they vouch for, never by the
//! code that opens: it is *reported* with file and offset, or the state is *identical*, or an unvouched *tail* is
//! dropped and the state is that of the frames before. Args are compared byte for byte, and never is anything else
//! served.
//!
//! Quick by default; `BACKLOG_EFFORT=full` tries everything. One case alone: `BACKLOG_MATRIX_ONLY=<number>`.
//!
//! Never here: frames without an engine (`log::tests`), real files (`tests/bad_luck`), sled's file (`index::tests`).

mod anatomy;
mod bits;
mod contents;
mod files;
mod found;
mod judge;
mod kinds;
mod served;
mod spread;
mod story;
mod trusting;
