//! A durable job queue that lives inside your program: one directory on disk, no server, nothing lost.
//!
//! A job that [`enqueue`](Backlog::enqueue) accepted survives `kill -9`, a crash of the machine and a power cut. A job
//! that was running when the process died runs again as soon as the directory is reopened. A job that was acknowledged
//! never runs again.
//!
//! ```
//! use backlog::{Backlog, Context, Job};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct ChargeCard { sale: u64, cents: u64 }
//! impl Job for ChargeCard { const KIND: &'static str = "charge_card"; }
//!
//! # fn charge(job: &ChargeCard, key: &str) -> std::io::Result<()> { assert!(job.cents > 0 && !key.is_empty()); Ok(()) }
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("jobs");
//! # let (done, wait) = std::sync::mpsc::channel();
//! let backlog = Backlog::open(&path)?;                           // creates or recovers
//! let workers = backlog.workers()
//!     .handle(move |job: ChargeCard, cx: Context| {
//!         charge(&job, cx.idempotency_key())?;                   // an error or a panic: tried again later
//! #       done.send(job.sale)?;
//!         Ok(())
//!     })
//!     .concurrency(8)
//!     .start()?;
//! backlog.enqueue(&ChargeCard { sale: 7, cents: 1000 })?;        // returns once it is on disk
//! # assert_eq!(wait.recv()?, 7);
//! # workers.stop(std::time::Duration::from_secs(25))?;
//! # #[cfg(any())]
//! workers.run_until_signal()?;                                   // SIGTERM: stop claiming, finish, sync
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The few types
//!
//! * [`Backlog`]: an opened directory; cheap to clone. [`Options`] opens it otherwise, [`ReadOnly`] only looks.
//! * [`Job`]: names a type of args. [`JobBuilder`]: one job with more to say (queue, priority, unique key, time).
//! * [`Backlog::group`]: jobs that belong together, with callbacks. [`JobBuilder::then`] makes a chain,
//!   [`JobBuilder::after`] waits for others.
//! * [`Workers`]: threads that claim jobs and run your handlers. A handler gets the job and a [`Context`], and answers
//!   with an [`Outcome`] or a [`Failure`].
//! * [`Queue`] and [`Lease`]: claiming by hand, beneath the workers.
//! * [`Job::SEALED`]: a kind whose args, results, steps and error texts are encrypted at rest, under the `KeyRing` given
//!   to `Options::keys` (feature `encrypt`).
//! * [`Error`]: the one error, with its [`kind`](Error::kind). Expected refusals are values ([`Enqueued`],
//!   [`Receipt`], [`Cancelled`], [`Requeued`], [`Confirmed`]).
//!
//! # What it is not
//!
//! * A store with several writers: one process owns a directory.
//! * Exactly once: a job runs at least once. [`Context::idempotency_key`] helps to make effects idempotent.
//! * Part of your database's transaction.
//!
//! # How the house is built
//!
//! The log is the truth; the index is derived and rebuildable; the rules of a job are pure. A file uses only floors
//! below its own; neighbours on a floor do not know each other. Each room's `mod.rs` is its contract.
//! More in [`_documentation`]: the [design](_documentation::design), the [guarantees](_documentation::guarantees), the
//! [bytes on disk](_documentation::format).
#![cfg_attr(not(test), deny(clippy::print_stdout))]
#![cfg_attr(
    test,
    allow(
        clippy::pedantic,
        clippy::style,
        clippy::complexity,
        clippy::disallowed_methods,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tests stop where they are wrong"
    )
)]
#![cfg_attr(
    all(test, backlog_shuttle),
    allow(dead_code, unused_imports, reason = "that build has the lane of schedules and no other test")
)]
#![cfg_attr(
    not(any(test, feature = "testing")),
    allow(unreachable_pub, reason = "with `testing` the doors are named to others")
)]

#[macro_use]
mod planted;

// Floor 0: each outside thing behind one door.
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod ids;
pub(crate) mod keys;
pub mod limits;
pub(crate) mod random;
pub(crate) mod sync;
pub(crate) mod telemetry;
// Floor 1: meaning, bytes in order, ordered lookup; mutually unaware.
pub(crate) mod index;
pub(crate) mod job;
pub(crate) mod log;
// Floor 2 joins them.
pub(crate) mod engine;
// Floor 3: time-driven services.
#[cfg(feature = "cron")]
pub(crate) mod cron;
pub(crate) mod upkeep;
// Floor 4: the public verbs.
pub(crate) mod queue;
// Floor 5: runs handlers.
pub(crate) mod worker;

// Floor 6: reaching it all from outside.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "console")]
pub(crate) mod console;
pub(crate) mod face;

#[cfg(feature = "console")]
pub use console::{Console, ConsoleService, Listening};
#[cfg(feature = "cron")]
pub use cron::{CronEntry, CronInfo, CronSet, Firing, Missed};
pub use engine::{
    Acceptance, AuditRecord, BulkDone, Cancelled, Changed, Confirmed, Counts, Durability, Enqueued, Event, Events,
    GroupSealed, GroupStatus, IndexOrigin, JobInfo, Limits, OnConflict, OnParentFailure, PastJob, QueueCounts,
    RecoveryReport, Requeued, Status, VerifyReport, What,
};
pub use error::{Error, ErrorKind, Result};
pub use face::Client;
pub use ids::{AuditId, GroupId, JobId, Phase};
pub use job::{Backoff, Codec, Ending, ErrorCause};
#[cfg(feature = "encrypt")]
pub use keys::KeyRing;
#[cfg(feature = "cron")]
pub use queue::Cron;
pub use queue::{
    Backlog, Bulk, Chain, Claiming, Detached, Done, Filter, Finished, GroupBuilder, GroupEnqueued, Job, JobBuilder,
    Lease, LeaseError, Options, Pending, Queue, ReadOnly, Receipt, Settling, StaleLease, Unique, Waited, Waiting,
};
pub use worker::{
    Alarm, Alert, BoxFuture, Context, Ended, Failure, IntoOutcome, Monitor, OnPoison, Outcome, PoolStats, Progress,
    Retry, Run, RunningJob, Stopped, Workers, WorkersBuilder,
};

#[cfg(all(test, backlog_shuttle))]
mod schedules;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The long texts: they stand in the repository under `src/docs`, and here.
#[allow(clippy::doc_markdown, reason = "prose, not Rust")]
pub mod _documentation {
    #[doc = include_str!("docs/design.md")]
    pub mod design {}
    #[doc = include_str!("docs/guarantees.md")]
    pub mod guarantees {}
    #[doc = include_str!("docs/cli.md")]
    pub mod cli {}
    #[doc = include_str!("docs/console.md")]
    pub mod console {}
    #[doc = include_str!("docs/performance.md")]
    pub mod performance {}
    #[doc = include_str!("docs/telemetry.md")]
    pub mod telemetry {}
    #[doc = include_str!("docs/coming_from.md")]
    pub mod coming_from {}
    #[doc = include_str!("docs/format.md")]
    pub mod format {}
    #[doc = include_str!("docs/format_records.md")]
    pub mod format_records {}
}
