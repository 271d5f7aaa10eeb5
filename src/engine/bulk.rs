//! One verb for all jobs that match, in frames of at most a thousand: each job's change, how far the verb is, and at the
//! end one audit record.
//!
//! Its caller drives it, frame by frame; what he leaves unfinished (he died, the disk was full) upkeep goes on with. A job
//! is changed by the same transition, the same books and the same groups as by the verb for one.
//!
//! # Invariants
//! * What a frame changed and how far the verb is are one frame: no job is changed twice, none is passed over.
//! * One driver: whoever has the number in `driven`. The others take nothing but a cell nobody drives.
//! * Nothing is read under the lock, and every job is compared again under it (rule 9).
//!
//! Never here: which jobs match, what is done to them (`job::bulk`, `job::next`).

mod chunk;
mod reading;

use std::collections::BTreeSet;

use crate::error::{ErrorKind, Result};
use crate::ids::{AuditId, GroupId, Phase};
use crate::job::{BulkRun, BulkVerb, Criteria, decode_bulk, namespace};

use super::Core;
use super::audit::BulkDone;
use super::commit::Ticket;
use super::look::Source;
use super::state::State;

/// The bulk verbs that somebody goes on with, and what came of those that nobody does.
#[derive(Debug, Default)]
pub(super) struct Bulks {
    driven: BTreeSet<AuditId>,
    /// Their cells cannot be read by this release, or at all: they stay as they are.
    given_up: BTreeSet<AuditId>,
    /// The disk had no room for the last frame: later.
    no_room: bool,
}

impl Bulks {
    fn left(&self, state: &State) -> Vec<AuditId> {
        let keys = state.books.index.cells(namespace::BULK).filter_map(|(key, _)| key.try_into().ok());
        let numbers = keys.map(|key| AuditId(u64::from_be_bytes(key)));
        numbers.filter(|number| !self.driven.contains(number) && !self.given_up.contains(number)).collect()
    }
}

/// Drives one bulk verb, until it is dropped.
struct Driver<'a> {
    core: &'a Core,
    number: AuditId,
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.core.state.lock().bulks.driven.remove(&self.number);
        // What is left of it, if anything, is upkeep's.
        self.core.upkeep.ring();
    }
}

fn key_of(number: AuditId) -> Vec<u8> {
    number.0.to_be_bytes().to_vec()
}

impl Core {
    /// Does it to every job that matches and was there at the start; calls `progress` with the number of jobs met after
    /// each frame.
    pub(crate) fn bulk(
        &self,
        who: &str,
        verb: BulkVerb,
        criteria: &Criteria,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(BulkDone, Ticket)> {
        let (driver, mut run) = {
            let mut state = self.state.lock();
            self.check_life(&state)?;
            let number = state.draw_audit();
            state.bulks.driven.insert(number);
            let run = BulkRun::new(who.to_owned(), verb, criteria.clone(), state.next_id);
            (Driver { core: self, number }, run)
        };
        loop {
            let over = self.bulk_step(driver.number, &mut run)?;
            progress(run.counts.total());
            if let Some(ticket) = over {
                return Ok((BulkDone::new(driver.number, run.counts), ticket));
            }
        }
    }

    /// Cancels every live member of a group. `None`: there is no such group.
    pub(crate) fn cancel_group(&self, who: &str, id: GroupId) -> Result<Option<(BulkDone, Ticket)>> {
        if self.group_status(id).is_none() {
            return Ok(None);
        }
        let members = Criteria { group: Some(id.0), ..Criteria::default() };
        self.bulk(who, BulkVerb::Cancel, &members, &mut |_| {}).map(Some)
    }

    /// One frame of each bulk verb that nobody drives. Gives how many were gone on with.
    pub(crate) fn continue_bulks(&self) -> Result<u64> {
        let left = {
            let state = self.state.lock();
            if state.books.index.cell_count(namespace::BULK) == 0 {
                return Ok(0);
            }
            state.bulks.left(&state)
        };
        let mut steps = 0;
        let mut no_room = false;
        for number in left {
            match self.continue_bulk(number) {
                Ok(()) => steps += 1,
                // It stands as it stood, and comes again.
                Err(full) if full.kind() == ErrorKind::Full => no_room = true,
                Err(refused) => return Err(refused),
            }
        }
        self.state.lock().bulks.no_room = no_room;
        Ok(steps)
    }

    fn continue_bulk(&self, number: AuditId) -> Result<()> {
        let driver = {
            let mut state = self.state.lock();
            if !state.bulks.driven.insert(number) {
                return Ok(());
            }
            Driver { core: self, number }
        };
        let value = match self.cell_value(namespace::BULK, &key_of(number)) {
            Ok(value) => value,
            Err(damage) if damage.kind() == ErrorKind::Corrupt => {
                self.state.lock().bulks.given_up.insert(number);
                return Ok(());
            }
            Err(refused) => return Err(refused),
        };
        // Its driver ended it meanwhile.
        let Some((value, _)) = value else { return Ok(()) };
        let Ok(mut run) = decode_bulk(&value) else {
            self.state.lock().bulks.given_up.insert(number);
            return Ok(());
        };
        self.bulk_step(driver.number, &mut run).map(drop)
    }

    /// Whether upkeep has a bulk verb to go on with at once.
    pub(super) fn bulks_wait(state: &State) -> bool {
        state.books.index.cell_count(namespace::BULK) > 0 && !state.bulks.no_room && !state.bulks.left(state).is_empty()
    }

    /// How many jobs match now.
    pub(crate) fn count_matching(&self, criteria: &Criteria) -> Result<u64> {
        let plain = Criteria { queue: criteria.queue.clone(), phase: criteria.phase, ..Criteria::default() };
        if *criteria == plain {
            return Ok(self.count_plain(criteria));
        }
        let ceiling = self.state.lock().next_id;
        let mut run = BulkRun::new(String::new(), BulkVerb::Requeue, criteria.clone(), ceiling);
        let mut matching = 0_u64;
        loop {
            let found = self.next_matching(&run)?;
            let fitting = found.jobs.iter().filter(|(_, seen)| seen.is_ok());
            matching = matching.saturating_add(fitting.count() as u64);
            run.through = found.through;
            if found.at_end {
                return Ok(matching);
            }
        }
    }

    /// By queue and state alone: the index counts them.
    fn count_plain(&self, criteria: &Criteria) -> u64 {
        let state = self.state.lock();
        let index = &state.books.index;
        let lanes = index
            .lanes()
            .filter(|(_, name)| criteria.queue.as_ref().is_none_or(|queue| queue == super::lines::queue_of(name)));
        let counted = lanes.flat_map(|(lane, _)| Phase::ALL.into_iter().zip(index.counts(lane)));
        counted.filter(|(phase, _)| criteria.phase.is_none_or(|wanted| wanted == *phase)).map(|(_, jobs)| jobs).sum()
    }
}
