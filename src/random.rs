//! The one door to randomness.

use std::fmt;
#[cfg(any(test, feature = "testing"))]
use std::sync::Mutex;

use crate::error::{Error, Result};

/// Where log ids, nonces, salts and jitter come from.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

impl dyn Random {
    pub(crate) fn u64(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn u128(&self) -> Result<u128> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(u128::from_le_bytes(bytes))
    }
}

/// The system's entropy.
#[derive(Debug)]
pub(crate) struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|e| Error::io("cannot read the system's entropy", e.into()))
    }
}

/// The same numbers for the same seed.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct SeededRandom(Mutex<fastrand::Rng>);

#[cfg(any(test, feature = "testing"))]
impl SeededRandom {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        // A panic while the generator was held leaves it as usable as before.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}
