//! Bytes in order: segments of frames, pushed, synced, found again after a crash. Knows positions, never jobs.
//!
//! * [`identity`]: the `format` file, which log this is.
//! * [`segment`]: header block, file names, where a position lies.
//! * [`frame`] and [`parse`]: one verb as bytes, and bytes as a verified frame.
//! * [`stage`]: gives positions under the engine's lock; [`commit`]: push, sync, the two marks; [`poison`].
//! * [`chain`], [`maker`]: which segments there are; making, recycling and removing them.
//! * [`window`], [`read`]: reading in large pieces.
//! * [`survey`] (from [`folder`], [`sort`] and [`tail`]), [`repair`]: recovery, in two halves; [`verify`]: the check.
//!
//! # Invariants
//! * `durable ≤ written ≤ staged tail`; the marks only rise, and never past bytes that were not synced or written.
//! * Bytes become durable segment by segment: the seal of N is synced before the first byte of N+1 is written, so
//!   only one segment can have a torn tail.
//! * Frames are verified before anyone sees them: [`Frame`] is made by the parser only.
//!
//! Never here: what a record means (`job`), which records are live (`index`, `engine`).

mod bytes;
mod chain;
mod commit;
mod files;
mod folder;
mod frame;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzzed;
mod identity;
mod maker;
mod parse;
mod poison;
mod repair;
mod segment;
mod sort;
mod stage;
mod survey;
mod tail;
mod verify;
mod walk;
mod window;

#[cfg(all(test, not(backlog_shuttle)))]
mod tests;

pub(crate) use commit::{Log, Raw};
pub(crate) use frame::{Body, Draft, Flags, frame_len, record_len};
pub(crate) use identity::Identity;
pub(crate) use maker::Fate;
pub(crate) use parse::{Frame, RecordView};
pub(crate) use stage::{Class, RESERVE, Room, Stage, frame_bytes_max};
pub(crate) use survey::Survey;
pub(crate) use verify::verify;
