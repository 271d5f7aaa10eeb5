//! Which jobs a listing shows.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use crate::engine::{Criteria, JobInfo, Source};
use crate::error::Result;
use crate::ids::{GroupId, JobId, Millis, Phase};
use crate::job::Codec;

/// Which live jobs [`list`](crate::Backlog::list) shows, in the order of their ids, page by page; or which
/// [`bulk`](crate::Backlog::bulk) changes, all of them.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let backlog = backlog::Backlog::open(dir.path().join("jobs"))?;
/// use backlog::{Filter, Phase};
/// let mut filter = Filter::new().phase(Phase::Dead).limit(50);
/// loop {
///     let page = backlog.list(&filter)?;
///     let Some(last) = page.last() else { break };
///     filter = filter.after(last.id);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Filter {
    pub(super) criteria: Criteria,
    pub(super) after: Option<JobId>,
    pub(super) limit: usize,
}

impl Filter {
    /// The most jobs one call shows.
    pub const LIMIT_MAX: usize = 10_000;

    /// The first 100 jobs of every queue, in any state.
    pub fn new() -> Self {
        Self { criteria: Criteria::default(), after: None, limit: 100 }
    }

    /// Only jobs of this queue. Default: every queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.criteria.queue = Some(name.into());
        self
    }

    /// Only jobs of this kind. Default: every kind.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.criteria.kind = Some(kind.into());
        self
    }

    /// Only jobs whose kind is like this pattern, in which `*` stands for any text: `send_*`. Default: every kind.
    pub fn kind_like(mut self, pattern: impl Into<String>) -> Self {
        self.criteria.kind_like = Some(pattern.into());
        self
    }

    /// Only jobs with a priority in this range. Default: any.
    pub fn priority(mut self, range: RangeInclusive<i16>) -> Self {
        self.criteria.priority = Some(range.into_inner());
        self
    }

    /// Only jobs with this id or a larger one. Default: from the start.
    pub fn from(mut self, id: JobId) -> Self {
        self.criteria.first = Some(id.0);
        self
    }

    /// Only jobs with this id or a smaller one; none with a larger one is read. Default: to the end.
    pub fn through(mut self, id: JobId) -> Self {
        self.criteria.last = Some(id.0);
        self
    }

    /// Only jobs with this tag. Default: with any or none.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.criteria.tag = Some(tag.into());
        self
    }

    /// Only jobs whose last error, or the reason why they are dead or parked, has this text in it. Default: all.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.criteria.error = Some(text.into());
        self
    }

    /// Only jobs enqueued at this time or later. Default: all.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.criteria.since = Some(Millis::not_before(time));
        self
    }

    /// Only jobs enqueued before this time. Default: all.
    pub fn before(mut self, time: SystemTime) -> Self {
        self.criteria.before = Some(Millis::not_before(time));
        self
    }

    /// Only jobs in this state. Default: every state.
    pub fn phase(mut self, phase: Phase) -> Self {
        self.criteria.phase = Some(phase);
        self
    }

    /// Only members of this group. Default: of any or none.
    pub fn group(mut self, id: GroupId) -> Self {
        self.criteria.group = Some(id.0);
        self
    }

    /// Only jobs with a larger id: the next page. Default: from the start.
    pub fn after(mut self, id: JobId) -> Self {
        self.after = Some(id);
        self
    }

    /// At most this many jobs, count; more than [`LIMIT_MAX`](Self::LIMIT_MAX) is taken as that. Default: 100.
    pub fn limit(mut self, jobs: usize) -> Self {
        self.limit = jobs.min(Self::LIMIT_MAX);
        self
    }
}

/// A live job with its args.
pub(super) fn with_args(source: &dyn Source, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>> {
    let seen = source.job(id)?;
    Ok(seen.map(|(envelope, args)| (JobInfo::new(id, &envelope, source.keys()), envelope.codec, args)))
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}
