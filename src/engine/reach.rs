//! What is decided only when a job is reached, its record just read: that it has expired, that its kind is paused, or
//! that its unique key is free from now on (rules 18, 22).
//!
//! Jobs that may expire or free a key are careful, and so granted alone. The grant stands in the log already; this follows in a frame of its
//! own, before anybody is handed the job. Between the two a crash finds a job in flight that nobody saw.
//!
//! # Invariants
//! * A job is never handed out at or after its `expires_at`; it ends `Expired`, its key free.
//! * A key that is given up at the start is free before the handler runs, and stays free when the job is retried.
//!
//! Never here: who is granted (`claim`).

use std::collections::BTreeSet;

use crate::error::Result;
use crate::job::{self, Cause, Ending, Envelope, Removes, Scope};
use crate::log::Class;

use super::Core;
use super::claim::{Picked, holds};
use super::groups;
use super::settle::{Change, Settle};
use super::staging::{Entry, Try, entries_len};

/// A job as its holder is given it.
pub(super) struct Reached {
    pub(super) envelope: Envelope,
    /// As they are stored.
    pub(super) args: Vec<u8>,
    /// In plain, if they are stored sealed.
    pub(super) opened: Option<Vec<u8>>,
}

impl Core {
    /// What the holder is given. `None`: the job is not his any more.
    pub(super) fn reach(
        &self,
        pick: &Picked,
        envelope: Envelope,
        args: Vec<u8>,
        paused_kinds: &BTreeSet<String>,
    ) -> Result<Option<Reached>> {
        let expired = envelope.expires_at.is_some_and(|end| end <= self.clock.now_ms());
        if expired && !planted!(ExpiryIgnored) {
            self.expire_reached(pick, &envelope)?;
            return Ok(None);
        }
        if paused_kinds.contains(&envelope.kind) && !planted!(KindPauseIgnored) {
            let reason = format!("kind {:?} is paused", envelope.kind);
            return self.set_aside(pick, Reached { envelope, args, opened: None }, reason);
        }
        let opened = match self.open_sealed(pick.id, &envelope, &args)? {
            Ok(opened) => opened,
            Err(reason) => return self.set_aside(pick, Reached { envelope, args, opened: None }, reason),
        };
        let frees = envelope.unique.as_ref().is_some_and(|unique| unique.scope == Scope::UntilStarted);
        if frees && !planted!(KeyKeptAtTheStart) {
            let freed = self.free_key(pick)?;
            return Ok(freed.map(|(envelope, args)| Reached { envelope, args, opened }));
        }
        Ok(Some(Reached { envelope, args, opened }))
    }

    /// Parks what cannot be handed out.
    fn set_aside(&self, pick: &Picked, reached: Reached, reason: String) -> Result<Option<Reached>> {
        let grant = self.lease_out(pick, reached);
        self.settle(&grant, Settle::SetAside(reason))?;
        Ok(None)
    }

    fn expire_reached(&self, pick: &Picked, envelope: &Envelope) -> Result<()> {
        let ended = self.ended_in_flight(envelope, Ending::Expired);
        let bytes = entries_len([&Entry::new(pick.id.0, &job::Record::Ended(ended.clone()))]);
        self.attempt(|state| {
            if !holds(state, pick) {
                return Ok(Try::Done(()));
            }
            let bytes = bytes + groups::room_of(state, pick.id, envelope.group);
            if !self.make_room(state, bytes, Class::Ending) {
                return Ok(Try::NoRoom(Class::Ending));
            }
            self.file_change(state, pick.id, envelope, &Change::End(ended.clone()))?;
            Ok(Try::Done(()))
        })
    }

    /// Only a full record tells replay that the key is free. Read again: somebody may have cancelled the job since it
    /// was granted.
    fn free_key(&self, pick: &Picked) -> Result<Option<(Envelope, Vec<u8>)>> {
        loop {
            let Some(seen) = self.see(pick.id)? else { return Ok(None) };
            let mut envelope = seen.envelope.clone();
            if let Some(unique) = &mut envelope.unique {
                unique.scope = Scope::Started;
            }
            let removes = Removes::InFlight;
            let body = job::encode_job(&envelope, Cause::Changed, Some(&removes), &seen.args);
            let change = Change::Stand { envelope: Box::new(envelope), cause: Cause::Changed, removes, body };
            let bytes = entries_len([&change.entry(pick.id)]);
            let done = self.attempt(|state| {
                if !holds(state, pick) {
                    return Ok(Try::Done(Some(false)));
                }
                if !seen.still_stands(state, pick.id) {
                    return Ok(Try::Done(None));
                }
                if !self.make_room(state, bytes, change.class()) {
                    return Ok(Try::NoRoom(change.class()));
                }
                self.file_change(state, pick.id, &seen.envelope, &change)?;
                Ok(Try::Done(Some(true)))
            })?;
            match (done, change) {
                (Some(true), Change::Stand { envelope, .. }) => return Ok(Some((*envelope, seen.args))),
                (None, _) => {}
                _ => return Ok(None),
            }
        }
    }
}
