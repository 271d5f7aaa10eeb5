//! What happens because time passes: one service that promotes due jobs, takes back leases that ran out, sees to the
//! callbacks of groups, gives periodic entries their turns, and prunes what is kept no longer.
//!
//! # Invariants
//! * Sleeps at most a second (rule 16: the clock may jump), and less when something is due earlier.
//!
//! Never here: deciding what a job becomes (`job::next`), reading records (`engine`).

#[cfg(feature = "metrics")]
pub(crate) mod meters;

use std::time::Duration;

use crate::engine::{Core, Engine, UPKEEP_SLEEP_MAX};
use crate::error::{ErrorKind, Result};

/// Runs upkeep on a thread of its own, as long as the handle lives.
pub(crate) fn start(engine: &Engine) -> Result<()> {
    engine.spawn("backlog-upkeep", |core| life(&core))
}

fn life(core: &Core) {
    #[cfg(feature = "metrics")]
    let mut meters = meters::Meters::default();
    loop {
        // Before looking whether to stop: the ring that says so is not to be missed.
        let heard = core.upkeep.heard();
        if core.stopping() {
            return;
        }
        #[cfg(feature = "metrics")]
        meters.look(core);
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
    core.call_overdue();
    match core.release_callbacks() {
        // They stay due, and are tried again at the next look.
        Err(full) if full.kind() == ErrorKind::Full => {}
        released => drop(released?),
    }
    core.forget_groups()?;
    #[cfg(feature = "cron")]
    core.turn_timed()?;
    // A disk too full to write that something is gone must not keep the rest from its time.
    let pruned = core.prune();
    let rest = core.upkeep_rest();
    pruned.map(|_| rest)
}
