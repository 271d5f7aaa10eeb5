//! What a handler may know of its run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cancelled::Flag;
use super::failure::Failure;
use super::layers::States;
use super::tasks::Limit;
use crate::engine::Grant;
use crate::ids::{GroupId, JobId};
use crate::queue::seam::JobStore;

/// What a handler may know of its run. Owned and cheap to clone; may be sent to other threads, where it also outlives
/// the run.
#[derive(Clone)]
pub struct Context {
    grant: Arc<Grant>,
    store: Arc<dyn JobStore>,
    flagged: Arc<Flag>,
    states: Arc<States>,
    limit: Option<Limit>,
}

impl Context {
    pub(super) fn new(
        grant: Arc<Grant>,
        store: Arc<dyn JobStore>,
        flagged: Arc<Flag>,
        states: Arc<States>,
        limit: Option<Limit>,
    ) -> Self {
        Self { grant, store, flagged, states, limit }
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    pub(super) fn flag(&self) -> &Flag {
        &self.flagged
    }

    pub(super) fn store(&self) -> &dyn JobStore {
        &*self.store
    }

    /// The job's number.
    pub fn id(&self) -> JobId {
        self.grant.id
    }

    /// What the job is stored as: the type's `KIND`, or one of its `ALIASES`.
    pub fn kind(&self) -> &str {
        &self.grant.envelope.kind
    }

    /// The queue it came from.
    pub fn queue(&self) -> &str {
        &self.grant.envelope.queue
    }

    /// The group the job is a member of. A follow-up with [`JobBuilder::group`](crate::JobBuilder::group) joins it.
    pub fn group(&self) -> Option<GroupId> {
        self.grant.envelope.group.map(GroupId)
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.grant.attempt
    }

    /// Attempts the job may spend before it is dead.
    pub fn max_attempts(&self) -> u32 {
        self.grant.envelope.max_attempts
    }

    /// The same for every attempt of this job and for no other job, ever: hand it to what must act only once.
    pub fn idempotency_key(&self) -> &str {
        &self.grant.idempotency_key
    }

    /// What the enqueuer wanted kept with the job.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.grant.envelope.metadata
    }

    /// Whether the run should end soon: somebody cancelled the job, its time is over, the pool's grace is over, or the
    /// disk failed and nothing more can be acknowledged. In the last two cases a run that then fails keeps its attempt.
    /// Takes a lock for a moment: ask between steps, not in the innermost loop. [`cancelled`](Self::cancelled) and
    /// [`wait_cancelled`](Self::wait_cancelled) wait for it.
    pub fn is_cancelled(&self) -> bool {
        self.flagged.is_raised()
            || self.time_left().is_some_and(|left| left.is_zero())
            || self.store.cancel_requested(&self.grant)
    }

    /// What is left of the job's [`timeout`](crate::JobBuilder::timeout); zero when it is over. `None`: it has none.
    pub fn time_left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.left(self.store.clock()))
    }

    /// What the program gave the pool with [`with_state`](crate::WorkersBuilder::with_state).
    ///
    /// # Errors
    /// A failure of the attempt, for `?`: the pool has no state of this type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, Failure> {
        self.states.get()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("queue", &self.queue())
            .field("attempt", &self.attempt())
            .field("max_attempts", &self.max_attempts())
            .finish_non_exhaustive()
    }
}
