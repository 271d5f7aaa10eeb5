//! What a completed job leaves behind: its result, a cell in the very frame of its end.
//!
//! # Invariants
//! * The result is durable with the end it belongs to, or neither is.
//! * An end that brings nothing but a result is possible on a full disk, without the result (rule 10).
//!
//! Never here: what a result means, how long it is kept (its enqueuer said so).

use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, Millis};
use crate::job::namespace;

use super::Core;
use super::claim::Grant;
use super::commit::Ticket;
use super::enqueue::NewJob;
use super::look::Source;
use super::settle::CellSet;

/// The cell that keeps `value` as the result of the job with this grant, which ends at `now`. `None`: its enqueuer
/// wants none kept.
pub(crate) fn result_cell(grant: &Grant, value: Vec<u8>, now: Millis) -> Option<CellSet> {
    let keep_ms = grant.envelope.keep_result_ms.filter(|ms| *ms > 0)?;
    Some(CellSet {
        namespace: namespace::RESULT,
        key: grant.id.0.to_be_bytes().to_vec(),
        value: Some(value),
        until: Some(now.after(Duration::from_millis(keep_ms))),
    })
}

impl Core {
    /// An ack. What it brings is new work on a full disk and refused, but a result alone is let go of.
    pub(super) fn complete(&self, grant: &Grant, follow_ups: Vec<NewJob>, cells: &[CellSet]) -> Result<Option<Ticket>> {
        let only_results = follow_ups.is_empty()
            && cells.iter().all(|cell| cell.namespace == namespace::RESULT)
            && !planted!(ResultsHoldUpTheEnd);
        if !only_results || cells.is_empty() {
            return self.ack(grant, follow_ups, cells);
        }
        if !self.is_full() {
            match self.ack(grant, Vec::new(), cells) {
                Err(full) if full.kind() == ErrorKind::Full => {}
                other => return other,
            }
        }
        self.ack(grant, Vec::new(), &[])
    }

    /// The result of a completed job, while it is kept. The inner error: why it does not open.
    pub(crate) fn result(&self, id: JobId) -> Result<Option<std::result::Result<Vec<u8>, String>>> {
        let kept = self.cell_value(namespace::RESULT, &id.0.to_be_bytes())?;
        let now = self.clock.now_ms();
        let kept = kept.filter(|(_, until)| until.is_none_or(|until| until > now));
        Ok(kept.map(|(value, _)| self.open_result(id, value)))
    }
}
