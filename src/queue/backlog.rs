//! The handle of an opened directory: opening, closing, and what all its verbs share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::options::Options;
use super::read_only::ReadOnly;
use super::seam::AtShutdown;
use crate::clock::Clock;
use crate::engine::{Beside, Engine};
use crate::engine::{RecoveryReport, VerifyReport};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, Mutex, OnceLock};

/// An opened backlog: a cheap handle, to be cloned and sent wherever jobs are made.
///
/// One process owns a directory at a time. Dropping the last handle (and the last pool of workers) does not block and
/// is safe; [`close`](Self::close) makes the next open fast.
///
/// ```
/// use backlog::{Backlog, Job};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greet { name: String }
/// impl Job for Greet { const KIND: &'static str = "greet"; }
///
/// # let dir = tempfile::tempdir()?;
/// let backlog = Backlog::open(dir.path().join("jobs"))?;             // creates or recovers
/// let accepted = backlog.enqueue(&Greet { name: "Ada".into() })?;    // returns once it is on disk
///
/// let lease = backlog.queue("default").claim()?.expect("a job is ready");
/// assert_eq!(lease.id(), accepted.id);
/// assert_eq!(lease.args::<Greet>()?.name, "Ada");
/// lease.ack()?;
/// backlog.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Backlog {
    pub(super) shared: Arc<Shared>,
}

/// What all handles of one opened directory share. Leases and pools hold the engine, not this: when this goes, the
/// program has let go of its last handle.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lease: Duration,
    #[cfg(feature = "cron")]
    pub(super) cron: Arc<crate::cron::Service>,
    admin: OnceLock<Result<PathBuf>>,
    leaving: Arc<AtomicBool>,
    pools: Mutex<Vec<Weak<dyn AtShutdown>>>,
}

impl Backlog {
    /// Settings for opening, all at their defaults.
    pub fn builder() -> Options {
        Options::new()
    }

    /// Looks at the directory without touching it, also while another process owns it. See [`ReadOnly`].
    ///
    /// # Errors
    /// As [`open`](Self::open), but never `InUse`.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<ReadOnly> {
        Options::new().open_read_only(path)
    }

    /// This handle, as long as somebody else holds one.
    pub(crate) fn downgrade(&self) -> WeakBacklog {
        WeakBacklog(Arc::downgrade(&self.shared))
    }

    /// Tells `service` when this backlog closes.
    pub(crate) fn keep_beside(&self, service: Arc<dyn Beside>) {
        self.shared.engine.keep_beside(service);
    }

    pub(crate) fn note_admin(&self, socket: Result<PathBuf>) {
        self.shared.admin.get_or_init(|| socket);
    }

    /// Where the directory lies, if it lies in the file system.
    pub(crate) fn root(&self) -> Option<&Path> {
        self.shared.engine.root()
    }

    /// The socket this process serves for the directory ([`Options::admin`]); `None`: it serves none.
    ///
    /// # Errors
    /// Why it cannot be served. Everything else works.
    pub fn admin_socket(&self) -> Result<Option<&Path>> {
        match self.shared.admin.get() {
            None => Ok(None),
            Some(Ok(path)) => Ok(Some(path)),
            Some(Err(e)) => Err(e.clone()),
        }
    }

    /// Whether work can go on.
    pub(crate) fn health(&self) -> Result<()> {
        self.shared.engine.health()
    }

    pub(super) fn new(engine: Arc<Engine>, clock: Arc<dyn Clock>, lease: Duration) -> Self {
        let leaving = Arc::new(AtomicBool::new(false));
        let pools = Mutex::new(Vec::new());
        #[cfg(feature = "cron")]
        let cron = Arc::new(crate::cron::Service::default());
        #[cfg(feature = "cron")]
        engine.keep_time(cron.clone());
        Self {
            shared: Arc::new(Shared {
                engine,
                clock,
                lease,
                #[cfg(feature = "cron")]
                cron,
                admin: OnceLock::default(),
                leaving,
                pools,
            }),
        }
    }

    /// What opening found and did: whether the last stop was clean, how many jobs were running then, what became of
    /// the saved index, how long it took.
    pub fn recovery_report(&self) -> &RecoveryReport {
        self.shared.engine.report()
    }

    /// Saves the index now, so that the next open replays less. Happens by itself every 256 MB of log
    /// ([`Options::checkpoint_bytes`]) and on close; never needed for durability.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.engine.checkpoint()
    }

    /// Gives back the space of jobs that are over now, as far as that pays. Happens by itself; never needed.
    pub fn compact(&self) -> Result<()> {
        self.shared.engine.compact_all()
    }

    /// Reads and checks everything that is durable, while work goes on. Damage is reported in the answer, not as an
    /// error, and changes nothing.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.shared.engine.verify()
    }

    /// Closes the directory: everything accepted is synced, the index saved, the lock given back. Every other handle
    /// answers `Closed` from then on.
    ///
    /// # Errors
    /// `InUse`: leases still live, and nothing was closed; keep a clone to try again. `Poisoned`, `Unknown`: the disk
    /// failed; what was acknowledged before is safe.
    pub fn close(self) -> Result<()> {
        self.shared.engine.close()
    }

    /// No more claims by this process: it is about to exit, and jobs whose runs cannot be stopped were given back.
    pub(crate) fn leave(&self) {
        self.shared.leaving.store(true, Ordering::SeqCst);
    }

    pub(crate) fn leaving_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.leaving)
    }

    pub(super) fn check_staying(&self) -> Result<()> {
        if self.shared.leaving.load(Ordering::SeqCst) { Err(leaving()) } else { Ok(()) }
    }

    /// `pool` is told when the last handle goes.
    pub(crate) fn tell_at_shutdown(&self, pool: Weak<dyn AtShutdown>) {
        let mut pools = self.shared.pools.lock();
        pools.retain(|known| known.strong_count() > 0);
        pools.push(pool);
    }
}

pub(super) fn leaving() -> Error {
    Error::new(ErrorKind::Closed, "no more claims in this process: it is shutting down after a signal")
}

impl Drop for Shared {
    fn drop(&mut self) {
        for pool in self.pools.get_mut().drain(..) {
            if let Some(pool) = pool.upgrade() {
                pool.release_running();
            }
        }
    }
}

/// A handle that keeps nothing open.
#[derive(Clone)]
pub(crate) struct WeakBacklog(Weak<Shared>);

impl WeakBacklog {
    /// The handle, if the program still holds one.
    pub(crate) fn upgrade(&self) -> Option<Backlog> {
        self.0.upgrade().map(|shared| Backlog { shared })
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("lease", &self.shared.lease).finish_non_exhaustive()
    }
}
