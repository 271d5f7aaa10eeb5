//! Looking at a directory without touching it.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::list::{self, Filter};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine::{Counts, JobInfo, ReadOnlyEngine, Source, Status, VerifyReport};
use crate::error::Result;
use crate::ids::JobId;
use crate::job::{Codec, namespace};
use crate::keys::Keys;

/// A directory looked at without touching it: no lock, no write. Made by
/// [`Backlog::open_read_only`](crate::Backlog::open_read_only).
///
/// Shows the moment it was opened. While another process owns the directory that is what its log vouches for: all but
/// the newest commits. If nobody does, everything that can be read, with jobs that were in flight shown as the next
/// open will have them.
///
/// A busy owner may have given up what a look still needs to read: then the log is read anew, and from there on a
/// later moment is shown; of a listing or a dump the jobs with higher ids. Only if that happens again and again to
/// the same job the answer is `Invalid`: look again.
///
/// ```
/// # use backlog::{Backlog, Codec, Filter};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("jobs");
/// # let backlog = Backlog::open(&path)?;
/// # backlog.enqueue_raw("greet", b"{}".to_vec(), Codec::Json)?;
/// # backlog.close()?;
/// let look = Backlog::open_read_only(&path)?;
/// assert!(look.verify()?.is_sound());
/// assert_eq!(look.counts().total().live(), 1);
/// for job in look.list(&Filter::new())? {
///     println!("{} {} {}", job.id, job.kind, job.phase);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadOnly {
    engine: ReadOnlyEngine,
}

impl ReadOnly {
    pub(super) fn open(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>, keys: Keys) -> Result<Self> {
        Ok(Self { engine: ReadOnlyEngine::open(disk, clock)?.with_keys(keys) })
    }

    pub(super) fn engine(&self) -> &ReadOnlyEngine {
        &self.engine
    }

    /// Whether another process owned the directory.
    pub fn is_owned(&self) -> bool {
        self.engine.is_owned()
    }

    /// What is known of a job. See [`Backlog::inspect`](crate::Backlog::inspect).
    pub fn inspect(&self, id: JobId) -> Result<Status> {
        self.engine.inspect(id)
    }

    /// How many jobs stand in each state. See [`Backlog::counts`](crate::Backlog::counts).
    pub fn counts(&self) -> Counts {
        self.engine.counts()
    }

    /// The queues that are paused, sorted.
    pub fn paused(&self) -> Vec<String> {
        self.engine.paused(namespace::PAUSE)
    }

    /// The kinds that are paused, sorted.
    pub fn paused_kinds(&self) -> Vec<String> {
        self.engine.paused(namespace::PAUSE_KIND)
    }

    pub(crate) fn with_args(&self, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>> {
        list::with_args(&self.engine, id)
    }

    /// A cell as it stands.
    pub(crate) fn noted(&self, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.engine.cell_value(namespace, key)?.map(|(value, _)| value))
    }

    /// Live jobs in the order of their ids. See [`Backlog::list`](crate::Backlog::list).
    pub fn list(&self, filter: &Filter) -> Result<Vec<JobInfo>> {
        self.engine.list(&filter.criteria, filter.after, filter.limit)
    }

    /// Writes every live job and cell as JSON lines. See [`Backlog::dump`](crate::Backlog::dump).
    pub fn dump(&self, mut out: impl io::Write) -> Result<()> {
        self.engine.dump(&mut out)
    }

    /// Reads and checks everything. See [`Backlog::verify`](crate::Backlog::verify).
    pub fn verify(&self) -> Result<VerifyReport> {
        self.engine.verify()
    }
}

impl fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnly").finish_non_exhaustive()
    }
}
