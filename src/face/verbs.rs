//! What may be asked through the admin socket, and of a stopped directory.
//!
//! # Invariants
//! * A number or a name never changes its meaning: clients of other releases ask too. New verbs are added.

use serde::{Deserialize, Serialize};

use super::jobs::JobLine;

/// One request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Looks, changes nothing; one answer.
    Look(Look),
    /// Changes something; the answer comes when that is on disk.
    Act(Act),
    /// Many answers, one for each thing there is to tell, and a last one.
    Stream(Stream),
}

/// Looking.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Look {
    /// Jobs by queue and state, what is paused.
    Stats {},
    /// A page of jobs.
    List { filter: String, after: Option<u64>, limit: usize },
    /// How many jobs fit.
    Count { filter: String },
    /// One job with its args.
    Show { id: u64 },
    /// Failed jobs by kind and error.
    Failures { filter: String },
    /// Whether work can go on.
    Health {},
    /// Reads and checks everything.
    Verify {},
    /// The last jobs that ended; only a running program remembers them.
    History { limit: usize },
}

/// Changing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    /// All or none, in one commit.
    Enqueue { jobs: Vec<JobLine> },
    /// Ends a job, or asks it to end.
    Cancel { id: u64 },
    /// Makes it ready.
    Requeue { id: u64 },
    /// Puts it into another queue.
    Move { id: u64, queue: String },
    /// Gives it another priority.
    Priority { id: u64, priority: i16 },
    /// One change of every job that fits, gone on with after a crash, with one audit record.
    All { filter: String, change: Change, who: String },
    /// Moves it to another time, milliseconds since 1970.
    Reschedule { id: u64, run_at_ms: u64 },
    /// Lets go of a held job.
    Confirm { id: u64 },
    /// Ends a held job.
    Discard { id: u64 },
    /// No job of the queue is claimed.
    PauseQueue { queue: String },
    /// They are again.
    ResumeQueue { queue: String },
    /// No job of the kind is handed out.
    PauseKind { kind: String },
    /// They are again.
    ResumeKind { kind: String },
    /// Saves the index.
    Checkpoint {},
    /// Gives space back.
    Compact {},
}

/// What can be done to one job, and to all that fit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// Makes it ready.
    Requeue {},
    /// Ends it, or asks it to end.
    Cancel {},
    /// Puts it into another queue.
    Move { queue: String },
    /// Gives it another priority.
    Priority { priority: i16 },
}

#[cfg(any(feature = "cli", feature = "console"))]
impl Change {
    /// Of one job.
    pub(crate) fn of(self, id: u64) -> Act {
        match self {
            Self::Requeue {} => Act::Requeue { id },
            Self::Cancel {} => Act::Cancel { id },
            Self::Move { queue } => Act::Move { id, queue },
            Self::Priority { priority } => Act::Priority { id, priority },
        }
    }
}

/// Many answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Stream {
    /// What happens from now on.
    Tail {},
    /// Every live job with its args.
    Export {},
}
