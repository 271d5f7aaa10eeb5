//! Where events wait until they are durable, and who listens.
//!
//! # Invariants
//! * Told in the order of the log, each event when what it tells is durable: nobody acts on what a power cut takes back.
//! * Nobody who listens slowly holds anything up: what does not fit his buffer he misses, and is told how much.
//! * While nobody listens an event costs one load of a flag.
//!
//! Never here: code of the program (that runs where the events are read).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::events::{Event, Events};
use crate::ids::Lsn;
use crate::sync::{AtomicBool, AtomicU64, Mutex};

/// Events told under one hold of the lock.
const TOLD_AT_A_TIME: usize = 1_024;

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
