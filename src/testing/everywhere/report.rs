//! What was tried, and what was found.

use std::fmt;

use super::VARIABLE;
use crate::disk::simulated::CrashMode;

/// Which crash.
#[derive(Debug, Clone)]
pub(super) struct Strike {
    pub(super) moment: u64,
    pub(super) name: &'static str,
    pub(super) mode: CrashMode,
}

/// How much was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// Changing operations of one pass without a crash.
    pub operations: usize,
    /// Moments at which the process died.
    pub moments: u64,
    /// Images of the disk the scenario was finished on: several to a moment where something was unsynced.
    pub images: u64,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operations={} moments={} images={}", self.operations, self.moments, self.images)
    }
}

/// A crash with which the scenario fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    at: Option<String>,
    place: String,
    why: String,
}

impl Found {
    pub(super) fn new(strikes: &[Strike], place: Option<String>, why: String) -> Self {
        let names: Vec<String> = strikes.iter().map(|strike| format!("{}-{}", strike.moment, strike.name)).collect();
        let how = |strike: &Strike| match strike.mode {
            CrashMode::KeepAll => "when the process is killed",
            _ => "when power is lost",
        };
        let place = match (strikes, place) {
            ([first, rest @ ..], Some(place)) => {
                let again = if rest.is_empty() { "" } else { ", and again while it is finished" };
                format!("{} {place}{again}", how(first))
            }
            _ => "even without a crash".to_owned(),
        };
        Self { at: (!names.is_empty()).then(|| names.join(",")), place, why }
    }

    pub(super) fn plain(why: impl Into<String>) -> Self {
        Self::new(&[], None, why.into())
    }

    /// The crash, for [`CrashEverywhere::only`](super::CrashEverywhere::only); `None`: it took none.
    pub fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// What the scenario said.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scenario fails {}: {}", self.place, self.why)?;
        match &self.at {
            Some(at) => write!(f, "; to try this alone: {VARIABLE}={at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Found {}
