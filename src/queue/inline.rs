//! A backlog without threads of its own: whoever waits does the work, so that a run repeats itself.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::options::Options;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine::{Doors, Drive, IndexChoice, JobInfo, Source};
use crate::error::{ErrorKind, Result};
use crate::ids::JobId;
use crate::job::Envelope;
use crate::random::Random;
use crate::upkeep;

impl Options {
    /// With the keys of these.
    pub(crate) fn keys_of(mut self, other: &Self) -> Self {
        self.keys = other.keys.clone();
        self
    }

    /// Opens what these parts hold, without a thread and without a saved index.
    pub(crate) fn open_inline(
        self,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Backlog> {
        self.open_with(Doors { disk, clock, random, drive: Drive::Inline, index: IndexChoice::None })
    }
}

impl Backlog {
    /// What the services would do now, had they threads: time's work, segments, compaction. What a full disk keeps them
    /// from waits for the next time, as with threads.
    pub(crate) fn serve(&self) -> Result<()> {
        let engine = &self.shared.engine;
        unless_full(upkeep::step(engine).map(|_| false))?;
        while unless_full(engine.make_step())? {}
        while unless_full(engine.compact_step())? {}
        #[cfg(feature = "metrics")]
        upkeep::meters::record(engine);
        Ok(())
    }

    /// Upkeep's turn; gives how long it would sleep.
    #[cfg(all(test, feature = "cron"))]
    pub(crate) fn upkeep_rest(&self) -> Result<Duration> {
        upkeep::step(&self.shared.engine)
    }

    /// Whether whoever waits does the work.
    pub(crate) fn has_no_threads(&self) -> bool {
        self.shared.engine.drive() == Drive::Inline
    }

    /// What a look shows of a job.
    pub(crate) fn info_of(&self, id: JobId, envelope: &Envelope) -> JobInfo {
        JobInfo::new(id, envelope, self.shared.engine.keys())
    }

    /// Every live job with its args, by id.
    pub(crate) fn standing(&self) -> Result<Vec<(JobId, Envelope, Vec<u8>)>> {
        let engine = &self.shared.engine;
        let (mut found, mut from) = (Vec::new(), JobId(0));
        loop {
            let ids = engine.ids_from(from, None);
            let Some(last) = ids.last() else { return Ok(found) };
            from = JobId(last.0.saturating_add(1));
            for id in ids {
                let Some((envelope, args)) = engine.job(id)? else { continue };
                let args = engine.args_of(id, &envelope, args);
                found.push((id, envelope, args));
            }
        }
    }

    /// What the committer does within a second when nobody waits.
    pub(crate) fn commit_lazily(&self) -> Result<()> {
        self.shared.engine.commit_step()
    }

    /// How long until the next scheduled job is due; `None`: nothing is scheduled.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.shared.engine.next_due()
    }
}

/// Whether there is more to do now.
fn unless_full(step: Result<bool>) -> Result<bool> {
    match step {
        Err(full) if full.kind() == ErrorKind::Full => Ok(false),
        other => other,
    }
}
