//! What the trace tells people and tests about an operation.

use std::fmt;

use super::fault::Call;
use super::medium::Op;

/// One changing operation, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceOp {
    /// Which call made it; `None`: a hand from outside.
    pub call: Option<Call>,
    /// The file or directory, by the name it was opened under.
    pub path: String,
    /// Where a rename went.
    pub to: Option<String>,
    /// Where a write began, bytes.
    pub offset: u64,
    /// Bytes written, or the new length.
    pub len: u64,
    /// False for a sync that failed.
    pub ok: bool,
}

impl TraceOp {
    pub(super) fn of(op: &Op) -> Self {
        let plain =
            |call, path: &str| Self { call: Some(call), path: path.to_owned(), to: None, offset: 0, len: 0, ok: true };
        match op {
            Op::Create { path, .. } => plain(Call::Create, path),
            Op::Write { path, offset, bytes, .. } => {
                Self { offset: *offset, len: bytes.len() as u64, ..plain(Call::Write, path) }
            }
            Op::SetLen { path, len, .. } => Self { len: *len, ..plain(Call::SetLen, path) },
            Op::SyncData { path, ok, .. } => Self { ok: *ok, ..plain(Call::SyncData, path) },
            Op::Rename { from, to } => Self { to: Some(to.to_string()), ..plain(Call::Rename, from) },
            Op::Remove { path } => plain(Call::Remove, path),
            Op::CreateDir { path } => plain(Call::CreateDir, path),
            Op::SyncDir { dir, ok } => Self { ok: *ok, ..plain(Call::SyncDir, dir) },
            Op::Tamper { path, .. } => Self { call: None, ..plain(Call::Write, path) },
        }
    }
}

impl fmt::Display for TraceOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = if self.ok { "" } else { " FAILED" };
        match (self.call, &self.to) {
            (None, _) => write!(f, "tampered with {}", self.path),
            (Some(call), Some(to)) => write!(f, "{call:?} {} -> {to}", self.path),
            (Some(Call::Write), _) => write!(f, "Write {} [{}, +{})", self.path, self.offset, self.len),
            (Some(Call::SetLen), _) => write!(f, "SetLen {} {}", self.path, self.len),
            (Some(call), _) => write!(f, "{call:?} {:?}{failed}", self.path),
        }
    }
}
