//! What happens because time passes: one service that promotes due jobs, takes back leases that ran out, sees to the
//! callbacks of groups, gives periodic entries their turns, goes on with bulk verbs that nobody drives, and prunes what is kept no longer.
//!
//! # Invariants
//! * Sleeps at most a second (rule 16: the clock may jump), and less when something is due earlier.
//!
//! Never here: deciding what a job becomes (`job::next`), reading records (`engine`).

#[cfg(feature = "metrics")]
pub(crate) mod meters;

use std::time::Duration;

use crate::engine::{Core, Engine, UPKEEP_SLEEP_MAX};
use crate::error::Result;

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

/// What upkeep sees to, in this order.
const TURNS: &[fn(&Core) -> Result<()>] = &[
    |core| core.promote_due().map(drop),
    |core| core.expire_leases().map(drop),
    |core| {
        core.call_overdue();
        Ok(())
    },
    |core| core.release_callbacks().map(drop),
    |core| core.forget_groups().map(drop),
    #[cfg(feature = "cron")]
    |core| core.turn_timed().map(drop),
    |core| core.continue_bulks().map(drop),
    |core| core.prune().map(drop),
];

/// One look at the clock; gives how long to sleep.
///
/// What finds the disk full keeps nobody else from his time: its own turn comes again, and a later one may free room.
pub(crate) fn step(core: &Core) -> Result<Duration> {
    let mut refused = Ok(());
    for turn in TURNS {
        refused = refused.and(turn(core));
    }
    let rest = core.upkeep_rest();
    refused.map(|()| rest)
}
