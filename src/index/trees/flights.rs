//! `in_flight`: id → the lease.
//!
//! ```text
//! entry: head varint | counter | epoch, lane, priority      key: id u64 BE
//! head:  id step << 1 | same epoch, lane and priority as the one before
//! counter: signed step from the counter before
//! ```

use super::super::keys::{InFlight, LaneId};
use super::super::packed::Layout;
use super::super::varint::{self, Reader};
use crate::ids::Token;

const STEP_IN_HEAD: u64 = (1 << 63) - 1;

#[derive(Debug)]
pub(in crate::index) struct Flights;

fn shared(flight: &InFlight) -> (u64, u32, i16) {
    (flight.token.epoch, flight.lane.0, flight.priority)
}

impl Layout for Flights {
    type Key = u64;
    type Value = InFlight;

    fn key_bytes(key: u64) -> Box<[u8]> {
        Box::new(key.to_be_bytes())
    }

    fn key_from(bytes: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    fn start(low: u64) -> (u64, InFlight) {
        (low, InFlight { token: Token { epoch: 0, counter: 0 }, lane: LaneId(0), priority: 0 })
    }

    fn encode(before: &(u64, InFlight), item: &(u64, InFlight), out: &mut Vec<u8>) {
        let step = item.0.wrapping_sub(before.0);
        let same = shared(&item.1) == shared(&before.1);
        let in_head = step.min(STEP_IN_HEAD);
        varint::put(out, in_head << 1 | u64::from(same));
        if in_head == STEP_IN_HEAD {
            varint::put(out, step - STEP_IN_HEAD);
        }
        varint::put(out, varint::zigzag(before.1.token.counter, item.1.token.counter));
        if !same {
            varint::put(out, item.1.token.epoch);
            varint::put(out, u64::from(item.1.lane.0));
            varint::put(out, u64::from(item.1.priority.cast_unsigned()));
        }
    }

    #[inline]
    fn decode(before: &(u64, InFlight), from: &mut Reader<'_>) -> Option<(u64, InFlight)> {
        let head = from.varint()?;
        let mut step = head >> 1;
        if step == STEP_IN_HEAD {
            step = step.checked_add(from.varint()?)?;
        }
        let id = before.0.checked_add(step)?;
        let counter = varint::unzigzag(before.1.token.counter, from.varint()?);
        let (epoch, lane, priority) =
            if head & 1 == 1 { shared(&before.1) } else { (from.varint()?, from.u32()?, from.u16()?.cast_signed()) };
        Some((id, InFlight { token: Token { epoch, counter }, lane: LaneId(lane), priority }))
    }
}
