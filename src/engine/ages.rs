//! How long jobs have been ready: for those who watch a backlog.
//!
//! # Invariants
//! * Reads one record for each priority of a lane, of a bounded number of them, outside the lock.
//! * What cannot be read just now is passed over: watching never fails, and never reports damage in the verbs' stead.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{JobId, Millis, Place};
use crate::job::State as JobState;

use super::Core;
use super::claim::open_job;

/// Records read for one look.
const READS_MAX: usize = 256;

impl Core {
    /// For each queue how long the job next in line has been ready; of several priorities (and lanes) the longest. Zero:
    /// none is ready.
    pub(crate) fn ready_ages(&self) -> BTreeMap<String, Duration> {
        self.ready_ages_of(|_| true)
    }

    /// The same of one queue. `None`: it never had a job.
    pub(crate) fn ready_age(&self, queue: &str) -> Option<Duration> {
        self.ready_ages_of(|name| name == queue).remove(queue)
    }

    fn ready_ages_of(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Duration> {
        let now = self.clock.now_ms();
        let mut ages = BTreeMap::new();
        for (queue, heads) in self.ready_heads(wanted) {
            let since = heads.into_iter().filter_map(|(id, place)| self.ready_since(id, place)).min();
            let age = since.map_or(Duration::ZERO, |since| Duration::from_millis(now.0.saturating_sub(since.0)));
            let oldest: &mut Duration = ages.entry(queue).or_default();
            *oldest = age.max(*oldest);
        }
        ages
    }

    fn ready_heads(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<(JobId, Place)>)> {
        let state = self.state.lock();
        let index = &state.books.index;
        let mut left = READS_MAX;
        let lanes = index.lanes().filter(|(_, name)| wanted(super::lines::queue_of(name)));
        let lanes = lanes.map(|(lane, name)| {
            let heads: Vec<_> = index.ready_heads(lane).take(left).collect();
            left -= heads.len();
            (super::lines::queue_of(name).to_owned(), heads)
        });
        lanes.collect()
    }

    fn ready_since(&self, id: JobId, place: Place) -> Option<Millis> {
        if place.lsn >= self.log.written() {
            return None;
        }
        let (envelope, _) = open_job(&self.log.read(place, id.0).ok()?).ok()?;
        Some(match envelope.state {
            // Promoted by the clock, which writes no record of its own.
            JobState::Scheduled { run_at } => run_at,
            _ => envelope.changed_at.unwrap_or(envelope.created_at),
        })
    }

    /// Where the directory lies, for telling several apart.
    #[cfg(feature = "metrics")]
    pub(crate) fn directory(&self) -> String {
        self.disk.root().map_or_else(|| "memory".to_owned(), |root| root.display().to_string())
    }

    /// The clock that never goes back.
    #[cfg(feature = "metrics")]
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}
