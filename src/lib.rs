//! A durable job queue that lives inside your program.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss)
)]

// Floor 0: each outside thing behind one door.
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod random;
// Floor 1: meaning, bytes in order, ordered lookup; mutually unaware.
pub(crate) mod index;
pub(crate) mod job;
pub(crate) mod log;
// Floor 2 joins them.
pub(crate) mod engine;
// Floor 3: time-driven services.
pub(crate) mod upkeep;
// Floor 4: the public verbs.
pub(crate) mod queue;
// Floor 5: runs handlers.
pub(crate) mod worker;
