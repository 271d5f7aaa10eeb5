//! What became of the last jobs that ended: a ring in memory, for people to look at.
//!
//! # Invariants
//! * Never more than was asked for; lost with the process (rule 19), and nothing durable depends on it.
//!
//! Never here: args, results, error texts.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::ids::{JobId, Millis};
use crate::job::{Ended, Ending, Envelope, State as JobState};

use super::Core;

/// Jobs that ended and are remembered unless somebody says otherwise, count.
pub(crate) const HISTORY_DEFAULT: usize = 10_000;
/// Names kept to share; beyond that all are let go of and met anew.
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

impl PastJob {
    fn new(id: JobId, before: &Envelope, ended: &Ended, names: &mut Names) -> Self {
        let (kind, queue) = names.share(&before.kind, &before.queue);
        Self {
            id,
            kind,
            queue,
            how: ended.how,
            attempts: before.attempts.saturating_add(u32::from(ended.how == Ending::Completed)),
            created_at: before.created_at.to_system(),
            ended_at: ended.at.to_system(),
            took: ran_for(before, ended.at),
        }
    }
}

/// How long the run took that ended at `at`.
pub(super) fn ran_for(before: &Envelope, at: Millis) -> Option<Duration> {
    match before.state {
        JobState::InFlight { since, .. } => Some(Duration::from_millis(at.0.saturating_sub(since.0))),
        _ => None,
    }
}

/// Kinds and queues: few, and told of many jobs.
#[derive(Debug, Default)]
pub(super) struct Names {
    kinds: Shared,
    queues: Shared,
}

impl Names {
    pub(super) fn share(&mut self, kind: &str, queue: &str) -> (Arc<str>, Arc<str>) {
        (self.kinds.share(kind), self.queues.share(queue))
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Neighbours mostly bear the same name.
    last: Arc<str>,
    known: HashSet<Arc<str>>,
}

impl Shared {
    fn share(&mut self, name: &str) -> Arc<str> {
        if &*self.last != name {
            if self.known.len() >= NAMES_MAX {
                self.known.clear();
            }
            self.last = self.known.get(name).cloned().unwrap_or_else(|| name.into());
            self.known.insert(Arc::clone(&self.last));
        }
        Arc::clone(&self.last)
    }
}

/// The last jobs that ended, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    ring: VecDeque<PastJob>,
    pub(super) names: Names,
}

impl History {
    pub(super) fn remember(&mut self, id: JobId, before: &Envelope, ended: &Ended, most: usize) {
        if most == 0 {
            return;
        }
        let past = PastJob::new(id, before, ended, &mut self.names);
        while self.ring.len() >= planted!(HistoryGrows, usize::MAX, most) {
            self.ring.pop_front();
        }
        self.ring.push_back(past);
    }
}

impl Core {
    /// The last jobs that ended, the newest first.
    pub(crate) fn history(&self) -> Vec<PastJob> {
        self.state.lock().history.ring.iter().rev().cloned().collect()
    }

    /// What is remembered of one of them.
    pub(crate) fn past(&self, id: JobId) -> Option<PastJob> {
        // Whoever asks was mostly woken by it.
        self.state.lock().history.ring.iter().rev().find(|past| past.id == id).cloned()
    }
}
