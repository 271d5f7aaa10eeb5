//! A store in memory behind the pool's seam. What a job becomes is decided by the one transition function.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::{Clock, ManualClock};
use crate::engine::{CellSet, Durability, Events, Grant, Settle, Stream, Ticket, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Millis, Phase, Token};
use crate::job::{AttemptError, Codec, Envelope, Event, Next, State as JobState, namespace, next};
use crate::limits::Scaled;
use crate::queue::seam::JobStore;

#[derive(Default)]
pub(super) struct Held {
    pub(super) jobs: BTreeMap<u64, (Envelope, Vec<u8>)>,
    /// Ids that ended, in order.
    pub(super) ended: Vec<u64>,
    /// How many jobs each claim asked for.
    pub(super) asked: Vec<usize>,
    pub(super) cells: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    /// The newest mark somebody waited for.
    pub(super) durable: u64,
    pub(super) poisoned: bool,
    /// Nobody comes back from waiting for the disk.
    pub(super) disk_hangs: bool,
    pub(super) full: bool,
    /// How many more failures do not fit the disk.
    pub(super) failures_refused: usize,
    /// For how long a job of any queue has been ready.
    pub(super) ready_for: Option<Duration>,
    /// How often somebody has gone to sleep for want of work.
    pub(super) asleep: usize,
    staged: u64,
    counter: u64,
}

pub(super) struct Twin {
    held: Mutex<Held>,
    changed: Condvar,
    clock: ManualClock,
    /// What happens before the next answer to who asks for a wish to cancel.
    before_wish: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Called at every change, for nothing or not.
    watches: Mutex<Vec<Arc<Watch>>>,
    pub(super) stream: Stream,
}

impl Twin {
    pub(super) fn new() -> Arc<Self> {
        let clock = ManualClock::new(1_000_000);
        Arc::new(Self {
            held: Mutex::new(Held::default()),
            changed: Condvar::new(),
            clock,
            before_wish: Mutex::default(),
            watches: Mutex::default(),
            stream: Stream::default(),
        })
    }

    pub(super) fn add(&self, kind: &str, args: &str) -> u64 {
        self.add_with(kind, args, |_| {})
    }

    pub(super) fn add_with(&self, kind: &str, args: &str, say: impl FnOnce(&mut Envelope)) -> u64 {
        self.change(|held| {
            held.counter += 1;
            let mut envelope = Envelope::new(kind, Millis(1));
            envelope.codec = Codec::Json;
            say(&mut envelope);
            held.jobs.insert(held.counter, (envelope, args.as_bytes().to_vec()));
            held.counter
        })
    }

    pub(super) fn advance(&self, by: std::time::Duration) {
        self.clock.advance(by);
    }

    pub(super) fn before_wish(&self, happens: impl FnOnce() + Send + 'static) {
        *self.before_wish.lock() = Some(Box::new(happens));
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let out = change(&mut self.held.lock());
        self.changed.notify_all();
        let watches = std::mem::take(&mut *self.watches.lock());
        watches.iter().for_each(|watch| watch.call());
        out
    }

    /// Waits until the store looks so.
    pub(super) fn until(&self, so: impl Fn(&Held) -> bool) {
        let waited = self.changed.wait_while_for(&mut self.held.lock(), |held| !so(held), super::LONG);
        assert!(!waited.timed_out(), "the store never came to look so");
    }

    pub(super) fn job(&self, id: u64) -> Envelope {
        self.held.lock().jobs.get(&id).expect("the job lives").0.clone()
    }

    pub(super) fn until_phase(&self, id: u64, phase: Phase) -> Envelope {
        self.until(|held| held.jobs.get(&id).is_some_and(|(job, _)| job.state.phase() == phase));
        self.job(id)
    }

    fn settle(&self, grant: &Grant, how: Settle) -> Result<Option<Ticket>> {
        let now = self.clock_ms();
        self.change(|held| {
            if held.poisoned {
                return Err(poisoned());
            }
            let follows = matches!(&how, Settle::Ack { follow_ups, .. } if !follow_ups.is_empty());
            if held.full && follows {
                return Err(Error::new(ErrorKind::Full, "no space left"));
            }
            if held.failures_refused > 0 && matches!(how, Settle::Nack { .. }) {
                held.failures_refused -= 1;
                return Err(Error::new(ErrorKind::Full, "no space left"));
            }
            let Some((job, _)) = held.jobs.get(&grant.id.0) else { return Ok(None) };
            if !matches!(job.state, JobState::InFlight { token, .. } if token == grant.token) {
                return Ok(None);
            }
            let mut job = job.clone();
            job.cancel_requested |= matches!(how, Settle::Cancel);
            match next(&job, &event(how, grant, now)) {
                Next::Stands(envelope) => held.jobs.get_mut(&grant.id.0).unwrap().0 = envelope,
                Next::Ends(_) => {
                    held.jobs.remove(&grant.id.0);
                    held.ended.push(grant.id.0);
                }
                Next::Refused(refusal) => panic!("{refusal}"),
            }
            held.staged += 1;
            Ok(Some(Ticket { lsn: Lsn(held.staged), level: Durability::Sync }))
        })
    }

    fn clock_ms(&self) -> Millis {
        Millis(self.clock.wall_ms())
    }
}

fn event(how: Settle, grant: &Grant, now: Millis) -> Event {
    match how {
        Settle::Ack { .. } => Event::Ack,
        Settle::Nack { error, cause, retry_after, .. } => Event::Nack {
            error: AttemptError { attempt: grant.attempt, at: now, kind: cause, message: error, duration_ms: None },
            jitter: 0,
            now,
            retry_at: retry_after.map(|after| now.after(after)),
        },
        Settle::Release | Settle::Cancel => Event::Release { now },
        Settle::Snooze(delay) => Event::Snooze { until: now.after(delay), now },
        Settle::Bury(reason) => Event::Bury { reason, now },
        Settle::Park(reason) | Settle::SetAside(reason) => Event::Park { reason, now },
    }
}

fn poisoned() -> Error {
    Error::new(ErrorKind::Poisoned, "the disk failed")
}

fn is_ready((_, (job, _)): &(&u64, &(Envelope, Vec<u8>))) -> bool {
    job.state.phase() == Phase::Ready
}

impl JobStore for Twin {
    fn claim_many(&self, _queues: &[String], n: usize) -> Result<Vec<Grant>> {
        let now = self.clock_ms();
        self.change(|held| {
            if held.poisoned {
                return Err(poisoned());
            }
            held.asked.push(n);
            let ids: Vec<u64> = held.jobs.iter().filter(is_ready).map(|(id, _)| *id).take(n).collect();
            let mut grants = Vec::new();
            for id in ids {
                held.counter += 1;
                let token = Token { epoch: 1, counter: held.counter };
                let (job, args) = held.jobs.get_mut(&id).unwrap();
                let Next::Stands(envelope) = next(job, &Event::Claim { token, now }) else { panic!("ready jobs go") };
                *job = envelope.clone();
                let attempt = envelope.attempts + 1;
                let idempotency_key = format!("twin-{id}");
                grants.push(Grant {
                    id: JobId(id),
                    token,
                    attempt,
                    envelope,
                    args: args.clone(),
                    opened: None,
                    idempotency_key,
                });
            }
            Ok(grants)
        })
    }

    fn settle_many(&self, endings: Vec<(Arc<Grant>, Settle)>) -> Vec<Result<Option<Ticket>>> {
        endings.into_iter().map(|(grant, how)| self.settle(&grant, how)).collect()
    }

    fn wait(&self, mark: Ticket) -> Result<()> {
        let mut held = self.held.lock();
        self.changed.wait_while(&mut held, |held| held.disk_hangs && !held.poisoned);
        if held.poisoned {
            return Err(poisoned().with_kind(ErrorKind::Unknown));
        }
        held.durable = held.durable.max(mark.lsn.0);
        Ok(())
    }

    fn poll_wait(&self, mark: Ticket, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.wait(mark))
    }

    fn note(&self, grant: &Grant, cells: &[CellSet], level: Durability) -> Result<Option<Ticket>> {
        self.change(|held| {
            let Some((job, _)) = held.jobs.get(&grant.id.0) else { return Ok(None) };
            if !matches!(job.state, JobState::InFlight { token, .. } if token == grant.token) {
                return Ok(None);
            }
            for cell in cells {
                held.cells.insert((cell.namespace, cell.key.clone()), cell.value.clone().unwrap());
            }
            held.staged += 1;
            Ok(Some(Ticket { lsn: Lsn(held.staged), level }))
        })
    }

    fn noted(&self, _grant: &Grant, namespace: u8, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.held.lock().cells.get(&(namespace, key.to_vec())).cloned())
    }

    fn progress(&self, id: JobId) -> Result<Option<Vec<u8>>> {
        Ok(self.held.lock().cells.get(&(namespace::PROGRESS, id.0.to_be_bytes().to_vec())).cloned())
    }

    fn wait_for_work(&self, _queues: &[String], give_up: &dyn Fn() -> bool) -> Result<()> {
        let mut held = self.held.lock();
        let idle = |held: &mut Held| !held.poisoned && !give_up() && !held.jobs.iter().any(|job| is_ready(&job));
        held.asleep += 1;
        // Told before it sleeps, and asleep before anybody can look.
        self.changed.notify_all();
        self.changed.wait_while(&mut held, idle);
        if held.poisoned { Err(poisoned()) } else { Ok(()) }
    }

    fn nudge(&self) {
        drop(self.held.lock());
        self.changed.notify_all();
    }

    fn cancel_requested(&self, grant: &Grant) -> bool {
        let happens = self.before_wish.lock().take();
        happens.into_iter().for_each(|happens| happens());
        let held = self.held.lock();
        held.poisoned || held.jobs.get(&grant.id.0).is_none_or(|(job, _)| job.cancel_requested)
    }

    fn watch_stop(&self, grant: &Grant, _: Option<Duration>, watch: &Arc<Watch>) -> bool {
        let mut watches = self.watches.lock();
        watch.sit_down();
        watches.push(Arc::clone(watch));
        drop(watches);
        !self.cancel_requested(grant)
    }

    fn forget_watch(&self, _: &Grant, _: Option<Duration>, watch: &Arc<Watch>) {
        self.watches.lock().retain(|other| !Arc::ptr_eq(other, watch));
    }

    fn events(&self, buffered: usize) -> Events {
        self.stream.listen(buffered)
    }

    fn ready_age(&self, _: &str) -> Option<Duration> {
        self.held.lock().ready_for
    }

    fn unpark(&self, fits: &dyn Fn(&str) -> bool) -> Result<u64> {
        let now = self.clock_ms();
        Ok(self.change(|held| {
            let mut unparked = 0;
            for (job, _) in held.jobs.values_mut() {
                if job.state.phase() == Phase::Parked && fits(&job.kind) {
                    let Next::Stands(envelope) = next(job, &Event::Unpark { now }) else {
                        panic!("parked jobs come back")
                    };
                    *job = envelope;
                    unparked += 1;
                }
            }
            unparked
        }))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn limits(&self) -> Scaled {
        Scaled::for_segment(crate::limits::SEGMENT_BYTES_DEFAULT)
    }
}
