//! What a job that is done leaves behind.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backlog::Backlog;
use super::builder::JobBuilder;
use crate::clock::Clock;
use crate::engine::{CellSet, Grant, Settle, result_cell};
use crate::error::{Error, Result};
use crate::ids::{JobId, Millis};
use crate::limits::{CELL_BYTES_MAX, Scaled};

/// What a job that is done leaves behind: a result, follow-up jobs, or both; all of it in one commit with its end.
///
/// A handler returns it inside `Ok`, or as [`Outcome::done_with`](crate::Outcome::done_with); [`Lease::complete`]
/// takes it from whoever claims by hand. The result is kept as long as the job says
/// ([`JobBuilder::keep_result`], [`Job::KEEP_RESULT`](crate::Job::KEEP_RESULT)), for [`Backlog::result`] and
/// [`Backlog::wait`]; of a job that says nothing it is let go of.
///
/// ```
/// # use backlog::{Backlog, Context, Done, Failure, Job};
/// # use std::time::Duration;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Sum { of: Vec<u64> }
/// impl Job for Sum {
///     const KIND: &'static str = "sum";
///     const KEEP_RESULT: Option<Duration> = Some(Duration::from_secs(3600));
/// }
/// # let dir = tempfile::tempdir()?;
/// # let backlog = Backlog::open(dir.path().join("jobs"))?;
/// let workers = backlog.workers()
///     .handle(|job: Sum, _cx: Context| Ok(Done::with(&job.of.iter().sum::<u64>())))
///     .start()?;
/// let id = backlog.enqueue(&Sum { of: vec![1, 2, 3] })?.id;
/// backlog.wait(id, Duration::from_secs(60))?;
/// assert_eq!(backlog.result::<u64>(id)?, Some(6));
/// # workers.stop(Duration::from_secs(25))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Lease::complete`]: crate::Lease::complete
#[derive(Clone, Default)]
#[must_use = "hand it on: it is what the job leaves behind"]
pub struct Done {
    /// Written at once: the value need not outlive the handler.
    result: Option<Result<Vec<u8>>>,
    follow_ups: Vec<JobBuilder>,
}

impl Done {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// This result: JSON of at most [`CELL_BYTES_MAX`](crate::limits::CELL_BYTES_MAX) bytes. One that is longer, or
    /// cannot be written, is a failed attempt if the job keeps its result. On a full disk the job ends without it.
    pub fn with<T: Serialize + ?Sized>(value: &T) -> Self {
        let json =
            serde_json::to_vec(value).map_err(|e| Error::invalid(format!("result cannot be written as JSON: {e}")));
        Self { result: Some(json), follow_ups: Vec::new() }
    }

    /// And these follow-up jobs. If they cannot be accepted (a bad name, a full disk) the attempt failed.
    pub fn then(mut self, follow_ups: impl IntoIterator<Item = JobBuilder>) -> Self {
        self.follow_ups.extend(follow_ups);
        self
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.result.is_none() && self.follow_ups.is_empty()
    }

    /// The end of the job as the engine takes it, everything checked.
    pub(crate) fn into_ack(self, grant: &Grant, clock: &dyn Clock, limits: Scaled) -> Result<Settle> {
        let cell = self.result.map_or(Ok(None), |json| cell(grant, json, clock))?;
        let jobs: Result<Vec<_>> = self.follow_ups.into_iter().map(|job| job.into_new_job(clock, limits)).collect();
        let follow_ups = planted!(FollowUpsForgotten, Vec::new(), jobs?);
        Ok(Settle::Ack { follow_ups, cells: Vec::from_iter(cell) })
    }
}

fn cell(grant: &Grant, json: Result<Vec<u8>>, clock: &dyn Clock) -> Result<Option<CellSet>> {
    let Some(cell) = result_cell(grant, Vec::new(), Millis::from_system(clock.now())) else { return Ok(None) };
    let json = json?;
    if json.len() > CELL_BYTES_MAX {
        return Err(Error::too_large(format!(
            "result of {} bytes, kind={:?}: the limit is {CELL_BYTES_MAX} bytes; store it elsewhere and return a reference",
            json.len(),
            grant.envelope.kind
        )));
    }
    Ok(Some(CellSet { value: Some(json), ..cell }))
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.result.as_ref().map(|json| json.as_ref().map(Vec::len));
        f.debug_struct("Done").field("result_bytes", &bytes).field("follow_ups", &self.follow_ups).finish()
    }
}

/// A result read back. The message names the place, never the bytes.
pub(super) fn parse_result<T: DeserializeOwned>(id: JobId, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        Error::invalid(format!("the result of job {id} is not of this type, line {line} column {column}"))
    })
}

impl Backlog {
    /// What a completed job returned, as long as it is kept ([`JobBuilder::keep_result`]). `None`: the job is not
    /// completed, returned nothing, its result is kept no longer, or the disk was full when it ended.
    ///
    /// Like all looks it shows what the operating system has; [`wait`](Self::wait) tells what is on disk.
    ///
    /// # Errors
    /// `Invalid`: the result does not parse as `T`; the message says where, without quoting it. Or it is sealed, and its
    /// key is not in the key ring. `Corrupt`: it does not
    /// read back. `Poisoned`, `Closed`.
    pub fn result<T: DeserializeOwned>(&self, id: JobId) -> Result<Option<T>> {
        let kept = self.shared.engine.result(id)?;
        kept.map(|json| parse_result(id, &json.map_err(Error::invalid)?)).transpose()
    }
}
