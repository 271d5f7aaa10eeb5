//! What a program declares: sets of entries, and what it is told when one fires.

use std::fmt;
use std::time::SystemTime;

use super::times::Times;
use crate::clock::Clock;
use crate::engine::NewJob;
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::limits::Scaled;

/// Makes the job of a firing.
pub(crate) type MakeJob = Box<dyn Fn(&Firing, &dyn Clock, Scaled) -> Result<NewJob> + Send + Sync>;

/// What becomes of the times at which nobody was there: the program was down, or the machine asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Missed {
    /// None of them fires. What is not more than a minute late was not missed: a restart loses no firing.
    Skip,
    /// All of them together fire once, for the newest of them. The default.
    #[default]
    Once,
    /// Each of them fires, in order; of more than [`BACKFILL_MAX`](Self::BACKFILL_MAX) the newest so many.
    Backfill,
}

impl Missed {
    /// The most firings that [`Backfill`](Self::Backfill) makes up for, count.
    pub const BACKFILL_MAX: usize = 1_000;
}

/// One time of an entry that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    pub(super) set: String,
    pub(super) entry: String,
    pub(super) at: Millis,
    pub(super) previous: Option<Millis>,
}

impl Firing {
    /// The name of the set.
    pub fn set(&self) -> &str {
        &self.set
    }

    /// The name of the entry.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// The moment it was due: by the entry's times, not by when somebody was there. Of
    /// [`run_now`](crate::Cron::run_now): now.
    pub fn at(&self) -> SystemTime {
        self.at.to_system()
    }

    /// The entry's last firing before this one that made a job: what happened since is this one's to cover.
    pub fn previous(&self) -> Option<SystemTime> {
        self.previous.map(Millis::to_system)
    }
}

/// Times, and the job that each of them makes; made by [`CronEntry::cron`] and [`CronEntry::every`].
#[must_use = "does nothing until it is declared in a set"]
pub struct CronEntry {
    pub(super) name: String,
    /// An error is told by the start that declares it.
    pub(super) times: Result<Times>,
    pub(super) missed: Missed,
    pub(super) make: MakeJob,
}

impl CronEntry {
    pub(crate) fn new(name: String, times: Result<Times>, make: MakeJob) -> Self {
        Self { name, times, missed: Missed::default(), make }
    }

    /// What becomes of the times at which nobody was there. Default: [`Missed::Once`].
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }
}

impl fmt::Debug for CronEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CronEntry")
            .field("name", &self.name)
            .field("times", &self.times)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// Entries that belong together, under a name: the unit in which they are declared. See
/// [`WorkersBuilder::cron`](crate::WorkersBuilder::cron).
#[derive(Debug)]
#[must_use = "does nothing until a pool declares it"]
pub struct CronSet {
    pub(super) name: String,
    pub(super) entries: Vec<CronEntry>,
}

impl CronSet {
    /// The most entries of a set, count.
    pub const ENTRIES_MAX: usize = 1_000;

    /// A set of this name, without entries. Names of sets and entries: at most
    /// [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) bytes, no control characters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: Vec::new() }
    }

    /// With this entry too.
    pub fn entry(mut self, entry: CronEntry) -> Self {
        self.entries.push(entry);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// What can be known to be wrong before anything is declared.
    pub(super) fn check(&self, now: Millis) -> Result<()> {
        if self.entries.len() > Self::ENTRIES_MAX {
            return Err(Error::too_large(format!(
                "too many entries: set={:?} entries={} limit={}; make two sets of them",
                self.name,
                self.entries.len(),
                Self::ENTRIES_MAX
            )));
        }
        let mut names: Vec<&str> = self.names().collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first()) {
            return Err(Error::invalid(format!("two entries named {twice:?} in the set {:?}; rename one", self.name)));
        }
        for entry in &self.entries {
            let in_entry = |why: &dyn fmt::Display| format!("set={:?} entry={:?}: {why}", self.name, entry.name);
            let times = entry.times.as_ref().map_err(|e| Error::new(e.kind(), in_entry(e)))?;
            if times.next(now).is_none() {
                return Err(Error::invalid(in_entry(&format!("{times} never comes; there is no such day"))));
            }
        }
        Ok(())
    }
}
