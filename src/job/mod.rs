//! What a job is and may become. Pure: no I/O, no clock, no randomness, no positions.
//!
//! * [`Envelope`] is everything about a job but its args; [`State`] where it stands.
//! * [`next`] is the one function that decides every change of state.
//! * [`Group`] is what is counted of jobs that belong together.
//! * [`BulkRun`] is a verb for all jobs that match, on its way; [`Audit`] what is kept of it.
//! * [`Record`]s are what the log keeps; [`encode`] and [`decode`] turn them into bytes and back.
//!
//! Never here: where a record lies, which job is next, when something is due.

mod bulk;
mod codec;
mod envelope;
mod event;
mod group;
mod record;
mod retry;
mod state;
mod transition;

#[cfg(all(test, not(backlog_shuttle)))]
mod tests;

#[allow(unused_imports, reason = "the floor's contract; later floors take what they need")]
pub(crate) use self::{
    bulk::{Audit, BulkCounts, BulkRun, BulkVerb, Criteria},
    codec::{
        DecodeError, GROUP_BYTES_MAX, Peek, decode, decode_audit, decode_bulk, decode_group, encode, encode_audit,
        encode_bulk, encode_group, encode_job, peek,
    },
    envelope::{AttemptError, Envelope, Extra, MAX_ATTEMPTS_DEFAULT, QUEUE_DEFAULT, Scope, Sealed, Unique, cut},
    event::{Event, Next, Refusal},
    group::{Callback, Group, Role, Step, Verdict},
    record::{
        Cause, CellRecord, ClaimRun, Claimed, Counters, Due, Ended, JobRecord, Opened, Record, Removes, Totals, kind,
        namespace,
    },
    state::State,
    transition::next,
};
pub use self::{
    envelope::{Codec, ErrorCause},
    event::Ending,
    retry::Backoff,
};
