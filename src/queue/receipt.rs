//! What a verb of a lease answers.

use std::fmt;

use super::lease::Lease;
use crate::error::{Error, ErrorKind};
use crate::ids::JobId;

/// The answer to a verb of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// Done, and on disk.
    Accepted,
    /// Not done: the job is no longer this lease's.
    Stale(StaleLease),
}

impl Receipt {
    /// Whether the lease was stale, and nothing was done.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

/// A lease that ran out or was overtaken: the job was cancelled, or given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleLease {
    /// The job.
    pub id: JobId,
    /// Which attempt the lease was for.
    pub attempt: u32,
}

impl fmt::Display for StaleLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stale lease: job={} attempt={}; it ran out or the job was cancelled", self.id, self.attempt)
    }
}

/// A verb of a lease that failed, and the lease, to try another verb.
pub struct LeaseError {
    error: Error,
    lease: Box<Lease>,
}

impl LeaseError {
    pub(super) fn new(error: Error, lease: Lease) -> Self {
        Self { error, lease: Box::new(lease) }
    }

    /// What class of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The lease; still yours, unless the kind is `Poisoned`, `Unknown` or `Closed`.
    pub fn into_lease(self) -> Lease {
        *self.lease
    }
}

/// Lets go of the lease, which is then a nack.
impl From<LeaseError> for Error {
    fn from(e: LeaseError) -> Self {
        e.error
    }
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseError").field("error", &self.error).field("lease", &self.lease).finish()
    }
}

impl std::error::Error for LeaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
