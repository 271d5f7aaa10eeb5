//! A backlog without threads of its own: whoever waits does the work, so that a run repeats itself.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::options::Options;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine::{Doors, Drive, IndexChoice};
use crate::error::Result;
use crate::random::Random;
use crate::upkeep;

impl Options {
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
    /// What the services would do now, had they threads: time's work, segments, compaction.
    pub(crate) fn serve(&self) -> Result<()> {
        let engine = &self.shared.engine;
        upkeep::step(engine)?;
        while engine.make_step()? {}
        while engine.compact_step()? {}
        Ok(())
    }

    /// Upkeep's turn; gives how long it would sleep.
    #[cfg(all(test, feature = "cron"))]
    pub(crate) fn upkeep_rest(&self) -> Result<Duration> {
        upkeep::step(&self.shared.engine)
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
