//! What is kept no longer: cells whose time is over, jobs that were dead for long enough (rule 19).
//!
//! # Invariants
//! * Whatever goes is logged, and what was a job is counted as pruned: replay reads no clock.
//! * Parked jobs are never pruned, however long they wait.
//! * A turn of upkeep looks at a bounded part, so the lock is never held for long.
//!
//! Never here: deciding how long something is kept (its enqueuer and the settings did).

use crate::error::Result;
use crate::ids::{JobId, Millis, Phase, Place};
use crate::job::{CellRecord, Ended, Ending, Record, Removes, Step};
use crate::log::Class;

use super::Core;
use super::groups::{self, Members};
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// Records written under one hold of the lock.
const PRUNE_AT_A_TIME: usize = 256;
/// Dead and parked jobs looked at under one hold of the lock.
const DEAD_LOOKED_AT: usize = 4_096;

impl Core {
    /// Lets go of everything that is kept no longer. Gives how many cells and jobs.
    pub(crate) fn prune(&self) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let now = self.clock.now_ms();
            let cells = self.attempt(|state| self.prune_cells(state, now))?;
            let jobs = self.attempt(|state| self.prune_dead(state, now))?;
            pruned += cells + jobs;
            if cells + jobs == 0 {
                return Ok(pruned);
            }
        }
    }

    fn prune_cells(&self, state: &mut State, now: Millis) -> Result<Try<u64>> {
        if planted!(CellsKeptForEver) {
            return Ok(Try::Done(0));
        }
        let over = state.books.index.cells_over(now).take(PRUNE_AT_A_TIME);
        let over: Vec<(u8, Vec<u8>)> = over.map(|(space, key)| (space, key.to_vec())).collect();
        let cleared: Vec<CellRecord<'_>> = over.iter().map(|(space, key)| cleared(*space, key)).collect();
        let entries: Vec<Entry> = cleared.iter().map(|cell| Entry::new(0, &Record::Cell(cell.clone()))).collect();
        let n = self.fitting(&entries);
        let (Some(entries), Some(cleared)) = (entries.get(..n), cleared.get(..n)) else { return Ok(Try::Done(0)) };
        if entries.is_empty() {
            return Ok(Try::Done(0));
        }
        if !self.make_room(state, entries_len(entries), Class::Closing) {
            return Ok(Try::NoRoom(Class::Closing));
        }
        let mut places: Vec<Place> = Vec::with_capacity(n);
        self.put(state, 0, entries, |_, place| places.push(place));
        for (cell, place) in cleared.iter().zip(places) {
            self.file_cell(state, cell, place)?;
        }
        Ok(Try::Done(n as u64))
    }

    fn prune_dead(&self, state: &mut State, now: Millis) -> Result<Try<u64>> {
        let Some(before) = self.dead_before(now) else { return Ok(Try::Done(0)) };
        let (over, next) = dead_until(state, before);
        // A dead job keeps no other out, so it has no key to free.
        let ended = |removes| Ended { removes, how: Ending::Pruned, unique: None, at: now };
        let ended: Vec<(JobId, Ended)> = over.into_iter().map(|(id, removes)| (id, ended(removes))).collect();
        let entries: Vec<Entry> =
            ended.iter().map(|(id, ended)| Entry::new(id.0, &Record::Ended(ended.clone()))).collect();
        let n = self.fitting(&entries);
        let entries = entries.get(..n).unwrap_or_default();
        if entries.is_empty() {
            state.dead_looked_at = next;
            return Ok(Try::Done(0));
        }
        let ended = ended.get(..n).unwrap_or_default();
        let members = Members::of(&state.books.index);
        let room = ended.iter().map(|(id, _)| groups::room_of(state, *id, members.group_of(*id))).sum::<usize>();
        if !self.make_room(state, entries_len(entries) + room, Class::Closing) {
            return Ok(Try::NoRoom(Class::Closing));
        }
        for (id, ended) in ended {
            let step = Step::Ended { how: ended.how, was_dead: true };
            planted!(PrunedMemberNotCounted, (), Self::note_member(state, *id, members.group_of(*id), Some(step)));
        }
        let company = self.company(state, &[], &[]);
        let mut places: Vec<Place> = Vec::with_capacity(n);
        self.put_refs(state, 0, entries.iter().chain(company.entries()), |_, place| places.push(place));
        for (id, ended) in ended {
            self.file_end(state, *id, ended)?;
        }
        self.file_company(state, &company, places.into_iter().skip(n))?;
        Ok(Try::Done(n as u64))
    }

    /// Jobs that died by then are kept no longer. `None`: the clock has not come so far.
    fn dead_before(&self, now: Millis) -> Option<Millis> {
        let keep_ms = u64::try_from(self.settings.keep_dead.as_millis()).unwrap_or(u64::MAX);
        now.0.checked_sub(keep_ms).map(Millis)
    }

    /// How many of these one frame holds, at least one.
    fn fitting(&self, entries: &[Entry]) -> usize {
        let mut n = entries.len();
        while n > 1 && entries_len(entries.iter().take(n)) > self.scaled.batch_bytes_max / 8 {
            n /= 2;
        }
        n
    }
}

/// A key among dead and parked jobs.
type DeadKey = (Millis, JobId);

/// The next few jobs that died by then, and where to look on if there are none among those looked at.
fn dead_until(state: &State, before: Millis) -> (Vec<(JobId, Removes)>, DeadKey) {
    let start = (Millis(0), JobId(0));
    let (mut over, mut looked_at) = (Vec::new(), 0);
    for (at, id, lane, phase) in state.books.index.dead_from(state.dead_looked_at) {
        if at > before {
            return (over, start);
        }
        if phase == Phase::Dead || planted!(ParkedArePruned) {
            over.push((id, Removes::Dead { at, queue: state.books.index.lane_name(lane).to_owned() }));
        }
        looked_at += 1;
        if looked_at >= DEAD_LOOKED_AT || over.len() >= PRUNE_AT_A_TIME {
            // Past a crowd of parked ones the next turn goes on from here.
            return (over, (at, id));
        }
    }
    (over, start)
}

fn cleared(namespace: u8, key: &[u8]) -> CellRecord<'_> {
    CellRecord { namespace, key, value: None, until: None, carried: false }
}
