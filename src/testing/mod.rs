//! What tests of a backlog stand on: a simulated disk, a clock that is moved by hand, seeded randomness, the oracle.
//!
//! * [`SimDisk`] loses power, fails, runs full and is tampered with; [`Parts`] opens a backlog on it.
//! * [`ManualClock`] and [`SeededRandom`] make a run repeat itself.
//! * [`backlog`] is all of that in one line, for one test of yours: with [`drain`](Bench::drain),
//!   [`run_inline`](Bench::run_inline) and [`assert_enqueued`](Bench::assert_enqueued).
//! * [`crash_everywhere`] lets *your* program die at every operation and asks it whether all is well.
//! * [`oracle`] says what a backlog must do, and finds what it must never do.
//!
//! Never here: code that a backlog itself runs.

pub mod bench;
#[cfg(test)]
pub(crate) mod effort;
pub mod everywhere;
#[doc(hidden)]
pub mod fuzzing;
pub mod oracle;
mod passing;

pub use crate::clock::{Clock, ManualClock};
pub use crate::disk::simulated::{Call, CrashMode, Fault, Replayer, SimDisk, TraceOp};
pub use crate::disk::{Access, Disk, DiskFile, Lock};
pub use crate::queue::Parts;
pub use crate::random::{Random, SeededRandom};
pub use bench::{Bench, Drained, DrainedRun, EnqueuedJob, RunEnd, Standing, backlog};
pub use everywhere::{CrashEverywhere, CrashPoint, Found, Scenario, Tried, crash_everywhere};

#[cfg(all(test, not(backlog_shuttle)))]
mod tests;
