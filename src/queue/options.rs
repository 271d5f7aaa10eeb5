//! How to open a backlog: plain data. The parts a test may swap stand apart, in `Parts`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::read_only::ReadOnly;
use crate::clock::{Clock, RealClock};
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::engine::{Doors, Drive, Engine, HISTORY_DEFAULT, IndexChoice, KEEP_DEAD, Settings};
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::limits::SEGMENT_BYTES_DEFAULT;
use crate::random::RealRandom;
use crate::telemetry;
use crate::upkeep;

/// Settings for opening a directory; made by [`Backlog::builder`]. Every setting has a default that suits most.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use backlog::Backlog;
/// use std::time::Duration;
/// let backlog = Backlog::builder()
///     .lock_wait(Duration::from_secs(5))
///     .lease(Duration::from_secs(120))
///     .open(dir.path().join("jobs"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "does nothing until it opens a directory"]
pub struct Options {
    lock_wait: Duration,
    lease: Duration,
    checkpoint_bytes: u64,
    segment_bytes: u32,
    create: bool,
    suspects_alone: bool,
    keep_dead: Duration,
    history: usize,
    pub(super) keys: Keys,
    admin: bool,
}

impl Options {
    /// The most a lease may last, 7 days.
    pub const LEASE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Every default.
    pub fn new() -> Self {
        Self {
            lock_wait: Duration::from_secs(30),
            lease: Duration::from_secs(30),
            checkpoint_bytes: 256 << 20,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            create: true,
            suspects_alone: true,
            keep_dead: KEEP_DEAD,
            history: HISTORY_DEFAULT,
            keys: Keys::default(),
            admin: true,
        }
    }

    /// How long to wait while another process owns the directory: what a deploy needs, where the new process starts
    /// before the old one has ended. Zero does not wait. Default: 30 s.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// How long a lease taken by hand lasts unless it is extended; above zero, at most
    /// [`LEASE_MAX`](Self::LEASE_MAX). Leases of workers do not run out. Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Save the index after this much new log, bytes. Less makes opening after a crash faster and costs writing; it
    /// changes nothing else. Default: 256 MiB.
    pub fn checkpoint_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_bytes = bytes;
        self
    }

    /// Whether a directory that is not there is made; if not, opening it is an error. Default: yes.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether a job that was running at two deaths of the process or more runs first and alone after the next open,
    /// one at a time, while others are held back for up to 60 s each. If the process dies again then, the job is a
    /// poison pill and becomes dead; innocents that ran beside it never do. Without it, such a job is run again until
    /// its attempts are used up. Default: yes.
    pub fn suspects_alone(mut self, alone: bool) -> Self {
        self.suspects_alone = alone;
        self
    }

    /// How long a dead job is kept, from the moment it died; then it is pruned, which [`Counts`](crate::Counts) counts.
    /// [`Duration::MAX`]: for ever. Parked jobs are always kept. Default: 180 days.
    pub fn keep_dead(mut self, keep: Duration) -> Self {
        self.keep_dead = keep;
        self
    }

    /// How many jobs that ended are remembered in memory for [`Backlog::history`] and [`Backlog::wait`], count; about
    /// 100 bytes each. Zero: none. Default: 10,000.
    pub fn history(mut self, jobs: usize) -> Self {
        self.history = jobs;
        self
    }

    /// The keys that jobs of sealed kinds are encrypted under at rest, see [`KeyRing`](crate::KeyRing). Default: none;
    /// then enqueuing such a job is an error, and those that stand there are parked when they are reached.
    #[cfg(feature = "encrypt")]
    pub fn keys(mut self, keys: crate::KeyRing) -> Self {
        self.keys = keys.into();
        self
    }

    /// Length of a segment of a new directory, bytes; limits scale with it. For tests. Default: 32 MiB.
    #[doc(hidden)]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Whether the program serves the directory's admin socket while it has it open: the file `admin.sock` in it, which
    /// its owner alone may use. Through it the command line looks and acts, and other local processes enqueue
    /// ([`Client`](crate::Client)). One that cannot be served never fails the open:
    /// [`Backlog::admin_socket`] says why. Unix only. Default: yes.
    pub fn admin(mut self, serve: bool) -> Self {
        self.admin = serve;
        self
    }

    pub(crate) fn serves_admin(&self) -> bool {
        self.admin
    }

    /// Opens the directory and serves nothing beside it.
    pub(crate) fn open_alone(self, path: &Path) -> Result<Backlog> {
        let disk = real_disk(path, self.create)?;
        let doors = Doors {
            disk,
            clock: Arc::new(RealClock::new()),
            random: Arc::new(RealRandom),
            drive: Drive::Threads,
            index: IndexChoice::Sled,
        };
        self.open_with(doors)
    }

    /// Looks at the directory without touching it. See [`Backlog::open_read_only`]; of the settings only keys and
    /// those of a test matter. With keys the error texts of sealed jobs are shown.
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<ReadOnly> {
        self.keys.check()?;
        ReadOnly::open(&real_disk(path.as_ref(), false)?, &(Arc::new(RealClock::new()) as Arc<dyn Clock>), self.keys)
    }

    pub(crate) fn open_with(self, doors: Doors) -> Result<Backlog> {
        self.check()?;
        let settings = Settings {
            segment_bytes: self.segment_bytes,
            lock_wait: self.lock_wait,
            checkpoint_bytes: self.checkpoint_bytes,
            create: self.create,
            suspects_alone: self.suspects_alone,
            keep_dead: self.keep_dead,
            history: self.history,
            keys: self.keys,
        };
        telemetry::describe();
        let (clock, drive) = (doors.clock.clone(), doors.drive);
        let engine = Engine::open(doors, settings)?;
        if drive == Drive::Threads {
            upkeep::start(&engine)?;
        }
        Ok(Backlog::new(Arc::new(engine), clock, self.lease))
    }

    fn check(&self) -> Result<()> {
        self.keys.check()?;
        if self.lease.is_zero() || self.lease > Self::LEASE_MAX {
            let max = Self::LEASE_MAX.as_secs();
            return Err(Error::invalid(format!(
                "lease={:?} is out of range; give more than 0 and at most {max} s",
                self.lease
            )));
        }
        if self.checkpoint_bytes == 0 {
            return Err(Error::invalid("checkpoint_bytes=0 is out of range; give at least 1"));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// The parts a test may swap: where files, time and randomness come from.
#[cfg(feature = "testing")]
#[derive(Debug, Clone)]
pub struct Parts {
    /// The directory.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Log ids, nonces, salts, jitter.
    pub random: Arc<dyn crate::random::Random>,
    /// Save the index between runs; needs a disk in the file system.
    pub save_index: bool,
}

#[cfg(feature = "testing")]
impl Options {
    /// Opens what these parts hold.
    pub fn open_parts(self, parts: Parts) -> Result<Backlog> {
        let index = if parts.save_index { IndexChoice::Sled } else { IndexChoice::None };
        let (disk, clock, random) = (parts.disk, parts.clock, parts.random);
        self.open_with(Doors { disk, clock, random, drive: Drive::Threads, index })
    }
}

#[cfg(feature = "testing")]
impl Parts {
    /// The real parts, for the directory at `path`: swap what the test is about.
    pub fn real(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            disk: real_disk(path.as_ref(), true)?,
            clock: Arc::new(RealClock::new()),
            random: Arc::new(RealRandom),
            save_index: true,
        })
    }
}

fn real_disk(path: &Path, create: bool) -> Result<Arc<dyn Disk>> {
    if path.as_os_str().is_empty() {
        return Err(Error::invalid("the path of the directory is empty; give it a name"));
    }
    match RealDisk::open(path, create) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(e) => Err(Error::io(format!("cannot open the directory {}", path.display()), e)),
    }
}
