//! The one error type: a kind to branch on, and a sentence that says what happened, to which file or
//! value, and what to do.
//!
//! Expected refusals (a stale lease, a duplicate key) are values, never errors.

use std::fmt;
use std::io;
use std::sync::Arc;

/// What class of thing went wrong. Branch on this, show the [`Error`] itself to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process (or another handle in this one) owns the directory, or leases still live.
    InUse,
    /// The directory was written by a newer release than this one can read.
    NewerFormat,
    /// Bytes that were durable do not read back: the message names file and offset.
    Corrupt,
    /// The disk is full. Nothing of the refused call was written; accepted jobs can still be ended.
    Full,
    /// A payload, name, key or batch is beyond its limit. Nothing was written.
    TooLarge,
    /// A value or setting that cannot be accepted as it stands. Nothing was written.
    Invalid,
    /// An earlier write or sync failed; this handle acknowledges nothing any more. Reopen the directory.
    Poisoned,
    /// The handle was poisoned while this call waited: the work may or may not be found after reopening.
    Unknown,
    /// The backlog is closed or closing.
    Closed,
    /// The operating system refused something outside the commit path (permissions, a missing directory).
    Io,
}

/// The error of every fallible call in this crate.
///
/// Cheap to clone; carries its [`kind`](Error::kind), a sentence, and the system error beneath it, if any.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    source: Option<Arc<io::Error>>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into().into(), source: None }
    }

    pub(crate) fn io(what: impl fmt::Display, source: io::Error) -> Self {
        Self { kind: ErrorKind::Io, message: format!("{what}: {source}").into(), source: Some(Arc::new(source)) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// Damage in `file` at byte `offset`.
    pub(crate) fn corrupt(file: impl fmt::Display, offset: u64, what: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Corrupt,
            format!(
                "corrupt: file={file} offset={offset}: {what}; keep a copy of the directory, then restore it from a backup"
            ),
        )
    }

    /// What class of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error under another kind, its sentence kept.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
