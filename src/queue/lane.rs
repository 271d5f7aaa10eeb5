//! One queue, claimed from by hand.

use std::task::Waker;
use std::time::Duration;

use super::backlog::Backlog;
use super::check::{self, NameOf};
use super::lease::Lease;
use super::pending::Claiming;
use crate::engine::LeaseKind;
use crate::engine::QueueCounts;
use crate::error::Result;

/// A queue to claim from by hand; made by [`Backlog::queue`]. Workers are the easier way: they claim, run, retry and
/// shut down by themselves.
///
/// ```
/// # use backlog::{Backlog, Codec};
/// # use std::time::Duration;
/// # let dir = tempfile::tempdir()?;
/// # let backlog = Backlog::open(dir.path().join("jobs"))?;
/// # backlog.raw_job("letter", b"{}".to_vec(), Codec::Json).queue("mail").enqueue()?;
/// let mail = backlog.queue("mail").lease(Duration::from_secs(120));
/// while let Some(lease) = mail.claim()? {
///     println!("{} {}", lease.id(), lease.kind());
///     lease.ack()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Queue {
    backlog: Backlog,
    name: [String; 1],
    lease: Duration,
}

impl Backlog {
    /// The queue `name`. It need not hold a job yet; a bad name is reported by the claim.
    pub fn queue(&self, name: impl Into<String>) -> Queue {
        Queue { backlog: self.clone(), name: [name.into()], lease: self.shared.lease }
    }
}

impl Queue {
    /// How long a lease lasts unless it is extended. Default: [`Options::lease`](crate::Options::lease), 30 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let [name] = &self.name;
        name
    }

    /// The best ready job, highest priority first, then oldest; `None` if none is ready. The job is then in flight
    /// until the lease ends or runs out, and its attempt is counted, over a crash too.
    ///
    /// # Errors
    /// `Invalid`, `TooLarge`: not a queue name. `Full`: other leases need what is left of a full disk for their end.
    /// `Poisoned`, `Closed`.
    pub fn claim(&self) -> Result<Option<Lease>> {
        Ok(self.claim_many(1)?.pop())
    }

    /// Up to `n` ready jobs in one step, best first; may be fewer. All else as [`claim`](Self::claim).
    pub fn claim_many(&self, n: usize) -> Result<Vec<Lease>> {
        check::name(NameOf::Queue, self.name())?;
        self.backlog.check_staying()?;
        let shared = &self.backlog.shared;
        let grants = shared.engine.claim(&self.name, n, LeaseKind::Hand(self.lease))?;
        Ok(grants.into_iter().map(|grant| Lease::new(shared, grant)).collect())
    }

    /// Waits up to `timeout` for a ready job and claims it; `None` if the time is up. All else as
    /// [`claim`](Self::claim); `Closed` also if the backlog is closed meanwhile.
    pub fn claim_timeout(&self, timeout: Duration) -> Result<Option<Lease>> {
        let shared = &self.backlog.shared;
        let until = shared.clock.monotonic().saturating_add(timeout);
        loop {
            if let Some(lease) = self.claim()? {
                return Ok(Some(lease));
            }
            if !shared.engine.wait_for_work(&self.name, Some(until), &|| false)? {
                return self.claim();
            }
        }
    }

    /// Waits for a ready job and claims it, on any executor; nobody polls meanwhile. All else as [`claim`](Self::claim).
    ///
    /// ```
    /// # use backlog::{Backlog, Codec};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// # backlog.raw_job("letter", b"{}".to_vec(), Codec::Json).queue("mail").enqueue()?;
    /// # smol::block_on(async {
    /// let lease = backlog.queue("mail").claim_async().await?;
    /// lease.ack_async().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn claim_async(&self) -> Claiming<'_> {
        Claiming(self)
    }

    pub(super) fn wake_at_news(&self, waker: &Waker) {
        self.backlog.shared.engine.wake_at_work(waker);
    }

    /// How many of its jobs stand in each state.
    pub fn counts(&self) -> QueueCounts {
        self.backlog.counts().queues.get(self.name()).copied().unwrap_or_default()
    }
}
