//! Promises of this floor.

mod envelope;
mod golden;
mod groups;
mod hostile;
mod retry;
mod round_trip;
mod rules;
mod sample;
mod table;
