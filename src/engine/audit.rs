//! What operators did, as far back as it is kept: one cell for each deed, in the frame that ends it.
//!
//! # Invariants
//! * A record's key is its time and its number; numbers rise, also over restarts, as long as one record is kept.
//! * Records go by themselves when their time is over, like every cell with an end.
//!
//! Never here: what the deeds are.

use std::time::{Duration, SystemTime};

use crate::error::Result;
use crate::ids::{AuditId, Millis};
use crate::index::Index;
use crate::job::{Audit, BulkCounts, decode_audit, encode_audit, namespace};
use crate::log::Class;

use super::Core;
use super::commit::Ticket;
use super::look::Source;
use super::settings::Durability;
use super::settle::CellSet;
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// How long an audit record is kept.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// What somebody did to many jobs, or to the backlog as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Its number; rises.
    pub number: AuditId,
    /// When it was done with.
    pub at: SystemTime,
    /// Who did it, by his own word.
    pub who: String,
    /// What was asked for.
    pub what: String,
    /// What came of it, of a [bulk](crate::Backlog::bulk) verb.
    pub bulk: Option<BulkDone>,
}

/// What became of the jobs that a [bulk](crate::Backlog::bulk) verb met, count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkDone {
    /// The number of its [audit record](crate::Backlog::audit).
    pub audit: AuditId,
    /// Jobs that were changed.
    pub changed: u64,
    /// Jobs that run, and were asked to stop; only by `cancel`.
    pub requested: u64,
    /// Jobs that stood so already, or in a state which the verb does not change.
    pub refused: u64,
    /// Jobs that run: only `cancel` reaches them.
    pub running: u64,
    /// Jobs whose unique key another live job holds.
    pub duplicate: u64,
    /// Jobs whose record could not be read, and that were left alone.
    pub unreadable: u64,
}

impl BulkDone {
    pub(super) fn new(audit: AuditId, counts: BulkCounts) -> Self {
        let BulkCounts { changed, requested, refused, running, duplicate, unreadable } = counts;
        Self { audit, changed, requested, refused, running, duplicate, unreadable }
    }

    /// All jobs that were met.
    pub fn total(&self) -> u64 {
        let Self { changed, requested, refused, running, duplicate, unreadable, .. } = *self;
        BulkCounts { changed, requested, refused, running, duplicate, unreadable }.total()
    }
}

fn key_of(at: Millis, number: AuditId) -> Vec<u8> {
    [at.0.to_be_bytes(), number.0.to_be_bytes()].concat()
}

fn of_key(key: &[u8]) -> Option<(Millis, AuditId)> {
    let (at, number) = key.split_first_chunk::<8>()?;
    Some((Millis(u64::from_be_bytes(*at)), AuditId(u64::from_be_bytes(number.try_into().ok()?))))
}

/// The cell of a record.
pub(super) fn cell(at: Millis, number: AuditId, audit: &Audit) -> CellSet {
    CellSet {
        namespace: namespace::AUDIT,
        key: key_of(at, number),
        value: Some(encode_audit(audit)),
        until: Some(at.after(KEPT)),
    }
}

/// The first number that no record has, nor a bulk verb that will leave one.
pub(super) fn first_free(index: &Index) -> u64 {
    let audited = index.cells(namespace::AUDIT).filter_map(|(key, _)| of_key(key)).map(|(_, number)| number.0);
    let coming = index.cells(namespace::BULK).filter_map(|(key, _)| key.try_into().ok()).map(u64::from_be_bytes);
    audited.chain(coming).max().map_or(1, |newest| newest.saturating_add(1))
}

impl State {
    /// A number no audit record has had.
    pub(super) fn draw_audit(&mut self) -> AuditId {
        let number = self.next_audit;
        self.next_audit = number.saturating_add(1);
        AuditId(number)
    }
}

impl Core {
    /// Leaves a record of a deed that is no bulk verb.
    #[allow(dead_code, reason = "for the faces above: the command line and the console")]
    pub(crate) fn audit(&self, who: &str, what: &str) -> Result<(AuditId, Ticket)> {
        let audit = Audit { who: who.to_owned(), what: what.to_owned(), counts: None };
        let at = self.clock.now_ms();
        let class = Class::Closing;
        self.attempt(|state| {
            let number = AuditId(state.next_audit);
            let cell = cell(at, number, &audit);
            let entry = Entry::new(0, &crate::job::Record::Cell(cell.record()));
            if !self.make_room(state, entries_len([&entry]), class) {
                return Ok(Try::NoRoom(class));
            }
            state.draw_audit();
            let (place, lsn) = self.put_one(state, entry);
            self.file_cell(state, &cell.record(), place)?;
            Ok(Try::Done((number, Ticket { lsn, level: Durability::Sync })))
        })
    }
}

/// The newest audit records, newest first.
pub(crate) fn audits(source: &impl Source, limit: usize) -> Result<Vec<AuditRecord>> {
    let mut keys = source.cell_keys_in(namespace::AUDIT);
    keys.reverse();
    let mut found = Vec::new();
    for key in keys {
        if found.len() >= limit {
            break;
        }
        let Some((at, number)) = of_key(&key) else { continue };
        let Some((value, _)) = source.cell_value(namespace::AUDIT, &key)? else { continue };
        // What a newer release wrote is its own to show.
        let Ok(audit) = decode_audit(&value) else { continue };
        found.push(AuditRecord {
            number,
            at: at.to_system(),
            who: audit.who,
            what: audit.what,
            bulk: audit.counts.map(|counts| BulkDone::new(number, counts)),
        });
    }
    Ok(found)
}
