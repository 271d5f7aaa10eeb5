//! What happens because time passes: one service that promotes due jobs, takes back leases that ran out,
//! and sees to the callbacks of groups.
//!
//! # Invariants
//! * Sleeps at most a second (rule 16: the clock may jump), and less when something is due earlier.
//!
//! Never here: deciding what a job becomes (`job::next`), reading records (`engine`).

use std::time::Duration;

use crate::engine::{Core, Engine, UPKEEP_SLEEP_MAX};
use crate::error::{ErrorKind, Result};

/// Runs upkeep on a thread of its own, as long as the handle lives.
pub(crate) fn start(engine: &Engine) -> Result<()> {
    engine.spawn("backlog-upkeep", |core| life(&core))
}

fn life(core: &Core) {
    loop {
        // Before looking whether to stop: the ring that says so is not to be missed.
        let heard = core.upkeep.heard();
        if core.stopping() {
            return;
        }
        let rest = match step(core) {
            Ok(rest) => rest,
            // The handle's end: everybody else hears of it too.
            Err(_) if core.poisoned().is_some() => return,
            // A full disk, say: what is due stays due, and is tried again.
            Err(_) => UPKEEP_SLEEP_MAX,
        };
        core.upkeep.wait(heard, Some(rest));
    }
}

/// One look at the clock; gives how long to sleep.
pub(crate) fn step(core: &Core) -> Result<Duration> {
    core.promote_due()?;
    core.expire_leases()?;
    match core.release_callbacks() {
        // They stay due, and are tried again at the next look.
        Err(full) if full.kind() == ErrorKind::Full => {}
        released => drop(released?),
    }
    core.forget_groups()?;
    Ok(core.upkeep_rest())
}
