//! What each page shows, gathered from the view.
//!
//! # Invariants
//! * Numbers from an address are bounded before anything is asked.
//! * Every page costs a bounded look at the jobs, but for those that count what fits a filter.

mod failures;
mod jobs;
mod overview;
mod queues;

use super::answer::{Answer, Refusal};
use super::change;
use super::guard::Door;
use super::pages::{Frame, Row};
use super::query::escaped;
use super::service::{Asked, Inner};
use super::source::Reached;
use super::words::{When, short};
use crate::clock::{Clock, RealClock};
use crate::error::Error;
use crate::face::shape::{JobShape, ListShape, QueueShape};
use crate::face::verbs::Look;
use crate::ids::Millis;

type Shown = Result<Answer, Refusal>;

/// Jobs on a page, count; and the most that may be asked for.
const ROWS: usize = 50;
const ROWS_MAX: usize = 500;
/// Groups, queues and ends on a page, count.
const GROUPS_MAX: usize = 200;
const LANES_MAX: usize = 500;
const ENDS_MAX: usize = 200;
/// Characters of a filter.
const FILTER_CHARS_MAX: usize = 2_000;

/// What a page needs to be made.
pub(super) struct Room<'a> {
    pub(super) inner: &'a Inner,
    pub(super) asked: &'a Asked<'a>,
    pub(super) reached: Reached,
    now_ms: u64,
}

pub(super) fn show(inner: &Inner, asked: &Asked<'_>) -> Shown {
    let room = Room::new(inner, asked)?;
    match asked.path {
        "/" => room.overview(),
        "/jobs" => room.jobs(),
        "/confirm" => room.confirm(),
        "/failures" => room.failures(),
        "/queues" => room.queues(),
        "/events" => room.events(),
        "/storage" => room.storage(None),
        path => match path.strip_prefix("/jobs/").map(str::parse) {
            Some(Ok(id)) => room.job(id),
            _ => Err(Refusal::not_found("there is no such page")),
        },
    }
}

/// The filter that was asked for, bounded.
pub(super) fn filter_of(text: &str) -> String {
    text.trim().chars().take(FILTER_CHARS_MAX).collect()
}

impl<'a> Room<'a> {
    pub(super) fn new(inner: &'a Inner, asked: &'a Asked<'a>) -> Result<Self, Refusal> {
        let reached = inner.source.reach()?;
        Ok(Self { inner, asked, reached, now_ms: Millis::from_system(inner.source.clock().now()).0 })
    }

    pub(super) fn clock(&self) -> &RealClock {
        self.inner.source.clock()
    }

    pub(super) fn can_change(&self) -> bool {
        !self.inner.read_only && self.reached.takes_changes()
    }

    fn see<T: serde::de::DeserializeOwned>(&self, what: Look) -> Result<T, Error> {
        self.reached.see(what, self.clock())
    }

    fn frame(&self, room: &'static str, title: impl Into<String>) -> Frame {
        Frame {
            base: self.inner.base.clone(),
            title: title.into(),
            room,
            csrf: self.asked.session.token.clone(),
            way: self.reached.way(),
            can_change: self.can_change(),
            read_only: self.inner.read_only,
            can_leave: matches!(self.inner.guard.door, Door::Locked { .. }),
            said: change::said(&self.asked.query),
            now: super::words::utc(self.now_ms),
        }
    }

    fn row(&self, job: &JobShape) -> Row {
        let at = job.run_at_ms.unwrap_or(job.created_at_ms);
        Row {
            id: job.id,
            kind: short(&job.kind, 60),
            queue: short(&job.queue, 40),
            state: if job.cancel_requested { "cancelling".to_owned() } else { job.state.clone() },
            attempts: format!("{}/{}", job.attempts, job.max_attempts),
            priority: job.priority,
            when: When::new(at, self.now_ms),
            trouble: short(job.trouble().unwrap_or_default().lines().next().unwrap_or_default(), 120),
        }
    }

    fn list(&self, filter: &str, after: Option<u64>, limit: usize) -> Result<ListShape, Error> {
        self.see(Look::List { filter: filter.to_owned(), after, limit })
    }

    /// A link to the jobs that fit.
    fn jobs_link(&self, filter: &str) -> String {
        format!("{}/jobs?q={}", self.inner.base, escaped(filter))
    }
}

/// State, the word for it, how many.
fn by_state(queue: &QueueShape) -> [(&'static str, &'static str, u64); 6] {
    [
        ("ready", "ready", queue.ready),
        ("scheduled", "scheduled", queue.scheduled),
        ("in_flight", "in flight", queue.in_flight),
        ("held", "held", queue.held),
        ("parked", "parked", queue.parked),
        ("dead", "dead", queue.dead),
    ]
}
