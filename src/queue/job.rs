//! The trait that names a type of args.

use std::time::Duration;

use crate::job::{Backoff, MAX_ATTEMPTS_DEFAULT, QUEUE_DEFAULT};

/// A type of args: what it is called in the log, and how its jobs are treated unless an enqueue says otherwise.
///
/// To enqueue, the type must also be `Serialize` (borrowed fields are fine, nothing is cloned); to be handled, it must
/// be `DeserializeOwned`. Args are stored as JSON: fields can be added later with `#[serde(default)]`.
///
/// ```
/// use backlog::{Backoff, Job};
/// use std::time::Duration;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct ChargeCard { sale: u64, cents: u64 }
///
/// impl Job for ChargeCard {
///     const KIND: &'static str = "charge_card";
///     const ALIASES: &'static [&'static str] = &["charge"];     // what it was called before
///     const QUEUE: &'static str = "billing";
///     const BACKOFF: Backoff = Backoff::Fixed { delay: Duration::from_secs(60) };
/// }
/// # let _ = ChargeCard { sale: 1, cents: 2 };
/// ```
pub trait Job {
    /// The written name of the type, stored with every job: never change it while jobs of it live, add an alias
    /// instead. At most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) bytes, no control characters.
    const KIND: &'static str;

    /// Earlier names: a handler of this type also takes jobs of these kinds. Default: none.
    const ALIASES: &'static [&'static str] = &[];

    /// The queue its jobs wait in. Default: `"default"`.
    const QUEUE: &'static str = QUEUE_DEFAULT;

    /// Jobs of a queue run highest priority first, then in the order they came. Default: 0.
    const PRIORITY: i16 = 0;

    /// Attempts a job may spend before it is dead, the first included. Default: 25.
    const MAX_ATTEMPTS: u32 = MAX_ATTEMPTS_DEFAULT;

    /// How long a failed job waits for its next attempt. Default: [`Backoff::Default`].
    const BACKOFF: Backoff = Backoff::Default;

    /// How long one attempt may take, see [`JobBuilder::timeout`](crate::JobBuilder::timeout). Default: no limit.
    const TIMEOUT: Option<Duration> = None;

    /// From how long after its enqueue on a job is not started any more, see
    /// [`JobBuilder::expires_at`](crate::JobBuilder::expires_at). Default: it stays.
    const EXPIRES_IN: Option<Duration> = None;

    /// How long the result of a completed job is kept, see [`JobBuilder::keep_result`](crate::JobBuilder::keep_result).
    /// Default: not at all.
    const KEEP_RESULT: Option<Duration> = None;

    /// Whether its jobs are encrypted at rest, see [`JobBuilder::sealed`](crate::JobBuilder::sealed). Default: no.
    const SEALED: bool = false;
}
