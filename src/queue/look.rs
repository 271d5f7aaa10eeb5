//! The verbs that look at jobs, and those that change one from outside.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime};

use super::backlog::Backlog;
use super::check::{self, NameOf};
use super::list::{self, Filter};
use super::pending::Pending;
use crate::engine::{Cancelled, Changed, Confirmed, Counts, JobInfo, Limits, Requeued, Source, Status};
use crate::error::Result;
use crate::ids::{JobId, Millis};
use crate::job::Codec;

impl Backlog {
    /// What is known of a job: live with everything about it, finished, lost, or never given out.
    ///
    /// Like all looks it shows what the operating system has, which may be a moment ahead of the disk.
    ///
    /// # Errors
    /// `Corrupt`: its record does not read back; the message names file and offset. `Poisoned`, `Closed`.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, Phase, Status};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let id = backlog.enqueue_raw("greet", b"{}".to_vec(), Codec::Json)?.id;
    /// let Status::Live(job) = backlog.inspect(id)? else { panic!("it waits") };
    /// assert_eq!((job.kind.as_str(), job.phase), ("greet", Phase::Ready));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inspect(&self, id: JobId) -> Result<Status> {
        self.shared.engine.inspect(id)
    }

    /// How many jobs stand in each state, by queue, and how many ever came and went. Costs no disk access.
    pub fn counts(&self) -> Counts {
        self.shared.engine.counts()
    }

    /// For each queue how long its oldest ready job has been ready; zero: none is. Of several priorities (and limit keys)
    /// the job next in line of each is looked at, 256 at most in all. Reads their records; what cannot be read just now
    /// is passed over.
    pub fn oldest_ready(&self) -> BTreeMap<String, Duration> {
        self.shared.engine.ready_ages()
    }

    /// Live jobs in the order of their ids, one page of them. Reads each job that is in the state asked for, until the page
    /// is full.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect).
    pub fn list(&self, filter: &Filter) -> Result<Vec<JobInfo>> {
        self.shared.engine.list(&filter.criteria, filter.after, filter.limit)
    }

    pub(crate) fn with_args(&self, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>> {
        list::with_args(&**self.shared.engine, id)
    }

    /// Cancels a job; returns once that is on disk. One that waits is gone. One that runs is asked to stop: its
    /// [`Context::is_cancelled`](crate::Context::is_cancelled) says so, an ack still completes it, any other end (a
    /// crash too) makes it cancelled.
    ///
    /// # Errors
    /// `Full` (the disk, and what runs needs the rest of it), `Poisoned`, `Closed`: nothing was done. `Unknown`: the disk
    /// failed while this call waited.
    pub fn cancel(&self, id: JobId) -> Result<Cancelled> {
        let (answer, ticket) = self.shared.engine.cancel(id)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// As [`cancel`](Self::cancel), as a future.
    pub fn cancel_async(&self, id: JobId) -> Pending<Cancelled> {
        Pending::new(&self.shared.engine, self.shared.engine.cancel(id))
    }

    /// Makes a dead, parked or scheduled job ready now, with all its attempts; its kept errors stay. Returns once that
    /// is on disk. Errors as [`cancel`](Self::cancel).
    pub fn requeue(&self, id: JobId) -> Result<Requeued> {
        let (answer, ticket) = self.shared.engine.requeue(id)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// As [`requeue`](Self::requeue), as a future.
    pub fn requeue_async(&self, id: JobId) -> Pending<Requeued> {
        Pending::new(&self.shared.engine, self.shared.engine.requeue(id))
    }

    /// Lets go of a job that was enqueued with [`hold`](crate::JobBuilder::hold): it is ready, or scheduled if its time
    /// is to come. Returns once that is on disk. Errors as [`cancel`](Self::cancel).
    ///
    /// ```
    /// # use backlog::{Backlog, Confirmed, Job};
    /// # #[derive(serde::Serialize)] struct Receipt { sale: u64 }
    /// # impl Job for Receipt { const KIND: &'static str = "receipt"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let held = backlog.job(&Receipt { sale: 7 }).hold().enqueue()?;
    /// // … the sale is committed to the database here …
    /// assert_eq!(backlog.confirm(held.id)?, Confirmed::Done);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn confirm(&self, id: JobId) -> Result<Confirmed> {
        let (answer, ticket) = self.shared.engine.confirm(id)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// As [`confirm`](Self::confirm), as a future.
    pub fn confirm_async(&self, id: JobId) -> Pending<Confirmed> {
        Pending::new(&self.shared.engine, self.shared.engine.confirm(id))
    }

    /// Ends a held job without running it. Returns once that is on disk. Errors as [`cancel`](Self::cancel).
    pub fn discard(&self, id: JobId) -> Result<Confirmed> {
        let (answer, ticket) = self.shared.engine.discard(id)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// As [`discard`](Self::discard), as a future.
    pub fn discard_async(&self, id: JobId) -> Pending<Confirmed> {
        Pending::new(&self.shared.engine, self.shared.engine.discard(id))
    }

    /// Puts a job that does not run into another queue, in the state and with the age it has. Returns once that is on
    /// disk. Errors as [`pause`](Self::pause).
    ///
    /// ```
    /// # use backlog::{Backlog, Changed, Codec};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let id = backlog.enqueue_raw("import", b"{}".to_vec(), Codec::Json)?.id;
    /// assert_eq!(backlog.move_to(id, "slow")?, Changed::Done);
    /// assert_eq!(backlog.set_priority(id, -5)?, Changed::Done);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn move_to(&self, id: JobId, queue: &str) -> Result<Changed> {
        check::name(NameOf::Queue, queue)?;
        let (answer, ticket) = self.shared.engine.move_to(id, Some(queue), None)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// Gives a job that does not run another priority. Returns once that is on disk. Errors as
    /// [`cancel`](Self::cancel).
    pub fn set_priority(&self, id: JobId, priority: i16) -> Result<Changed> {
        let (answer, ticket) = self.shared.engine.move_to(id, None, Some(priority))?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// Moves a scheduled or ready job to another time; one that has come makes it ready. Returns once that is on disk.
    /// Errors as [`cancel`](Self::cancel).
    pub fn reschedule(&self, id: JobId, time: SystemTime) -> Result<Changed> {
        let (answer, ticket) = self.shared.engine.reschedule(id, Millis::not_before(time))?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }

    /// No job of this queue is claimed until [`resume`](Self::resume), over restarts too; running jobs go on, new
    /// ones are accepted. Returns once that is on disk. Pausing a paused queue is fine.
    ///
    /// # Errors
    /// `Invalid`, `TooLarge`: not a queue name. Others as [`cancel`](Self::cancel).
    pub fn pause(&self, queue: &str) -> Result<()> {
        check::name(NameOf::Queue, queue)?;
        self.shared.engine.wait(self.shared.engine.pause(queue)?)
    }

    /// Lets jobs of this queue be claimed again. Returns once that is on disk. Errors as [`pause`](Self::pause).
    pub fn resume(&self, queue: &str) -> Result<()> {
        check::name(NameOf::Queue, queue)?;
        self.shared.engine.wait(self.shared.engine.resume(queue)?)
    }

    /// Hands out no more jobs of this kind, in whatever queue, over restarts too: one that is reached stands parked
    /// with the reason, its attempt not spent. For an incident: everything else goes on. Returns once that is on disk.
    /// Errors as [`pause`](Self::pause).
    pub fn pause_kind(&self, kind: &str) -> Result<()> {
        check::name(NameOf::Kind, kind)?;
        self.shared.engine.wait(self.shared.engine.pause_kind(kind)?)
    }

    /// Undoes [`pause_kind`](Self::pause_kind): parked jobs of this kind are ready again, in their old places. Errors as
    /// [`pause`](Self::pause).
    pub fn resume_kind(&self, kind: &str) -> Result<()> {
        check::name(NameOf::Kind, kind)?;
        self.shared.engine.wait(self.shared.engine.resume_kind(kind)?)
    }

    /// Limits how much of a queue runs at a time and starts in a time, from now on and for every claim, by pools and by
    /// hand. What runs beyond a new limit goes on.
    ///
    /// Limits are the program's, like its handlers: state them after each open, before the workers start. What they
    /// count lives in the log: a crash leaves no slot taken, and no bucket full that was empty (a power cut may give the
    /// last moment's tokens back). Errors: `Invalid`.
    pub fn limit(&self, queue: &str, limits: Limits) -> Result<()> {
        check::name(NameOf::Queue, queue)?;
        limits.check()?;
        self.shared.engine.set_limits(queue, limits);
        Ok(())
    }

    /// The kinds that are paused, sorted.
    pub fn paused_kinds(&self) -> Vec<String> {
        self.shared.engine.paused_kinds()
    }

    /// The queues that are paused, sorted.
    pub fn paused(&self) -> Vec<String> {
        self.shared.engine.paused()
    }

    /// Writes every live job and cell as JSON lines: for a person, a script, or a copy elsewhere. Holds args.
    ///
    /// # Errors
    /// `Io`: `out` refused. Others as [`inspect`](Self::inspect).
    pub fn dump(&self, mut out: impl io::Write) -> Result<()> {
        self.shared.engine.dump(&mut out)
    }
}
