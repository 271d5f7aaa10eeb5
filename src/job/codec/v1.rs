//! Version 1 of every record. Frozen: a change of any struct under here is a new version.

pub(super) mod bulk;
mod fields;
pub(super) mod group;
pub(super) mod job;
pub(super) mod rest;
mod shapes;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::bytes::{Bytes, List};
use crate::ids::Millis;
use crate::job::envelope::QUEUE_DEFAULT;
use crate::job::record::Removes;

/// The version byte.
pub(super) const VERSION: u8 = 1;

/// Fields from this tag on must be understood; below it a reader may do without.
const MUST_UNDERSTAND: u8 = 128;

/// Something optional, or something a later release adds. Lists of fields rise by tag.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct FieldV1<'a> {
    tag: u8,
    #[serde(borrow)]
    value: Bytes<'a>,
}

/// The index key a record takes away. Variant numbers are those of the phases; 0 is none.
#[derive(Serialize, Deserialize)]
enum RemovesV1<'a> {
    Nothing,
    Held { lane: &'a str },
    Scheduled { run_at: u64, lane: &'a str, priority: i16 },
    Ready { lane: &'a str, priority: i16 },
    InFlight,
    Dead { at: u64, lane: &'a str },
    Parked { at: u64, lane: &'a str },
}

impl<'a> RemovesV1<'a> {
    fn from_removes(removes: Option<&'a Removes>) -> Self {
        match removes {
            None => Self::Nothing,
            Some(Removes::Held { queue }) => Self::Held { lane: short(queue) },
            Some(Removes::Scheduled { run_at, queue, priority }) => {
                Self::Scheduled { run_at: run_at.0, lane: short(queue), priority: *priority }
            }
            Some(Removes::Ready { queue, priority }) => Self::Ready { lane: short(queue), priority: *priority },
            Some(Removes::InFlight) => Self::InFlight,
            Some(Removes::Dead { at, queue }) => Self::Dead { at: at.0, lane: short(queue) },
            Some(Removes::Parked { at, queue }) => Self::Parked { at: at.0, lane: short(queue) },
        }
    }

    fn into_removes(self) -> Option<Removes> {
        Some(match self {
            Self::Nothing => return None,
            Self::Held { lane } => Removes::Held { queue: long(lane).to_owned() },
            Self::Scheduled { run_at, lane, priority } => {
                Removes::Scheduled { run_at: Millis(run_at), queue: long(lane).to_owned(), priority }
            }
            Self::Ready { lane, priority } => Removes::Ready { queue: long(lane).to_owned(), priority },
            Self::InFlight => Removes::InFlight,
            Self::Dead { at, lane } => Removes::Dead { at: Millis(at), queue: long(lane).to_owned() },
            Self::Parked { at, lane } => Removes::Parked { at: Millis(at), queue: long(lane).to_owned() },
        })
    }
}

/// The default queue is stored as the empty text.
fn short(queue: &str) -> &str {
    if queue == QUEUE_DEFAULT { "" } else { queue }
}

fn long(stored: &str) -> &str {
    if stored.is_empty() { QUEUE_DEFAULT } else { stored }
}

/// For records that are read and never written again: what a later release added may be skipped, if it says so.
fn skip_added(kind: u8, added: &List<FieldV1<'_>>) -> Result<(), DecodeError> {
    match added.0.iter().find(|field| field.tag >= MUST_UNDERSTAND) {
        Some(field) => Err(DecodeError::UnknownField { kind, tag: field.tag }),
        None => Ok(()),
    }
}
