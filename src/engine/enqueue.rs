//! Accepting jobs.
//!
//! # Invariants
//! * Args and their checksum are made outside the lock; decisions are made against the staged state.
//! * One call is one frame: all of its jobs or none (P4).
//! * An id is used only below a ceiling whose record is durable (rule 7).

use std::collections::HashMap;
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::error::{Error, Result};
use crate::ids::{JobId, Lsn, Millis, Place};
use crate::job::{self, Backoff, Cause, Codec, Envelope, Record, Scope, State as JobState, Unique};
use crate::limits::{BATCH_JOBS_MAX, ID_CEILING_STEP};
use crate::log::Class;

use super::Core;
use super::books::Filed;
use super::commit::Ticket;
use super::settings::Durability;
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// A job as a caller hands it in.
#[derive(Clone)]
pub(crate) struct NewJob {
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) codec: Codec,
    pub(crate) args: Vec<u8>,
    pub(crate) run_at: Option<Millis>,
    pub(crate) max_attempts: u32,
    pub(crate) unique: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) expires_at: Option<Millis>,
    pub(crate) backoff: Backoff,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) keep_result: Option<Duration>,
    pub(crate) hold: bool,
}

impl NewJob {
    pub(crate) fn new(kind: impl Into<String>, codec: Codec, args: Vec<u8>) -> Self {
        Self {
            kind: kind.into(),
            queue: job::QUEUE_DEFAULT.to_owned(),
            priority: 0,
            codec,
            args,
            run_at: None,
            max_attempts: job::MAX_ATTEMPTS_DEFAULT,
            unique: None,
            timeout: None,
            expires_at: None,
            backoff: Backoff::Default,
            tags: Vec::new(),
            metadata: Vec::new(),
            keep_result: None,
            hold: false,
        }
    }
}

/// What became of an enqueued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acceptance {
    /// Accepted as a new job.
    New,
    /// A live job with the same unique key stood already; nothing was added. Its id is given.
    Duplicate(JobId),
}

/// The answer to an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// The job that now stands for the call: the new one, or the one it duplicates.
    pub id: JobId,
    /// What became of it.
    pub acceptance: Acceptance,
}

impl Enqueued {
    fn new(id: JobId) -> Self {
        Self { id, acceptance: Acceptance::New }
    }

    fn duplicate(id: JobId) -> Self {
        Self { id, acceptance: Acceptance::Duplicate(id) }
    }

    /// Whether a job was added.
    pub fn is_new(&self) -> bool {
        matches!(self.acceptance, Acceptance::New)
    }
}

/// A job ready to be staged: everything but its id.
pub(super) struct Prepared {
    envelope: Envelope,
    entry: Entry,
}

impl Prepared {
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Core {
    /// Accepts jobs in one frame. The ticket says when the answer may be given.
    pub(crate) fn enqueue(&self, jobs: Vec<NewJob>, level: Durability) -> Result<(Vec<Enqueued>, Ticket)> {
        let mut prepared = self.prepare_all(jobs)?;
        let bytes = entries_len(prepared.iter().map(|job| &job.entry));
        self.attempt(|state| {
            if let Some(later) = self.ids_run_short(state, prepared.len()) {
                return Ok(later);
            }
            if !self.make_room(state, bytes, Class::Ordinary) {
                return Ok(Try::NoRoom(Class::Ordinary));
            }
            let (answers, end) =
                self.stage_new(state, std::mem::take(&mut prepared), Vec::new(), &mut Vec::new(), level)?;
            Ok(Try::Done((answers, Ticket { lsn: end, level })))
        })
    }

    /// Checks and encodes outside the lock.
    pub(super) fn prepare_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Prepared>> {
        if jobs.len() > planted!(BatchLimitOffByOne, BATCH_JOBS_MAX + 1, BATCH_JOBS_MAX) {
            return Err(Error::too_large(format!(
                "jobs={}: one call takes at most {BATCH_JOBS_MAX}; split it",
                jobs.len()
            )));
        }
        let now = self.clock.now_ms();
        let mut bytes = 0;
        let mut prepared = Vec::with_capacity(jobs.len());
        for job in jobs {
            let job = self.prepare(job, now)?;
            bytes += job.entry.body.bytes().len();
            prepared.push(job);
        }
        let max = self.scaled.batch_bytes_max;
        if bytes > max && !planted!(BatchBytesUnchecked) {
            return Err(Error::too_large(format!(
                "batch of {bytes} bytes: one call takes at most {max} bytes; split it"
            )));
        }
        self.check_frame(entries_len(prepared.iter().map(Prepared::entry)))?;
        Ok(prepared)
    }

    fn prepare(&self, job: NewJob, now: Millis) -> Result<Prepared> {
        let max = self.scaled.payload_bytes_max;
        if job.args.len() > planted!(ArgsLimitOffByOne, max + 1, max) {
            return Err(Error::too_large(format!(
                "args of {} bytes, kind={:?}: the limit is {max} bytes; store the data elsewhere and enqueue a reference",
                job.args.len(),
                job.kind
            )));
        }
        let state = match job.run_at {
            _ if job.hold => JobState::Held,
            Some(run_at) if run_at > now && !planted!(RunAtIgnored) => JobState::Scheduled { run_at },
            _ => JobState::Ready,
        };
        let unique = job.unique.map(|key| Unique {
            hash: unique_hash(&self.identity.hash_key, &job.kind, &key),
            key,
            scope: Scope::Live,
        });
        let mut envelope = Envelope::new(job.kind, now);
        envelope.queue = job.queue;
        envelope.priority = planted!(PriorityForgotten, 0, job.priority);
        envelope.codec = job.codec;
        envelope.state = state;
        envelope.run_at = job.run_at;
        envelope.max_attempts = job.max_attempts;
        envelope.unique = unique;
        envelope.timeout_ms = job.timeout.map(millis);
        envelope.expires_at = job.expires_at;
        envelope.backoff = job.backoff;
        envelope.tags = job.tags;
        envelope.metadata = job.metadata;
        envelope.keep_result_ms = job.keep_result.map(millis);
        let body = job::encode_job(&envelope, Cause::Enqueued, None, &job.args);
        Ok(Prepared { envelope, entry: Entry::job(0, body) })
    }

    /// Raises the ceiling in time. `Some`: the usable ids do not suffice, come back when this is done.
    pub(super) fn ids_run_short<T>(&self, state: &mut State, wanted: usize) -> Option<Try<T>> {
        let after = state.next_id.saturating_add(wanted as u64);
        if let Some((ceiling, end)) = state.raised
            && (planted!(CeilingBeforeDurable) || self.log.durable() >= end)
        {
            state.ceiling = ceiling;
            state.raised = None;
        }
        let low = after.saturating_add(ID_CEILING_STEP / 2) > state.ceiling;
        let raised = state.raised.is_some() || !low || self.raise_ceiling(state, after);
        if after <= state.ceiling {
            return None;
        }
        Some(match state.raised {
            Some((_, lsn)) if raised => Try::After(Ticket { lsn, level: Durability::Sync }),
            _ => Try::NoRoom(Class::Closing),
        })
    }

    fn raise_ceiling(&self, state: &mut State, after: u64) -> bool {
        let mut totals = state.books.totals;
        totals.id_ceiling = after.saturating_add(ID_CEILING_STEP);
        let entry = Entry::new(0, &Record::Totals(totals));
        if !self.make_room(state, entries_len([&entry]), Class::Closing) {
            return false;
        }
        let (_, end) = self.put_one(state, entry);
        state.raised = Some((totals.id_ceiling, end));
        state.books.totals = totals;
        true
    }

    /// Stages new jobs behind `others` (records of the verb that brings them) in one frame; room was made.
    pub(super) fn stage_new(
        &self,
        state: &mut State,
        jobs: Vec<Prepared>,
        others: Vec<Entry>,
        other_places: &mut Vec<Place>,
        level: Durability,
    ) -> Result<(Vec<Enqueued>, Lsn)> {
        let before = others.len();
        let mut entries = others;
        let mut accepted: Vec<(JobId, Envelope)> = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        let mut batch_keys: HashMap<u128, JobId> = HashMap::new();
        for Prepared { envelope, mut entry } in jobs {
            let hash = envelope.unique.as_ref().map(|unique| unique.hash);
            let standing =
                hash.and_then(|hash| state.books.index.unique(hash).or_else(|| batch_keys.get(&hash).copied()));
            if let Some(existing) = standing {
                answers.push(Enqueued::duplicate(existing));
                continue;
            }
            let id = JobId(state.next_id + accepted.len() as u64);
            if let Some(hash) = hash {
                planted!(BatchBlindToItsOwnKeys, None, batch_keys.insert(hash, id));
            }
            entry.id = id.0;
            entries.push(entry);
            accepted.push((id, envelope));
            answers.push(Enqueued::new(id));
        }
        if entries.is_empty() {
            return Ok((answers, planted!(DuplicateBeforeDurable, Lsn(0), state.stage.tail())));
        }
        let mut places: Vec<Place> = Vec::with_capacity(accepted.len());
        let end = self.put(
            state,
            0,
            &entries,
            |at, place| {
                if at < before { other_places.push(place) } else { places.push(place) }
            },
        );
        self.file_new(state, &accepted, &places, end, level)?;
        Ok((answers, end))
    }

    fn file_new(
        &self,
        state: &mut State,
        accepted: &[(JobId, Envelope)],
        places: &[Place],
        end: Lsn,
        level: Durability,
    ) -> Result<()> {
        for ((id, envelope), place) in accepted.iter().zip(places) {
            let filed = Filed::of(Cause::Enqueued, None, envelope);
            state.books.job(*id, *place, &filed).inspect_err(|e| self.log.poison(e))?;
            if let JobState::Scheduled { run_at } = envelope.state {
                self.ring_upkeep_before(state, run_at);
            }
        }
        if let (Some((first, _)), Some((last, _))) = (accepted.first(), accepted.last()) {
            state.next_id = last.0 + 1;
            state.unreached.add(*first, *last, end, level);
        }
        Ok(())
    }

    /// Something was accepted: claimers look again when it has reached its level.
    pub(super) fn released(&self) {
        let marks = self.marks();
        if self.state.lock().unreached.release(marks) && !planted!(ReachedSilently) {
            self.wake_work();
        }
    }
}

/// 128 bits of kind and key under the directory's own hash key (rule 22).
pub(crate) fn unique_hash(hash_key: &[u8; 16], kind: &str, key: &str) -> u128 {
    let mut hasher = SipHasher24::new_with_key(hash_key);
    // Lengths first, so that no two pairs run into each other; the bucket is empty for "while live".
    for part in [planted!(KeyIgnoresKind, "", kind), "", key] {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part.as_bytes());
    }
    hasher.finish128().as_u128()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
