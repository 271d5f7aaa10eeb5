//! Alarms: what a program wants to be told of once it is bad enough. They live on the thread of the hooks.
//!
//! # Invariants
//! * Told once when it begins; told again only after it was over in between.
//! * Nobody polls: a queue is looked at when its oldest job could first be too old, and what failed is told by events.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::engine::{Event, What};
use crate::queue::seam::JobStore;

/// How soon the same queue is looked at again at the earliest.
const LOOK_WAIT_MIN: Duration = Duration::from_millis(100);

/// When to raise an alarm; given to [`WorkersBuilder::alarm`](crate::WorkersBuilder::alarm).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm(Condition);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    OldestReady { queue: String, age: Duration },
    Often { deaths: bool, queue: Option<String>, count: usize, within: Duration },
}

impl Alarm {
    /// A job of this queue has been ready for longer than this, and nobody has claimed it: of several priorities (and
    /// limit keys) the one next in line of each is looked at. A paused queue is late too.
    pub fn oldest_ready(queue: impl Into<String>, age: Duration) -> Self {
        Self(Condition::OldestReady { queue: queue.into(), age })
    }

    /// So many attempts, at least 1, have failed within this time: of any job of this backlog. Over when less than half as
    /// many have.
    pub fn failures(count: usize, within: Duration) -> Self {
        Self(Condition::Often { deaths: false, queue: None, count: count.max(1), within })
    }

    /// So many jobs, at least 1, have died within this time. `Alarm::deaths(1, hour)` tells of the first, and of the next
    /// one that dies when an hour has passed without one.
    pub fn deaths(count: usize, within: Duration) -> Self {
        Self(Condition::Often { deaths: true, queue: None, count: count.max(1), within })
    }

    /// Only what happens in this queue counts. Default: every queue; [`oldest_ready`](Self::oldest_ready) has its own.
    #[must_use]
    pub fn of_queue(mut self, name: impl Into<String>) -> Self {
        match &mut self.0 {
            Condition::OldestReady { queue, .. } => *queue = name.into(),
            Condition::Often { queue, .. } => *queue = Some(name.into()),
        }
        self
    }
}

/// An alarm that was raised.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// A queue is late.
    OldestReady {
        /// The queue.
        queue: String,
        /// For how long its oldest ready job has been ready.
        age: Duration,
    },
    /// Attempts fail too often.
    Failures {
        /// How many failed within the time of the alarm.
        count: usize,
        /// The last one: job, kind, queue, time.
        last: Event,
    },
    /// Jobs die.
    Deaths {
        /// How many died within the time of the alarm.
        count: usize,
        /// The last one: job, kind, queue, time.
        last: Event,
    },
}

/// An alarm that is set.
pub(super) struct Armed {
    condition: Condition,
    tell: Box<dyn Fn(&Alert) + Send>,
    raised: bool,
    /// When what is counted happened, oldest first; not more of them than it takes.
    times: VecDeque<SystemTime>,
    /// On the monotonic clock.
    next_look: Duration,
}

impl Armed {
    pub(super) fn new(alarm: Alarm, tell: impl Fn(&Alert) + Send + 'static) -> Self {
        Self {
            condition: alarm.0,
            tell: Box::new(tell),
            raised: false,
            times: VecDeque::new(),
            next_look: Duration::ZERO,
        }
    }

    /// Something happened. `Some`: to be told.
    pub(super) fn hear(&mut self, event: &Event) -> Option<Alert> {
        let Condition::Often { deaths, queue, count, within } = &self.condition else { return None };
        let counts =
            if *deaths { matches!(event.what, What::Died { .. }) } else { matches!(event.what, What::Failed { .. }) };
        if !counts || queue.as_ref().is_some_and(|queue| **queue != *event.queue) {
            return None;
        }
        // A clock that was set back makes what happened before look recent, and tells too much rather than nothing.
        let is_past = |then: &SystemTime| event.at.duration_since(*then).is_ok_and(|since| since >= *within);
        while self.times.front().is_some_and(is_past) {
            self.times.pop_front();
        }
        if self.times.len() * 2 < *count {
            self.raised = false;
        }
        self.times.push_back(event.at);
        let happened = self.times.len();
        if happened > *count {
            self.times.pop_front();
        }
        if happened < *count || std::mem::replace(&mut self.raised, true) {
            return None;
        }
        let (count, last) = (happened, event.clone());
        Some(if *deaths { Alert::Deaths { count, last } } else { Alert::Failures { count, last } })
    }

    /// Looks at the queue, if it is time to. `Some`: to be told.
    pub(super) fn look(&mut self, store: &dyn JobStore) -> Option<Alert> {
        let Condition::OldestReady { queue, age } = &self.condition else { return None };
        let now = store.clock().monotonic();
        if now < self.next_look {
            return None;
        }
        let seen = store.ready_age(queue).unwrap_or_default();
        let is_late = seen > *age;
        let wait = if is_late { *age } else { age.saturating_sub(seen) };
        // By a millisecond more: it is late when the time has passed, not when it is up.
        self.next_look = now.saturating_add(wait.max(LOOK_WAIT_MIN)).saturating_add(Duration::from_millis(1));
        let is_news = is_late && !self.raised;
        self.raised = is_late;
        is_news.then(|| Alert::OldestReady { queue: queue.clone(), age: seen })
    }

    pub(super) fn tell(&self, alert: &Alert) {
        (self.tell)(alert);
    }

    /// When to look again, on the monotonic clock; `None`: it hears of everything.
    pub(super) fn next_look(&self) -> Option<Duration> {
        matches!(self.condition, Condition::OldestReady { .. }).then_some(self.next_look)
    }
}
