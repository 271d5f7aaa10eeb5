//! What is kept of the room there is, so that on a full disk accepted work can still end (rule 10).
//!
//! # Invariants
//! * Every lease keeps the room of its end, and of what that end makes of groups: an ack never waits for compaction.
//! * The oldest segment can be carried to its end before anything else takes the room for that; once the carrier has
//!   stopped half way for want of room nothing is freed any more.
//! * What the maker keeps prepared on a disk with room is enough for every call: none waits for more.

use crate::job::namespace;
use crate::log::{Class, RESERVE};

use super::Core;
use super::groups;
use super::make::GOAL;
use super::state::State;

/// What the record of a job in flight is longer by than the one it was claimed by, at most, bytes.
const GRANT_GROWTH: u64 = 40;
/// The frame of an ack, at most, bytes.
const END_BYTES: u64 = 96;

/// The ends of all leases and of so many more, bytes.
fn owed_to_ends(state: &State, granted: usize) -> u64 {
    let member = if state.books.index.cell_count(namespace::GROUP) > 0 { groups::CELL_ROOM as u64 } else { 0 };
    let of_each = planted!(MembersKeepNoRoom, END_BYTES, END_BYTES + member);
    of_each.saturating_mul(state.leases.len().saturating_add(granted) as u64)
}

impl Core {
    /// Prepared segments the maker keeps while there is work: the ends of very many leases need more of them.
    pub(super) fn goal(&self, state: &State) -> u64 {
        let segment = u64::from(self.log.segment_bytes());
        GOAL + owed_to_ends(state, 0).saturating_add(segment / 4 * 3) / segment
    }

    /// Whether the frame would take room that is needed for more than it. Every lease keeps the room of its end;
    /// compaction keeps what lives in the oldest segment, which it carries before that segment goes; and what grows
    /// leaves a share to what ends.
    pub(super) fn leaves_too_little(&self, state: &State, granted: usize, bytes: usize, class: Class) -> bool {
        // The maker has done its part, or is about to: no call waits for more than that.
        let comes = if self.is_full() { self.goal(state) } else { RESERVE };
        if state.stage.prepared() >= comes {
            return false;
        }
        let segment = u64::from(self.log.segment_bytes());
        let ends = owed_to_ends(state, granted).saturating_add(bytes as u64);
        match class {
            _ if planted!(CarrierCornered) => false,
            Class::Ordinary | Class::Ending | Class::Carrying => false,
            Class::Closing => self.left(state) < ends.saturating_add(self.carrying(state)).saturating_add(segment / 8),
            Class::Growing => {
                // More runs begin only where those under way could fail and come back.
                let share = if granted > 0 { segment } else { segment / 4 };
                self.left(state) < ends.saturating_add(self.carrying(state)).saturating_add(share)
            }
        }
    }

    /// What is prepared and not staged to, bytes.
    fn left(&self, state: &State) -> u64 {
        let segment = u64::from(self.log.segment_bytes());
        state.stage.prepared().saturating_mul(segment).saturating_add(state.stage.rest())
    }

    /// What carrying the oldest segment takes, at most, bytes.
    fn carrying(&self, state: &State) -> u64 {
        let living = state.books.ledger.living(self.log.oldest());
        let growth = GRANT_GROWTH.saturating_mul(living.records.min(state.leases.len() as u64));
        // For heads, and for what is left of a segment when the next record does not fit.
        let lost = u64::from(self.log.segment_bytes()) / 32 + 2 * living.bytes / living.records.max(1);
        living.bytes.saturating_add(growth).saturating_add(lost)
    }

    /// Whether the oldest segment can be carried to its end, and leaves the leases the room of their ends.
    pub(super) fn oldest_fits(&self, state: &State) -> bool {
        let (left, carrying) = (self.left(state), self.carrying(state));
        let afterwards = left.saturating_add(u64::from(self.log.segment_bytes())).saturating_sub(carrying);
        planted!(CarrierCornered) || (left >= carrying && afterwards >= owed_to_ends(state, 0))
    }
}
