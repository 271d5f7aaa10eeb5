//! The process that is killed: threads that enqueue, claim and settle, and say so.
//!
//! Small letters announce, capitals tell that the call returned `Ok`. An announcement is with the system before the
//! call, so whatever another thread sees of it is heard later.
//!
//! ```text
//! e key · E key id · D key id      one job: new, or a duplicate of that one
//! b key n · B key n first-id       a batch, all or nothing: key.0, key.1, …
//! C id attempt key                 claimed
//! a id nr · A id nr                ack;  f id nr key · F id nr key: with a follow-up;  n/N: nack;  r/R: release
//! x id nr · X id nr answer         cancel, by whoever feels like it
//! ! text                           what must not happen
//! ```

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use backlog::{Acceptance, Backlog, Lease, LeaseError, Options, Receipt};

use crate::spec::{job, key_of};
use crate::system::say;

pub(crate) const THREADS: u32 = 6;
/// Jobs of one claim at most.
pub(crate) const CLAIM_MAX: usize = 4;
/// Beyond so many live jobs nobody adds any.
const LIVE_MAX: u64 = 700;

pub(crate) fn work(options: Options, dir: &Path, seed: u64) {
    say("opening");
    let backlog = match options.open(dir) {
        Ok(backlog) => backlog,
        Err(e) => return say(&format!("! {e}")),
    };
    say("opened");
    let ids = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (backlog, ids) = (&backlog, &ids);
            scope.spawn(move || {
                let rng = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(u64::from(thread)));
                let name = format!("{seed}t{thread}");
                let mut hand = Hand { backlog, ids, rng, name, serial: 0, held: Vec::new() };
                loop {
                    if let Err(e) = hand.step() {
                        say(&format!("! {e}"));
                        return;
                    }
                }
            });
        }
    });
}

type Outcome = Result<(), backlog::Error>;

struct Hand<'a> {
    backlog: &'a Backlog,
    /// Some ids that were given, for those who cancel.
    ids: &'a Mutex<Vec<u64>>,
    rng: fastrand::Rng,
    name: String,
    serial: u64,
    held: Vec<Lease>,
}

impl Hand<'_> {
    fn step(&mut self) -> Outcome {
        let crowded = self.backlog.counts().total().live() > LIVE_MAX;
        match self.rng.u32(..100) {
            0..25 if !crowded => self.enqueue(),
            25..30 if !crowded => self.batch(),
            30..32 => self.cancel(),
            32..62 if self.held.len() < 8 => self.claim(),
            _ => self.settle(),
        }
    }

    fn key(&mut self, letter: char) -> String {
        self.serial += 1;
        format!("{letter}{}n{}", self.name, self.serial)
    }

    fn enqueue(&mut self) -> Outcome {
        let key = self.key('e');
        say(&format!("e {key}"));
        let answer = self.backlog.enqueue_all([job(&key)])?[0];
        match answer.acceptance {
            Acceptance::Duplicate(existing) => say(&format!("D {key} {existing}")),
            _ => {
                say(&format!("E {key} {}", answer.id));
                let mut ids = self.ids.lock().unwrap();
                ids.push(answer.id.0);
            }
        }
        Ok(())
    }

    fn batch(&mut self) -> Outcome {
        let (key, n) = (self.key('b'), self.rng.usize(2..16));
        say(&format!("b {key} {n}"));
        let answers = self.backlog.enqueue_all((0..n).map(|at| job(&format!("{key}.{at}"))))?;
        let first = answers[0].id.0;
        if !answers.iter().zip(first..).all(|(answer, id)| answer.is_new() && answer.id.0 == id) {
            say(&format!("! the ids of a batch do not follow each other: {answers:?}"));
        }
        say(&format!("B {key} {n} {first}"));
        Ok(())
    }

    fn cancel(&mut self) -> Outcome {
        let id = {
            let mut ids = self.ids.lock().unwrap();
            if ids.is_empty() {
                return Ok(());
            }
            let at = self.rng.usize(..ids.len());
            ids.swap_remove(at)
        };
        self.serial += 1;
        let nr = format!("{}n{}", self.name, self.serial);
        say(&format!("x {id} {nr}"));
        let answer = self.backlog.cancel(backlog::JobId(id))?;
        say(&format!("X {id} {nr} {answer:?}"));
        Ok(())
    }

    fn claim(&mut self) -> Outcome {
        let queue = if self.rng.bool() { "first" } else { "second" };
        let leases = self.backlog.queue(queue).claim_many(self.rng.usize(1..=CLAIM_MAX))?;
        for lease in leases {
            say(&format!("C {} {} {}", lease.id(), lease.attempt(), key_of(lease.codec(), lease.payload())));
            self.held.push(lease);
        }
        Ok(())
    }

    fn settle(&mut self) -> Outcome {
        if self.held.is_empty() {
            return Ok(());
        }
        let lease = self.held.swap_remove(self.rng.usize(..self.held.len()));
        self.serial += 1;
        let what = format!("{} {}n{}", lease.id(), self.name, self.serial);
        match self.rng.u32(..10) {
            0..5 => {
                say(&format!("a {what}"));
                told("A", &what, lease.ack())
            }
            5 => {
                let key = self.key('f');
                let what = format!("{what} {key}");
                say(&format!("f {what}"));
                told("F", &what, lease.ack_with([job(&key)]))
            }
            6..9 => {
                let delay = Duration::from_millis(self.rng.u64(..4));
                say(&format!("n {what}"));
                told("N", &what, lease.nack_in(delay, "no luck"))
            }
            _ => {
                say(&format!("r {what}"));
                told("R", &what, lease.release())
            }
        }
    }
}

fn told(letter: &str, what: &str, receipt: Result<Receipt, LeaseError>) -> Outcome {
    match receipt? {
        Receipt::Accepted => say(&format!("{letter} {what}")),
        other => say(&format!("! {letter} {what}: {other:?}")),
    }
    Ok(())
}
