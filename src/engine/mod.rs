//! Joins log, index and rules: the only place that does, and the only writer of the index.
//!
//! The way of a verb: decide against the staged state, stage a frame ([`staging`]), bring the books forward
//! ([`books`]), push and sync ([`commit`]), answer.
//!
//! * [`settings`], [`services`], [`open`](Engine::open), [`recover`], [`close`]: the life of a handle.
//! * [`enqueue`] (`conditional`: with cells) with its [`takeover`]s, [`claim`] with its [`suspects`], [`lines`] and
//!   [`limits`] and what is decided when a job is [`reach`]ed, [`settle`], [`manage`], [`look`], [`groups`], [`results`],
//!   [`retention`], [`time`] (`timed`: for a service above): the verbs.
//! * [`bulk`] and [`audit`]: a verb for all jobs that match, and what is kept of it.
//! * [`over`] with its [`watch`], [`tell`] with [`events`], their [`stream`] and [`history`]: those who wait for a job, and
//!   those who want to know.
//! * [`books`], [`ledger`], [`state`]: what stands under the lock.
//! * [`commit`], [`make`] and [`room`], [`compact`] with its [`planner`] and [`salvage`], [`checkpoint`], [`damage`]:
//!   what goes on beside the verbs.
//!
//! # Invariants
//! * One lock over [`state::State`]; never held over I/O, over a handler, or over the encoding of args. Order: the
//!   log's write mutex, then this lock.
//! * Staged state is never rolled back: a failed commit ends the handle.
//! * The same functions bring the books forward after a verb and in replay.
//!
//! Never here: typed jobs, handlers, threads of workers.

mod ages;
mod audit;
mod bell;
mod beside;
mod books;
mod bulk;
mod checkpoint;
mod claim;
mod close;
mod commit;
mod compact;
#[cfg(feature = "cron")]
mod conditional;
mod damage;
mod enqueue;
mod events;
mod groups;
mod history;
mod ledger;
mod limits;
mod lines;
mod look;
mod make;
mod manage;
mod notes;
mod open;
mod over;
pub(crate) mod planner;
mod reach;
mod readonly;
mod recover;
mod results;
mod retention;
mod room;
mod salvage;
mod sealed;
mod services;
mod settings;
mod settle;
mod staging;
mod state;
mod stream;
mod suspects;
mod takeover;
mod tell;
mod time;
#[cfg(feature = "cron")]
mod timed;
mod watch;

#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
#[cfg(test)]
#[path = "tests/world.rs"]
pub(crate) mod world;

use std::sync::Arc;

use crate::clock::Clock;
use crate::disk::{Disk, Lock};
use crate::error::Error;
use crate::index::Keeper;
pub(crate) use crate::job::{BulkVerb, Criteria};
use crate::limits::Scaled;
use crate::log::{Identity, Log};
use crate::random::Random;
use crate::sync::{AtomicBool, JoinHandle, Mutex, OnceLock};

use bell::Bell;

pub(crate) use audit::audits;
pub use audit::{AuditRecord, BulkDone};
pub(crate) use beside::Beside;
pub(crate) use claim::{Grant, LeaseKind};
pub(crate) use commit::Ticket;
pub use enqueue::{Acceptance, Enqueued, OnConflict};
pub(crate) use enqueue::{NewJob, UniqueRule};
pub(crate) use events::Heard;
pub use events::{Event, Events, What};
pub(crate) use groups::Ties;
pub use groups::{GroupSealed, GroupStatus, OnParentFailure};
pub(crate) use history::HISTORY_DEFAULT;
pub use history::PastJob;
pub use limits::Limits;
pub(crate) use look::Source;
pub use look::{Counts, JobInfo, QueueCounts, Status};
pub use manage::{Cancelled, Changed, Confirmed, Requeued};
pub(crate) use over::Over;
pub(crate) use readonly::ReadOnlyEngine;
pub use readonly::VerifyReport;
pub use recover::{IndexOrigin, RecoveryReport};
pub(crate) use results::result_cell;
pub(crate) use services::Engine;
pub use settings::Durability;
pub(crate) use settings::{Doors, Drive, IndexChoice, KEEP_DEAD, Settings};
pub(crate) use settle::CellSet;
pub(crate) use settle::Settle;
#[cfg(test)]
pub(crate) use stream::Stream;
pub(crate) use time::UPKEEP_SLEEP_MAX;
pub(crate) use watch::{Watch, call_all};
#[cfg(feature = "cron")]
pub(crate) use {conditional::SeenCell, enqueue::Prepared, timed::Timed};

/// An opened directory: what its verbs and services share.
pub(crate) struct Core {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    drive: Drive,
    settings: Settings,
    identity: Identity,
    scaled: Scaled,
    log: Log,
    state: Mutex<state::State>,
    desk: commit::Desk,
    /// What happens to jobs, on its way to those who listen.
    stream: stream::Stream,
    keeper: Mutex<Keeper>,
    compactor: Mutex<compact::Compactor>,
    report: RecoveryReport,
    lock: Mutex<Option<Box<dyn Lock>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stopping: AtomicBool,
    /// The lock file says already that this handle is poisoned.
    poison_noted: AtomicBool,
    /// Why the last segment could not be made, while that lasts.
    make_failure: Mutex<Option<Error>>,
    /// Full mode (rule 10): from a failure for want of room until more than the reserve is prepared.
    full: AtomicBool,
    /// Rung when a claim may find something.
    work: Bell,
    /// Rung when the segment maker has news.
    room: Bell,
    /// Wakes the segment maker.
    make: Bell,
    /// Wakes the compactor.
    compact: Bell,
    /// Wakes upkeep.
    pub(crate) upkeep: Bell,
    /// Serves beside this handle.
    beside: OnceLock<Arc<dyn beside::Beside>>,
    /// Acts when the clock says so.
    #[cfg(feature = "cron")]
    timed: OnceLock<Arc<dyn Timed>>,
}

impl Core {
    /// What opening the directory found and did.
    pub(crate) fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The limits of this directory.
    pub(crate) fn limits(&self) -> Scaled {
        self.scaled
    }

    /// Who drives the services.
    #[cfg(feature = "testing")]
    pub(crate) fn drive(&self) -> Drive {
        self.drive
    }

    /// Why nothing is acknowledged any more, if so.
    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.log.poisoned()
    }

    /// Why no verb is taken, if so.
    pub(crate) fn health(&self) -> crate::error::Result<()> {
        self.check_life(&self.state.lock())
    }

    /// Carried size of all live jobs and cells, bytes.
    #[cfg(test)]
    pub(crate) fn live_bytes(&self) -> u64 {
        self.state.lock().books.ledger.bytes()
    }

    /// Compares ledger, index and counters with each other (C9); says what does not add up.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn check_books(&self) -> std::result::Result<(), String> {
        self.state.lock().books.check()
    }

    /// Leases this process has out.
    #[cfg(test)]
    pub(crate) fn leases(&self) -> usize {
        self.state.lock().leases.len()
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("disk", &self.disk).finish_non_exhaustive()
    }
}
