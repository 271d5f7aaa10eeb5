//! Groups of jobs with callbacks.

use std::fmt;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use super::check;
use crate::engine::{Durability, Enqueued, GroupSealed, GroupStatus, NewJob, Ties};
use crate::error::{Error, Result};
use crate::ids::GroupId;
use crate::job::Role;

/// A group on its way in. Made by [`Backlog::group`].
///
/// The callbacks are accepted together with the group and stand held until they are due, so a full disk cannot lose
/// them. Each runs once, as any job: with its own queue, attempts and retries. A callback may itself be a member of
/// another group ([`JobBuilder::group`]): that group then waits for it, which is how groups nest.
#[must_use = "does nothing until it is enqueued"]
pub struct GroupBuilder<'b> {
    backlog: &'b Backlog,
    callbacks: [Option<JobBuilder>; 3],
    jobs: Vec<JobBuilder>,
    level: Durability,
}

/// A group that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupEnqueued {
    /// Its number.
    pub id: GroupId,
    /// What became of its jobs, in their order. A duplicate is no member.
    pub jobs: Vec<Enqueued>,
}

impl Backlog {
    /// A group of jobs, with callbacks for when they are done.
    ///
    /// ```
    /// # use backlog::{Backlog, Job, JobBuilder};
    /// # #[derive(serde::Serialize)] struct Invoice { user: u64 }
    /// # impl Job for Invoice { const KIND: &'static str = "invoice"; }
    /// # #[derive(serde::Serialize)] struct Report { month: u32 }
    /// # impl Job for Report { const KIND: &'static str = "report"; const QUEUE: &'static str = "reports"; }
    /// # let dir = tempfile::tempdir()?;
    /// let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let group = backlog.group()
    ///     .jobs((1..=3).map(|user| JobBuilder::new(&Invoice { user })))
    ///     .on_complete(JobBuilder::new(&Report { month: 11 }))
    ///     .enqueue()?;                                             // all of it, or nothing
    ///
    /// while let Some(lease) = backlog.queue("default").claim()? {
    ///     lease.ack()?;
    /// }
    /// let status = backlog.group_status(group.id).expect("it is kept for a day");
    /// assert!(status.is_complete() && status.succeeded == 3);
    /// let report = backlog.queue("reports").claim_timeout(std::time::Duration::from_secs(10))?.expect("it is due");
    /// report.ack()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group(&self) -> GroupBuilder<'_> {
        GroupBuilder { backlog: self, callbacks: [None, None, None], jobs: Vec::new(), level: Durability::default() }
    }

    /// How a group stands. `None`: it was never made, or it finished more than a day, or 10,000 groups, ago. Costs no disk access; like
    /// all looks it may be a moment ahead of the disk.
    pub fn group_status(&self, id: GroupId) -> Option<GroupStatus> {
        self.shared.engine.group_status(id)
    }

    /// Every group that is known, by its number: those that are not finished, and the last 10,000 that finished within a
    /// day. Costs no disk access.
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.shared.engine.groups()
    }

    /// Ends the time in which an [open](GroupBuilder::open) group waits for more: it completes when none of its members is
    /// pending, which may be now. Members that still run may add to it until then. Sealing twice is fine. Returns
    /// once that is on disk.
    ///
    /// # Errors
    /// `Full`, `Poisoned`, `Closed`: nothing was done. `Unknown`: the disk failed while this call waited.
    pub fn seal_group(&self, id: GroupId) -> Result<GroupSealed> {
        let (answer, ticket) = self.shared.engine.seal_group(id)?;
        self.shared.engine.wait(ticket)?;
        Ok(answer)
    }
}

impl GroupBuilder<'_> {
    /// Runs when every member has succeeded; perhaps later than `on_complete`, after dead members were requeued. Is
    /// discarded once that cannot be any more: a member was cancelled, expired, discarded or pruned, and none is left.
    /// A group without members succeeds at once. Default: none.
    pub fn on_success<On>(self, job: JobBuilder<On>) -> Self {
        self.callback(Role::Success, job)
    }

    /// Runs when for the first time no member is pending: each has succeeded, died, or ended otherwise. Default: none.
    pub fn on_complete<On>(self, job: JobBuilder<On>) -> Self {
        self.callback(Role::Complete, job)
    }

    /// Runs when the first member dies, also while others are pending and the group is open. Is discarded when none can
    /// die any more. Default: none.
    pub fn on_death<On>(self, job: JobBuilder<On>) -> Self {
        self.callback(Role::Death, job)
    }

    /// One more member.
    pub fn job<On>(self, job: JobBuilder<On>) -> Self {
        self.jobs([job])
    }

    /// More members.
    pub fn jobs<On>(mut self, jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Self {
        self.jobs.extend(jobs.into_iter().map(JobBuilder::detached));
        self
    }

    /// What must be true before the call answers `Ok`, for callbacks and members. Default: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.level = durability;
        self
    }

    /// Enqueues the group, sealed: these are its members, and those that its members add while they run.
    ///
    /// # Errors
    /// As [`Backlog::enqueue_all`], and its limits, callbacks included; `Invalid`: a callback has a unique key or is held.
    /// Nothing was enqueued.
    pub fn enqueue(self) -> Result<GroupEnqueued> {
        self.start(true)
    }

    /// Enqueues the group and leaves it open: it does not complete before [`Backlog::seal_group`], and takes members by
    /// [`JobBuilder::group`] until then. Errors as [`enqueue`](Self::enqueue).
    ///
    /// ```
    /// # use backlog::{Backlog, Job, JobBuilder};
    /// # #[derive(serde::Serialize)] struct Row { n: u64 }
    /// # impl Job for Row { const KIND: &'static str = "row"; }
    /// # #[derive(serde::Serialize)] struct Imported;
    /// # impl Job for Imported { const KIND: &'static str = "imported"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let group = backlog.group().on_success(JobBuilder::new(&Imported)).open()?;
    /// for page in 0..3 {
    ///     backlog.enqueue_all((0..10).map(|n| JobBuilder::new(&Row { n: page * 10 + n }).group(group.id)))?;
    /// }
    /// backlog.seal_group(group.id)?;
    /// assert_eq!(backlog.group_status(group.id).unwrap().pending, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<GroupEnqueued> {
        self.start(false)
    }

    fn callback<On>(mut self, role: Role, job: JobBuilder<On>) -> Self {
        if let Some(callback) = self.callbacks.get_mut(role.at()) {
            *callback = Some(job.detached());
        }
        self
    }

    fn start(self, sealed: bool) -> Result<GroupEnqueued> {
        let shared = &self.backlog.shared;
        let (engine, limits) = (&shared.engine, shared.engine.limits());
        let id = engine.draw_group_id()?;
        let mut jobs = Vec::with_capacity(self.callbacks.len() + self.jobs.len());
        for (role, job) in [Role::Success, Role::Complete, Role::Death].into_iter().zip(self.callbacks) {
            if let Some(job) = job {
                let mut job = job.into_new_job(&*shared.clock, limits)?;
                check_callback(&job)?;
                job.ties.callback = Some((id, role));
                jobs.push(job);
            }
        }
        let callbacks = jobs.len();
        let mut bytes: usize = jobs.iter().map(|job| job.args.len()).sum();
        for job in self.jobs {
            let mut job = job.into_new_job(&*shared.clock, limits)?;
            if job.ties.group.is_some() {
                return Err(Error::invalid("a job is a member of one group; leave out its own"));
            }
            job.ties.group = Some(id);
            bytes = bytes.saturating_add(job.args.len());
            jobs.push(job);
            check::batch(jobs.len(), bytes, limits)?;
        }
        let prepared = engine.prepare_all(jobs.into_iter().map(Ok))?;
        let (mut answers, ticket) = engine.accept_with_groups(&[(id, sealed)], prepared, self.level)?;
        engine.wait(ticket)?;
        Ok(GroupEnqueued { id, jobs: answers.split_off(callbacks) })
    }
}

fn check_callback(job: &NewJob) -> Result<()> {
    let kind = &job.kind;
    if job.unique.is_some() {
        return Err(Error::invalid(format!(
            "callback kind={kind:?} has a unique key: it might not be added; take it out"
        )));
    }
    if job.hold || job.ties != (Ties { group: job.ties.group, ..Ties::default() }) {
        return Err(Error::invalid(format!(
            "callback kind={kind:?} waits for its group already; take out `hold` and `after`"
        )));
    }
    Ok(())
}

impl fmt::Debug for GroupBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder").field("callbacks", &self.callbacks).field("jobs", &self.jobs.len()).finish()
    }
}
