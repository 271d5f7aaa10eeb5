//! Jobs that belong to others: members of a group, jobs that wait, chains.

use std::fmt;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use crate::engine::{Durability, Enqueued, NewJob, OnParentFailure};
use crate::error::{Error, Result};
use crate::ids::{GroupId, JobId};

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
    pub fn after(self, parents: impl IntoIterator<Item = JobId>) -> Self {
        self.set(|job| job.wait_for(parents))
    }

    /// What a job that waits [`after`](Self::after) others does when one of them fails. Default:
    /// [`OnParentFailure::Wait`].
    pub fn on_parent_failure(self, policy: OnParentFailure) -> Self {
        self.set(|job| job.ties.on_failure = policy)
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
