//! What a random program may do, by number.

use std::time::Duration;

use crate::disk::simulated::{Call, CrashMode, Fault};
use crate::engine::{CellSet, Durability, LeaseKind, NewJob, Settle};
use crate::ids::JobId;
use crate::index::Lie;
use crate::job::namespace;

use super::judged::{Step, Wait};
use super::lives::{Aftermath, IndexFate};
use super::model::Program;
use super::world::{START_MS, at, job, nack};

pub(super) const KINDS: u32 = 34;

/// The calls that change something on the disk.
const CHANGING: &[Call] =
    &[Call::Create, Call::Write, Call::SetLen, Call::SyncData, Call::Rename, Call::Remove, Call::SyncDir];

const NAMES: [&str; KINDS as usize] = [
    "enqueue",
    "enqueue",
    "enqueue many",
    "claim",
    "claim",
    "claim",
    "ack",
    "ack",
    "ack with follow-ups",
    "nack",
    "nack until",
    "release",
    "snooze",
    "bury",
    "park",
    "use a stale lease",
    "cancel",
    "cancel",
    "requeue",
    "pause",
    "resume",
    "extend",
    "expire leases",
    "time",
    "time",
    "checkpoint",
    "compact",
    "make",
    "close",
    "wait",
    "fault",
    "look without index",
    "kill",
    "crash",
];

impl Program {
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.trail.push(what.into());
    }

    fn wait(&mut self) -> Wait {
        match self.rng.u8(..6) {
            0 => Wait::Written,
            1 | 2 => Wait::Not,
            _ => Wait::Out,
        }
    }

    fn level(&mut self) -> Durability {
        if self.rng.u8(..4) == 0 { Durability::Buffered } else { Durability::Sync }
    }

    fn new_job(&mut self) -> NewJob {
        self.serial += 1;
        let mut new = job(&format!("{}:{}", self.serial, "x".repeat(self.rng.usize(..=self.args_max))));
        new.priority = self.rng.i16(-1..2);
        new.max_attempts = self.rng.u32(1..5);
        new.hold = self.rng.u8(..12) == 0;
        if self.rng.u8(..4) == 0 {
            new.queue = "other".into();
        }
        if self.rng.u8(..3) == 0 {
            new.unique = Some(format!("key {}", self.rng.u8(..4)));
        }
        if self.rng.u8(..5) == 0 {
            let now = self.judged.now_ms().saturating_sub(START_MS);
            new.run_at = Some(at(now + self.rng.u64(0..20_000)));
        }
        new
    }

    fn new_jobs(&mut self, n: usize) -> Vec<NewJob> {
        (0..n).map(|_| self.new_job()).collect()
    }

    fn cells(&mut self) -> Vec<CellSet> {
        let n = self.rng.usize(..3);
        let cell = |rng: &mut fastrand::Rng| CellSet {
            namespace: namespace::STEP,
            key: vec![rng.u8(..4)],
            value: (rng.u8(..4) != 0).then(|| vec![rng.u8(..); rng.usize(..600)]),
            until: None,
        };
        (0..n).map(|_| cell(&mut self.rng)).collect()
    }

    pub(super) fn perform(&mut self, kind: u32) -> Step {
        let (wait, level) = (self.wait(), self.level());
        self.note(NAMES[kind as usize]);
        match kind {
            0 | 1 => {
                let jobs = self.new_jobs(1);
                self.judged.enqueue(jobs, level, wait)
            }
            2 => {
                let n = self.rng.usize(2..9);
                let jobs = self.new_jobs(n);
                self.judged.enqueue(jobs, level, wait)
            }
            3..=5 => {
                let queues: &[&str] = [&[][..], &["other"], &["other", "default"]][self.rng.usize(..3)];
                let hand = LeaseKind::Hand(Duration::from_millis(self.rng.u64(1..9_000)));
                let lease = if self.rng.u8(..3) == 0 { hand } else { LeaseKind::Pool };
                let n = self.rng.usize(1..5);
                self.judged.claim(queues, n, lease).map(drop)
            }
            6 | 7 => self.settle(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }, wait),
            8 => {
                let n = self.rng.usize(..3);
                let (follow_ups, cells) = (self.new_jobs(n), self.cells());
                self.settle(Settle::Ack { follow_ups, cells }, wait)
            }
            9 => self.settle(nack("no luck"), wait),
            10 => {
                let retry_after = Some(Duration::from_millis(self.rng.u64(..5_000)));
                let Settle::Nack { error, cause, duration, .. } = nack("again") else { return Ok(()) };
                self.settle(Settle::Nack { error, cause, retry_after, duration }, wait)
            }
            11 => self.settle(Settle::Release, wait),
            12 => {
                let until = Duration::from_millis(self.rng.u64(..5_000));
                self.settle(Settle::Snooze(until), wait)
            }
            13 => self.settle(Settle::Bury("enough".into()), wait),
            14 => self.settle(Settle::Park("nobody".into()), wait),
            15 => self.use_a_stale_lease(wait),
            16 | 17 => match self.an_id() {
                Some(id) => self.judged.cancel(id, wait),
                None => Ok(()),
            },
            18 => match self.an_id() {
                Some(id) => self.judged.requeue(id, wait),
                None => Ok(()),
            },
            19 | 20 => {
                let queue = if self.rng.bool() { "default" } else { "other" };
                self.judged.pause(queue, kind == 19, wait)
            }
            21 => self.extend(),
            22 => self.judged.expire_leases(),
            23 | 24 => self.pass_time(),
            25 => self.judged.checkpoint(),
            26 => self.judged.compact(),
            27 => Ok(self.judged.engine().make_step().map(drop)?),
            28 => self.judged.close_and_open(),
            29 => self.wait_for_earlier(),
            30 => self.fail_soon(),
            31 => self.judged.compare_without_index(),
            _ => {
                let mode = if kind == 32 { CrashMode::KeepAll } else { self.mode() };
                self.crash(mode)
            }
        }
    }

    fn settle(&mut self, how: Settle, wait: Wait) -> Step {
        if self.judged.leases.is_empty() {
            return self.judged.claim(&[], 2, LeaseKind::Pool).map(drop);
        }
        let at = self.rng.usize(..self.judged.leases.len());
        let lease = self.judged.leases[at].clone();
        self.judged.settle(&lease, how, wait)?;
        let lease = self.judged.leases.swap_remove(at);
        self.judged.stale.push(lease);
        Ok(())
    }

    fn use_a_stale_lease(&mut self, wait: Wait) -> Step {
        if self.judged.stale.is_empty() {
            return Ok(());
        }
        let lease = self.judged.stale[self.rng.usize(..self.judged.stale.len())].clone();
        match self.rng.u8(..4) {
            0 => self.judged.extend(&lease, Duration::from_secs(1)),
            1 => self.judged.settle(&lease, nack("late"), wait),
            2 => self.judged.settle(&lease, Settle::Release, wait),
            _ => self.judged.settle(&lease, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }, wait),
        }
    }

    fn extend(&mut self) -> Step {
        if self.judged.leases.is_empty() {
            return Ok(());
        }
        let lease = self.judged.leases[self.rng.usize(..self.judged.leases.len())].clone();
        self.judged.extend(&lease, Duration::from_millis(self.rng.u64(..9_000)))
    }

    fn an_id(&mut self) -> Option<JobId> {
        let ids = &self.judged.ids;
        (!ids.is_empty()).then(|| ids[self.rng.usize(..ids.len())])
    }

    fn pass_time(&mut self) -> Step {
        let clock = &self.judged.world.clock;
        match self.rng.u8(..6) {
            // Ten years either way, or a little back.
            0 => clock.set_wall_ms(START_MS + 315_360_000_000),
            1 => clock.set_wall_ms(clock.wall_ms().saturating_sub(self.rng.u64(..30_000))),
            2 => clock.set_wall_ms(START_MS),
            3 => clock.advance(Duration::from_millis(self.rng.u64(..60_000))),
            _ => clock.advance(Duration::from_millis(self.rng.u64(1..4_000))),
        }
        self.judged.oracle.set_clock(self.judged.now_ms());
        self.judged.promote()
    }

    fn wait_for_earlier(&mut self) -> Step {
        match self.judged.unwaited.len() {
            0 => Ok(()),
            n => self.judged.wait_for_earlier(self.rng.usize(..n)),
        }
    }

    fn fail_soon(&mut self) -> Step {
        let fault = match self.rng.u8(..5) {
            0 | 1 => Fault::eio(),
            2 => Fault::enospc(),
            3 => Fault::short(self.rng.usize(256..2_000)),
            _ => Fault::interrupted(),
        };
        let calls: &[Call] =
            [&[][..], &[], &[Call::Write], &[Call::SyncData], &[Call::SyncDir, Call::Rename], &[Call::Read]]
                [self.rng.usize(..6)];
        // What can never be read is damage, and the job that stood there is buried as such: see `damaged`.
        let (fault, calls) = match (self.rng.u8(..3), calls) {
            (0, []) => (fault.for_good(), CHANGING),
            (0, calls) if *calls != [Call::Read] => (fault.for_good(), calls),
            (_, calls) => (fault, calls),
        };
        let k = self.rng.u64(..6);
        self.note(format!("  k={k} {fault:?} on {calls:?}"));
        self.judged.world.disk.fail_call(k, fault.on(calls));
        self.armed = true;
        Ok(())
    }

    pub(super) fn mode(&mut self) -> CrashMode {
        let seed = self.rng.u64(..);
        match self.rng.u8(..9) {
            0 => CrashMode::KeepAll,
            1 | 2 => CrashMode::DropUnsynced,
            3 => CrashMode::Torn { seed },
            4 => CrashMode::Subset { seed },
            5 => CrashMode::SizeKept { seed },
            6 => CrashMode::Names { seed },
            7 => CrashMode::Revived { seed },
            _ => CrashMode::StaleAfterFailedSync,
        }
    }

    pub(super) fn crash(&mut self, mode: CrashMode) -> Step {
        self.armed = false;
        let nested = (self.rng.u8(..3) == 0).then(|| (self.rng.usize(..1_000), self.mode()));
        let index = match self.rng.u8(..6) {
            0 => IndexFate::Deleted,
            1 | 2 => IndexFate::Lies(self.lie()),
            _ => IndexFate::AsItWas,
        };
        let after = Aftermath { mode, nested, index };
        self.note(format!("  {after:?}"));
        self.judged.crash(after)
    }

    fn lie(&mut self) -> Lie {
        let n = self.rng.usize(..1_000_000);
        let saves = self.judged.world.memory.saves();
        match self.rng.u8(..8) {
            0 => Lie::LostEverything,
            1 | 2 => Lie::Older(n % (saves + 1)),
            3 => Lie::Holed(n),
            4 => Lie::Garbled(n),
            5 => Lie::NewerThanLog,
            6 => Lie::FailsAfter(n % 12),
            _ => Lie::Fails,
        }
    }

    /// The last word: one more kill, and what it leaves is right with and without the index.
    pub(super) fn finish(&mut self) -> Step {
        self.judged.world.disk.clear_faults();
        self.crash(CrashMode::KeepAll)?;
        self.judged.compare()?;
        self.judged.compare_without_index()
    }
}
