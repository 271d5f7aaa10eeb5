//! What became of the last jobs that ended: a ring in memory, for people to look at.
//!
//! # Invariants
//! * Never more than was asked for; lost with the process (rule 19), and nothing durable depends on it.
//!
//! Never here: args, results, error texts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::ids::{JobId, Millis};
use crate::job::{Ended, Ending, Envelope, State as JobState};

use super::Core;

/// Jobs that ended and are remembered unless somebody says otherwise, count.
pub(crate) const HISTORY_DEFAULT: usize = 10_000;
/// Names kept to share; beyond that those that nobody bears are let go of.
const NAMES_MAX: usize = 1_000;

/// A job that ended while this handle was open, as long as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastJob {
    /// Its number.
    pub id: JobId,
    /// Its kind.
    pub kind: Arc<str>,
    /// The queue it stood in.
    pub queue: Arc<str>,
    /// How it ended.
    pub how: Ending,
    /// Attempts spent, the one that completed it included.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// From its last claim to its end, by the wall clock; `None`: it did not run when it ended.
    pub took: Option<Duration>,
}

/// How long the run took that ended at `at`.
pub(super) fn ran_for(before: &Envelope, at: Millis) -> Option<Duration> {
    match before.state {
        JobState::InFlight { since, .. } => Some(Duration::from_millis(at.0.saturating_sub(since.0))),
        _ => None,
    }
}

/// A [`PastJob`] as the ring holds it: small, and counted by nobody, since it is written at every end under the lock.
#[derive(Debug, Clone, Copy)]
struct Past {
    id: JobId,
    kind: Name,
    queue: Name,
    how: Ending,
    attempts: u32,
    created_at: Millis,
    ended_at: Millis,
    took: Option<Duration>,
}

/// A name's place in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name(usize);

/// Kinds and queues: few, and told of many jobs.
#[derive(Debug, Default)]
struct Names {
    known: Vec<Arc<str>>,
    places: HashMap<Arc<str>, Name>,
    most: usize,
}

impl Names {
    fn get(&self, name: Name) -> Arc<str> {
        self.known.get(name.0).cloned().unwrap_or_default()
    }

    /// `last`: neighbours mostly bear the same name.
    fn place(&mut self, name: &str, last: Option<Name>) -> Name {
        if let Some(last) = last.filter(|last| self.known.get(last.0).is_some_and(|known| **known == *name)) {
            return last;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let (place, name) = (Name(self.known.len()), Arc::<str>::from(name));
        self.known.push(Arc::clone(&name));
        self.places.insert(name, place);
        place
    }
}

/// The last jobs that ended, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    ring: VecDeque<Past>,
    names: Names,
    told: [Option<Name>; 2],
}

impl History {
    pub(super) fn remember(&mut self, id: JobId, before: &Envelope, ended: &Ended, most: usize) {
        if most == 0 {
            return;
        }
        while self.ring.len() >= planted!(HistoryGrows, usize::MAX, most) {
            self.ring.pop_front();
        }
        self.forget_names();
        let last = self.ring.back().map(|past| (past.kind, past.queue));
        self.ring.push_back(Past {
            id,
            kind: self.names.place(&before.kind, last.map(|(kind, _)| kind)),
            queue: self.names.place(&before.queue, last.map(|(_, queue)| queue)),
            how: ended.how,
            attempts: before.attempts.saturating_add(u32::from(ended.how == Ending::Completed)),
            created_at: before.created_at,
            ended_at: ended.at,
            took: ran_for(before, ended.at),
        });
    }

    /// Names to tell of somebody by, shared with those that are remembered.
    pub(super) fn share(&mut self, kind: &str, queue: &str) -> (Arc<str>, Arc<str>) {
        self.forget_names();
        let [last_kind, last_queue] = self.told;
        let (kind, queue) = (self.names.place(kind, last_kind), self.names.place(queue, last_queue));
        self.told = [Some(kind), Some(queue)];
        (self.names.get(kind), self.names.get(queue))
    }

    /// Once there are many, those that nobody remembered bears go.
    fn forget_names(&mut self) {
        if self.names.known.len() < self.names.most.max(NAMES_MAX) {
            return;
        }
        let mut kept = Names::default();
        for past in &mut self.ring {
            past.kind = kept.place(&self.names.get(past.kind), None);
            past.queue = kept.place(&self.names.get(past.queue), None);
        }
        // So that this is done once for as many new names at least.
        kept.most = kept.known.len().saturating_mul(2);
        (self.names, self.told) = (kept, [None; 2]);
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> usize {
        self.names.known.len()
    }

    fn show(&self, past: &Past) -> PastJob {
        PastJob {
            id: past.id,
            kind: self.names.get(past.kind),
            queue: self.names.get(past.queue),
            how: past.how,
            attempts: past.attempts,
            created_at: past.created_at.to_system(),
            ended_at: past.ended_at.to_system(),
            took: past.took,
        }
    }
}

impl Core {
    /// The last jobs that ended, the newest first.
    pub(crate) fn history(&self) -> Vec<PastJob> {
        let history = &self.state.lock().history;
        history.ring.iter().rev().map(|past| history.show(past)).collect()
    }

    /// What is remembered of one of them.
    pub(crate) fn past(&self, id: JobId) -> Option<PastJob> {
        // Whoever asks was mostly woken by it.
        let history = &self.state.lock().history;
        history.ring.iter().rev().find(|past| past.id == id).map(|past| history.show(past))
    }
}
