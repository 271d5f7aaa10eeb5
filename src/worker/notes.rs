//! What a run keeps durably beside its job: steps, checkpoints, progress. All of it goes when the job ends.

use std::fmt;
use std::future::Future;
use std::future::poll_fn;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::Failure;
use crate::engine::{CellSet, Durability, Ticket};
use crate::error::{Error, Result};
use crate::job::{cut, namespace};
use crate::limits::ERROR_BYTES_MAX;
use crate::queue::{NameOf, check_name};

/// How far a job says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Of a hundred.
    pub percent: u8,
    /// What it is at.
    pub text: String,
}

impl Progress {
    pub(crate) fn from_cell(value: &[u8]) -> Option<Self> {
        let (percent, text) = value.split_first()?;
        Some(Self { percent: *percent, text: String::from_utf8_lossy(text).into_owned() })
    }
}

impl Context {
    /// Runs a step of the job once: its value is on disk before this returns, and a later attempt is given that value
    /// instead of running the step again. Steps are told apart by name.
    ///
    /// A step that fails keeps nothing. If the process dies while it runs, or before its value is on disk, it runs again:
    /// hand [`idempotency_key`](Self::idempotency_key) and the step's name to what must act only once. Values are JSON
    /// of at most [`CELL_BYTES_MAX`](crate::limits::CELL_BYTES_MAX) bytes; they go when the job ends.
    ///
    /// ```
    /// # use backlog::{Context, Failure};
    /// # fn charge(_key: &str) -> std::io::Result<u64> { Ok(1) }
    /// # fn send_receipt(_payment: u64) -> std::io::Result<()> { Ok(()) }
    /// fn handle(cx: &Context) -> Result<(), Failure> {
    ///     let payment: u64 = cx.step("charge", || Ok(charge(cx.idempotency_key())?))?;
    ///     cx.step("receipt", || Ok(send_receipt(payment)?))
    /// }
    /// ```
    ///
    /// # Errors
    /// The step's own failure. Also: a value that cannot be kept or read back, a full disk, a job that is no longer
    /// this run's.
    pub fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
    {
        if let Some(done) = self.step_done(name)? {
            return Ok(done);
        }
        let value = work()?;
        let kept = self.keep_step(name, &value)?;
        self.store().wait(kept)?;
        Ok(value)
    }

    /// [`step`](Self::step) for work that is a future.
    pub async fn step_async<T, F>(&self, name: &str, work: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, Failure>>,
    {
        if let Some(done) = self.step_done(name)? {
            return Ok(done);
        }
        let value = work.await?;
        let kept = self.keep_step(name, &value)?;
        poll_fn(|cx| self.store().poll_wait(kept, cx)).await?;
        Ok(value)
    }

    fn step_done<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        check_name(NameOf::Step, name)?;
        let Some(json) = self.store().noted(self.grant(), namespace::STEP, &self.key_of(name))? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&json);
        Ok(Some(read.map_err(|e| {
            let (line, column) = (e.line(), e.column());
            Failure::new(format!("the value of step {name:?} is not of this type, line {line} column {column}"))
        })?))
    }

    fn keep_step<T: Serialize>(&self, name: &str, value: &T) -> Result<Ticket, Failure> {
        let json = serde_json::to_vec(value)
            .map_err(|e| Failure::new(format!("the value of step {name:?} cannot be written as JSON: {e}")))?;
        self.keep(namespace::STEP, self.key_of(name), json, Durability::Sync)
    }

    /// Notes where a long job stands, for its next attempt: see [`last_checkpoint`](Self::last_checkpoint). On disk
    /// before this returns; replaces the one before. At most
    /// [`CELL_BYTES_MAX`](crate::limits::CELL_BYTES_MAX) bytes. Errors as [`step`](Self::step).
    pub fn checkpoint(&self, bytes: &[u8]) -> Result<(), Failure> {
        let kept = self.keep(namespace::CHECKPOINT, self.key_of(""), bytes.to_vec(), Durability::Sync)?;
        Ok(self.store().wait(kept)?)
    }

    /// What an earlier attempt, or this one, noted last with [`checkpoint`](Self::checkpoint). Also after a crash.
    pub fn last_checkpoint(&self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.store().noted(self.grant(), namespace::CHECKPOINT, &self.key_of(""))?)
    }

    /// Says how far the job is, for [`Backlog::progress`](crate::Backlog::progress): a percentage, at most 100, and a
    /// text, cut to 1 KiB or so. Survives the death of the process; a power cut may take the last second. Errors as
    /// [`step`](Self::step).
    pub fn progress(&self, percent: u8, text: impl fmt::Display) -> Result<(), Failure> {
        let mut text = text.to_string();
        cut(&mut text, ERROR_BYTES_MAX);
        let mut value = vec![percent.min(100)];
        value.extend_from_slice(text.as_bytes());
        let kept = self.keep(namespace::PROGRESS, self.key_of(""), value, Durability::Buffered)?;
        Ok(self.store().wait(kept)?)
    }

    fn keep(&self, namespace: u8, key: Vec<u8>, value: Vec<u8>, level: Durability) -> Result<Ticket, Failure> {
        let cell = CellSet { namespace, key, value: Some(value), until: None };
        let kept = self.store().note(self.grant(), &[cell], level)?;
        kept.ok_or_else(|| Failure::from(Error::invalid("this job is no longer this run's: nothing was kept")))
    }

    fn key_of(&self, name: &str) -> Vec<u8> {
        let mut key = self.id().0.to_be_bytes().to_vec();
        key.extend_from_slice(name.as_bytes());
        key
    }
}
