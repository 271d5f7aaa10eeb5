//! Periodic jobs: how entries are made and declared, and the verbs that look at them.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use super::check::{self, NameOf};
use crate::cron::{CronEntry, CronInfo, CronSet, Declared, Firing, Service, Times};
use crate::engine::{Durability, Enqueued};
use crate::error::{Error, Result};

impl CronEntry {
    /// An entry that fires at the local times in `zone` (an IANA name) that the five fields of `text` fit: minute,
    /// hour, day of month, month, day of week. Each firing enqueues the job that `job` makes of it, synced.
    ///
    /// Fields take `*`, numbers, ranges `1-5`, lists `1,15` and steps `*/10`; months and days of the week also their
    /// English short names (Sunday is 0 and 7). Day of month also takes `L` for the last day and `15W` for the weekday
    /// nearest to it, day of week `FRI#2` for the second Friday and `FRIL` for the last. If both days are given, either
    /// is enough.
    ///
    /// **When clocks change.** Hours that are named, as in `30 2 * * *`, come once a day: a local time that does not
    /// exist fires at the moment the clocks go forward, one that exists twice the first time. Hours that are counted,
    /// where the field begins with `*` as in `*/15 * * * *`, go by the time that passes: what does not exist does not
    /// fire, what exists twice fires twice.
    ///
    /// `job` runs on a thread of the backlog's own: it only makes the job. It is also called by the start that declares
    /// the entry, to see whether it can, and what it gives then is thrown away. If it cannot later (args that cannot be
    /// written, a panic), the firing stays due, is tried again each minute, and [`CronInfo::trouble`] says why. A job
    /// with a [`unique`](JobBuilder::unique) key whose predecessor still lives is not added, and the firing counts.
    ///
    /// What is wrong with name, text or zone is told by [`start`](crate::WorkersBuilder::start).
    pub fn cron<F>(name: impl Into<String>, text: &str, zone: &str, job: F) -> Self
    where
        F: Fn(&Firing) -> JobBuilder + Send + Sync + 'static,
    {
        Self::with(name.into(), Times::cron(text, zone), job)
    }

    /// An entry that fires each time this much time has passed by the wall clock, for the first time one period after
    /// the start that first declares it; 1 s to a hundred years, in whole milliseconds, rounded up. Otherwise as
    /// [`cron`](Self::cron).
    pub fn every<F>(name: impl Into<String>, period: Duration, job: F) -> Self
    where
        F: Fn(&Firing) -> JobBuilder + Send + Sync + 'static,
    {
        Self::with(name.into(), Times::every(period), job)
    }

    fn with<F>(name: String, times: Result<Times>, job: F) -> Self
    where
        F: Fn(&Firing) -> JobBuilder + Send + Sync + 'static,
    {
        Self::new(name, times, Box::new(move |firing, clock, limits| job(firing).into_new_job(clock, limits)))
    }
}

/// Looks at periodic entries; made by [`Backlog::cron`].
#[derive(Debug, Clone, Copy)]
pub struct Cron<'b> {
    backlog: &'b Backlog,
}

impl Backlog {
    /// The periodic entries of this directory. They are declared by
    /// [`WorkersBuilder::cron`](crate::WorkersBuilder::cron).
    pub fn cron(&self) -> Cron<'_> {
        Cron { backlog: self }
    }

    pub(crate) fn check_cron(sets: &[CronSet]) -> Result<()> {
        for (nth, set) in sets.iter().enumerate() {
            check::name(NameOf::CronSet, set.name())?;
            set.names().try_for_each(|name| check::name(NameOf::CronEntry, name))?;
            if sets.iter().take(nth).any(|other| other.name() == set.name()) {
                return Err(Error::invalid(format!(
                    "two cron sets named {:?}; put their entries into one",
                    set.name()
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn declare_cron(&self, sets: Vec<CronSet>) -> Result<Vec<Arc<Declared>>> {
        sets.iter().try_for_each(|set| Service::check(&self.shared.engine, set))?;
        sets.into_iter().map(|set| self.shared.cron.declare(&self.shared.engine, set)).collect()
    }
}

impl Cron<'_> {
    /// Every entry of the directory, by the names of set and entry, with its last firing and its next.
    ///
    /// # Errors
    /// `Corrupt`: what is kept of an entry does not read back. `Poisoned`, `Closed`.
    pub fn entries(&self) -> Result<Vec<CronInfo>> {
        self.backlog.shared.cron.entries(&self.backlog.shared.engine)
    }

    /// Enqueues the job of an entry now; returns once it is on disk. Its times stay as they are.
    ///
    /// # Errors
    /// `Invalid`: no running pool of this process declares the entry, or its job cannot be made. Others as
    /// [`Backlog::enqueue`].
    pub fn run_now(&self, set: &str, entry: &str) -> Result<Enqueued> {
        let shared = &self.backlog.shared;
        let job = shared.cron.make_now(&shared.engine, set, entry)?;
        let (accepted, ticket) = shared.engine.accept(job, Durability::Sync)?;
        shared.engine.wait(ticket)?;
        accepted.first().copied().ok_or_else(|| Error::invalid("the engine answered for no job; please report this"))
    }
}
