//! What follows from a group's cell: callbacks are let go or discarded, finished groups are forgotten.
//!
//! # Invariants
//! * A callback is confirmed or discarded only while it is held, like any held job, and whatever a crash undoes of that is
//!   done again.
//! * A group is forgotten only when nothing can happen to it and none of its callbacks waits for it.
//!
//! Never here: when a callback is due (`job::group`).

use std::time::Duration;

use crate::engine::Core;
use crate::engine::staging::{Try, entries_len};
use crate::engine::state::State;
use crate::error::{ErrorKind, Result};
use crate::ids::{Millis, Phase};
use crate::job::{Group, Verdict, namespace};
use crate::log::Class;

use super::{Company, Groups, read};

/// How long the counts of a finished group are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Finished groups whose counts are kept, count.
const KEPT_MAX: usize = 10_000;
/// Cells cleared in one frame.
const CLEARED_MAX: usize = 500;

impl Groups {
    /// Finished long ago, or before many others. A callback that could not be let go yet is found by its group alone.
    fn to_forget(&self, now: Millis) -> Vec<(Millis, u64)> {
        let surplus = self.finished.len().saturating_sub(KEPT_MAX);
        let old = self.finished.iter().enumerate().take_while(|(nth, (at, _))| *nth < surplus || at.after(KEPT) <= now);
        old.map(|(_, group)| *group).filter(|(_, id)| !self.due.contains(id)).take(CLEARED_MAX).collect()
    }
}

impl Core {
    /// Callbacks that are due are let go, those that never will be are discarded. Gives how many.
    pub(crate) fn release_callbacks(&self) -> Result<u64> {
        let due: Vec<u64> = self.state.lock().groups.due.iter().copied().collect();
        let (mut released, mut refused) = (0, None);
        for id in due {
            match self.release_of(id) {
                Ok(count) => released += count,
                Err(why) => refused = Some(why),
            }
        }
        refused.map_or(Ok(released), Err)
    }

    fn release_of(&self, id: u64) -> Result<u64> {
        let mut released = 0;
        let group = read(&self.state.lock().books.index, id);
        for callback in group.iter().flat_map(Group::judged) {
            let Some(entry) = self.state.lock().books.index.get(callback.id) else { continue };
            if entry.phase != Phase::Held {
                continue;
            }
            let done = match callback.verdict {
                Verdict::Void => self.discard(callback.id),
                Verdict::Due | Verdict::Waits => self.confirm(callback.id),
            };
            match done {
                Ok(_) => released += 1,
                Err(damage) if damage.kind() == ErrorKind::Corrupt => {
                    self.put_aside_at(callback.id, entry.place, &damage)?;
                }
                Err(refused) => return Err(refused),
            }
        }
        self.state.lock().groups.due.remove(&id);
        Ok(released)
    }

    /// Groups that finished long ago are forgotten. Gives how many.
    pub(crate) fn forget_groups(&self) -> Result<usize> {
        let mut forgotten = 0;
        loop {
            let now = self.clock.now_ms();
            match self.attempt(|state| self.forget_some(state, now))? {
                Some(groups) => forgotten += groups,
                None => return Ok(forgotten),
            }
        }
    }

    /// Clears the cells of groups that finished first, each group's own cell last, and gives how many went whole. `None`:
    /// none is to be forgotten now.
    fn forget_some(&self, state: &mut State, now: Millis) -> Result<Try<Option<usize>>> {
        let mut company = Company::default();
        let mut gone = Vec::new();
        for (at, id) in state.groups.to_forget(now) {
            let mut keys = state.books.index.cell_keys_beginning(namespace::GROUP, &id.to_be_bytes());
            keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
            let whole = keys.len() <= CLEARED_MAX.saturating_sub(company.cells.len());
            if !whole && !company.is_empty() {
                break;
            }
            for key in keys.into_iter().take(CLEARED_MAX) {
                company.set(namespace::GROUP, key.into_vec(), None);
            }
            gone.extend(whole.then_some((at, id)));
        }
        if !company.is_empty() {
            if !self.make_room(state, entries_len(&company.entries), Class::Closing) {
                return Ok(Try::NoRoom(Class::Closing));
            }
            self.stage_company(state, &company)?;
        }
        for group in &gone {
            state.groups.finished.remove(group);
        }
        Ok(Try::Done((!company.is_empty() || !gone.is_empty()).then_some(gone.len())))
    }
}
