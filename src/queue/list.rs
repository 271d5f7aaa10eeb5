//! Which jobs a listing shows.

use crate::ids::{JobId, Phase};

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
    pub(super) queue: Option<String>,
    pub(super) phase: Option<Phase>,
    pub(super) after: Option<JobId>,
    pub(super) limit: usize,
}

impl Filter {
    /// The most jobs one call shows.
    pub const LIMIT_MAX: usize = 10_000;

    /// The first 100 jobs of every queue, in any state.
    pub fn new() -> Self {
        Self { queue: None, phase: None, after: None, limit: 100 }
    }

    /// Only jobs of this queue. Default: every queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
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
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}
