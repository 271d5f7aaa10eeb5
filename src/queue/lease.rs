//! A claimed job in somebody's hands.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::args::parse_args;
use super::backlog::Shared;
use super::builder::JobBuilder;
use super::done::Done;
use super::job::Job;
use super::pending::Settling;
use super::receipt::{LeaseError, Receipt, StaleLease};
use crate::clock::Clock;
use crate::engine::{Engine, Grant, Settle, Ticket};
use crate::error::{Error, Result};
use crate::ids::{GroupId, JobId};
use crate::job::{Codec, ErrorCause};

/// A claimed job in your hands: end it with one of the verbs that consume the lease.
///
/// A lease lasts as long as its queue says (30 s by default) unless it is [extended](Self::extend); after that the
/// job is given to somebody else, the attempt counts as failed, and every verb of this lease answers
/// [`Receipt::Stale`]. A lease that is dropped is a [`nack`](Self::nack); if the program has let go of its last
/// [`Backlog`](crate::Backlog) handle by then, it is a [`release`](Self::release).
///
/// ```
/// # use backlog::{Backlog, Codec};
/// # let dir = tempfile::tempdir()?;
/// # let backlog = Backlog::open(dir.path().join("jobs"))?;
/// # backlog.enqueue_raw("letter", b"{}".to_vec(), Codec::Json)?;
/// # fn post(letter: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
/// # let lease = backlog.queue("default").claim()?.unwrap();
/// match post(lease.payload()) {
///     Ok(()) => lease.ack()?,
///     Err(e) => lease.nack(e)?,
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped counts as a failed attempt"]
pub struct Lease {
    engine: Arc<Engine>,
    home: Weak<Shared>,
    clock: Arc<dyn Clock>,
    grant: Box<Grant>,
    since: Duration,
    open: bool,
}

impl Lease {
    pub(super) fn new(home: &Arc<Shared>, grant: Grant) -> Self {
        Self {
            engine: home.engine.clone(),
            home: Arc::downgrade(home),
            clock: home.clock.clone(),
            grant: Box::new(grant),
            since: home.clock.monotonic(),
            open: true,
        }
    }

    /// The job is completed and never runs again.
    ///
    /// # Errors
    /// `Poisoned`, `Closed`; `Unknown`: the disk failed while this call waited, and the job may run again after
    /// reopening. All verbs fail alike and give the lease back ([`LeaseError::into_lease`]).
    pub fn ack(self) -> Result<Receipt, LeaseError> {
        self.end(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() })
    }

    /// The job is completed and these are enqueued, in one commit: both or neither.
    ///
    /// # Errors
    /// As [`ack`](Self::ack); also `Full`, `Invalid` and `TooLarge` for the follow-ups, with nothing done.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, Job, JobBuilder};
    /// # #[derive(serde::Serialize)] struct SendReceipt { sale: u64 }
    /// # impl Job for SendReceipt { const KIND: &'static str = "send_receipt"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// # backlog.enqueue_raw("charge", b"{}".to_vec(), Codec::Json)?;
    /// # let lease = backlog.queue("default").claim()?.unwrap();
    /// lease.ack_with([JobBuilder::new(&SendReceipt { sale: 7 }).queue("mail")])?;
    /// assert_eq!(backlog.queue("mail").counts().ready, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack_with<On>(self, follow_ups: impl IntoIterator<Item = JobBuilder<On>>) -> Result<Receipt, LeaseError> {
        let limits = self.engine.limits();
        let jobs = follow_ups.into_iter().map(|job| job.into_new_job(&*self.clock, limits)).collect();
        match jobs {
            Ok(follow_ups) => self.end(Settle::Ack { follow_ups, cells: Vec::new() }),
            Err(error) => Err(LeaseError::new(error, self)),
        }
    }

    /// The job is completed and leaves this behind, in one commit.
    ///
    /// # Errors
    /// As [`ack_with`](Self::ack_with); also `Invalid` and `TooLarge` for the result, with nothing done.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, Done};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let day = Duration::from_secs(24 * 3600);
    /// let id = backlog.raw_job("sum", b"[1,2]".to_vec(), Codec::Json).keep_result(day).enqueue()?.id;
    /// let lease = backlog.queue("default").claim()?.expect("it is ready");
    /// lease.complete(Done::with(&3))?;
    /// assert_eq!(backlog.result::<u64>(id)?, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn complete(self, done: Done) -> Result<Receipt, LeaseError> {
        match done.into_ack(&self.grant, &*self.clock, self.engine.limits()) {
            Ok(ack) => self.end(ack),
            Err(error) => Err(LeaseError::new(error, self)),
        }
    }

    /// The attempt failed: the error is kept with the job, which is scheduled for its next attempt, or dead if this
    /// was the last. On a full disk the text is not kept.
    ///
    /// # Errors
    /// As [`ack`](Self::ack); also `Full`: the disk is full and too many jobs have failed for what compaction can free.
    /// Nothing happened, the lease stands; try again when others have ended.
    pub fn nack(self, error: impl fmt::Display) -> Result<Receipt, LeaseError> {
        let how = self.failed(error.to_string(), ErrorCause::Failed, None);
        self.end(how)
    }

    /// As [`nack`](Self::nack), with the wait before the next attempt given here instead of by the job's backoff.
    /// Errors as [`nack`](Self::nack).
    pub fn nack_in(self, delay: Duration, error: impl fmt::Display) -> Result<Receipt, LeaseError> {
        let how = self.failed(error.to_string(), ErrorCause::Failed, Some(delay));
        self.end(how)
    }

    /// Gives the job back: ready again, the attempt not spent. From the second time in a row it waits 1 s first.
    /// Errors as [`nack`](Self::nack).
    pub fn release(self) -> Result<Receipt, LeaseError> {
        self.end(Settle::Release)
    }

    /// Gives the job back for later: scheduled, the attempt not spent. Below 1 s only the first time in a row.
    /// Errors as [`nack`](Self::nack).
    pub fn snooze(self, delay: Duration) -> Result<Receipt, LeaseError> {
        self.end(Settle::Snooze(delay))
    }

    /// Gives the job up: dead at once, with this reason, however many attempts are left. Errors as
    /// [`nack`](Self::nack); on a full disk the reason is not kept.
    pub fn bury(self, reason: impl Into<String>) -> Result<Receipt, LeaseError> {
        self.end(Settle::Bury(reason.into()))
    }

    /// As [`ack`](Self::ack), as a future: the end is staged when this returns, the future tells when it is on disk.
    pub fn ack_async(self) -> Settling {
        self.end_async(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() })
    }

    /// As [`ack_with`](Self::ack_with), as a future.
    pub fn ack_with_async<On>(self, follow_ups: impl IntoIterator<Item = JobBuilder<On>>) -> Settling {
        let limits = self.engine.limits();
        let jobs = follow_ups.into_iter().map(|job| job.into_new_job(&*self.clock, limits)).collect();
        match jobs {
            Ok(follow_ups) => self.end_async(Settle::Ack { follow_ups, cells: Vec::new() }),
            Err(error) => Settling::new(self, Err(error)),
        }
    }

    /// As [`nack`](Self::nack), as a future.
    pub fn nack_async(self, error: impl fmt::Display) -> Settling {
        let how = self.failed(error.to_string(), ErrorCause::Failed, None);
        self.end_async(how)
    }

    /// As [`release`](Self::release), as a future.
    pub fn release_async(self) -> Settling {
        self.end_async(Settle::Release)
    }

    /// As [`snooze`](Self::snooze), as a future.
    pub fn snooze_async(self, delay: Duration) -> Settling {
        self.end_async(Settle::Snooze(delay))
    }

    /// As [`bury`](Self::bury), as a future.
    pub fn bury_async(self, reason: impl Into<String>) -> Settling {
        self.end_async(Settle::Bury(reason.into()))
    }

    /// The lease lasts this long from now, be that more or less than what was left of it. Nothing is written: after a
    /// crash the job is ready again at once, however long the lease would have lasted.
    ///
    /// Answers [`Receipt::Stale`] if the job is not this lease's any more; a lease that has run out may still be
    /// extended as long as nobody was given the job. Jobs that workers run need none of this: their leases do not
    /// run out.
    ///
    /// # Errors
    /// `Poisoned`.
    pub fn extend(&self, by: Duration) -> Result<Receipt> {
        let kept = self.engine.extend(self.grant.id, self.grant.token, by)?;
        Ok(if kept { Receipt::Accepted } else { Receipt::Stale(self.stale()) })
    }

    /// Whether somebody asked to cancel the job, or nothing more can be acknowledged: a long run should end soon.
    pub fn is_cancelled(&self) -> bool {
        self.engine.cancel_requested(self.grant.id, self.grant.token)
    }

    /// The args.
    ///
    /// # Errors
    /// `Invalid`: the job is of another kind, its args are not JSON, or they do not parse as `J`; the message says
    /// where, without quoting them.
    pub fn args<J: Job + DeserializeOwned>(&self) -> Result<J> {
        let kind = self.kind();
        if kind != J::KIND && !J::ALIASES.contains(&kind) {
            return Err(Error::invalid(format!(
                "the job is of kind={kind:?}, not {:?}; look at kind() first",
                J::KIND
            )));
        }
        parse_args(kind, self.codec(), self.payload())
    }

    /// The args as they were enqueued.
    pub fn payload(&self) -> &[u8] {
        self.grant.plain_args()
    }

    /// How the args are written.
    pub fn codec(&self) -> Codec {
        self.grant.envelope.codec
    }

    /// The job's number.
    pub fn id(&self) -> JobId {
        self.grant.id
    }

    /// Which handler it is for.
    pub fn kind(&self) -> &str {
        &self.grant.envelope.kind
    }

    /// The queue it came from.
    pub fn queue(&self) -> &str {
        &self.grant.envelope.queue
    }

    /// The group it is a member of.
    pub fn group(&self) -> Option<GroupId> {
        self.grant.envelope.group.map(GroupId)
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.grant.attempt
    }

    /// Attempts it may spend.
    pub fn max_attempts(&self) -> u32 {
        self.grant.envelope.max_attempts
    }

    /// The same for every attempt of this job and for no other job, ever: hand it to what must act only once.
    pub fn idempotency_key(&self) -> &str {
        &self.grant.idempotency_key
    }

    /// What the enqueuer wanted kept with it.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.grant.envelope.metadata
    }

    fn stale(&self) -> StaleLease {
        StaleLease { id: self.grant.id, attempt: self.grant.attempt }
    }

    fn failed(&self, error: String, cause: ErrorCause, retry_after: Option<Duration>) -> Settle {
        let took = self.clock.monotonic().saturating_sub(self.since);
        Settle::Nack { error, cause, retry_after, duration: Some(took) }
    }

    fn end(self, how: Settle) -> Result<Receipt, LeaseError> {
        let reached = match self.engine.settle(&self.grant, how) {
            Ok(Some(_)) if planted!(LeaseEndDoesNotWait) => Ok(true),
            Ok(Some(ticket)) => self.engine.wait(ticket).map(|()| true),
            Ok(None) => Ok(false),
            Err(e) => Err(e),
        };
        self.ended(reached)
    }

    fn end_async(self, how: Settle) -> Settling {
        let staged = self.engine.settle(&self.grant, how);
        Settling::new(self, staged)
    }

    pub(super) fn poll_wait(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.engine.poll_wait(ticket, cx)
    }

    /// The lease is over if its end is on disk (`true`), or was not its own to say (`false`).
    pub(super) fn ended(mut self, reached: Result<bool>) -> Result<Receipt, LeaseError> {
        match reached {
            Ok(ours) => {
                self.open = false;
                Ok(if ours { Receipt::Accepted } else { Receipt::Stale(self.stale()) })
            }
            Err(error) => Err(LeaseError::new(error, self)),
        }
    }
}

impl Drop for Lease {
    /// Does not wait for the disk: the worst a crash can make of it is an interrupted attempt.
    fn drop(&mut self) {
        if !self.open || planted!(DroppedLeaseKept) {
            return;
        }
        let how = if planted!(DroppedLeaseIsAck) {
            Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
        } else if self.home.strong_count() == 0 {
            Settle::Release
        } else {
            self.failed("the lease was dropped without a verdict".to_owned(), ErrorCause::Abandoned, None)
        };
        // Nobody is left to tell; a handle that cannot take it has failed all its callers already.
        let _ = self.engine.settle(&self.grant, how);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.grant.id)
            .field("kind", &self.grant.envelope.kind)
            .field("queue", &self.grant.envelope.queue)
            .field("attempt", &self.grant.attempt)
            .field("args_bytes", &self.grant.args.len())
            .finish_non_exhaustive()
    }
}
