//! Whether a saved index fits the log it lies beside.

use super::delta::Meta;
use crate::ids::Lsn;

/// What to do with a saved index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Load it (it may still be refused), replay from its LSN.
    Use,
    /// Rebuild from the log; why.
    Rebuild(String),
    /// The log lost bytes that the checkpoint knew durable: corruption.
    LogLost,
}

/// Older than the log's start or of another log: rebuild. Newer than the log's end: the log lost durable bytes.
pub(crate) fn trust(meta: Option<&Meta>, log_id: u128, log_start: Lsn, log_end: Lsn) -> Verdict {
    let Some(meta) = meta else { return Verdict::Rebuild("no checkpoint".into()) };
    if meta.log_id != log_id && !planted!(AnotherLogsIndexTrusted) {
        return Verdict::Rebuild(format!("checkpoint of another log: log_id={:032x}", meta.log_id));
    }
    if (meta.index_lsn > log_end || meta.durable_lsn > log_end) && !planted!(IndexBeyondLogTrusted) {
        return Verdict::LogLost;
    }
    if meta.index_lsn < log_start && !planted!(OlderIndexTrusted) {
        return Verdict::Rebuild(format!("checkpoint older than the log: lsn={} start={log_start}", meta.index_lsn));
    }
    Verdict::Use
}
