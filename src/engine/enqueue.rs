//! Accepting jobs.
//!
//! # Invariants
//! * Args and their checksum are made outside the lock; decisions are made against the staged state.
//! * One call is one frame: all of its jobs or none (P4).
//! * An id is used only below a ceiling whose record is durable (rule 7).

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::error::{Error, Result};
use crate::ids::{GroupId, JobId, Lsn, Millis, Place};
use crate::job::{self, Backoff, Cause, Codec, Envelope, Record, Scope, Sealed, State as JobState, Unique};
use crate::limits::{BATCH_JOBS_MAX, ID_CEILING_STEP};
use crate::log::Class;

use super::Core;
use super::books::Filed;
use super::commit::Ticket;
use super::groups::{self, Ties};
use super::sealed::Plain;
use super::settings::Durability;
use super::settle::{CellSet, check_cells};
use super::staging::{Entry, Try, entries_len};
use super::state::State;
use super::takeover::{self, Period, Takeover, holder};

/// A job as a caller hands it in.
#[derive(Clone)]
pub(crate) struct NewJob {
    pub(crate) kind: Cow<'static, str>,
    pub(crate) queue: Cow<'static, str>,
    pub(crate) priority: i16,
    pub(crate) codec: Codec,
    pub(crate) args: Vec<u8>,
    pub(crate) run_at: Option<Millis>,
    pub(crate) max_attempts: u32,
    pub(crate) unique: Option<String>,
    pub(crate) rule: UniqueRule,
    pub(crate) timeout: Option<Duration>,
    pub(crate) expires_at: Option<Millis>,
    pub(crate) backoff: Backoff,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) keep_result: Option<Duration>,
    pub(crate) hold: bool,
    pub(crate) limit_key: Option<String>,
    pub(crate) ties: Ties,
    pub(crate) sealed: bool,
}

impl NewJob {
    pub(crate) fn new(kind: impl Into<Cow<'static, str>>, codec: Codec, args: Vec<u8>) -> Self {
        Self {
            kind: kind.into(),
            queue: Cow::Borrowed(job::QUEUE_DEFAULT),
            priority: 0,
            codec,
            args,
            run_at: None,
            max_attempts: job::MAX_ATTEMPTS_DEFAULT,
            unique: None,
            rule: UniqueRule::default(),
            timeout: None,
            expires_at: None,
            backoff: Backoff::Default,
            tags: Vec::new(),
            metadata: Vec::new(),
            keep_result: None,
            hold: false,
            limit_key: None,
            ties: Ties::default(),
            sealed: false,
        }
    }
}

/// How long a unique key keeps others out, and what an enqueue does that finds it held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UniqueRule {
    pub(crate) until_started: bool,
    pub(crate) period: Option<Duration>,
    pub(crate) on_conflict: OnConflict,
    /// The key is a hash of the args.
    pub(crate) by_args: bool,
}

/// What an enqueue does whose unique key a job holds that still waits: scheduled, ready, or for a retry. A job in
/// flight, held or parked is never changed, nor is one of the same batch: the answer is
/// [`Duplicate`](Acceptance::Duplicate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnConflict {
    /// Leaves it alone. The default.
    #[default]
    Keep,
    /// The new job takes its place: it keeps the id and stands as if it had just been enqueued, with the new args, time,
    /// queue and settings; attempts, errors, steps, checkpoint and progress of the one before are gone (debounce). Its
    /// idempotency key stays, since that goes by the id.
    Replace,
    /// Only its time is moved to that of the new job (throttle).
    Reschedule,
}

/// What became of an enqueued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acceptance {
    /// Accepted as a new job.
    New,
    /// A live job with the same unique key stood already; nothing was added. Its id is given.
    Duplicate(JobId),
    /// This job takes the place of a waiting one with the same unique key, under its id.
    Replaced(JobId),
    /// A waiting job with the same unique key was moved to this one's time; nothing else of it was changed.
    Rescheduled(JobId),
}

/// The answer to an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// The job that now stands for the call: the new one, or the one that held its key.
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

    pub(crate) fn of(id: JobId, acceptance: Acceptance) -> Self {
        Self { id, acceptance }
    }

    /// Whether a job was added.
    pub fn is_new(&self) -> bool {
        matches!(self.acceptance, Acceptance::New)
    }
}

/// A job ready to be staged: everything but its id, and of its envelope what the books need.
pub(crate) struct Prepared {
    pub(super) entry: Entry,
    /// What is to be sealed as soon as its id is known; `entry` is empty until then.
    pub(super) plain: Option<Box<Plain>>,
    lane: Cow<'static, str>,
    state: JobState,
    priority: i16,
    careful: bool,
    pub(super) unique: Option<(u128, bool)>,
    /// The cell that keeps its key for a period, set with it.
    period: Option<Box<Period>>,
    pub(super) takeover: Option<Box<Takeover>>,
    pub(super) ties: Option<Box<Ties>>,
}

/// What comes with new jobs in their frame.
#[derive(Default)]
pub(super) struct Beside<'a> {
    /// New groups, and whether each is sealed at once.
    pub(super) born: &'a [(GroupId, bool)],
    pub(super) cells: &'a [CellSet],
    /// Whether what the caller decided on still stands, if he did on anything.
    pub(super) stands: Option<&'a dyn Fn(&State) -> bool>,
}

impl Prepared {
    /// The records it may be staged with, for the room they take: as a new job, or as what it makes of its key's holder.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let takeover = self.takeover.as_ref().and_then(|takeover| takeover.entry());
        let longer = takeover.filter(|entry| entry.body.bytes().len() > self.entry.body.bytes().len());
        let period = self.period.iter().map(|period| &period.entry);
        std::iter::once(longer.unwrap_or(&self.entry)).chain(period)
    }

    pub(super) fn id(&self) -> JobId {
        JobId(self.entry.id)
    }

    /// Its id was given before it was accepted.
    pub(super) fn is_reserved(&self) -> bool {
        self.entry.id != 0
    }

    pub(super) fn group(&self) -> Option<GroupId> {
        self.ties.as_ref().and_then(|ties| ties.group)
    }

    fn filed(&self) -> Filed<'_> {
        Filed {
            cause: Cause::Enqueued,
            removes: None,
            lane: Cow::Borrowed(&self.lane),
            state: self.state,
            priority: self.priority,
            careful: self.careful,
            suspect: false,
            unique: self.unique,
        }
    }
}

impl Core {
    /// Accepts jobs in one frame. The ticket says when the answer may be given.
    pub(crate) fn enqueue(&self, jobs: Vec<NewJob>, level: Durability) -> Result<(Vec<Enqueued>, Ticket)> {
        self.accept(self.prepare_all(jobs.into_iter().map(Ok))?, level)
    }

    /// The same for jobs that are prepared.
    pub(crate) fn accept(&self, jobs: Vec<Prepared>, level: Durability) -> Result<(Vec<Enqueued>, Ticket)> {
        self.accept_with_groups(&[], jobs, level)
    }

    /// Accepts jobs and what comes with them in one frame: all or nothing. `None`: what the caller decided on does not
    /// stand any more, and nothing happened.
    pub(super) fn accept_beside(
        &self,
        mut jobs: Vec<Prepared>,
        beside: &Beside<'_>,
        level: Durability,
    ) -> Result<Option<(Vec<Enqueued>, Ticket)>> {
        check_cells(beside.cells)?;
        let cells: Vec<Entry> = beside.cells.iter().map(|cell| Entry::new(0, &Record::Cell(cell.record()))).collect();
        loop {
            let bytes = self.room_of_jobs(&mut jobs, &cells, groups::room_of_born(beside.born))?;
            let accepted = self.attempt(|state| {
                if beside.stands.is_some_and(|stands| !stands(state)) {
                    return Ok(Try::Done(Some(None)));
                }
                if let Some(later) = self.not_yet(state, &jobs, beside.born)? {
                    return Ok(later);
                }
                if !self.make_room(state, bytes, Class::Ordinary) {
                    return Ok(Try::NoRoom(Class::Ordinary));
                }
                state.groups.bear(beside.born, self.clock.now_ms());
                let mut places: Vec<Place> = Vec::with_capacity(cells.len());
                let (answers, end) = self.stage_new(state, std::mem::take(&mut jobs), &cells, &mut places, level)?;
                for (cell, place) in beside.cells.iter().zip(places) {
                    self.file_cell(state, &cell.record(), place)?;
                }
                Ok(Try::Done(Some(Some((answers, Ticket { lsn: end, level })))))
            })?;
            if let Some(accepted) = accepted {
                return Ok(accepted);
            }
        }
    }

    /// What jobs take in a frame behind `others` and so much more, at most, bytes; the holders they ask to change are read
    /// for it.
    pub(super) fn room_of_jobs(&self, jobs: &mut [Prepared], others: &[Entry], more: usize) -> Result<usize> {
        self.seal_new(jobs)?;
        self.look_at_holders(jobs)?;
        let entries = others.iter().chain(jobs.iter().flat_map(Prepared::entries));
        let bytes = entries_len(entries) + groups::room_of_new(jobs) + more;
        self.check_frame(bytes)?;
        Ok(bytes)
    }

    /// Why jobs cannot be staged now; `Try::Done(None)`: look at the holders again.
    pub(super) fn not_yet<T>(
        &self,
        state: &mut State,
        jobs: &[Prepared],
        born: &[(GroupId, bool)],
    ) -> Result<Option<Try<Option<T>>>> {
        self.check_ties(state, jobs, born)?;
        if takeover::must_look(state, jobs) {
            return Ok(Some(Try::Done(None)));
        }
        Ok(if jobs.is_empty() { None } else { self.ids_run_short(state, jobs.len()) })
    }

    /// Checks and encodes outside the lock, one after the other: of a large batch only the bytes are kept.
    pub(crate) fn prepare_all(&self, jobs: impl Iterator<Item = Result<NewJob>>) -> Result<Vec<Prepared>> {
        let now = self.clock.now_ms();
        let mut bytes = 0;
        let mut prepared = Vec::with_capacity(jobs.size_hint().0.min(BATCH_JOBS_MAX));
        let mut envelope = Envelope::new(String::new(), now);
        for job in jobs {
            let job = job?;
            if prepared.len() >= planted!(BatchLimitOffByOne, BATCH_JOBS_MAX + 1, BATCH_JOBS_MAX) {
                return Err(Error::too_large(format!(
                    "jobs={} and perhaps more: one call takes at most {BATCH_JOBS_MAX}; split it",
                    prepared.len() + 1
                )));
            }
            let job = self.prepare(job, now, &mut envelope)?;
            bytes += job.entry.body.bytes().len() + job.plain.as_ref().map_or(0, |plain| plain.bytes());
            prepared.push(job);
        }
        self.check_batch(bytes)?;
        self.check_frame(entries_len(prepared.iter().flat_map(Prepared::entries)) + groups::room_of_new(&prepared))?;
        Ok(prepared)
    }

    pub(super) fn check_batch(&self, bytes: usize) -> Result<()> {
        let max = self.scaled.batch_bytes_max;
        if bytes > max && !planted!(BatchBytesUnchecked) {
            return Err(Error::too_large(format!(
                "batch of {bytes} bytes: one call takes at most {max} bytes; split it"
            )));
        }
        Ok(())
    }

    /// `envelope` lends its buffers; everything a new job may say of itself is set.
    fn prepare(&self, job: NewJob, now: Millis, envelope: &mut Envelope) -> Result<Prepared> {
        let max = self.scaled.payload_bytes_max;
        if job.args.len() > planted!(ArgsLimitOffByOne, max + 1, max) {
            return Err(Error::too_large(format!(
                "args of {} bytes, kind={:?}: the limit is {max} bytes; store the data elsewhere and enqueue a reference",
                job.args.len(),
                job.kind
            )));
        }
        envelope.state = match job.run_at {
            _ if job.hold || job.ties.hold() => JobState::Held,
            Some(run_at) if run_at > now && !planted!(RunAtIgnored) => JobState::Scheduled { run_at },
            _ => JobState::Ready,
        };
        let until = job.rule.period.map(|period| now.after(period));
        let unique = match job.unique {
            // Who has the stored hash and not the directory's key cannot try args against it.
            Some(_) if job.sealed && job.rule.by_args => Some(args_key(&self.identity.hash_key, &job.args)),
            unique => unique,
        };
        envelope.sealed = if job.sealed { Some(Sealed::under(self.keys().current(&job.kind)?)) } else { None };
        envelope.unique = unique.map(|key| Unique {
            hash: unique_hash(&self.identity.hash_key, &job.kind, &key),
            key,
            scope: match until {
                Some(until) => Scope::Period { until },
                None if job.rule.until_started => Scope::UntilStarted,
                None => Scope::Live,
            },
        });
        copy_text(&job.kind, &mut envelope.kind);
        copy_text(&job.queue, &mut envelope.queue);
        envelope.priority = planted!(PriorityForgotten, 0, job.priority);
        envelope.codec = job.codec;
        envelope.run_at = job.run_at;
        envelope.max_attempts = job.max_attempts;
        // Zero would be over before it began.
        envelope.timeout_ms = job.timeout.map(|timeout| Millis(0).after(timeout).0.max(1));
        envelope.expires_at = job.expires_at;
        envelope.backoff = job.backoff;
        envelope.tags = job.tags;
        envelope.metadata = job.metadata;
        envelope.keep_result_ms = job.keep_result.map(millis);
        envelope.limit_key = job.limit_key;
        envelope.group = job.ties.group.map(|group| group.0);
        let hash = envelope.unique.as_ref().map(|unique| unique.hash);
        let sealed = job.sealed && !planted!(SealingForgotten);
        Ok(Prepared {
            period: until.zip(hash).map(|(until, hash)| Box::new(Period::new(hash, until))),
            takeover: Takeover::asked(job.rule.on_conflict, envelope, &job.args),
            entry: if sealed {
                Entry::job(0, Vec::new())
            } else {
                Entry::job(0, job::encode_job(envelope, Cause::Enqueued, None, &job.args))
            },
            plain: sealed.then(|| Box::new(Plain { envelope: envelope.clone(), args: job.args })),
            lane: match &envelope.limit_key {
                None => job.queue,
                Some(_) => Cow::Owned(envelope.lane().into_owned()),
            },
            state: envelope.state,
            priority: envelope.priority,
            careful: envelope.careful(),
            unique: envelope.key_claim(),
            ties: (!job.ties.are_none()).then(|| Box::new(job.ties)),
        })
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
        mut jobs: Vec<Prepared>,
        others: &[Entry],
        other_places: &mut Vec<Place>,
        level: Durability,
    ) -> Result<(Vec<Enqueued>, Lsn)> {
        let (answers, takeovers) = number(state, &mut jobs, self.clock.now_ms());
        let company = self.company(state, &jobs, &answers);
        if jobs.is_empty() && others.is_empty() && takeovers.is_empty() && company.is_empty() {
            return Ok((answers, planted!(DuplicateBeforeDurable, Lsn(0), state.stage.tail())));
        }
        let mut places: Vec<Place> = Vec::with_capacity(jobs.len());
        let mut between: Vec<Place> = Vec::new();
        let periods = || jobs.iter().filter_map(|job| job.period.as_deref());
        let jobs_from = others.len() + takeovers.len() + periods().count();
        let entries = others
            .iter()
            .chain(takeovers.iter().filter_map(|takeover| takeover.entry()))
            .chain(periods().map(|period| &period.entry))
            .chain(jobs.iter().map(|job| &job.entry))
            .chain(company.entries());
        let end = self.put_refs(state, 0, entries, |at, place| match at {
            _ if at < others.len() => other_places.push(place),
            _ if at < jobs_from => between.push(place),
            _ => places.push(place),
        });
        let mut between = between.into_iter();
        for (takeover, place) in takeovers.iter().zip(between.by_ref()) {
            takeover.file(self, state, place)?;
        }
        for (period, place) in periods().zip(between) {
            self.file_cell(state, &period.record(), place)?;
        }
        self.file_new(state, &jobs, &places, end, level)?;
        self.file_company(state, &company, places.into_iter().skip(jobs.len()))?;
        Ok((answers, end))
    }

    fn file_new(
        &self,
        state: &mut State,
        jobs: &[Prepared],
        places: &[Place],
        end: Lsn,
        level: Durability,
    ) -> Result<()> {
        for (job, place) in jobs.iter().zip(places) {
            state.books.job(JobId(job.entry.id), *place, &job.filed()).inspect_err(|e| self.log.poison(e))?;
            if let JobState::Scheduled { run_at } = job.state {
                self.ring_upkeep_before(state, run_at);
            }
        }
        if let (Some(first), Some(last)) = (jobs.first(), jobs.last()) {
            let (first, last) = (JobId(first.entry.id), JobId(last.entry.id));
            // Reserved ids lie below what others were given since.
            state.next_id = state.next_id.max(last.0 + 1);
            state.unreached.add(first, last, end, level);
        }
        self.tell_new(state, jobs.iter().map(|job| &job.entry));
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

/// Gives the jobs their ids, if none are reserved for them, and takes out those whose unique key is held: by a live job, by
/// one before them, or for a period that is not over. What these change of the holder comes along.
fn number(state: &State, jobs: &mut Vec<Prepared>, now: Millis) -> (Vec<Enqueued>, Vec<Takeover>) {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut takeovers = Vec::new();
    let mut next = state.next_id;
    let mut batch_keys: HashMap<u128, JobId> = HashMap::new();
    jobs.retain_mut(|job| {
        let hash = job.unique.map(|(hash, _)| hash);
        if let Some(earlier) = hash.and_then(|hash| batch_keys.get(&hash).copied()) {
            answers.push(Enqueued::duplicate(earlier));
            return false;
        }
        if let Some((hash, existing)) = hash.and_then(|hash| Some((hash, holder(state, hash, now)?))) {
            let ours = job.takeover.take().filter(|takeover| takeover.is_of(state, existing));
            answers.push(ours.as_ref().map_or(Enqueued::duplicate(existing), |it| it.answer(existing)));
            batch_keys.insert(hash, existing);
            takeovers.extend(ours.map(|takeover| *takeover));
            return false;
        }
        let id = if job.is_reserved() { job.id() } else { JobId(next) };
        next += 1;
        if let Some(hash) = hash {
            planted!(BatchBlindToItsOwnKeys, None, batch_keys.insert(hash, id));
        }
        job.entry.id = id.0;
        if let Some(period) = &mut job.period {
            period.give(id);
        }
        answers.push(Enqueued::new(id));
        true
    });
    (answers, takeovers)
}

fn copy_text(from: &str, to: &mut String) {
    to.clear();
    to.push_str(from);
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

/// The unique key of a job whose args are sealed.
fn args_key(hash_key: &[u8; 16], args: &[u8]) -> String {
    let mut hasher = SipHasher24::new_with_key(hash_key);
    hasher.write(args);
    format!("args:{:032x}", hasher.finish128().as_u128())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
