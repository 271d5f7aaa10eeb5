//! The verbs that put jobs in.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use super::check;
use super::job::Job;
use super::pending::Pending;
use super::watch::Sending;
use crate::engine::Ticket;
use crate::engine::{Durability, Enqueued};
use crate::error::Result;
use crate::job::Codec;

impl Backlog {
    /// Enqueues a job with what its type says; returns once it is on disk. The job is then ready.
    ///
    /// # Errors
    /// `Invalid` (a name; args that cannot be written as JSON), `TooLarge`, `Full`, `Poisoned`, `Closed`: nothing was
    /// enqueued. `Unknown`: the disk failed while this call waited; the job may or may not be found after reopening.
    pub fn enqueue<J: Job + Serialize + ?Sized>(&self, job: &J) -> Result<Enqueued> {
        self.job(job).enqueue()
    }

    /// Enqueues a job that runs not before `delay` from now; it stands scheduled until then. Errors as
    /// [`enqueue`](Self::enqueue).
    pub fn enqueue_in<J: Job + Serialize + ?Sized>(&self, delay: Duration, job: &J) -> Result<Enqueued> {
        self.job(job).delay(delay).enqueue()
    }

    /// Enqueues a job that runs not before `time` by the wall clock; it stands scheduled until then. Errors as
    /// [`enqueue`](Self::enqueue).
    pub fn enqueue_at<J: Job + Serialize + ?Sized>(&self, time: SystemTime, job: &J) -> Result<Enqueued> {
        self.job(job).run_at(time).enqueue()
    }

    /// Enqueues jobs in one commit: all or none, in this order. At most
    /// [`BATCH_JOBS_MAX`](crate::limits::BATCH_JOBS_MAX) jobs and 30 MiB. Errors as [`enqueue`](Self::enqueue).
    ///
    /// The 30 MiB count what is stored of each job: its args, and beside them kind, queue, unique key, tags, metadata
    /// and some tens of bytes that every job has. On top of that come headers of 16 bytes and at most 7 to fill up,
    /// which must fit with all the rest into one segment of 32 MiB: only with very many jobs do they matter. So 29 jobs
    /// of 1 MiB always fit, and 30 do not. A batch that is refused as `TooLarge` may be split as you like.
    ///
    /// ```
    /// # use backlog::{Backlog, Job};
    /// # #[derive(serde::Serialize)] struct Resize { photo: u32 }
    /// # impl Job for Resize { const KIND: &'static str = "resize"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let photos: Vec<Resize> = (0..1000).map(|photo| Resize { photo }).collect();
    /// let accepted = backlog.enqueue_many(&photos)?;
    /// assert_eq!(accepted.len(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enqueue_many<'j, J>(&self, jobs: impl IntoIterator<Item = &'j J>) -> Result<Vec<Enqueued>>
    where
        J: Job + Serialize + ?Sized + 'j,
    {
        self.enqueue_all(jobs.into_iter().map(JobBuilder::new))
    }

    /// Enqueues jobs of any kinds, each with what it asks for, in one commit: all or none, in this order. Synced if
    /// any of them asks for it. Limits and errors as [`enqueue_many`](Self::enqueue_many).
    pub fn enqueue_all<On>(&self, jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Result<Vec<Enqueued>> {
        Sending::many().of_many(|| {
            let Some((accepted, ticket)) = self.stage_all(jobs)? else { return Ok(Vec::new()) };
            self.shared.engine.wait(ticket)?;
            Ok(accepted)
        })
    }

    fn stage_all<On>(&self, jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Result<Option<(Vec<Enqueued>, Ticket)>> {
        let mut level = Durability::Buffered;
        let mut bytes = 0_usize;
        let (clock, limits) = (&*self.shared.clock, self.shared.engine.limits());
        let jobs = jobs.into_iter().enumerate().map(|(n, job)| {
            if job.level() == Durability::Sync {
                level = Durability::Sync;
            }
            let job = job.into_new_job(clock, limits)?;
            bytes = bytes.saturating_add(job.args.len());
            check::batch(n.saturating_add(1), bytes, limits)?;
            Ok(job)
        });
        let prepared = self.shared.engine.prepare_all(jobs)?;
        if prepared.is_empty() {
            return Ok(None);
        }
        self.shared.engine.accept(prepared, level).map(Some)
    }

    /// Enqueues a job of `kind` whose args are these bytes, written in `codec`. Nobody looks at the bytes here: a
    /// handler that cannot read them leaves the job parked. Errors as [`enqueue`](Self::enqueue).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = backlog::Backlog::open(dir.path().join("jobs"))?;
    /// use backlog::Codec;
    /// let accepted = backlog.enqueue_raw("thumbnail", b"\x89PNG".to_vec(), Codec::Raw)?;
    /// assert!(accepted.is_new());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enqueue_raw(&self, kind: &str, args: Vec<u8>, codec: Codec) -> Result<Enqueued> {
        self.raw_job(kind, args, codec).enqueue()
    }

    /// Enqueues a job now; the future tells when it is on disk. See [`JobBuilder::enqueue_async`].
    pub fn enqueue_async<J: Job + Serialize + ?Sized>(&self, job: &J) -> Pending<Enqueued> {
        self.job(job).enqueue_async()
    }

    /// As [`enqueue_many`](Self::enqueue_many), as a future: the jobs are staged when this returns.
    pub fn enqueue_many_async<'j, J>(&self, jobs: impl IntoIterator<Item = &'j J>) -> Pending<Vec<Enqueued>>
    where
        J: Job + Serialize + ?Sized + 'j,
    {
        self.enqueue_all_async(jobs.into_iter().map(JobBuilder::new))
    }

    /// As [`enqueue_all`](Self::enqueue_all), as a future: the jobs are staged when this returns.
    pub fn enqueue_all_async<On>(&self, jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Pending<Vec<Enqueued>> {
        match self.stage_all(jobs) {
            Ok(None) => Pending::over(Ok(Vec::new())),
            Ok(Some(done)) => Pending::new(&self.shared.engine, Ok(done)),
            Err(e) => Pending::over(Err(e)),
        }
    }

    /// A job with more to say than its type does: queue, priority, unique key, time, attempts, durability.
    pub fn job<J: Job + Serialize + ?Sized>(&self, job: &J) -> JobBuilder<&Backlog> {
        JobBuilder::on(self, job)
    }

    /// As [`job`](Self::job), for args that are bytes already.
    pub fn raw_job(&self, kind: &str, args: Vec<u8>, codec: Codec) -> JobBuilder<&Backlog> {
        JobBuilder::raw_on(self, kind, args, codec)
    }

    pub(super) fn enqueue_one<On>(&self, job: JobBuilder<On>) -> Result<Enqueued> {
        let sending = Sending::one(&job);
        let work = || {
            let (accepted, ticket) = self.stage_one(job)?;
            self.shared.engine.wait(ticket)?;
            Ok(accepted)
        };
        sending.of_one(work, |accepted| *accepted)
    }

    pub(super) fn start_one<On>(&self, job: JobBuilder<On>) -> Pending<Enqueued> {
        let sending = Sending::one(&job);
        Pending::new(&self.shared.engine, sending.of_one(|| self.stage_one(job), |(accepted, _)| *accepted))
    }

    fn stage_one<On>(&self, job: JobBuilder<On>) -> Result<(Enqueued, Ticket)> {
        let level = job.level();
        let engine = &self.shared.engine;
        let job = job.into_new_job(&*self.shared.clock, engine.limits())?;
        let (accepted, ticket) = engine.enqueue(vec![job], level)?;
        match accepted.first() {
            Some(accepted) => Ok((*accepted, ticket)),
            None => Err(crate::error::Error::invalid("the engine answered for no job; please report this")),
        }
    }
}
