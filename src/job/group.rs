//! A group of jobs: how many of its members came to what, and which of its callbacks are due. Pure.
//!
//! A group stands in one cell. The frame that ends, kills or revives a member sets the cell to what this file makes of
//! it, so the counts are right after any crash.
//!
//! # Invariants
//! * `total` is the sum of the members that ended, those that are dead and those that are [`pending`](Group::pending).
//! * A verdict on a callback is passed once: from `Waits` to `Due` or `Void`, and never back.
//! * An open group does not complete. A finished one takes no member and no member of it can change any more.
//!
//! Never here: where jobs and cells lie, and how a callback that is due is let go (`engine::groups`).

use super::event::Ending;
use crate::ids::{JobId, Millis};

/// Counts and callbacks, as they stand in the cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// All its members are named but for those a member still adds: it completes when none is pending.
    pub(crate) sealed: bool,
    /// The first death of a member voids `on_success`.
    pub(crate) strict: bool,
    pub(crate) created_at: Millis,
    /// Since when nothing more can happen to it.
    pub(crate) finished_at: Option<Millis>,
    /// Members it ever had.
    pub(crate) total: u64,
    pub(crate) succeeded: u64,
    /// Dead now; may come back.
    pub(crate) dead: u64,
    pub(crate) cancelled: u64,
    pub(crate) expired: u64,
    pub(crate) discarded: u64,
    pub(crate) pruned: u64,
    /// By [`Role::at`].
    pub(crate) callbacks: [Option<Callback>; 3],
    /// The ids that were added last, first and last of them.
    pub(crate) newest: Option<(u64, u64)>,
}

/// A job that stands held until its group says what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) id: JobId,
    pub(crate) verdict: Verdict,
}

/// What becomes of a callback. The numbers are stored; they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not known yet.
    Waits,
    /// It is to run.
    Due,
    /// It will never be due: it is to be discarded.
    Void,
}

/// When a callback is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Every member succeeded.
    Success,
    /// No member is pending, for the first time.
    Complete,
    /// A member died, for the first time.
    Death,
}

impl Role {
    pub(crate) fn at(self) -> usize {
        match self {
            Self::Success => 0,
            Self::Complete => 1,
            Self::Death => 2,
        }
    }
}

/// What happens to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Died,
    Revived,
    Ended { how: Ending, was_dead: bool },
}

impl Group {
    pub(crate) fn new(created_at: Millis, sealed: bool) -> Self {
        Self { sealed, created_at, ..Self::default() }
    }

    /// Members that are neither over nor dead.
    pub(crate) fn pending(&self) -> u64 {
        let over = [self.succeeded, self.dead, self.cancelled, self.expired, self.discarded, self.pruned];
        over.into_iter().fold(self.total, u64::saturating_sub)
    }

    /// Whether members may still be added.
    pub(crate) fn takes_members(&self) -> bool {
        !self.sealed || self.pending() > 0
    }

    pub(crate) fn name_callback(&mut self, role: Role, id: JobId) {
        if let Some(callback) = self.callbacks.get_mut(role.at()) {
            *callback = Some(Callback { id, verdict: Verdict::Waits });
        }
    }

    /// Members `first` to `last` are new. Gives the run of ids that they now belong to.
    pub(crate) fn add(&mut self, first: u64, last: u64) -> (u64, u64) {
        self.total = self.total.saturating_add(last.saturating_sub(first).saturating_add(1));
        let run = match self.newest {
            Some((from, to)) if to.checked_add(1) == Some(first) => (from, last),
            _ => (first, last),
        };
        self.newest = Some(run);
        run
    }

    pub(crate) fn step(&mut self, step: Step) {
        let (count, left_dead) = match step {
            Step::Died => {
                self.judge(Role::Death, Verdict::Due);
                if self.strict {
                    self.judge(Role::Success, Verdict::Void);
                }
                (&mut self.dead, false)
            }
            Step::Revived => {
                self.dead = planted!(RevivedStillCountsAsDead, self.dead, self.dead.saturating_sub(1));
                return;
            }
            Step::Ended { how, was_dead } => (
                match how {
                    Ending::Completed => &mut self.succeeded,
                    Ending::Cancelled => &mut self.cancelled,
                    Ending::Expired => &mut self.expired,
                    Ending::Discarded => &mut self.discarded,
                    Ending::Pruned => &mut self.pruned,
                },
                was_dead,
            ),
        };
        *count = count.saturating_add(1);
        if left_dead {
            self.dead = self.dead.saturating_sub(1);
        }
    }

    /// Passes the verdicts that follow from the counts, once every step of a frame is taken.
    pub(crate) fn conclude(&mut self, now: Millis) {
        if !self.sealed || self.pending() > 0 {
            return;
        }
        self.judge(Role::Complete, Verdict::Due);
        if self.dead > 0 || self.finished_at.is_some() {
            return;
        }
        self.finished_at = Some(now);
        let all = self.succeeded == self.total || planted!(CancelledCountsAsSuccess);
        self.judge(Role::Success, if all { Verdict::Due } else { Verdict::Void });
        self.judge(Role::Death, Verdict::Void);
    }

    fn judge(&mut self, role: Role, verdict: Verdict) {
        if let Some(Some(callback)) = self.callbacks.get_mut(role.at())
            && callback.verdict == Verdict::Waits
        {
            callback.verdict = verdict;
        }
    }

    /// Callbacks whose fate is known: to be let go or discarded, unless that was done.
    pub(crate) fn judged(&self) -> impl Iterator<Item = Callback> + '_ {
        self.callbacks.iter().flatten().copied().filter(|callback| callback.verdict != Verdict::Waits)
    }
}
