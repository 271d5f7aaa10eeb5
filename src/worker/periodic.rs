//! Periodic entries of a pool: declared by its start, firing until it stops.
//!
//! # Invariants
//! * Declared last, when nothing else can be wrong with the pool, and before its threads start.
//!
//! Never here: when an entry fires, and how often (`cron`).

use super::builder::WorkersBuilder;
use super::workers::Periodic;
use crate::cron::CronSet;
use crate::error::{Error, Result};
use crate::queue::Backlog;

impl WorkersBuilder {
    /// Declares these periodic entries: each firing enqueues a job, whoever runs it. May be called several times, with
    /// sets of different names. On disk when [`start`](Self::start) returns, as are the jobs of firings that were
    /// missed; entries fire until the pool stops.
    ///
    /// What is declared here *is* the set: an entry of it that an earlier start declared and this one does not is gone,
    /// and sets of other names stay as they are. An entry whose times stay the same goes on from its last firing, so
    /// that a deploy neither repeats nor loses one; one whose times have changed fires by the new ones from now on.
    /// Pools that declare the same set at a time fire each time once.
    ///
    /// ```
    /// # use backlog::{Backlog, CronEntry, CronSet, Firing, Job, JobBuilder, Missed};
    /// # use std::time::{Duration, SystemTime};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct CloseDay { due: SystemTime }
    /// # impl Job for CloseDay { const KIND: &'static str = "close_day"; }
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Sweep {}
    /// # impl Job for Sweep { const KIND: &'static str = "sweep"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let close = |firing: &Firing| JobBuilder::new(&CloseDay { due: firing.at() });
    /// let workers = backlog.workers()
    ///     .handle(|_job: CloseDay, _cx| Ok(()))
    ///     .handle(|_job: Sweep, _cx| Ok(()))
    ///     .cron(CronSet::new("books")
    ///         .entry(CronEntry::cron("close", "30 4 * * *", "Europe/Berlin", close).missed(Missed::Backfill))
    ///         .entry(CronEntry::every("sweep", Duration::from_secs(600), |_| JobBuilder::new(&Sweep {}))))
    ///     .start()?;
    /// assert_eq!(backlog.cron().entries()?.len(), 2);
    /// backlog.cron().run_now("books", "sweep")?;
    /// # workers.stop(Duration::from_secs(25))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cron(mut self, set: CronSet) -> Self {
        self.cron.push(set);
        self
    }
}

pub(super) fn declare(home: Option<&Backlog>, sets: Vec<CronSet>) -> Result<Periodic> {
    Backlog::check_cron(&sets)?;
    match home {
        Some(home) => home.declare_cron(sets),
        None if sets.is_empty() => Ok(Vec::new()),
        None => Err(Error::invalid("cron sets are declared in a backlog, and this pool works for another store")),
    }
}
