//! `scheduled`, `dead` and `held`: (time, id) → lane and one small number.
//!
//! ```text
//! entry: head varint | time step… | id | lane, extra      key: time u64 BE | id u64 BE
//! head:  time step << 1 | same lane and extra as the one before
//! id:    same time: step from the id before; else signed step from it
//! ```
//! A random `run_at` costs 2–4 bytes, the id 1–4, the lane nothing where neighbours share it. Held jobs have time 0.

use super::super::packed::Layout;
use super::super::varint::{self, Reader};

/// (milliseconds, id).
pub(in crate::index) type TimeKey = (u64, u64);

/// `extra`: the priority's bits of a scheduled job, the phase's code of a dead one, 0 of a held one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index) struct Waiting {
    pub(in crate::index) lane: u32,
    pub(in crate::index) extra: u16,
}

/// Beyond it the step stands in a varint of its own.
const STEP_IN_HEAD: u64 = (1 << 63) - 1;

#[derive(Debug)]
pub(in crate::index) struct Timed;

impl Layout for Timed {
    type Key = TimeKey;
    type Value = Waiting;
    /// Random times meet another leaf with every insert.
    const LEAF_ENTRIES_MAX: usize = 128;

    fn key_bytes((at, id): TimeKey) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(16);
        bytes.extend_from_slice(&at.to_be_bytes());
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.into()
    }

    fn key_from(bytes: &[u8]) -> Option<TimeKey> {
        let (at, id) = bytes.split_first_chunk()?;
        Some((u64::from_be_bytes(*at), u64::from_be_bytes(id.try_into().ok()?)))
    }

    fn start(low: TimeKey) -> (TimeKey, Waiting) {
        (low, Waiting { lane: 0, extra: 0 })
    }

    fn encode(before: &(TimeKey, Waiting), item: &(TimeKey, Waiting), out: &mut Vec<u8>) {
        let ((at, id), waiting) = *item;
        let step = at.wrapping_sub(before.0.0);
        let same = u64::from(waiting == before.1);
        let in_head = step.min(STEP_IN_HEAD);
        varint::put(out, in_head << 1 | same);
        if in_head == STEP_IN_HEAD {
            varint::put(out, step - STEP_IN_HEAD);
        }
        if step == 0 {
            varint::put(out, id.wrapping_sub(before.0.1));
        } else {
            varint::put(out, varint::zigzag(before.0.1, id));
        }
        if same == 0 {
            varint::put(out, u64::from(waiting.lane));
            varint::put(out, u64::from(waiting.extra));
        }
    }

    #[inline]
    fn decode(before: &(TimeKey, Waiting), from: &mut Reader<'_>) -> Option<(TimeKey, Waiting)> {
        let head = from.varint()?;
        let mut step = head >> 1;
        if step == STEP_IN_HEAD {
            step = step.checked_add(from.varint()?)?;
        }
        let at = before.0.0.checked_add(step)?;
        let id = match step {
            0 => before.0.1.checked_add(from.varint()?)?,
            _ => varint::unzigzag(before.0.1, from.varint()?),
        };
        let waiting = if head & 1 == 1 { before.1 } else { Waiting { lane: from.u32()?, extra: from.u16()? } };
        Some(((at, id), waiting))
    }
}
