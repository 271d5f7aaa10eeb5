//! `jobs`: id → where its newest record lies, and the job's phase.
//!
//! ```text
//! entry: head u8 | id step varint | place step varint | len varint       key: id u64 BE
//! head:  phase (bits 0–2) · careful (3) · the next id (4) · right behind (5) · as long as the one before (6) · 0
//! ```
//! The place step is from the end of the record before, in units of 8 where both are aligned; bits 4, 5 and 6 each
//! leave their field out. Jobs enqueued in one frame cost one byte, or two to three if their lengths differ.

use super::super::packed::Layout;
use super::super::varint::{self, Reader};
use crate::ids::{Lsn, Phase, Place};

const PHASE: u8 = 0b111;
const CAREFUL: u8 = 1 << 3;
const NEXT_ID: u8 = 1 << 4;
const BEHIND: u8 = 1 << 5;
const SAME_LEN: u8 = 1 << 6;

/// The value of `jobs`, as small as it is kept in open leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index) struct Slot {
    lsn: u64,
    len: u32,
    /// Phase and careful, as in the head.
    state: u8,
}

impl Slot {
    pub(in crate::index) fn new(place: Place, phase: Phase, careful: bool) -> Self {
        let state = phase.code() | if careful { CAREFUL } else { 0 };
        Self { lsn: place.lsn.0, len: place.len, state }
    }

    pub(in crate::index) fn place(self) -> Place {
        Place { lsn: Lsn(self.lsn), len: self.len }
    }

    pub(in crate::index) fn phase(self) -> Phase {
        // Both ways in, `new` and `decode`, admit nothing else.
        Phase::from_code(self.state & PHASE).unwrap_or(Phase::Held)
    }

    pub(in crate::index) fn is(self, phase: Phase) -> bool {
        self.state & PHASE == phase.code()
    }

    pub(in crate::index) fn careful(self) -> bool {
        self.state & CAREFUL != 0
    }

    pub(in crate::index) fn set_place(&mut self, place: Place) {
        self.lsn = place.lsn.0;
        self.len = place.len;
    }

    pub(in crate::index) fn set_phase(&mut self, phase: Phase) {
        self.state = self.state & !PHASE | phase.code();
    }

    /// Where the next record of the same frame would start, turned so that aligned positions are small steps.
    fn next_turned(self) -> u64 {
        self.lsn.wrapping_add(u64::from(self.len).next_multiple_of(8)).rotate_right(3)
    }
}

#[derive(Debug)]
pub(in crate::index) struct Jobs;

impl Layout for Jobs {
    type Key = u64;
    type Value = Slot;

    fn key_bytes(key: u64) -> Box<[u8]> {
        Box::new(key.to_be_bytes())
    }

    fn key_from(bytes: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    fn start(low: u64) -> (u64, Slot) {
        (low, Slot { lsn: 0, len: 0, state: 0 })
    }

    #[inline]
    fn encode(before: &(u64, Slot), item: &(u64, Slot), out: &mut Vec<u8>) {
        let (expected, turned) = (before.1.next_turned(), item.1.lsn.rotate_right(3));
        let next_id = item.0 == before.0.wrapping_add(1);
        let behind = turned == expected;
        let same_len = item.1.len == before.1.len;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.push(item.1.state | flag(next_id, NEXT_ID) | flag(behind, BEHIND) | flag(same_len, SAME_LEN));
        if !next_id {
            varint::put(out, item.0.wrapping_sub(before.0));
        }
        if !behind {
            varint::put(out, varint::zigzag(expected, turned));
        }
        if !same_len {
            varint::put(out, u64::from(item.1.len));
        }
    }

    #[inline]
    fn decode(before: &(u64, Slot), from: &mut Reader<'_>) -> Option<(u64, Slot)> {
        let head = from.byte()?;
        let state = head & (PHASE | CAREFUL);
        if head & 0x80 != 0 || !matches!(state & PHASE, 1..=6) {
            return None;
        }
        let step = if head & NEXT_ID != 0 { 1 } else { from.varint()? };
        let id = before.0.checked_add(step)?;
        let expected = before.1.next_turned();
        let turned = if head & BEHIND != 0 { expected } else { varint::unzigzag(expected, from.varint()?) };
        let len = if head & SAME_LEN != 0 { before.1.len } else { from.u32()? };
        Some((id, Slot { lsn: turned.rotate_left(3), len, state }))
    }
}
