//! From a change of a job to what is told of it: history and events.
//!
//! # Invariants
//! * Called under the engine lock, behind the staging of what it tells.

use crate::ids::{JobId, Millis, Phase};
use crate::job::{self, Ended, Envelope, Record, State as JobState, namespace};

use super::Core;
use super::events::{Event, Events, What, end_of};
use super::history::ran_for;
use super::settle::Change;
use super::staging::Entry;
use super::state::State;

impl Core {
    /// Events from now on, as many as fit the buffer while nobody reads.
    pub(crate) fn events(&self, buffered: usize) -> Events {
        self.stream.listen(buffered)
    }

    /// Tells what has become durable.
    pub(crate) fn tell_durable(&self) {
        self.stream.tell(self.log.durable());
    }

    fn put_event(&self, state: &mut State, job: Option<JobId>, kind: &str, queue: &str, at: Millis, what: What) {
        let (kind, queue) = state.history.share(kind, queue);
        let lsn = state.stage.tail();
        self.stream.put(lsn, Event { at: at.to_system(), job, kind, queue, what });
    }

    /// A change of a job that stood as `before` says.
    pub(super) fn tell(&self, state: &mut State, id: JobId, before: &Envelope, change: &Change) {
        match change {
            Change::End(ended) => self.tell_end(state, id, before, ended),
            Change::Stand { envelope, .. } if self.stream.is_heard() => {
                let at = envelope.changed_at.unwrap_or(envelope.created_at);
                for what in news_of(before, envelope).into_iter().flatten() {
                    self.put_event(state, Some(id), &envelope.kind, &envelope.queue, at, what);
                }
            }
            Change::Stand { .. } => {}
        }
    }

    /// The end of a job that stood as `before` says.
    pub(super) fn tell_end(&self, state: &mut State, id: JobId, before: &Envelope, ended: &Ended) {
        state.history.remember(id, before, ended, self.settings.history);
        if !self.stream.is_heard() {
            return;
        }
        let took = ran_for(before, ended.at);
        if let Some(what) = end_of(ended.how, before.attempts.saturating_add(1), took) {
            self.put_event(state, Some(id), &before.kind, &before.queue, ended.at, what);
        }
    }

    /// New jobs.
    pub(super) fn tell_new<'a>(&self, state: &mut State, entries: impl Iterator<Item = &'a Entry>) {
        if !self.stream.is_heard() {
            return;
        }
        for entry in entries {
            if let Ok(Record::Job(job)) = job::decode(entry.kind, entry.body.bytes()) {
                let Envelope { kind, queue, created_at, .. } = &job.envelope;
                let what = What::Enqueued { phase: job.envelope.state.phase() };
                self.put_event(state, Some(JobId(entry.id)), kind, queue, *created_at, what);
            }
        }
    }

    /// A job was handed out, as it stands.
    pub(super) fn tell_started(&self, state: &mut State, id: JobId, job: &Envelope) {
        if let JobState::InFlight { since, .. } = job.state
            && self.stream.is_heard()
        {
            let attempt = job.attempts.saturating_add(1);
            self.put_event(state, Some(id), &job.kind, &job.queue, since, What::Started { attempt });
        }
    }

    /// A queue or a kind was paused or resumed.
    pub(super) fn tell_pause(&self, state: &mut State, namespace: u8, name: &str, paused: bool) {
        if !self.stream.is_heard() {
            return;
        }
        let (kind, queue, what) = match (namespace == namespace::PAUSE_KIND, paused) {
            (true, true) => (name, "", What::KindPaused),
            (true, false) => (name, "", What::KindResumed),
            (false, true) => ("", name, What::QueuePaused),
            (false, false) => ("", name, What::QueueResumed),
        };
        self.put_event(state, None, kind, queue, self.clock.now_ms(), what);
    }
}

/// What a change says: at most a failure and what follows from it.
fn news_of(before: &Envelope, after: &Envelope) -> [Option<What>; 2] {
    let failed = after.errors.last().filter(|error| {
        let spent = after.attempts > before.attempts;
        spent && error.attempt == after.attempts
    });
    let failed = failed.map(|error| What::Failed { attempt: error.attempt, cause: error.kind });
    let follows = match (before.state.phase(), after.state) {
        // Moved, reprioritised, its key given up: it stands as it stood, but for a wish.
        (phase, state) if phase == state.phase() => {
            (after.cancel_requested && !before.cancel_requested).then_some(What::CancelRequested)
        }
        (_, JobState::Dead { .. }) => Some(What::Died { attempts: after.attempts }),
        (_, JobState::Parked { .. }) => Some(What::Parked),
        (Phase::Held, _) => Some(What::Confirmed),
        (Phase::InFlight, JobState::Scheduled { run_at }) if failed.is_some() => {
            Some(What::Retried { run_at: Some(run_at.to_system()) })
        }
        (Phase::InFlight, _) if failed.is_some() => Some(What::Retried { run_at: None }),
        (Phase::InFlight, JobState::Scheduled { run_at }) => Some(What::Snoozed { until: run_at.to_system() }),
        (Phase::InFlight, _) => Some(What::Released),
        (Phase::Dead | Phase::Parked | Phase::Scheduled, JobState::Ready) => Some(What::Requeued),
        _ => None,
    };
    [failed, follows]
}
