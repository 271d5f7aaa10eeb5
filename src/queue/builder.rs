//! One job on its way in, with everything it asks for.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::args::encode_args;
use super::backlog::Backlog;
use super::check::{self, NameOf};
use super::job::Job;
use super::pending::Pending;
use super::unique::Unique;
use crate::clock::Clock;
use crate::engine::NewJob;
use crate::engine::{Durability, Enqueued};
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::job::{Backoff, Codec};
use crate::limits::Scaled;

/// Stands for "no backlog": such a [`JobBuilder`] waits to be given to a verb.
#[derive(Debug, Clone, Copy)]
pub struct Detached;

/// One job on its way in. Made by [`Backlog::job`], or by [`JobBuilder::new`] for a follow-up or a batch.
///
/// Each setting starts at what the job's type says ([`Job`]) or at its documented default. A value that cannot be
/// accepted is reported by the verb at the end, with nothing enqueued.
///
/// ```
/// # use backlog::{Backlog, Job};
/// # use std::time::Duration;
/// # #[derive(serde::Serialize)] struct ChargeCard { sale: u64 }
/// # impl Job for ChargeCard { const KIND: &'static str = "charge_card"; }
/// # let dir = tempfile::tempdir()?;
/// let backlog = Backlog::open(dir.path().join("jobs"))?;
/// let first = backlog.job(&ChargeCard { sale: 7 })
///     .queue("billing")
///     .priority(5)
///     .unique("sale:7")
///     .delay(Duration::from_secs(60))
///     .enqueue()?;
/// let again = backlog.job(&ChargeCard { sale: 7 }).unique("sale:7").enqueue()?;
/// assert!(first.is_new() && !again.is_new());
/// assert_eq!(first.id, again.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "does nothing until it is enqueued"]
pub struct JobBuilder<On = Detached> {
    job: Result<NewJob>,
    when: When,
    expires: Option<Expires>,
    durability: Durability,
    on: On,
}

/// A moment as a caller gave it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    At(SystemTime),
    In(Duration),
}

/// From when on the job is not started any more.
#[derive(Debug, Clone, Copy)]
enum Expires {
    At(SystemTime),
    In(Duration),
}

/// When the job is to run; a delay counts from the enqueue, not from the builder.
#[derive(Debug, Clone, Copy)]
enum When {
    Now,
    At(SystemTime),
    In(Duration),
}

impl JobBuilder {
    /// A job with these args, bound to no backlog: for follow-ups and batches.
    pub fn new<J: Job + Serialize + ?Sized>(args: &J) -> Self {
        Self::typed(args, Detached)
    }

    /// A job of `kind` whose args are these bytes, written in `codec`. Nobody looks at the bytes here.
    pub fn raw(kind: &str, args: Vec<u8>, codec: Codec) -> Self {
        Self::start(Ok(NewJob::new(kind.to_owned(), codec, args)), Detached)
    }
}

impl<'b> JobBuilder<&'b Backlog> {
    pub(super) fn on<J: Job + Serialize + ?Sized>(backlog: &'b Backlog, args: &J) -> Self {
        Self::typed(args, backlog)
    }

    pub(super) fn raw_on(backlog: &'b Backlog, kind: &str, args: Vec<u8>, codec: Codec) -> Self {
        Self::start(Ok(NewJob::new(kind.to_owned(), codec, args)), backlog)
    }

    /// Enqueues the job; returns once it has reached its [`durability`](Self::durability).
    ///
    /// # Errors
    /// `Invalid`, `TooLarge`, `Full`, `Poisoned`, `Closed`: nothing was enqueued. `Unknown`: the disk failed while
    /// this call waited; the job may or may not be found after reopening (a unique key makes trying again safe).
    pub fn enqueue(self) -> Result<Enqueued> {
        let on = self.on;
        on.enqueue_one(self)
    }

    /// Enqueues the job now; the future tells when it has reached its durability, on any executor. Dropping the
    /// future gives up the news, not the job. Errors as [`enqueue`](Self::enqueue), told by the future.
    pub fn enqueue_async(self) -> Pending<Enqueued> {
        let on = self.on;
        on.start_one(self)
    }
}

impl<On> JobBuilder<On> {
    fn start(job: Result<NewJob>, on: On) -> Self {
        Self { job, when: When::Now, expires: None, durability: Durability::default(), on }
    }

    fn typed<J: Job + Serialize + ?Sized>(args: &J, on: On) -> Self {
        Self { expires: J::EXPIRES_IN.map(Expires::In), ..Self::start(typed(args), on) }
    }

    pub(super) fn set(mut self, change: impl FnOnce(&mut NewJob)) -> Self {
        if let Ok(job) = &mut self.job {
            change(job);
        }
        self
    }

    /// The queue it waits in. Default: [`Job::QUEUE`].
    pub fn queue(self, name: impl Into<String>) -> Self {
        self.set(|job| job.queue = name.into().into())
    }

    /// Higher runs first within a queue. Default: [`Job::PRIORITY`].
    pub fn priority(self, priority: i16) -> Self {
        self.set(|job| job.priority = priority)
    }

    /// No second job of this kind with the same key while this one is live (dead ones do not count): such an enqueue
    /// answers [`Duplicate`](crate::Acceptance::Duplicate). A text, or a [`Unique`] that says for how long and what
    /// happens otherwise. Default: none.
    pub fn unique(self, unique: impl Into<Unique>) -> Self {
        self.set(|job| unique.into().put_on(job))
    }

    /// Attempts it may spend before it is dead, the first included; 1 to
    /// [`ATTEMPTS_MAX`](crate::limits::ATTEMPTS_MAX). Default: [`Job::MAX_ATTEMPTS`].
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.set(|job| job.max_attempts = attempts)
    }

    /// Not before this moment of the wall clock; the job stands scheduled until then. Default: at once.
    pub fn run_at(mut self, time: SystemTime) -> Self {
        self.when = When::At(time);
        self
    }

    /// Not before this much time after the enqueue; the job stands scheduled until then. Default: at once.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.when = When::In(delay);
        self
    }

    /// Not started any more from this moment of the wall clock on, as a first attempt or a later one: a worker that
    /// reaches it then ends it as expired, which counts in [`Counts::expired`](crate::Counts::expired). One that runs
    /// is not stopped. Jobs that may expire are claimed one by one. Default: [`Job::EXPIRES_IN`]. Must lie after [`run_at`](Self::run_at).
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires = Some(Expires::At(time));
        self
    }

    /// The same, this much time after the enqueue.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires = Some(Expires::In(time));
        self
    }

    /// How long it waits after a failed attempt. Default: [`Job::BACKOFF`].
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.set(|job| job.backoff = backoff)
    }

    /// How long one attempt may take; kept in whole milliseconds, rounded up, at least 1. Default: [`Job::TIMEOUT`].
    ///
    /// When it is over [`Context::is_cancelled`](crate::Context::is_cancelled) says so, the future of an async handler is
    /// dropped, and the attempt has failed. A function that blocks cannot be stopped: the job stays its own until it
    /// returns, and if it then says that it is done, it is.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|job| job.timeout = Some(timeout))
    }

    /// The key its queue's [`Limits`](crate::Limits) by key count it under: a tenant, a provider. At most
    /// [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX) bytes, no control characters. Default: none.
    pub fn limit_key(self, key: impl Into<String>) -> Self {
        self.set(|job| job.limit_key = Some(key.into()))
    }

    /// How long what its handler returns ([`Done::with`](crate::Done::with)) is kept after it completed, for
    /// [`Backlog::result`]; then it is pruned. Counts in milliseconds. Default: [`Job::KEEP_RESULT`].
    pub fn keep_result(self, keep: Duration) -> Self {
        self.set(|job| job.keep_result = Some(keep))
    }

    /// Durable, but no worker gets it before [`Backlog::confirm`] says so; [`Backlog::discard`] ends it. For work that
    /// another store must agree to first: enqueue held, commit there, confirm. Default: not held.
    pub fn hold(self) -> Self {
        self.set(|job| job.hold = true)
    }

    /// Encrypted at rest: its args, and what its runs return, keep or fail with. Needs the feature `encrypt` and
    /// `Options::keys`; without them the verb at the end answers `Invalid`, and nothing is written. The limits of steps,
    /// checkpoints and results count what is stored: 42 bytes and the id of the key more. Of an error text 1,400 bytes are
    /// kept. Sealed jobs are claimed one by one. Default: [`Job::SEALED`].
    pub fn sealed(self) -> Self {
        self.set(|job| job.sealed = true)
    }

    /// A word to find it by; may be given several times, at most [`TAGS_MAX`](crate::limits::TAGS_MAX).
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.set(|job| job.tags.push(tag.into()))
    }

    /// A pair kept with the job and shown to its handler; all together at most
    /// [`METADATA_BYTES_MAX`](crate::limits::METADATA_BYTES_MAX) bytes.
    pub fn metadata(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|job| job.metadata.push((key.into(), value.into())))
    }

    /// What must be true before the enqueue answers `Ok`. Default: [`Durability::Sync`]. A follow-up is as durable
    /// as the ack it comes with, whatever stands here.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bound to no backlog, and what it was bound to.
    pub(super) fn parted(self) -> (JobBuilder, On) {
        let Self { job, when, expires, durability, on } = self;
        (JobBuilder { job, when, expires, durability, on: Detached }, on)
    }

    pub(super) fn detached(self) -> JobBuilder {
        self.parted().0
    }

    /// The job as it stands so far.
    #[cfg(feature = "tracing")]
    pub(super) fn seen(&self) -> Option<&NewJob> {
        self.job.as_ref().ok()
    }

    pub(super) fn level(&self) -> Durability {
        self.durability
    }

    /// What it says, for one that sends it elsewhere: the job, when it runs and from when on it does not. Nothing is
    /// checked yet.
    pub(crate) fn told(self) -> Result<(NewJob, Option<Moment>, Option<Moment>)> {
        let run = match self.when {
            When::Now => None,
            When::At(time) => Some(Moment::At(time)),
            When::In(delay) => Some(Moment::In(delay)),
        };
        let expires = self.expires.map(|expires| match expires {
            Expires::At(time) => Moment::At(time),
            Expires::In(delay) => Moment::In(delay),
        });
        Ok((self.job?, run, expires))
    }

    /// The job as the engine takes it, everything checked.
    pub(crate) fn into_new_job(self, clock: &dyn Clock, limits: Scaled) -> Result<NewJob> {
        let mut job = self.job?;
        check::name(NameOf::Kind, &job.kind)?;
        check::name(NameOf::Queue, &job.queue)?;
        check::codec(job.codec)?;
        check::payload(&job.kind, job.args.len(), limits)?;
        check::max_attempts(job.max_attempts)?;
        check::tags(&job.tags)?;
        check::metadata(&job.metadata)?;
        job.unique.as_deref().map_or(Ok(()), check::unique_key)?;
        job.limit_key.as_deref().map_or(Ok(()), check::limit_key)?;
        if job.hold && job.ties.after.is_some() {
            return Err(Error::invalid(
                "a job either waits `after` others or is held until it is confirmed; choose one",
            ));
        }
        let now = || Millis::not_before(clock.now());
        job.run_at = match self.when {
            When::Now => None,
            When::At(time) => Some(Millis::not_before(time)),
            When::In(delay) => Some(now().after(delay)),
        };
        job.expires_at = self.expires.map(|expires| match expires {
            Expires::At(time) => Millis::from_system(time),
            Expires::In(time) => now().after(time),
        });
        check::expiry(job.run_at, job.expires_at)?;
        Ok(job)
    }
}

impl<On> std::fmt::Debug for JobBuilder<On> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("JobBuilder");
        match &self.job {
            Ok(job) => shown
                .field("kind", &job.kind)
                .field("queue", &job.queue)
                .field("priority", &job.priority)
                .field("args_bytes", &job.args.len()),
            Err(e) => shown.field("error", e),
        };
        shown
            .field("when", &self.when)
            .field("expires", &self.expires)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

fn typed<J: Job + Serialize + ?Sized>(args: &J) -> Result<NewJob> {
    let mut job = NewJob::new(J::KIND, Codec::Json, encode_args(args)?);
    job.queue = J::QUEUE.into();
    job.priority = J::PRIORITY;
    job.max_attempts = J::MAX_ATTEMPTS;
    job.backoff = J::BACKOFF;
    job.timeout = J::TIMEOUT;
    job.keep_result = J::KEEP_RESULT;
    job.sealed = J::SEALED;
    Ok(job)
}
