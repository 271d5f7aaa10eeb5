//! One run without a pool, for tests of handlers: the caller gets what the handler answered.
//!
//! # Invariants
//! * Nothing is caught: a panic of the handler is the caller's.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::Failure;
use super::layers::States;
use super::outcome::{IntoOutcome, Outcome};
use super::tasks::Limit;
use crate::queue::seam::JobStore;
use crate::queue::{Job, parse_args};

/// Claims the store's next job and runs it; the job stays in flight.
pub(crate) fn run_alone<J, R>(
    store: Arc<dyn JobStore>,
    handler: impl FnOnce(J, Context) -> Result<R, Failure>,
) -> Result<Outcome, Failure>
where
    J: Job + DeserializeOwned,
    R: IntoOutcome,
{
    let grant = store.claim_many(&[], 1)?.pop().ok_or_else(|| Failure::new("the store has no job that is ready"))?;
    let job = parse_args(&grant.envelope.kind, grant.envelope.codec, grant.plain_args())?;
    let limit = grant
        .envelope
        .timeout_ms
        .map(|ms| Limit::from(store.clock().monotonic(), std::time::Duration::from_millis(ms)));
    let cx = Context::new(Arc::new(grant), store, Arc::default(), Arc::new(States::default()), limit);
    handler(job, cx).map(IntoOutcome::into_outcome)
}
