//! The one door to locks, condition variables, shared flags and threads.
//!
//! Every build names `parking_lot` and `std` here and nothing else, at no cost. The lane of schedules
//! (`schedules`) is built with `--cfg backlog_shuttle` and finds their scheduled twins instead: then one
//! scheduler decides who runs at each of these calls, and the shipped code itself runs under every order that it
//! tries.
//!
//! Not behind this door, because it is never held where a thread may be made to wait: the simulated disk, the clocks,
//! the saved index (`index`), signals.

#[cfg(all(test, backlog_shuttle))]
pub(crate) mod scheduled;

#[cfg(not(all(test, backlog_shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, backlog_shuttle)))]
pub(crate) use std::{
    sync::OnceLock,
    sync::atomic::{AtomicBool, AtomicU64},
    thread::{Builder, JoinHandle},
};

#[cfg(all(test, backlog_shuttle))]
pub(crate) use {
    scheduled::{Condvar, Mutex, MutexGuard, OnceLock},
    shuttle::sync::atomic::{AtomicBool, AtomicU64},
    shuttle::thread::{Builder, JoinHandle},
};
