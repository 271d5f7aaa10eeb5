//! Reaching a backlog from outside the program that has it open: the admin socket, and one view of a directory whether
//! it is open or not.
//!
//! * [`open`] joins the socket to opening a directory: floor 4 knows only that something serves beside it.
//! * [`verbs`] are the requests, [`shape`] the answers, [`jobs`] a job on its way; [`look`] and [`act`] answer them.
//! * [`wire`] frames both; [`socket`], [`server`] and [`client`] are the two ends (Unix only).
//! * [`filter`] reads the one filter language; [`text`] makes text harmless to show.
//!
//! # Invariants
//! * A live program and a stopped directory are looked at by the same function, so the answers cannot differ.
//! * The server holds no handle: it keeps no backlog open, and ends when the backlog closes.
//! * No client can hold up the program: connections, lengths and times are bounded, and a slow client waits alone.
//!
//! Never here: what a verb does to a job (`queue`), how answers look on a terminal (`cli`).

mod act;
#[cfg_attr(not(unix), path = "elsewhere.rs")]
pub(crate) mod client;
mod filter;
pub(crate) mod jobs;
pub(crate) mod look;
mod open;
#[cfg(unix)]
mod server;
pub(crate) mod shape;
#[cfg(unix)]
mod socket;
#[cfg(all(test, unix, not(backlog_shuttle)))]
mod tests;
#[cfg(any(feature = "cli", feature = "console"))]
pub(crate) mod text;
pub(crate) mod verbs;
pub(crate) mod wire;

#[cfg(any(feature = "cli", feature = "console"))]
pub(crate) use act::act;
pub use client::Client;
#[cfg(feature = "cli")]
pub(crate) use filter::duration;
#[cfg(any(feature = "cli", feature = "console"))]
pub(crate) use look::look;
