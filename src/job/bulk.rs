//! A verb for all jobs that match: which jobs, what is done to them, how far it is, and what an auditor reads of it. Pure.
//!
//! A bulk verb that takes more than one frame stands in a cell, set by every frame that brings it forward: after a crash it
//! goes on behind the last one. Its last frame clears the cell and leaves an audit record.
//!
//! # Invariants
//! * A job whose id is not below `ceiling` was enqueued after the start and is never touched: a change that keeps a job
//!   matching cannot make it endless.
//! * Ids up to `through` are done with in this round, and counted.
//!
//! Never here: what a change makes of a job (`transition`), where jobs lie and frames are cut (`engine::bulk`).

use std::fmt;

use super::envelope::Envelope;
use super::event::Event;
use crate::ids::{Millis, Phase};

/// Which jobs. What is `None` asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Criteria {
    pub(crate) queue: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) tag: Option<String>,
    /// Somewhere in the last error, or in the reason for being dead or parked.
    pub(crate) error: Option<String>,
    /// Enqueued then or later.
    pub(crate) since: Option<Millis>,
    /// Enqueued earlier.
    pub(crate) before: Option<Millis>,
    pub(crate) phase: Option<Phase>,
    /// Members of this group.
    pub(crate) group: Option<u64>,
    /// In it `*` stands for any text.
    pub(crate) kind_like: Option<String>,
    pub(crate) priority: Option<(i16, i16)>,
    /// With this id or a larger one.
    pub(crate) first: Option<u64>,
    /// With this id or a smaller one.
    pub(crate) last: Option<u64>,
}

impl Criteria {
    /// Whether no job from this id on matches, for whoever goes through them in order.
    pub(crate) fn is_behind(&self, id: u64) -> bool {
        self.last.is_some_and(|last| id > last)
    }

    /// Whether a job matches as it stands; its id was looked at before. `texts`: its reason and its errors, opened if they
    /// are sealed; asked for only if they count.
    pub(crate) fn fits(&self, job: &Envelope, texts: &dyn Fn() -> (Option<String>, Vec<String>)) -> bool {
        let says = |text: &String| {
            let (reason, errors) = texts();
            errors.last().is_some_and(|error| error.contains(text))
                || reason.is_some_and(|reason| reason.contains(text))
        };
        self.phase.is_none_or(|phase| phase == job.state.phase())
            && self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
            && self.kind_like.as_ref().is_none_or(|pattern| is_like(pattern, &job.kind))
            && self.priority.is_none_or(|(low, high)| (low..=high).contains(&job.priority))
            && self.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
            && self.since.is_none_or(|since| job.created_at >= since)
            && self.before.is_none_or(|before| job.created_at < before)
            && self.group.is_none_or(|group| job.group == Some(group))
            && self.error.as_ref().is_none_or(says)
    }
}

/// In words; texts stand quoted, since they may be anything.
impl fmt::Display for Criteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, kind, tag, error, since, before, phase, group, kind_like, priority, first, last } = self;
        if *self == Self::default() {
            return f.write_str("every job");
        }
        f.write_str("jobs with")?;
        for (name, text) in [("queue", queue), ("kind", kind), ("kind_like", kind_like), ("tag", tag), ("error", error)]
        {
            if let Some(text) = text {
                write!(f, " {name}={text:?}")?;
            }
        }
        for (name, time) in [("since_ms", since), ("before_ms", before)] {
            if let Some(time) = time {
                write!(f, " {name}={}", time.0)?;
            }
        }
        phase.iter().try_for_each(|phase| write!(f, " state={phase}"))?;
        group.iter().try_for_each(|group| write!(f, " group={group}"))?;
        priority.iter().try_for_each(|(low, high)| write!(f, " priority={low}..={high}"))?;
        first.iter().try_for_each(|first| write!(f, " first={first}"))?;
        last.iter().try_for_each(|last| write!(f, " last={last}"))
    }
}

/// Whether `text` is like `pattern`, in which each `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    // Each part is taken where it is found first; the last one must stand at the end.
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(last)
}

/// What is done to each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BulkVerb {
    Requeue,
    Cancel,
    Move { queue: String },
    SetPriority { priority: i16 },
    Reschedule { run_at: Millis },
}

impl BulkVerb {
    /// The same event as the verb for one job makes.
    pub(crate) fn event(&self, now: Millis) -> Event {
        match self {
            Self::Requeue => Event::Requeue { now },
            Self::Cancel => Event::Cancel,
            Self::Move { queue } => Event::Move { queue: Some(queue.clone()), priority: None, now },
            Self::SetPriority { priority } => Event::Move { queue: None, priority: Some(*priority), now },
            Self::Reschedule { run_at } => Event::Reschedule { run_at: *run_at, now },
        }
    }

    /// Jobs that run are asked in a second round, when nothing that waits is left: what they take on a full disk keeps no
    /// other from ending.
    pub(crate) fn has_second_round(&self) -> bool {
        *self == Self::Cancel
    }
}

impl fmt::Display for BulkVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requeue => f.write_str("requeue"),
            Self::Cancel => f.write_str("cancel"),
            Self::Move { queue } => write!(f, "move to queue={queue:?}"),
            Self::SetPriority { priority } => write!(f, "set priority={priority}"),
            Self::Reschedule { run_at } => write!(f, "reschedule to run_at_ms={}", run_at.0),
        }
    }
}

/// What became of the jobs, count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BulkCounts {
    pub(crate) changed: u64,
    pub(crate) requested: u64,
    pub(crate) refused: u64,
    pub(crate) running: u64,
    pub(crate) duplicate: u64,
    pub(crate) unreadable: u64,
}

impl BulkCounts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.changed = self.changed.saturating_add(more.changed);
        self.requested = self.requested.saturating_add(more.requested);
        self.refused = self.refused.saturating_add(more.refused);
        self.running = self.running.saturating_add(more.running);
        self.duplicate = self.duplicate.saturating_add(more.duplicate);
        self.unreadable = self.unreadable.saturating_add(more.unreadable);
    }

    /// Jobs that were met.
    pub(crate) fn total(&self) -> u64 {
        let Self { changed, requested, refused, running, duplicate, unreadable } = *self;
        [changed, requested, refused, running, duplicate, unreadable].into_iter().fold(0, u64::saturating_add)
    }
}

/// A bulk verb on its way, as its cell has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BulkRun {
    /// Who asked for it.
    pub(crate) who: String,
    pub(crate) verb: BulkVerb,
    pub(crate) criteria: Criteria,
    /// Only ids below it.
    pub(crate) ceiling: u64,
    /// What waits is done with; now those that ran.
    pub(crate) second_round: bool,
    /// The first id that was left for the second round, or a lower one.
    pub(crate) spared: Option<u64>,
    /// Ids up to this one are done with.
    pub(crate) through: u64,
    pub(crate) counts: BulkCounts,
}

impl BulkRun {
    pub(crate) fn new(who: String, verb: BulkVerb, criteria: Criteria, ceiling: u64) -> Self {
        Self {
            who,
            verb,
            criteria,
            ceiling,
            second_round: false,
            spared: None,
            through: 0,
            counts: BulkCounts::default(),
        }
    }

    /// What was asked for, in words.
    pub(crate) fn what(&self) -> String {
        format!("{}: {}", self.verb, self.criteria)
    }

    /// This one is left for the second round.
    pub(crate) fn spare(&mut self, id: Option<u64>) {
        self.spared = self.spared.into_iter().chain(id).min();
    }

    /// The first round is through: on to the second, if one was left for it. `false`: there is nothing more to do.
    pub(crate) fn begin_second_round(&mut self) -> bool {
        let Some(first) = self.spared.take().filter(|_| self.spares_running()) else { return false };
        self.second_round = true;
        self.through = first.saturating_sub(1);
        true
    }

    /// Whether jobs that run are left for the second round.
    pub(crate) fn spares_running(&self) -> bool {
        self.verb.has_second_round() && !self.second_round
    }
}

/// What somebody did, as its cell has it; time and number stand in the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) who: String,
    pub(crate) what: String,
    /// Of a verb for many.
    pub(crate) counts: Option<BulkCounts>,
}
