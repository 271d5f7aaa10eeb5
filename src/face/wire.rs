//! How requests and answers stand on the admin socket: one JSON object a line.
//!
//! ```text
//! client: {"backlog":1}                          server: {"backlog":1,"pid":7,"release":"0.1.0"}
//! client: {"look":{"show":{"id":7}}}             server: {"ok":{…}}  or  {"error":{"kind":"invalid","message":"…"}}
//! client: {"stream":{"export":{}}}               server: {"item":{…}} … {"ok":{}}
//! ```
//!
//! # Invariants
//! * The first line of each side names the protocol; a server refuses a number it does not know, in words.
//! * No line is longer than its limit, whoever sends it, and none is kept in memory beyond it.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// The protocol this release speaks.
pub(crate) const PROTOCOL: u32 = 1;
/// One request, bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 20;
/// One answer, bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The first line of either side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) backlog: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
}

/// One answer: exactly one of these stands.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ok: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Refusal>,
}

/// An error on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn of(result: Result<Box<RawValue>>) -> Self {
        match result {
            Ok(ok) => Self { ok: Some(ok), ..Self::default() },
            Err(e) => Self { error: Some(Refusal::of(&e)), ..Self::default() },
        }
    }
}

const KINDS: [(ErrorKind, &str); 10] = [
    (ErrorKind::InUse, "in_use"),
    (ErrorKind::NewerFormat, "newer_format"),
    (ErrorKind::Corrupt, "corrupt"),
    (ErrorKind::Full, "full"),
    (ErrorKind::TooLarge, "too_large"),
    (ErrorKind::Invalid, "invalid"),
    (ErrorKind::Poisoned, "poisoned"),
    (ErrorKind::Unknown, "unknown"),
    (ErrorKind::Closed, "closed"),
    (ErrorKind::Io, "io"),
];

/// The word for a kind of error.
pub(crate) fn word(kind: ErrorKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("io", |(_, word)| word)
}

impl Refusal {
    pub(crate) fn of(error: &Error) -> Self {
        Self { kind: word(error.kind()).to_owned(), message: error.to_string() }
    }

    pub(crate) fn into_error(self) -> Error {
        let kind = KINDS.iter().find(|(_, word)| *word == self.kind).map_or(ErrorKind::Invalid, |(kind, _)| *kind);
        Error::new(kind, self.message)
    }
}

/// What a value is in JSON.
pub(crate) fn raw(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|e| Error::invalid(format!("cannot be written as JSON: {e}")))
}

/// One line of JSON, its end included.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value).map_err(|e| Error::invalid(format!("cannot be written as JSON: {e}")))?;
    line.push(b'\n');
    Ok(line)
}

/// Lines as they come.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// So far there is no end of a line.
    looked: usize,
    max: usize,
}

/// What was found where a line should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Line(Vec<u8>),
    /// The other side is gone; what it did not finish does not count.
    End,
    TooLong,
}

impl Lines {
    pub(crate) fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), looked: 0, max }
    }

    /// Whether a line has begun.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line, without its end. `before` is asked before each read.
    pub(crate) fn next(
        &mut self,
        from: &mut impl Read,
        mut before: impl FnMut(&Self) -> io::Result<()>,
    ) -> io::Result<Found> {
        let mut chunk = [0; 16 << 10];
        loop {
            let unseen = self.buffer.get(self.looked..).unwrap_or_default();
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.looked + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.looked = 0;
                return Ok(if line.len() > self.max { Found::TooLong } else { Found::Line(line) });
            }
            self.looked = self.buffer.len();
            if self.buffer.len() > self.max {
                return Ok(Found::TooLong);
            }
            before(self)?;
            match from.read(&mut chunk) {
                Ok(0) => return Ok(Found::End),
                Ok(n) => self.buffer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
