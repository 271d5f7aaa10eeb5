//! Where there are no Unix sockets: the same names, and a clear error.

use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use super::verbs::{Act, Look, Stream};
use crate::engine::{Cancelled, Enqueued, Requeued};
use crate::error::{Error, Result};
use crate::ids::JobId;
use crate::job::Codec;
use crate::queue::{Job, JobBuilder};

/// Another process's way to a backlog that is open elsewhere. Unix only: here [`connect`](Self::connect) says so.
#[derive(Debug)]
pub struct Client {
    never: std::convert::Infallible,
}

pub(super) fn unserved() -> Error {
    Error::invalid("the admin socket is a Unix socket, and this system has none; open the directory itself")
}

#[expect(missing_docs, reason = "the Unix twin says it")]
impl Client {
    pub fn connect(_dir: impl AsRef<Path>) -> Result<Self> {
        Err(unserved())
    }
    pub fn enqueue<J: Job + Serialize + ?Sized>(&self, _job: &J) -> Result<Enqueued> {
        match self.never {}
    }
    pub fn enqueue_all<On>(&self, _jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Result<Vec<Enqueued>> {
        match self.never {}
    }
    pub fn enqueue_raw(&self, _kind: &str, _args: Vec<u8>, _codec: Codec) -> Result<Enqueued> {
        match self.never {}
    }
    pub fn cancel(&self, _id: JobId) -> Result<Cancelled> {
        match self.never {}
    }
    pub fn requeue(&self, _id: JobId) -> Result<Requeued> {
        match self.never {}
    }
    pub fn pause(&self, _queue: &str) -> Result<()> {
        match self.never {}
    }
    pub fn resume(&self, _queue: &str) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn change(&self, _what: Act) -> Result<Box<RawValue>> {
        match self.never {}
    }
    pub(crate) fn look(&self, _what: Look) -> Result<Box<RawValue>> {
        match self.never {}
    }
    pub(crate) fn stream(&self, _what: Stream, _each: impl FnMut(&RawValue) -> Result<bool>) -> Result<()> {
        match self.never {}
    }
    pub(crate) fn pid(&self) -> u32 {
        match self.never {}
    }
}
