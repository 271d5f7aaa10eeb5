//! Why an attempt failed, in a form that `?` makes of any error.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an attempt failed. `?` makes one of any error, with the errors beneath it; it is no error itself, so that this
/// works.
///
/// ```
/// use backlog::Failure;
/// use std::time::Duration;
///
/// fn fetch(url: &str) -> Result<(), Failure> {
///     let port: u16 = url.rsplit(':').next().unwrap_or("").parse()?;
///     if port < 1024 {
///         return Err(Failure::new("the port is reserved").bury());          // no second attempt
///     }
///     Err(Failure::new("busy").retry_in(Duration::from_secs(5)))            // not by the job's backoff
/// }
/// assert_eq!(fetch("host:x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[must_use]
pub struct Failure {
    message: String,
    /// What the handler met, if `?` made this of it.
    error: Option<Box<dyn Error + Send + Sync>>,
    retry: Option<Retry>,
}

/// What follows a failed attempt, while the job has attempts left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The next attempt comes by the job's [`Backoff`](crate::Backoff).
    ByBackoff,
    /// The next attempt comes after this wait.
    In(Duration),
    /// No further attempt: dead, kept with the error for a person to look at.
    Bury,
    /// No further attempt, and nothing kept: the job is cancelled.
    Cancel,
}

impl Failure {
    /// A failure with this text; the job is retried by its backoff while it has attempts left.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), error: None, retry: None }
    }

    /// The next attempt comes after this wait instead of the job's backoff.
    pub fn retry_in(self, delay: Duration) -> Self {
        self.then(Retry::In(delay))
    }

    /// No further attempt: the job is dead, with this text as the reason.
    pub fn bury(self) -> Self {
        self.then(Retry::Bury)
    }

    /// What follows. It goes before a rule of the pool
    /// ([`WorkersBuilder::retry`](crate::WorkersBuilder::retry)).
    pub fn then(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The error this was made of, if it is an `E`: for rules that tell errors apart.
    ///
    /// ```
    /// use std::io;
    /// let failure = backlog::Failure::from(io::Error::from(io::ErrorKind::TimedOut));
    /// let timed_out = failure.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
    /// assert!(timed_out);
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error.as_deref()?.downcast_ref()
    }

    pub(super) fn is_retried(&self) -> bool {
        matches!(self.retry, None | Some(Retry::ByBackoff | Retry::In(_)))
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.retry.is_none()
    }

    pub(super) fn into_parts(self) -> (String, Retry) {
        (self.message, self.retry.unwrap_or(Retry::ByBackoff))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut beneath = error.source();
        while let Some(source) = beneath {
            let text = source.to_string();
            // Many errors already tell what lies beneath them.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            beneath = source.source();
        }
        Self { message, error: Some(Box::new(error)), retry: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("message", &self.message).field("retry", &self.retry).finish_non_exhaustive()
    }
}
