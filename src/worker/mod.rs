//! Runs handlers for claimed jobs.
//!
//! * [`WorkersBuilder`] gathers handlers and settings; [`Workers`] is the running pool.
//! * A handler gets its job and a [`Context`], and answers with an [`Outcome`] or a [`Failure`], at once or by a future.
//! * `pool` holds the threads; it knows a store only through [`JobStore`](crate::queue::seam::JobStore).
//!
//! # Invariants
//! * A job has at most one run in this process: its lease stays with its run until that has returned.
//! * Nothing a handler does ends a thread of the pool: a panic is a failed attempt.
//! * No signal handler is installed outside [`Workers::run_until_signal`].
//!
//! Never here: what a job may become, when it is durable.

mod alarms;
#[cfg(feature = "testing")]
mod alone;
mod builder;
mod cancelled;
mod context;
mod failure;
mod handlers;
mod hooks;
mod layers;
mod notes;
mod order;
mod outcome;
#[cfg(feature = "cron")]
mod periodic;
mod pool;
mod signals;
mod stats;
mod tasks;
#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
mod watch;
mod workers;

pub use alarms::{Alarm, Alert};
#[cfg(feature = "testing")]
pub(crate) use alone::run_alone;
pub use builder::WorkersBuilder;
pub use context::Context;
pub use failure::{Failure, Retry};
#[cfg(feature = "testing")]
pub(crate) use handlers::panic_text;
pub use layers::{Ended, Run};
pub use notes::Progress;
pub use outcome::{IntoOutcome, Outcome};
pub use stats::{Monitor, PoolStats, RunningJob};
pub use tasks::BoxFuture;
pub use workers::{OnPoison, Stopped, Workers};
