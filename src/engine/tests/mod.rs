//! Promises of the engine, kept on the simulated disk with the shipped code and no threads.

mod actions;
mod borders;
mod bulk;
#[cfg(feature = "cron")]
mod conditional;
mod crash;
mod damaged;
mod events;
mod exhaustive;
mod faults;
mod full;
mod groups;
mod holds;
mod invariants;
mod judged;
mod kept;
mod limited;
mod lives;
mod managed;
mod matrix;
mod model;
mod narrow;
mod notes;
mod program;
mod promises;
mod reach;
mod reopen;
mod rules;
mod script;
#[cfg(feature = "encrypt")]
mod sealed;
mod settled;
mod short;
mod suspects;
mod takeover;
mod view;
mod waiting;
mod watching;

use super::world;
