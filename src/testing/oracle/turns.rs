//! Rule 11: who was in flight at two crashes runs first and alone after an open.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Oracle, Violation};
use crate::ids::{JobId, Phase};

/// How long others are held back for one job at most.
const ALONE_MAX: Duration = Duration::from_secs(60);
/// How long others are held back while nobody asks for its queue.
const UNASKED_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    line: BTreeSet<JobId>,
    alone: Option<(JobId, (u64, u64), Duration)>,
    since: Option<Duration>,
}

/// Who may be granted something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Anyone,
    Only(JobId),
    Nobody,
}

impl Oracle {
    /// How long this process has run, on a clock that never goes back.
    pub fn set_elapsed(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    pub(super) fn line_up(&mut self) {
        let suspects = self.queue.jobs.iter().filter(|(_, job)| job.phase == Phase::Ready && job.is_suspect());
        self.turns = Turns { line: suspects.map(|(id, _)| *id).collect(), ..Turns::default() };
    }

    /// Whose turn it is for a claim on these queues; told once for each claim that was answered.
    pub(super) fn whose_turn(&mut self, queues: &[&str]) -> Turn {
        let mut turns = std::mem::take(&mut self.turns);
        let turn = self.turn_in(&mut turns, queues);
        self.turns = turns;
        turn
    }

    pub(super) fn turn_in(&self, turns: &mut Turns, queues: &[&str]) -> Turn {
        if let Some((id, token, until)) = turns.alone {
            if self.holds(id, token) && self.elapsed < until {
                return Turn::Nobody;
            }
            (turns.alone, turns.since) = (None, None);
        }
        loop {
            let jobs = &self.queue.jobs;
            turns.line.retain(|id| jobs.get(id).is_some_and(|job| job.phase == Phase::Ready && job.is_suspect()));
            let open = |id: &&JobId| jobs.get(id).is_some_and(|job| !self.queue.paused.contains(&job.queue));
            let waiting: Vec<JobId> = turns.line.iter().filter(open).copied().collect();
            let queue_of = |id: &JobId| jobs.get(id).map(|job| job.queue.clone()).unwrap_or_default();
            let Some(first) = waiting.first() else { return Turn::Anyone };
            let waited = turns.since.map_or(Duration::ZERO, |since| self.elapsed.saturating_sub(since));
            let asked = |id: &&JobId| queues.is_empty() || queues.contains(&queue_of(id).as_str());
            let is_busy = jobs.values().any(|job| job.phase == Phase::InFlight);
            match waiting.iter().find(asked) {
                Some(id) if !is_busy => return Turn::Only(*id),
                Some(id) if waited >= ALONE_MAX => turns.line.retain(|other| other != id),
                None if waited >= UNASKED_MAX => {
                    let unasked = queue_of(first);
                    let gone: Vec<JobId> = waiting.iter().filter(|id| queue_of(id) == unasked).copied().collect();
                    turns.line.retain(|id| !gone.contains(id));
                }
                _ => {
                    turns.since.get_or_insert(self.elapsed);
                    return Turn::Nobody;
                }
            }
            turns.since = None;
        }
    }

    /// A grant of its turn.
    pub(super) fn take_turn(&mut self, id: JobId, token: (u64, u64)) {
        self.turns.line.remove(&id);
        self.turns.alone = Some((id, token, self.elapsed + ALONE_MAX));
    }

    /// Whether these grants are right when it is somebody's turn, or nobody's.
    pub(super) fn judge_turn(turn: Turn, granted: &[JobId]) -> Result<(), Violation> {
        match (turn, granted) {
            (Turn::Anyone, _) | (Turn::Nobody, []) => Ok(()),
            (Turn::Only(id), [only]) if *only == id => Ok(()),
            (Turn::Only(id), []) => {
                Err(Violation::new(format!("C13: nothing granted while it is the turn of job={id}")))
            }
            _ => Err(Violation::new(format!("rule 11: granted {granted:?} while it is the turn of {turn:?}"))),
        }
    }
}
