//! How the command line ends when it does not end well.

use crate::error::{Error, ErrorKind};
use crate::face::wire::word;

/// How a verb ends.
pub(super) type Ended<T = ()> = Result<T, Trouble>;

pub(super) const FAILED: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const IN_USE: u8 = 3;
pub(super) const CORRUPT: u8 = 4;
pub(super) const NOT_FOUND: u8 = 5;
pub(super) const NOT_RUNNING: u8 = 6;
pub(super) const FULL: u8 = 7;
pub(super) const INCOMPLETE: u8 = 8;
pub(super) const UNKNOWN: u8 = 9;

/// The table of exit codes, as the help shows it.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed: the system or the directory refused, see the message
  2  usage: an argument or a filter is wrong, or a change of many jobs was not confirmed
  3  in use: another program has the directory open and serves no socket, or its connections are taken
  4  corruption: bytes that were durable do not read back
  5  not found: no such directory, job or file
  6  not running: only a running program could answer (history, tail)
  7  full: no room on the disk; nothing was enqueued
  8  incomplete: some of the jobs asked for were not changed
  9  unknown: the answer was lost; it may be done or not";

/// What went wrong, and the exit code that says so.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) code: u8,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn new(code: u8, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into() }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, "usage", message)
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(FAILED, "failed", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, "not_found", message)
    }

    pub(super) fn incomplete(message: impl Into<String>) -> Self {
        Self::new(INCOMPLETE, "incomplete", message)
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        let code = match e.kind() {
            ErrorKind::InUse => IN_USE,
            ErrorKind::Corrupt => CORRUPT,
            ErrorKind::Invalid | ErrorKind::TooLarge => USAGE,
            ErrorKind::Closed => NOT_RUNNING,
            ErrorKind::Full => FULL,
            ErrorKind::Unknown => UNKNOWN,
            _ => FAILED,
        };
        Self::new(code, word(e.kind()), e.to_string())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(e: std::io::Error) -> Self {
        Self::failed(e.to_string())
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(e: serde_json::Error) -> Self {
        Self::failed(format!("an answer is not understood: {e}; is the program of another release?"))
    }
}
