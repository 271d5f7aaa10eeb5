//! Waiting for the end of a job.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::backlog::Backlog;
use super::done::parse_result;
use crate::engine::{Engine, JobInfo, Over, PastJob, Status, Ticket, Watch};
use crate::error::{Error, Result};
use crate::ids::{JobId, Phase};
use crate::job::Ending;

/// What waiting for a job has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waited {
    /// It is over: completed, cancelled, expired, discarded or pruned.
    Finished(Box<Finished>),
    /// It is dead: out of attempts, buried or damaged, and kept for a person.
    Dead(Box<JobInfo>),
    /// The time is up, and the job is still to come, runs, is held or parked.
    TimedOut,
    /// The id lies in a gap: it was never given, or given to a job that was never durable.
    Lost,
    /// No job has had this id yet.
    Unknown,
}

impl Waited {
    /// Whether the job is known to be completed.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Finished(finished) if finished.is_completed())
    }
}

/// A job that is over, and what is still known of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Its number.
    pub id: JobId,
    /// What became of it. `None`: that is gone; it ended before this process opened the backlog, or longer ago than the
    /// [history](Backlog::history) reaches.
    pub details: Option<PastJob>,
    result: Option<std::result::Result<Vec<u8>, String>>,
}

impl Finished {
    /// Whether it is known to be completed: it is remembered as such, or its result is kept.
    pub fn is_completed(&self) -> bool {
        let completed = self.details.as_ref().is_some_and(|past| past.how == Ending::Completed);
        completed || self.result.is_some()
    }

    /// What it returned, if that is kept; as [`Backlog::result`] says.
    ///
    /// # Errors
    /// `Invalid`: it does not parse as `T`, or is sealed under a key that is not there.
    pub fn result<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let parse = |json: &std::result::Result<Vec<u8>, String>| match json {
            Ok(json) => parse_result(self.id, json),
            Err(shut) => Err(Error::invalid(shut.clone())),
        };
        self.result.as_ref().map(parse).transpose()
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("id", &self.id)
            .field("details", &self.details)
            .field("result_bytes", &self.result.as_ref().map(|json| json.as_ref().map(Vec::len)))
            .finish()
    }
}

impl Backlog {
    /// Waits until a job is over, at most this long; returns at once if it is. What is told is on disk. A job that is
    /// dead counts as over, one that is parked or held does not. Nobody polls: the commit that ends the job wakes
    /// exactly those who wait for it.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, Waited};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// # let id = backlog.enqueue_raw("greet", b"{}".to_vec(), Codec::Json)?.id;
    /// # backlog.queue("default").claim()?.expect("it is ready").ack()?;
    /// match backlog.wait(id, Duration::from_secs(30))? {
    ///     Waited::Finished(job) if job.is_completed() => println!("done"),
    ///     Waited::Dead(job) => println!("given up: {:?}", job.errors.last()),
    ///     Waited::TimedOut => println!("still at it"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Poisoned`, `Closed`, also while it waits; `Unknown`: the disk failed before the end was on it. `Corrupt`: what
    /// is kept of the job does not read back.
    pub fn wait(&self, id: JobId, timeout: Duration) -> Result<Waited> {
        let engine = &self.shared.engine;
        let until = self.shared.clock.monotonic().saturating_add(timeout);
        loop {
            let Some(over) = engine.wait_over(id, until)? else { return Ok(Waited::TimedOut) };
            if let Some(waited) = told(engine, id, over)? {
                return Ok(waited);
            }
        }
    }

    /// The same as a future, on any executor; how long to wait is for the executor to say. Dropping it gives up
    /// waiting. It keeps the directory open as any handle does.
    pub fn wait_async(&self, id: JobId) -> Waiting {
        Waiting { engine: self.shared.engine.clone(), id, watch: Arc::default(), seen: None }
    }
}

/// Tells when a job is over; made by [`Backlog::wait_async`]. Errors as [`Backlog::wait`]. Never [`Waited::TimedOut`].
#[must_use = "waits for nothing until it is polled"]
pub struct Waiting {
    engine: Arc<Engine>,
    id: JobId,
    watch: Arc<Watch>,
    /// Over, and told when that is durable.
    seen: Option<(Over, Ticket)>,
}

impl Future for Waiting {
    type Output = Result<Waited>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if self.seen.is_none() {
                if !self.watch.is_free(cx) {
                    return Poll::Pending;
                }
                self.seen = self.engine.over_or_watch(self.id, &self.watch)?;
            }
            let Some(seen) = self.seen else { continue };
            let Poll::Ready(over) = self.engine.poll_reached(seen, cx) else { return Poll::Pending };
            self.seen = None;
            if let Some(waited) = told(&self.engine, self.id, over?)? {
                return Poll::Ready(Ok(waited));
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.engine.forget_watch(self.id, &self.watch);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is known of a job that is over; `None`: somebody has brought it back since.
fn told(engine: &Engine, id: JobId, over: Over) -> Result<Option<Waited>> {
    Ok(match over {
        Over::Finished => {
            let (details, result) = (engine.past(id), engine.result(id)?);
            Some(Waited::Finished(Box::new(Finished { id, details, result })))
        }
        Over::Dead => match engine.inspect(id)? {
            Status::Live(job) if job.phase == Phase::Dead => Some(Waited::Dead(job)),
            _ => None,
        },
        Over::Lost => Some(Waited::Lost),
        Over::Unknown => Some(Waited::Unknown),
    })
}
