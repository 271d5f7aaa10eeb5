//! What happens to jobs, as it is told to whoever listens.
//!
//! Never here: args, results, error texts; when something is told (`stream`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, select};

use crate::ids::{JobId, Phase};
use crate::job::{Ending, ErrorCause};
use crate::sync::AtomicU64;

/// Something that happened to a job or a queue.
///
/// | `what` | when | says |
/// |---|---|---|
/// | [`Enqueued`](What::Enqueued) | a job was accepted | where it stands: held, scheduled or ready |
/// | [`Started`](What::Started) | it was claimed | which attempt, from 1 |
/// | [`Completed`](What::Completed) | it was acknowledged | attempt, time from claim to ack |
/// | [`Failed`](What::Failed) | an attempt failed; `Retried`, `Died` or nothing (it was to be cancelled) follows | attempt, cause |
/// | [`Retried`](What::Retried) | it will be attempted again | not before when; `None`: at once |
/// | [`Died`](What::Died) | it is out of attempts, was buried or is damaged | attempts spent |
/// | [`Released`](What::Released) | it was given back untried | – |
/// | [`Snoozed`](What::Snoozed) | it was given back untried, for later | until when |
/// | [`CancelRequested`](What::CancelRequested) | somebody asked it to stop while it runs | – |
/// | [`Cancelled`](What::Cancelled), [`Expired`](What::Expired), [`Discarded`](What::Discarded) | it ended so | – |
/// | [`Parked`](What::Parked) | nobody here can run it | – |
/// | [`Requeued`](What::Requeued) | a dead, parked or scheduled job is ready by somebody's word | – |
/// | [`Confirmed`](What::Confirmed) | its hold was lifted | – |
/// | [`QueuePaused`](What::QueuePaused), [`QueueResumed`](What::QueueResumed) | no job of the queue is claimed, or again | – |
/// | [`KindPaused`](What::KindPaused), [`KindResumed`](What::KindResumed) | no job of the kind is handed out, or again | – |
///
/// Every event has a time; one about a job its id, kind and queue, one about a queue or a kind its name. No event holds args,
/// results or error texts: ask [`Backlog::inspect`](crate::Backlog::inspect).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// The job; `None`: it is about a queue.
    pub job: Option<JobId>,
    /// The job's kind; empty if it is about a queue.
    pub kind: Arc<str>,
    /// The queue.
    pub queue: Arc<str>,
    /// What happened.
    pub what: What,
}

/// What happened; the table stands at [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the table at `Event` says it")]
pub enum What {
    Enqueued { phase: Phase },
    Started { attempt: u32 },
    Completed { attempt: u32, took: Duration },
    Failed { attempt: u32, cause: ErrorCause },
    Retried { run_at: Option<SystemTime> },
    Died { attempts: u32 },
    Released,
    Snoozed { until: SystemTime },
    CancelRequested,
    Cancelled,
    Expired,
    Discarded,
    Parked,
    Requeued,
    Confirmed,
    QueuePaused,
    QueueResumed,
    KindPaused,
    KindResumed,
}

/// What came of waiting for an event.
pub(crate) enum Heard {
    Event(Event),
    /// Time is up.
    Nothing,
    /// There will be none, or nobody wants to hear it.
    End,
}

/// Events as they come; made by [`Backlog::events`](crate::Backlog::events). Ends when the backlog is closed or its disk
/// fails. Dropping it ends the listening.
pub struct Events {
    pub(super) from: Receiver<Event>,
    pub(super) missed: Arc<AtomicU64>,
}

impl Events {
    /// The next event; waits for it. `None`: there will be none.
    pub fn recv(&self) -> Option<Event> {
        self.from.recv().ok()
    }

    /// The next event, if it comes within this time.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.from.recv_timeout(timeout).ok()
    }

    /// The next event, if it is there.
    pub fn try_recv(&self) -> Option<Event> {
        self.from.try_recv().ok()
    }

    /// The next event; waits for it until `stop` is dropped, and at most this long.
    pub(crate) fn recv_unless(&self, stop: &Receiver<()>, at_most: Option<Duration>) -> Heard {
        let heard = |event: std::result::Result<Event, _>| event.map_or(Heard::End, Heard::Event);
        match at_most {
            None => select! {
                recv(self.from) -> event => heard(event),
                recv(stop) -> _ => Heard::End,
            },
            Some(wait) => select! {
                recv(self.from) -> event => heard(event),
                recv(stop) -> _ => Heard::End,
                default(wait) => Heard::Nothing,
            },
        }
    }

    /// How many events did not fit the buffer because this reader was too slow, since it began to listen.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::SeqCst)
    }
}

/// Ends with the stream.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("waiting", &self.from.len()).field("missed", &self.missed()).finish()
    }
}

/// How an end is told; a pruned job's is not.
pub(super) fn end_of(how: Ending, attempt: u32, took: Option<Duration>) -> Option<What> {
    match how {
        Ending::Completed => Some(What::Completed { attempt, took: took.unwrap_or_default() }),
        Ending::Cancelled => Some(What::Cancelled),
        Ending::Expired => Some(What::Expired),
        Ending::Discarded => Some(What::Discarded),
        Ending::Pruned => None,
    }
}
