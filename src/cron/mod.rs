//! Periodic jobs: entries with times, each time a job.
//!
//! * [`CronSet`] is what a program declares, of [`CronEntry`]s; [`Firing`] is what makes a job, [`Missed`] what becomes
//!   of the times nobody was there for.
//! * [`times`] reads cron text; [`next`](times::Times::next) says when, across changes of the clocks.
//! * [`cell`] is what an entry leaves on disk; [`declare`], [`fire`] bring it forward; [`service`] is asked by upkeep.
//!
//! # Invariants
//! * A firing's job and the cell that says so are one frame: a crash repeats none and loses none.
//! * The cell is compared under the engine's lock: of several who fire an entry, one does.
//! * When an entry fires is a pure function of its times, its cell and the clock.
//!
//! Never here: what a job may become, threads, builders of jobs (`queue`).

mod cell;
mod declare;
mod entry;
mod fire;
mod info;
mod next;
mod service;
#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
mod times;

pub use entry::{CronEntry, CronSet, Firing, Missed};
pub use info::CronInfo;
pub(crate) use service::{Declared, Service};
pub(crate) use times::Times;
