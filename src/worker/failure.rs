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
    then: Then,
}

/// What is to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Retry,
    RetryIn(Duration),
    Bury,
}

impl Failure {
    /// A failure with this text; the job is retried by its backoff while it has attempts left.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), then: Then::Retry }
    }

    /// The next attempt comes after this wait instead of the job's backoff.
    pub fn retry_in(mut self, delay: Duration) -> Self {
        self.then = Then::RetryIn(delay);
        self
    }

    /// No further attempt: the job is dead, with this text as the reason.
    pub fn bury(mut self) -> Self {
        self.then = Then::Bury;
        self
    }

    pub(super) fn into_parts(self) -> (String, Then) {
        (self.message, self.then)
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
        Self { message, then: Then::Retry }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("message", &self.message).field("then", &self.then).finish()
    }
}
