//! Jobs of sealed kinds: what of them is sealed on its way to the log, and opened on its way out.
//!
//! What is sealed names the job it belongs to, and ids are given under the engine lock, where nothing is sealed. So a
//! call with a sealed job reserves its ids first: a moment under the lock, then it seals outside, then the jobs are
//! accepted under these ids. What becomes of none of them is a gap.
//!
//! # Invariants
//! * Args, texts and cells of a sealed job are sealed before they are staged; without a key nothing is accepted.
//! * Records are rewritten as they are: kind and id never change, so what is sealed need not be opened for it.
//! * A job that does not open is parked before anybody is handed it, its attempt not spent, and comes back when it opens.
//!
//! Never here: the cipher and the keys (`keys`).

use std::borrow::Cow;

use crate::error::{ErrorKind, Result};
use crate::ids::{JobId, Phase};
use crate::job::{self, Cause, Envelope, cut, namespace};
use crate::keys::{Bound, Field, Keys, SEAL_BYTES_MAX, TEXT_BYTES_MAX, Unopened};

use super::Core;
use super::claim::Grant;
use super::enqueue::Prepared;
use super::look::Source;
use super::settle::CellSet;
use super::staging::{Entry, Try};

/// What the reason of a job begins with that was parked because it does not open.
const SHUT: &str = "cannot be opened: ";
/// A sealed result begins with this and its kind: nothing else is left to say it. No JSON begins so.
const SEALED_RESULT: u8 = 0;

/// A new job that is still to be sealed.
pub(super) struct Plain {
    pub(super) envelope: Envelope,
    pub(super) args: Vec<u8>,
}

impl Plain {
    /// What its args will take, at most.
    pub(super) fn bytes(&self) -> usize {
        self.args.len().saturating_add(SEAL_BYTES_MAX)
    }
}

/// What a cell beside a job is of it.
fn field_of(namespace: u8, key: &[u8]) -> Option<Field<'_>> {
    match namespace {
        namespace::STEP => Some(Field::Step(key.get(8..).unwrap_or_default())),
        namespace::CHECKPOINT => Some(Field::Checkpoint),
        namespace::PROGRESS => Some(Field::Progress),
        namespace::RESULT => Some(Field::Result),
        _ => None,
    }
}

/// A sealed result: its kind, and what was sealed.
fn result_parts(value: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = value.strip_prefix(&[SEALED_RESULT])?.split_first_chunk::<4>()?;
    let (kind, sealed) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((std::str::from_utf8(kind).ok()?, sealed))
}

impl Core {
    pub(crate) fn keys(&self) -> &Keys {
        &self.settings.keys
    }

    fn seal(&self, bound: &Bound<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        self.keys().seal(&*self.random, bound, plain)
    }

    /// Seals what is to be sealed of new jobs, under ids that are theirs from now on.
    pub(super) fn seal_new(&self, jobs: &mut [Prepared]) -> Result<()> {
        if jobs.iter().all(|job| job.plain.is_none()) {
            return Ok(());
        }
        // For all jobs of the call: so its ids are its own from the first to the last.
        let first = self.reserve_ids(jobs.len())?;
        let mut bytes = 0;
        for (id, job) in (first..).zip(&mut *jobs) {
            job.entry.id = id;
            if let Some(Plain { envelope, args }) = job.plain.take().map(|plain| *plain) {
                let args = self.seal_args(JobId(id), &envelope, &args)?;
                job.entry = Entry::job(id, job::encode_job(&envelope, Cause::Enqueued, None, &args));
            }
            bytes += job.entry.body.bytes().len();
        }
        self.check_batch(bytes)
    }

    fn reserve_ids(&self, count: usize) -> Result<u64> {
        self.attempt(|state| {
            if let Some(later) = self.ids_run_short(state, count) {
                return Ok(later);
            }
            let first = state.next_id;
            state.next_id = first.saturating_add(planted!(ReservedIdsGivenTwice, 0, count as u64));
            Ok(Try::Done(first))
        })
    }

    /// The args as they are stored.
    pub(super) fn seal_args<'a>(&self, id: JobId, job: &Envelope, args: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if job.sealed.is_none() {
            return Ok(Cow::Borrowed(args));
        }
        Ok(Cow::Owned(self.seal(&Bound { kind: &job.kind, id, field: Field::Args }, args)?))
    }

    /// A text that a holder of the job gave, as it is stored.
    pub(super) fn seal_text(&self, grant: &Grant, field: Field<'_>, mut text: String) -> Result<String> {
        if grant.envelope.sealed.is_none() || planted!(ErrorTextInPlain) {
            return Ok(text);
        }
        cut(&mut text, TEXT_BYTES_MAX);
        self.keys().seal_text(&*self.random, &Bound { kind: &grant.envelope.kind, id: grant.id, field }, &text)
    }

    /// Cells that a holder of the job sets, as they are stored.
    pub(super) fn seal_cells<'a>(&self, grant: &Grant, cells: &'a [CellSet]) -> Result<Cow<'a, [CellSet]>> {
        if grant.envelope.sealed.is_none() || cells.is_empty() || planted!(CellsInPlain) {
            return Ok(Cow::Borrowed(cells));
        }
        let kind = grant.envelope.kind.as_str();
        let sealed = cells.iter().map(|cell| {
            let (Some(field), Some(value)) = (field_of(cell.namespace, &cell.key), &cell.value) else {
                return Ok(cell.clone());
            };
            let mut sealed = self.seal(&Bound { kind, id: grant.id, field }, value)?;
            if field == Field::Result {
                let len = u32::try_from(kind.len()).unwrap_or(u32::MAX).to_le_bytes();
                sealed = [&[SEALED_RESULT][..], &len, kind.as_bytes(), &sealed].concat();
            }
            Ok(CellSet { value: Some(sealed), ..cell.clone() })
        });
        sealed.collect::<Result<Vec<_>>>().map(Cow::Owned)
    }

    /// Args in plain, if they were sealed. The inner error: why they, or what the job kept beside itself, do not open.
    pub(super) fn open_sealed(
        &self,
        id: JobId,
        job: &Envelope,
        args: &[u8],
    ) -> Result<std::result::Result<Option<Vec<u8>>, String>> {
        if job.sealed.is_none() {
            return Ok(Ok(None));
        }
        let args = match self.keys().open(&Bound { kind: &job.kind, id, field: Field::Args }, args) {
            Ok(args) => args,
            Err(why) => return Ok(Err(format!("{SHUT}args {why}"))),
        };
        for (namespace, what) in [(namespace::STEP, "a step"), (namespace::CHECKPOINT, "its checkpoint")] {
            let keys = self.state.lock().books.index.cell_keys_beginning(namespace, &id.0.to_be_bytes());
            for key in keys {
                let Some(field) = field_of(namespace, &key) else { continue };
                let Some((value, _)) = self.cell_value(namespace, &key)? else { continue };
                if let Err(why) = self.keys().open(&Bound { kind: &job.kind, id, field }, &value)
                    && !planted!(SealedRunUnopened)
                {
                    return Ok(Err(format!("{SHUT}{what} {why}")));
                }
            }
        }
        Ok(Ok(Some(args)))
    }

    /// Args as their enqueuer gave them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn args_of(&self, id: JobId, job: &Envelope, args: Vec<u8>) -> Vec<u8> {
        match self.open_sealed(id, job, &args) {
            Ok(Ok(Some(opened))) => opened,
            _ => args,
        }
    }

    /// What a holder of the job kept beside it.
    pub(crate) fn noted(&self, grant: &Grant, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some((value, _)) = self.cell_value(namespace, key)? else { return Ok(None) };
        self.open_cell(grant.id, &grant.envelope, namespace, key, value).map(Some)
    }

    /// How far a job says it is.
    pub(crate) fn progress(&self, id: JobId) -> Result<Option<Vec<u8>>> {
        let key = id.0.to_be_bytes();
        let Some((value, _)) = self.cell_value(namespace::PROGRESS, &key)? else { return Ok(None) };
        let Some(seen) = self.see(id)? else { return Ok(None) };
        self.open_cell(id, &seen.envelope, namespace::PROGRESS, &key, value).map(Some)
    }

    fn open_cell(&self, id: JobId, job: &Envelope, namespace: u8, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>> {
        let (Some(_), Some(field)) = (&job.sealed, field_of(namespace, key)) else { return Ok(value) };
        let opened = self.keys().open(&Bound { kind: &job.kind, id, field }, &value);
        opened.map_err(|why| why.into_error(&format!("what job {id} kept")))
    }

    /// A result as it was returned, or why it does not open.
    pub(super) fn open_result(&self, id: JobId, value: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
        if value.first() != Some(&SEALED_RESULT) {
            return Ok(value);
        }
        let opened = result_parts(&value)
            .ok_or(Unopened::Malformed)
            .and_then(|(kind, sealed)| self.keys().open(&Bound { kind, id, field: Field::Result }, sealed));
        opened.map_err(|why| format!("the result of job {id} cannot be opened: {why}"))
    }

    /// Jobs that were parked because they did not open, and do now, are ready again. Gives how many.
    pub(super) fn unpark_sealed(&self) -> Result<u64> {
        let mut unparked = 0;
        let any = !self.keys().is_none() && self.counts().total().parked > 0 && !planted!(SealedStayParked);
        let mut from = any.then_some(JobId(0));
        while let Some(start) = from {
            let ids = self.ids_from(start, Some(Phase::Parked));
            from = ids.last().and_then(|last| last.0.checked_add(1)).map(JobId);
            for id in ids {
                match self.unpark_if_open(id) {
                    Ok(done) => unparked += u64::from(done),
                    // Whoever reaches a damaged job reports it; a full disk lets them wait for the next open.
                    Err(why) if matches!(why.kind(), ErrorKind::Corrupt | ErrorKind::Full) => {}
                    Err(why) => return Err(why),
                }
            }
        }
        Ok(unparked)
    }

    fn unpark_if_open(&self, id: JobId) -> Result<bool> {
        let Some(seen) = self.see(id)? else { return Ok(false) };
        let shut = seen.envelope.reason.as_ref().is_some_and(|reason| reason.starts_with(SHUT));
        if !shut || self.open_sealed(id, &seen.envelope, &seen.args)?.is_err() {
            return Ok(false);
        }
        self.unpark_one(id)
    }
}

/// The texts of a job as a person may see them: its reason and its errors.
pub(super) fn texts(id: JobId, job: &Envelope, keys: &Keys) -> (Option<String>, Vec<String>) {
    let open = |field, text: &str| match job.sealed {
        Some(_) => keys.open_text(&Bound { kind: &job.kind, id, field }, text).into_owned(),
        None => text.to_owned(),
    };
    let errors = job.errors.iter().map(|error| open(Field::Error(error.attempt), &error.message)).collect();
    (job.reason.as_deref().map(|reason| open(Field::Reason, reason)), errors)
}
