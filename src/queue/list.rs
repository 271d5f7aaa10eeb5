//! Which jobs a listing shows.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use crate::engine::{JobInfo, Source};
use crate::error::Result;
use crate::ids::{JobId, Phase};
use crate::job::Codec;

/// Which live jobs [`list`](crate::Backlog::list) shows: in the order of their ids, page by page.
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
    queue: Option<String>,
    kind: Option<String>,
    kind_like: Option<String>,
    priority: RangeInclusive<i16>,
    pub(super) through: Option<JobId>,
    tag: Option<String>,
    error: Option<String>,
    since: Option<SystemTime>,
    before: Option<SystemTime>,
    pub(super) phase: Option<Phase>,
    pub(super) after: Option<JobId>,
    pub(super) limit: usize,
}

impl Filter {
    /// The most jobs one call shows.
    pub const LIMIT_MAX: usize = 10_000;

    /// The first 100 jobs of every queue, in any state.
    pub fn new() -> Self {
        Self {
            queue: None,
            kind: None,
            kind_like: None,
            priority: i16::MIN..=i16::MAX,
            through: None,
            tag: None,
            error: None,
            since: None,
            before: None,
            phase: None,
            after: None,
            limit: 100,
        }
    }

    /// Only jobs of this queue. Default: every queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// Only jobs of this kind. Default: every kind.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only jobs whose kind is like this pattern, in which `*` stands for any text: `send_*`. Default: every kind.
    pub fn kind_like(mut self, pattern: impl Into<String>) -> Self {
        self.kind_like = Some(pattern.into());
        self
    }

    /// Only jobs with a priority in this range. Default: any.
    pub fn priority(mut self, range: RangeInclusive<i16>) -> Self {
        self.priority = range;
        self
    }

    /// Only jobs with this id or a smaller one; none with a larger one is read. Default: to the end.
    pub fn through(mut self, id: JobId) -> Self {
        self.through = Some(id);
        self
    }

    /// Only jobs with this tag. Default: with any or none.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Only jobs whose last error, or the reason why they are dead or parked, has this text in it. Default: all.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.error = Some(text.into());
        self
    }

    /// Only jobs enqueued at this time or later. Default: all.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Only jobs enqueued before this time. Default: all.
    pub fn before(mut self, time: SystemTime) -> Self {
        self.before = Some(time);
        self
    }

    /// Only jobs in this state. Default: every state.
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
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

    /// After which id it begins.
    pub(crate) fn first_after(&self) -> Option<JobId> {
        self.after
    }

    /// What a job's record says of it; its state and its id were looked at before.
    pub(super) fn fits(&self, job: &JobInfo) -> bool {
        let says = |text: &String| {
            job.errors.last().is_some_and(|error| error.contains(text))
                || job.reason.as_ref().is_some_and(|reason| reason.contains(text))
        };
        self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
            && self.kind_like.as_ref().is_none_or(|pattern| is_like(pattern, &job.kind))
            && self.priority.contains(&job.priority)
            && self.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
            && self.error.as_ref().is_none_or(says)
            && self.since.is_none_or(|since| job.created_at >= since)
            && self.before.is_none_or(|before| job.created_at < before)
    }
}

/// Whether `text` is like `pattern`, in which each `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    // Each part is taken where it is found first; the last one must stand at the end.
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(last)
}

/// A live job with its args.
pub(super) fn with_args(source: &dyn Source, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>> {
    let seen = source.job(id)?;
    Ok(seen.map(|(envelope, args)| (JobInfo::new(id, &envelope), envelope.codec, args)))
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}
