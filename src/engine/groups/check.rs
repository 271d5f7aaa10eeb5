//! Holds the groups against their members.
//!
//! Never here: anything that changes something.

use std::collections::BTreeMap;

use crate::engine::Core;
use crate::engine::look::Source;
use crate::ids::JobId;
use crate::job::{State as JobState, namespace};

use super::{groups_of, read};

impl Core {
    /// Whether every group counts what its members are: by their records, one by one.
    pub(crate) fn check_groups(&self) -> std::result::Result<(), String> {
        let mut found: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let ids: Vec<JobId> = self.state.lock().books.index.jobs_from(JobId(0)).map(|(id, _)| id).collect();
        for id in ids {
            let Some((envelope, _)) = self.job(id).map_err(|e| e.to_string())? else { continue };
            let index = &self.state.lock().books.index;
            for group in groups_of(index, id, envelope.group) {
                let (pending, dead) = found.entry(group).or_default();
                *if matches!(envelope.state, JobState::Dead { .. }) { dead } else { pending } += 1;
            }
        }
        let state = self.state.lock();
        for (key, _) in state.books.index.cells(namespace::GROUP) {
            let Ok(key) = <[u8; 8]>::try_from(key) else { continue };
            let id = u64::from_be_bytes(key);
            let group = read(&state.books.index, id).ok_or(format!("group={id} cannot be read"))?;
            let found = found.remove(&id).unwrap_or_default();
            if (group.pending(), group.dead) != found {
                return Err(format!("group={id} has {found:?} members pending and dead, and says {group:?}"));
            }
        }
        found.first_key_value().map_or(Ok(()), |(id, found)| Err(format!("group={id} is gone, and has {found:?}")))
    }
}
