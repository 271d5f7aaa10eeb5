//! Groups of jobs with callbacks, and chains.

use std::fmt;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use super::check;
use crate::engine::{Durability, Enqueued, GroupStatus, NewJob, OnParentFailure, Sealed, Ties};
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
    pub fn seal_group(&self, id: GroupId) -> Result<Sealed> {
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

/// Jobs that run one after the other, each when the one before has succeeded. Made by [`JobBuilder::then`].
#[derive(Clone)]
#[must_use = "does nothing until it is enqueued"]
pub struct Chain<On> {
    links: Vec<JobBuilder>,
    on: On,
}

impl<On> JobBuilder<On> {
    /// A chain: `next` runs when this job has succeeded. All of a chain is accepted at once; what stands behind the first
    /// is held until its turn. If a link is dead, the next wait until it is requeued; if it ended without success, they
    /// are discarded, unless [`on_parent_failure`](JobBuilder::on_parent_failure) of a link says otherwise.
    ///
    /// ```
    /// # use backlog::{Backlog, Job, JobBuilder};
    /// # #[derive(serde::Serialize)] struct Charge;
    /// # impl Job for Charge { const KIND: &'static str = "charge"; }
    /// # #[derive(serde::Serialize)] struct Receipt;
    /// # impl Job for Receipt { const KIND: &'static str = "receipt"; }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let chain = backlog.job(&Charge).then(JobBuilder::new(&Receipt)).enqueue()?;
    /// assert_eq!(chain.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn then<Other>(self, next: JobBuilder<Other>) -> Chain<On> {
        let (first, on) = self.parted();
        Chain { links: vec![first, next.detached()], on }
    }
}

impl<On> Chain<On> {
    /// One more job at the end.
    pub fn then<Other>(mut self, next: JobBuilder<Other>) -> Self {
        self.links.push(next.detached());
        self
    }
}

impl Chain<&Backlog> {
    /// Enqueues the chain in one commit: all of it or nothing. Synced if any link asks for it.
    ///
    /// # Errors
    /// As [`Backlog::enqueue_all`]; `Invalid`: a link but the first has a unique key, or is held. Nothing was enqueued.
    pub fn enqueue(self) -> Result<Vec<Enqueued>> {
        let shared = &self.on.shared;
        let (engine, limits) = (&shared.engine, shared.engine.limits());
        let synced = self.links.iter().any(|link| link.level() == Durability::Sync);
        let level = if synced { Durability::Sync } else { Durability::Buffered };
        let mut jobs = Vec::with_capacity(self.links.len());
        for (nth, link) in self.links.into_iter().enumerate() {
            let mut job = link.into_new_job(&*shared.clock, limits)?;
            if let Some(before) = nth.checked_sub(1) {
                check_link(&job)?;
                job.behind(before);
            }
            jobs.push(job);
        }
        let prepared = engine.prepare_all(jobs.into_iter().map(Ok))?;
        let (answers, ticket) = engine.accept(prepared, level)?;
        engine.wait(ticket)?;
        Ok(answers)
    }
}

fn check_link(job: &NewJob) -> Result<()> {
    let kind = &job.kind;
    if job.unique.is_some() {
        return Err(Error::invalid(format!(
            "link kind={kind:?} of a chain has a unique key: it might not be added; only the first may have one"
        )));
    }
    if job.hold {
        return Err(Error::invalid(format!("link kind={kind:?} of a chain waits already; take out `hold`")));
    }
    Ok(())
}

impl<On> fmt::Debug for Chain<On> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("links", &self.links).finish_non_exhaustive()
    }
}

impl<On> JobBuilder<On> {
    /// Makes it a member of a group that takes members: an open one, or one of which a member is pending. Works wherever
    /// a job is enqueued; as a follow-up of a member it is added in the commit that ends that member, so the group
    /// never looks complete in between. A duplicate is no member. Default: none.
    ///
    /// The verb answers `Invalid` if the group takes no members (any more), with nothing done.
    pub fn group(self, id: GroupId) -> Self {
        self.set(|job| job.ties.group = Some(id))
    }

    /// Held until all these jobs have succeeded, then ready (or scheduled, if its time is to come). May be given
    /// several times. A job that is over already keeps nobody waiting, whatever became of it; a dead one does, see
    /// [`on_parent_failure`](Self::on_parent_failure). Default: none.
    ///
    /// The verb answers `Invalid` for an id that no job has had, `TooLarge` if more than
    /// [`AFTER_MAX`](crate::limits::AFTER_MAX) jobs would wait for one.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, JobBuilder, Phase, Status};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let left = backlog.enqueue_raw("left", b"{}".to_vec(), Codec::Json)?.id;
    /// let right = backlog.enqueue_raw("right", b"{}".to_vec(), Codec::Json)?.id;
    /// let sum = backlog.raw_job("sum", b"{}".to_vec(), Codec::Json).after([left, right]).enqueue()?.id;
    /// let Status::Live(job) = backlog.inspect(sum)? else { panic!("it waits") };
    /// assert_eq!(job.phase, Phase::Held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(self, parents: impl IntoIterator<Item = crate::ids::JobId>) -> Self {
        self.set(|job| job.wait_for(parents))
    }

    /// What a job that waits [`after`](Self::after) others does when one of them fails. Default:
    /// [`OnParentFailure::Wait`].
    pub fn on_parent_failure(self, policy: OnParentFailure) -> Self {
        self.set(|job| job.ties.on_failure = policy)
    }
}
