//! How time passes for a backlog whose threads are the test's own.

use std::time::Duration;

use super::ManualClock;
use crate::error::Result;
use crate::queue::Backlog;

/// Nobody waits longer for the turn of a job that ran when the process died.
const HELD_BACK_MAX: Duration = Duration::from_secs(60);

/// What a drain does when nothing is ready after so many runs: the clock moves on to what is due next. `false`: nothing
/// will be.
pub(super) fn time_passes(backlog: &Backlog, clock: &ManualClock) -> impl FnMut(u64) -> Result<bool> {
    let mut waited = None;
    move |ran| {
        // Some may be held back for a suspect that these workers do not ask for.
        let held_back = backlog.recovery_report().suspects > 0 && waited.replace(ran) != Some(ran);
        let wait = backlog.next_due().or(held_back.then_some(HELD_BACK_MAX));
        clock.advance(wait.unwrap_or_default());
        backlog.serve()?;
        Ok(wait.is_some())
    }
}
