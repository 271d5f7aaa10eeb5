//! What is shown of an entry.

use std::time::SystemTime;

/// An entry as it stands; given by [`Cron::entries`](crate::Cron::entries).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CronInfo {
    /// The name of its set.
    pub set: String,
    /// Its name.
    pub entry: String,
    /// Its times: `30 4 * * * Europe/Berlin`, or `every 60000 ms`.
    pub times: String,
    /// Its last firing that made a job: the moment it was due.
    pub last: Option<SystemTime>,
    /// Its next firing, or of one whose job could not be made the next try. In the past: it was missed, and the entry's
    /// [`Missed`](crate::Missed) decides. `None`: its times are not known here, written by another release or in a zone
    /// that this machine does not know.
    pub next: Option<SystemTime>,
    /// Whether a running pool of this process declares it. Otherwise it does not fire.
    pub declared: bool,
    /// What is or was wrong with it since it was declared: a job that could not be made, a clock that went back.
    pub trouble: Option<String>,
}
