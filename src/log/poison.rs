//! The first error of the commit path, kept for ever: after it nothing is written, synced or acknowledged.
//!
//! A second try would lie: after a failed sync the page cache shows bytes that the disk has not.
//!
//! Never here: who is told (`engine`).

use crate::error::{Error, ErrorKind, Result};
use crate::sync::OnceLock;

#[derive(Debug, Default)]
pub(super) struct Poison(OnceLock<Error>);

impl Poison {
    /// Only the first one is kept.
    pub(super) fn set(&self, why: &Error) {
        self.0.get_or_init(|| {
            Error::new(
                ErrorKind::Poisoned,
                format!("poisoned: {why}; nothing is acknowledged any more: reopen the directory"),
            )
        });
    }

    pub(super) fn get(&self) -> Option<Error> {
        self.0.get().cloned()
    }

    pub(super) fn check(&self) -> Result<()> {
        self.get().map_or(Ok(()), Err)
    }

    /// Sets it, and gives what everyone is told from now on.
    pub(super) fn fail(&self, why: &Error) -> Error {
        self.set(why);
        self.get().unwrap_or_else(|| why.clone())
    }

    /// Runs a step that must not stop half way: a panic inside it poisons as an error does.
    pub(super) fn guard<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut unwind = OnUnwind { poison: self, armed: true };
        let done = step();
        unwind.armed = false;
        done.map_err(|why| planted!(ErrorDoesNotPoison, why, self.fail(&why)))
    }
}

struct OnUnwind<'a> {
    poison: &'a Poison,
    armed: bool,
}

impl Drop for OnUnwind<'_> {
    fn drop(&mut self) {
        if self.armed && !planted!(PanicDoesNotPoison) {
            self.poison.set(&Error::new(ErrorKind::Poisoned, "a panic stopped a write half way"));
        }
    }
}
