//! What happens to jobs, told to whoever listens.
//!
//! # Invariants
//! * Told in the order of the log, each event when what it tells is durable: nobody acts on what a power cut takes back.
//! * Nobody who listens slowly holds anything up: what does not fit his buffer he misses, and is told how much.
//! * While nobody listens an event costs one load of a flag.
//!
//! Never here: args, results, error texts; code of the program (that runs where the events are read).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};

use crate::ids::{JobId, Lsn, Phase};
use crate::job::{Ending, ErrorCause};
use crate::sync::{AtomicBool, AtomicU64, Mutex};

/// Events told under one hold of the stream's lock.
const TOLD_AT_A_TIME: usize = 1_024;

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

/// Events as they come; made by [`Backlog::events`](crate::Backlog::events). Ends when the backlog is closed or its disk
/// fails. Dropping it ends the listening.
pub struct Events {
    from: Receiver<Event>,
    missed: Arc<AtomicU64>,
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

    /// The next event; waits for it until `stop` is dropped.
    pub(crate) fn recv_unless(&self, stop: &Receiver<()>) -> Option<Event> {
        select! {
            recv(self.from) -> event => event.ok(),
            recv(stop) -> _ => None,
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

struct Reader {
    to: Sender<Event>,
    missed: Arc<AtomicU64>,
}

impl Reader {
    /// `false`: he listens no more.
    fn tell(&self, event: &Event) -> bool {
        match self.to.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::SeqCst);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

#[derive(Default)]
struct Inner {
    /// Told when the log is durable up to there.
    waiting: VecDeque<(Lsn, Event)>,
    readers: Vec<Reader>,
    closed: bool,
}

/// Where events wait to be told, and who listens.
#[derive(Default)]
pub(crate) struct Stream {
    listening: AtomicBool,
    inner: Mutex<Inner>,
}

impl Stream {
    pub(crate) fn is_heard(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }

    pub(crate) fn listen(&self, buffered: usize) -> Events {
        let (to, from) = bounded(buffered.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.readers.push(Reader { to, missed: Arc::clone(&missed) });
            self.listening.store(true, Ordering::SeqCst);
        }
        Events { from, missed }
    }

    /// Under the engine lock, so that events wait in the order of the log.
    pub(crate) fn put(&self, lsn: Lsn, event: Event) {
        self.inner.lock().waiting.push_back((lsn, event));
    }

    /// Tells what is durable by now.
    pub(crate) fn tell(&self, durable: Lsn) {
        // A part at a time: verbs that have news wait for the lock.
        while self.is_heard() && self.tell_some(durable) {}
    }

    /// `true`: there may be more.
    fn tell_some(&self, durable: Lsn) -> bool {
        let mut inner = self.inner.lock();
        let Inner { waiting, readers, .. } = &mut *inner;
        let mut more = false;
        for _ in 0..TOLD_AT_A_TIME {
            more = waiting.front().is_some_and(|(lsn, _)| *lsn <= durable || planted!(EventsToldEarly));
            let Some((_, event)) = more.then(|| waiting.pop_front()).flatten() else { break };
            readers.retain(|reader| reader.tell(&event));
        }
        if readers.is_empty() {
            waiting.clear();
            self.listening.store(false, Ordering::SeqCst);
        }
        more
    }

    /// Nothing will be told any more.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        self.listening.store(false, Ordering::SeqCst);
        let readers = std::mem::take(&mut inner.readers);
        inner.waiting.clear();
        inner.closed = true;
        drop(inner);
        drop(readers);
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
