//! The shipped code under every order of its threads that a scheduler can think of.
//!
//! Built only for `RUSTFLAGS="--cfg backlog_shuttle" cargo test --release --lib schedules`. Each call on a lock, a
//! condition variable, a shared flag, a thread or the disk is a step; who takes the next one is decided by a seed,
//! one schedule for each.
//!
//! # Invariants
//! * No schedule hangs: a wake-up that is lost leaves somebody asleep for ever, and is reported as a deadlock.
//! * Power is cut at a moment of the schedule's choice: what was acknowledged by then is there after reopening, and
//!   what was acknowledged as over is not.
//! * One seed, one schedule: a failure prints the line that replays it.
//!
//! `BACKLOG_EFFORT=full` tries more, `BACKLOG_SCHEDULES=n` that many a promise, `BACKLOG_SCHEDULE=seed` this one only.

mod commit;
mod ending;
mod explore;
mod leases;
mod passing;
mod watching;
mod yard;
