//! Threads that enqueue, claim, settle and cancel, and write down what each call was asked and answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backlog::{Acceptance, Backlog, Cancelled, JobId, Lease, Receipt};

use crate::spec::{job, key_of, spec};

const THREADS: u64 = 6;
const STEPS: usize = 150;

/// One call. Stamps come from one counter, so calls can be put in order where they do not overlap.
pub(crate) struct Event {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// Operations on the disk when it began and when it had returned.
    pub(crate) ops: (usize, usize),
    pub(crate) what: What,
}

pub(crate) enum What {
    Enqueued(Vec<(String, JobId, Acceptance)>),
    Claimed { queue: &'static str, leases: Vec<Claim> },
    Settled { lease: u64, verdict: Verdict, stale: bool },
    Cancelled(JobId, Cancelled),
}

pub(crate) struct Claim {
    /// A number of its own.
    pub(crate) lease: u64,
    pub(crate) id: JobId,
    pub(crate) attempt: u32,
    /// It may run out while it is held.
    pub(crate) short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ack,
    Nack,
    Release,
}

/// All threads to their end; what they did.
pub(crate) fn act(backlog: &Backlog, seed: u64, ops: &(dyn Fn() -> usize + Sync)) -> Vec<Event> {
    let (stamps, ids, all) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (stamps, ids, all) = (&stamps, &ids, &all);
            scope.spawn(move || {
                let rng = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(thread));
                let name = format!("{seed}t{thread}");
                let mut actor =
                    Actor { backlog, stamps, ops, ids, rng, name, serial: 0, held: Vec::new(), events: Vec::new() };
                (0..STEPS).for_each(|_| actor.step());
                while !actor.held.is_empty() {
                    actor.settle();
                }
                let mut all: std::sync::MutexGuard<'_, Vec<Event>> = all.lock().unwrap();
                all.append(&mut actor.events);
            });
        }
    });
    all.into_inner().unwrap()
}

struct Actor<'a> {
    backlog: &'a Backlog,
    stamps: &'a AtomicU64,
    ops: &'a (dyn Fn() -> usize + Sync),
    ids: &'a Mutex<Vec<JobId>>,
    rng: fastrand::Rng,
    name: String,
    serial: u64,
    held: Vec<(u64, Lease)>,
    events: Vec<Event>,
}

impl Actor<'_> {
    fn step(&mut self) {
        match self.rng.u32(..100) {
            0..25 => self.enqueue(1),
            25..28 => {
                let n = self.rng.usize(2..8);
                self.enqueue(n);
            }
            28..32 => self.cancel(),
            32..62 if self.held.len() < 6 => self.claim(),
            _ => self.settle(),
        }
    }

    fn tell<T>(&mut self, call: impl FnOnce(&mut Self) -> T, what: impl FnOnce(T) -> What) {
        let (begin, before) = (self.stamps.fetch_add(1, Ordering::SeqCst), (self.ops)());
        let answer = call(self);
        let (after, end) = ((self.ops)(), self.stamps.fetch_add(1, Ordering::SeqCst));
        self.events.push(Event { begin, end, ops: (before, after), what: what(answer) });
    }

    fn enqueue(&mut self, n: usize) {
        self.serial += 1;
        let letter = if n == 1 { 'e' } else { 'b' };
        let keys: Vec<String> = (0..n).map(|at| format!("{letter}{}n{}.{at}", self.name, self.serial)).collect();
        let jobs: Vec<_> = keys.iter().map(|key| job(key)).collect();
        let ids = self.ids;
        self.tell(
            |actor| actor.backlog.enqueue_all(jobs).unwrap(),
            |answers| {
                ids.lock().unwrap().extend(answers.iter().filter(|answer| answer.is_new()).map(|answer| answer.id));
                What::Enqueued(keys.into_iter().zip(answers).map(|(key, one)| (key, one.id, one.acceptance)).collect())
            },
        );
    }

    fn claim(&mut self) {
        let queue = if self.rng.bool() { "first" } else { "second" };
        let (n, short) = (self.rng.usize(1..4), self.rng.u8(..4) == 0);
        let lasts = if short { Duration::from_micros(self.rng.u64(1..800)) } else { Duration::from_secs(3600) };
        let mut leases = Vec::new();
        self.tell(
            |actor| actor.backlog.queue(queue).lease(lasts).claim_many(n).unwrap(),
            |granted| {
                leases = granted;
                What::Claimed { queue, leases: Vec::new() }
            },
        );
        let Some(Event { end, what: What::Claimed { leases: told, .. }, .. }) = self.events.last_mut() else { return };
        for (nth, lease) in leases.into_iter().enumerate() {
            let number = *end * 8 + nth as u64;
            let key = key_of(lease.codec(), lease.payload());
            assert_eq!(spec(&key).args, lease.payload(), "C10: job={} has other args", lease.id());
            told.push(Claim { lease: number, id: lease.id(), attempt: lease.attempt(), short });
            self.held.push((number, lease));
        }
    }

    fn settle(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (number, lease) = self.held.swap_remove(self.rng.usize(..self.held.len()));
        let verdict = [Verdict::Ack, Verdict::Ack, Verdict::Nack, Verdict::Release][self.rng.usize(..4)];
        let delay = Duration::from_micros(self.rng.u64(..500));
        self.tell(
            |_| match verdict {
                Verdict::Ack => lease.ack().unwrap(),
                Verdict::Nack => lease.nack_in(delay, "no luck").unwrap(),
                Verdict::Release => lease.release().unwrap(),
            },
            |receipt: Receipt| What::Settled { lease: number, verdict, stale: receipt.is_stale() },
        );
    }

    fn cancel(&mut self) {
        let id = {
            let ids = self.ids.lock().unwrap();
            if ids.is_empty() {
                return;
            }
            ids[self.rng.usize(..ids.len())]
        };
        self.tell(|actor| actor.backlog.cancel(id).unwrap(), |answer| What::Cancelled(id, answer));
    }
}
