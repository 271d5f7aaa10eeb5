//! Another process's end of the admin socket.
//!
//! # Invariants
//! * A changing verb whose answer was lost is `Unknown`: it is never sent a second time by itself.
//! * A connection that was silent for long is not used again: the server may have closed it meanwhile.
//!
//! Never here: opening the directory.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::jobs::JobLine;
use super::shape::{AcceptedShape, ChangeShape, EnqueuedShape};
use super::socket;
use super::verbs::{Act, Look, Request, Stream};
use super::wire::{ANSWER_BYTES_MAX, Answer, Found, Hello, Lines, PROTOCOL, REQUEST_BYTES_MAX, line};
use crate::clock::{Clock, RealClock};
use crate::engine::{Cancelled, Enqueued, Requeued};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Phase};
use crate::job::Codec;
use crate::queue::{Job, JobBuilder};
use crate::sync::Mutex;

/// A connection that was silent for longer is made anew.
const FRESH: Duration = Duration::from_secs(30);

/// Another process's way to a backlog that is open elsewhere: through the admin socket of the program that owns the
/// directory ([`Options::admin`](crate::Options::admin)). Unix only.
///
/// What is enqueued here is as durable as there: the answer comes when the job is on disk. If the connection is lost
/// before the answer came, the error is of kind [`Unknown`](crate::ErrorKind::Unknown), and the job may be there or not:
/// enqueueing it again may make two of it. With a [unique key](JobBuilder::unique) trying again is safe.
///
/// May be shared between threads; each request waits for the one before.
///
/// ```
/// use backlog::{Backlog, Client, Job, JobBuilder};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greet { name: String }
/// impl Job for Greet { const KIND: &'static str = "greet"; }
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("jobs");
/// let owner = Backlog::open(&path)?;                  // in one process
///
/// let client = Client::connect(&path)?;               // in another one
/// client.enqueue(&Greet { name: "Ada".into() })?;     // returns once it is on disk
/// client.enqueue_all([JobBuilder::new(&Greet { name: "Bob".into() }).queue("slow").unique("bob")])?;
///
/// assert_eq!(owner.counts().total().ready, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    dir: PathBuf,
    clock: RealClock,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    stream: UnixStream,
    lines: Lines,
    pid: u32,
    used: Duration,
}

impl Client {
    /// Connects to the program that has the directory at `dir` open.
    ///
    /// # Errors
    /// `Closed`: no program has it open, or it serves no socket. `InUse`: its connections are all taken.
    /// `NewerFormat`: it is of a release that speaks otherwise. `Io`: the system refused.
    pub fn connect(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = std::path::absolute(dir.as_ref()).map_err(|e| Error::io("cannot tell where the directory is", e))?;
        let client = Self { dir, clock: RealClock::new(), connection: Mutex::new(None) };
        let connection = client.new_connection()?;
        *client.connection.lock() = Some(connection);
        Ok(client)
    }

    /// Enqueues a job with what its type says; returns once it is on disk. The job is then ready.
    ///
    /// # Errors
    /// As [`Backlog::enqueue`](crate::Backlog::enqueue). `Unknown`: the answer was lost, and the job may be there or
    /// not. `TooLarge`: also what is beyond 8 MiB as one request. `Closed`: the program has closed the directory.
    pub fn enqueue<J: Job + Serialize + ?Sized>(&self, job: &J) -> Result<Enqueued> {
        self.enqueue_one(JobBuilder::new(job))
    }

    /// Enqueues jobs of any kinds, each with what it asks for, in one commit: all or none, in this order. Always
    /// synced. A job cannot belong to a group or wait for others. Errors as [`enqueue`](Self::enqueue).
    pub fn enqueue_all<On>(&self, jobs: impl IntoIterator<Item = JobBuilder<On>>) -> Result<Vec<Enqueued>> {
        let jobs = jobs.into_iter().map(JobLine::of).collect::<Result<Vec<_>>>()?;
        let accepted: AcceptedShape = self.act(Act::Enqueue { jobs })?;
        Ok(accepted.jobs.into_iter().map(EnqueuedShape::into_enqueued).collect())
    }

    /// Enqueues a job of `kind` whose args are these bytes, written in `codec`. Errors as [`enqueue`](Self::enqueue).
    pub fn enqueue_raw(&self, kind: &str, args: Vec<u8>, codec: Codec) -> Result<Enqueued> {
        self.enqueue_one(JobBuilder::raw(kind, args, codec))
    }

    /// Cancels a job. See [`Backlog::cancel`](crate::Backlog::cancel).
    pub fn cancel(&self, id: JobId) -> Result<Cancelled> {
        let answer: ChangeShape = self.act(Act::Cancel { id: id.0 })?;
        Ok(match answer.outcome.as_str() {
            "done" => Cancelled::Done,
            "requested" => Cancelled::Requested,
            _ => Cancelled::NotLive,
        })
    }

    /// Makes a dead, parked or scheduled job ready now. See [`Backlog::requeue`](crate::Backlog::requeue).
    pub fn requeue(&self, id: JobId) -> Result<Requeued> {
        let answer: ChangeShape = self.act(Act::Requeue { id: id.0 })?;
        Ok(match (answer.outcome.as_str(), answer.holder) {
            ("done", _) => Requeued::Done,
            ("duplicate", Some(holder)) => Requeued::Duplicate(JobId(holder)),
            ("refused", _) => Requeued::Refused(answer.state.unwrap_or(Phase::InFlight)),
            _ => Requeued::NotLive,
        })
    }

    /// No job of this queue is claimed until [`resume`](Self::resume). See [`Backlog::pause`](crate::Backlog::pause).
    pub fn pause(&self, queue: &str) -> Result<()> {
        self.act::<ChangeShape>(Act::PauseQueue { queue: queue.to_owned() }).map(drop)
    }

    /// Lets jobs of this queue be claimed again. See [`Backlog::resume`](crate::Backlog::resume).
    pub fn resume(&self, queue: &str) -> Result<()> {
        self.act::<ChangeShape>(Act::ResumeQueue { queue: queue.to_owned() }).map(drop)
    }

    fn enqueue_one<On>(&self, job: JobBuilder<On>) -> Result<Enqueued> {
        let accepted = self.enqueue_all([job])?;
        accepted.first().copied().ok_or_else(|| Error::new(ErrorKind::Unknown, "the program answered for no job"))
    }

    fn act<T: DeserializeOwned>(&self, what: Act) -> Result<T> {
        let answer = self.change(what)?;
        serde_json::from_str(answer.get())
            .map_err(|e| Error::new(ErrorKind::Unknown, format!("the answer is not understood: {e}; it may be done")))
    }

    /// Changes something; the answer as it came.
    pub(crate) fn change(&self, what: Act) -> Result<Box<RawValue>> {
        self.ask(&Request::Act(what), ErrorKind::Unknown)
    }

    /// Looks; the answer as it came.
    #[cfg_attr(
        not(any(feature = "cli", feature = "console")),
        allow(dead_code, reason = "command line and console look")
    )]
    pub(crate) fn look(&self, what: Look) -> Result<Box<RawValue>> {
        self.ask(&Request::Look(what), ErrorKind::Io)
    }

    /// Calls `each` for every item until the stream ends, or `each` says that it has seen enough.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line listens"))]
    pub(crate) fn stream(&self, what: Stream, mut each: impl FnMut(&RawValue) -> Result<bool>) -> Result<()> {
        let mut connection = self.new_connection()?;
        connection.send(&line(&Request::Stream(what))?).map_err(|e| self.lost(&e, ErrorKind::Io))?;
        loop {
            let answer = connection.receive().map_err(|e| self.lost(&e, ErrorKind::Io))?;
            match answer {
                Answer { item: Some(item), .. } if !each(&item)? => return Ok(()),
                Answer { item: Some(_), .. } => {}
                Answer { error: Some(refusal), .. } => return Err(refusal.into_error()),
                Answer { .. } => return Ok(()),
            }
        }
    }

    /// Who owns the directory.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line says so"))]
    pub(crate) fn pid(&self) -> u32 {
        self.connection.lock().as_ref().map_or(0, |connection| connection.pid)
    }

    fn ask(&self, request: &Request, when_lost: ErrorKind) -> Result<Box<RawValue>> {
        let request = line(request)?;
        if request.len() > REQUEST_BYTES_MAX {
            let bytes = request.len();
            return Err(Error::too_large(format!(
                "request too long: bytes={bytes} limit={REQUEST_BYTES_MAX}; send less at a time"
            )));
        }
        let mut held = self.connection.lock();
        let fresh = |known: &Connection| self.clock.monotonic().saturating_sub(known.used) < FRESH;
        // Taken out: one that breaks in the middle of an exchange is never used again.
        let mut connection = match held.take().filter(fresh) {
            Some(connection) => connection,
            None => self.new_connection()?,
        };
        let answer = connection.send(&request).and_then(|()| connection.receive());
        let answer = answer.map_err(|e| self.lost(&e, when_lost))?;
        connection.used = self.clock.monotonic();
        *held = Some(connection);
        match answer {
            Answer { ok: Some(ok), .. } => Ok(ok),
            Answer { error: Some(refusal), .. } => Err(refusal.into_error()),
            Answer { .. } => {
                Err(Error::new(when_lost, "the program answered neither yes nor no; it is of another release"))
            }
        }
    }

    fn new_connection(&self) -> Result<Connection> {
        let stream = socket::connect(&self.dir).map_err(|e| self.absent(e))?;
        let mut connection =
            Connection { stream, lines: Lines::new(ANSWER_BYTES_MAX), pid: 0, used: self.clock.monotonic() };
        let hello = Hello { backlog: PROTOCOL, pid: None, release: None };
        let answer = connection.send(&line(&hello)?).and_then(|()| connection.next());
        let answer = answer.map_err(|e| self.unanswered(&e))?;
        if let Ok(Answer { error: Some(refusal), .. }) = serde_json::from_slice(&answer) {
            return Err(refusal.into_error());
        }
        let hello: Hello = serde_json::from_slice(&answer)
            .map_err(|e| Error::invalid(format!("what answers at {} is no backlog: {e}", self.shown())))?;
        connection.pid = hello.pid.unwrap_or_default();
        Ok(connection)
    }

    fn shown(&self) -> String {
        socket::path(&self.dir).display().to_string()
    }

    fn absent(&self, e: io::Error) -> Error {
        use io::ErrorKind as Io;
        if [Io::NotFound, Io::ConnectionRefused].contains(&e.kind()) {
            let text = format!("no program serves {}: none has the directory open, or its socket is off", self.shown());
            return Error::new(ErrorKind::Closed, text);
        }
        Error::io(format!("cannot connect to {}", self.shown()), e)
    }

    fn unanswered(&self, e: &io::Error) -> Error {
        let shown = self.shown();
        let text =
            format!("{shown} does not answer: its connections are all taken, or it closes just now; try again: {e}");
        Error::new(ErrorKind::InUse, text)
    }

    fn lost(&self, e: &io::Error, kind: ErrorKind) -> Error {
        let may = if kind == ErrorKind::Unknown {
            "; it may be done or not: look, or try again with a unique key"
        } else {
            ""
        };
        Error::new(kind, format!("the connection to {} was lost before the answer came: {e}{may}", self.shown()))
    }
}

impl Connection {
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line)
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        match self.lines.next(&mut self.stream, |_| Ok(()))? {
            Found::Line(line) => Ok(line),
            Found::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Found::TooLong => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long; ask for less")),
        }
    }

    fn receive(&mut self) -> io::Result<Answer> {
        let line = self.next()?;
        serde_json::from_slice(&line).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("dir", &self.dir).finish_non_exhaustive()
    }
}
