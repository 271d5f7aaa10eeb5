//! The public verbs: what a program says to a backlog.
//!
//! * [`Backlog`] is the handle of an opened directory; [`Options`] how to open it; [`ReadOnly`] looks without touching.
//! * [`Job`] names a type of args; a [`JobBuilder`] holds one job on its way in, [`Unique`] which others count as the
//!   same; a [`GroupBuilder`] or a [`Chain`] several that belong together.
//! * A [`Queue`] hands out [`Lease`]s; a lease ends its job.
//! * [`seam`] is the narrow door through which a worker pool takes jobs.
//!
//! # Invariants
//! * Whatever a caller gives is checked here, before anything is staged; the engine is never shown a bad name.
//! * Expected refusals (a duplicate, a stale lease, a job that is over) are values; an error means nothing of the
//!   call was done, but for the kind `Unknown`.
//!
//! Never here: what a job may become (`job`), what is durable when (`engine`), threads (`worker`).

mod args;
mod backlog;
mod builder;
mod bulk;
mod chain;
mod check;
#[cfg(feature = "cron")]
mod cron;
mod done;
mod enqueue;
mod events;
mod group;
#[cfg(feature = "testing")]
mod inline;
mod job;
mod lane;
mod lease;
mod list;
mod look;
mod options;
mod pending;
mod read_only;
mod receipt;
pub(crate) mod seam;
#[cfg(test)]
mod tests;
mod unique;
mod wait;
mod watch;

pub(crate) use args::parse_args;
pub use backlog::Backlog;
pub(crate) use backlog::WeakBacklog;
pub(crate) use builder::Moment;
pub use builder::{Detached, JobBuilder};
pub use bulk::Bulk;
pub use chain::Chain;
pub(crate) use check::{NameOf, name as check_name};
#[cfg(feature = "cron")]
pub use cron::Cron;
pub use done::Done;
pub use group::{GroupBuilder, GroupEnqueued};
pub use job::Job;
pub use lane::Queue;
pub use lease::Lease;
pub use list::Filter;
pub use options::Options;
#[cfg(feature = "testing")]
pub use options::Parts;
pub use pending::{Claiming, Pending, Settling};
pub use read_only::ReadOnly;
pub use receipt::{LeaseError, Receipt, StaleLease};
pub use unique::Unique;
pub use wait::{Finished, Waited, Waiting};
