//! No keys: what a program without the feature `encrypt` has.

use super::{Bound, Sealed, Unopened};
use crate::error::{Error, Result};
use crate::random::Random;

/// Stands where a key ring would.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(());

#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the twin has a key ring")]
impl Keys {
    pub(crate) fn is_none(&self) -> bool {
        true
    }

    /// The id of the key that seals.
    pub(crate) fn current(&self, kind: &str) -> Result<&str> {
        Err(Error::invalid(format!(
            "jobs of kind={kind:?} are sealed, and this program was built without the feature `encrypt` of backlog"
        )))
    }

    pub(crate) fn check(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn seal(&self, _: &dyn Random, bound: &Bound<'_>, _: &[u8]) -> Result<Vec<u8>> {
        self.current(bound.kind).map(|_| Vec::new())
    }

    pub(crate) fn open(&self, _: &Bound<'_>, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let key = Sealed::of(sealed).ok_or(Unopened::Malformed)?.key.to_owned();
        Err(Unopened::NoKey { key, why: "this program was built without the feature `encrypt` of backlog" })
    }
}
