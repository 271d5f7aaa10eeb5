//! `ready`: the ids ready in each (lane, priority), as runs of neighbouring ids.
//!
//! ```text
//! entry: head varint | …      key: lane u32 BE | rank u16 BE | first id u64 BE
//! head:  (gap << 2) | long << 1 | 0                  same lane and rank: gap from the end of the run before
//!        long << 1 | 1, then lane step, rank, first id varint     another lane or rank
//! then, if long: ids in the run − 2
//! ```
//! A queue of its own that is fed in order is one entry however long it is; in the worst case an id costs one or two
//! bytes. The rank is the priority turned round, so that the best job of a lane comes first.

use super::super::packed::{Layout, Packed};
use super::super::varint::{self, Reader};

/// Where a run starts: (lane, rank, first id).
pub(in crate::index) type RunKey = (u32, u16, u64);

/// High priorities first.
pub(in crate::index) fn rank(priority: i16) -> u16 {
    // Shifts −32768..=32767 to 0..=65535, then turns it round.
    planted!(PriorityTurnedRound, priority.cast_unsigned() ^ 0x8000, !(priority.cast_unsigned() ^ 0x8000))
}

pub(in crate::index) fn priority(rank: u16) -> i16 {
    (planted!(PriorityTurnedRound, rank, !rank) ^ 0x8000).cast_signed()
}

#[derive(Debug)]
pub(in crate::index) struct Runs;

impl Layout for Runs {
    type Key = RunKey;
    /// How many ids; never 0.
    type Value = u64;

    fn key_bytes((lane, rank, id): RunKey) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(14);
        bytes.extend_from_slice(&lane.to_be_bytes());
        bytes.extend_from_slice(&rank.to_be_bytes());
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.into()
    }

    fn key_from(bytes: &[u8]) -> Option<RunKey> {
        let (lane, rest) = bytes.split_first_chunk()?;
        let (rank, id) = rest.split_first_chunk()?;
        Some((u32::from_be_bytes(*lane), u16::from_be_bytes(*rank), u64::from_be_bytes(id.try_into().ok()?)))
    }

    fn start(low: RunKey) -> (RunKey, u64) {
        (low, 0)
    }

    fn encode(before: &(RunKey, u64), item: &(RunKey, u64), out: &mut Vec<u8>) {
        let (key, len) = *item;
        let long = u64::from(len > 1) << 1;
        let end = before.0.2.wrapping_add(before.1);
        let gap = key.2.wrapping_sub(end);
        if (key.0, key.1) == (before.0.0, before.0.1) && gap < 1 << 62 {
            varint::put(out, gap << 2 | long);
        } else {
            varint::put(out, long | 1);
            varint::put(out, u64::from(key.0.wrapping_sub(before.0.0)));
            varint::put(out, u64::from(key.1));
            varint::put(out, key.2);
        }
        if long != 0 {
            varint::put(out, len - 2);
        }
    }

    #[inline]
    fn decode(before: &(RunKey, u64), from: &mut Reader<'_>) -> Option<(RunKey, u64)> {
        let head = from.varint()?;
        let key = if head & 1 == 0 {
            let end = before.0.2.checked_add(before.1)?;
            (before.0.0, before.0.1, end.checked_add(head >> 2)?)
        } else {
            (before.0.0.checked_add(from.u32()?)?, from.u16()?, from.varint()?)
        };
        let len = if head & 2 == 0 { 1 } else { from.varint()?.checked_add(2)? };
        // The last id of a run is an id.
        key.2.checked_add(len - 1)?;
        Some((key, len))
    }

    fn last(item: &(RunKey, u64)) -> RunKey {
        let ((lane, rank, id), len) = *item;
        (lane, rank, id.saturating_add(len.saturating_sub(1)))
    }
}

impl Packed<Runs> {
    /// False, and nothing changed, if the id is there already.
    #[inline]
    pub(in crate::index) fn insert_id(&mut self, lane: u32, rank: u16, id: u64) -> bool {
        let key = (lane, rank, id);
        self.edit(key, |runs| {
            let behind = match runs.back() {
                Some(last) if last.0 <= key => runs.len(),
                _ => runs.partition_point(|run| run.0 <= key),
            };
            let mut grown = None;
            if let Some(at) = behind.checked_sub(1)
                && let Some((start, len)) = runs.get_mut(at)
                && (start.0, start.1) == (lane, rank)
            {
                let into = id - start.2;
                if into < *len {
                    return false;
                }
                if into == *len {
                    *len += 1;
                    grown = Some(at);
                }
            }
            let touches =
                runs.get(behind).is_some_and(|next| Some(next.0) == id.checked_add(1).map(|id| (lane, rank, id)));
            match (grown, touches) {
                (Some(at), true) => {
                    let joined = runs.remove(behind).map_or(0, |next| next.1);
                    if let Some(run) = runs.get_mut(at) {
                        run.1 += joined;
                    }
                }
                (Some(_), false) => {}
                (None, true) => {
                    if let Some(next) = runs.get_mut(behind) {
                        *next = (key, next.1 + 1);
                    }
                }
                (None, false) => runs.insert(behind, (key, 1)),
            }
            true
        })
    }

    /// False, and nothing changed, if the id is not there.
    #[inline]
    pub(in crate::index) fn remove_id(&mut self, lane: u32, rank: u16, id: u64) -> bool {
        let key = (lane, rank, id);
        self.edit(key, |runs| {
            let behind = match runs.front() {
                // Work happens at the front.
                Some(first) if first.0 <= key && runs.get(1).is_none_or(|next| key < next.0) => 1,
                _ => runs.partition_point(|run| run.0 <= key),
            };
            let Some(at) = behind.checked_sub(1) else { return false };
            let Some((start, len)) = runs.get_mut(at) else { return false };
            if (start.0, start.1) != (lane, rank) || id - start.2 >= *len {
                return false;
            }
            let (before, after) = (id - start.2, *len - (id - start.2) - 1);
            match (before, after) {
                (0, 0) if at == 0 => drop(runs.pop_front()),
                (0, 0) => drop(runs.remove(at)),
                (0, _) => {
                    start.2 += 1;
                    *len -= 1;
                }
                (_, 0) => *len -= 1,
                (_, _) => {
                    *len = before;
                    runs.insert(behind, ((lane, rank, id + 1), after));
                }
            }
            true
        })
    }
}
