//! How a caller says which jobs count as the same.

use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::engine::{NewJob, OnConflict, UniqueRule};

/// What makes a job unique among those of its kind, for how long, and what happens to one that is not. Given to
/// [`JobBuilder::unique`](crate::JobBuilder::unique), where a text alone will do for the plain case.
///
/// A key is derived from the jobs in the log, never a lock of its own with a time to live: nothing can leak, whatever
/// crashes.
///
/// ```
/// # use backlog::{Backlog, Job, OnConflict, Unique, Acceptance};
/// # use std::time::Duration;
/// # #[derive(serde::Serialize)] struct Reindex { page: u64 }
/// # impl Job for Reindex { const KIND: &'static str = "reindex"; }
/// # let dir = tempfile::tempdir()?;
/// # let backlog = Backlog::open(dir.path().join("jobs"))?;
/// // However often page 7 changes, it is indexed once, ten seconds after the last change.
/// let changed = || {
///     backlog.job(&Reindex { page: 7 })
///         .unique(Unique::key("page:7").until_started().on_conflict(OnConflict::Replace))
///         .delay(Duration::from_secs(10))
///         .enqueue()
/// };
/// let first = changed()?;
/// assert_eq!(changed()?.acceptance, Acceptance::Replaced(first.id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "does nothing until it is given to a job"]
pub struct Unique {
    by: By,
    rule: UniqueRule,
}

#[derive(Debug, Clone)]
enum By {
    Key(String),
    Args,
}

impl Unique {
    fn new(by: By) -> Self {
        Self { by, rule: UniqueRule::default() }
    }

    /// Jobs of one kind with this key are the same; at most [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX) bytes.
    pub fn key(key: impl Into<String>) -> Self {
        Self::new(By::Key(key.into()))
    }

    /// Jobs of one kind with the same bytes of args are the same. The key that stands with the job is a hash of them
    /// (128 bits of `SipHash`). A map in the args must be written in a stable order for this.
    ///
    /// Of a [sealed](crate::JobBuilder::sealed) job too: the hash of its plain args is stored beside them, keyed by the
    /// directory's own hash key. Whoever has the whole directory can try guesses against it; where args can be guessed,
    /// give a [`key`](Self::key) of your own. Jobs from before their kind was sealed do not count as the same.
    pub fn by_args() -> Self {
        Self::new(By::Args)
    }

    /// Keeps others out until the job starts for the first time; such jobs are claimed one by one. Default: until it has ended or is dead.
    pub fn until_started(mut self) -> Self {
        (self.rule.until_started, self.rule.period) = (true, None);
        self
    }

    /// Keeps others out for this long from its enqueue on, also when it has ended before; and beyond, while it lives.
    /// Default: until it has ended or is dead.
    pub fn within(mut self, period: Duration) -> Self {
        (self.rule.until_started, self.rule.period) = (false, Some(period));
        self
    }

    /// What this enqueue does to a job that has the key already. Default: [`OnConflict::Keep`].
    pub fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.rule.on_conflict = policy;
        self
    }

    pub(super) fn put_on(self, job: &mut NewJob) {
        job.rule = UniqueRule { by_args: matches!(self.by, By::Args), ..self.rule };
        job.unique = Some(match self.by {
            By::Key(key) => key,
            By::Args => args_key(&job.args),
        });
    }
}

impl<T: Into<String>> From<T> for Unique {
    fn from(key: T) -> Self {
        Self::key(key)
    }
}

fn args_key(args: &[u8]) -> String {
    let mut hasher = SipHasher24::new();
    hasher.write(args);
    format!("args:{:032x}", hasher.finish128().as_u128())
}
