//! Bytes as a program: verbs, time, maintenance, closes, crashes, the loss of the index.
//!
//! Everything of an operation is durable before the next one, so every crash between two of them must leave the same
//! state in every mode, with the saved index and without.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Durability, Engine, Grant, LeaseKind, NewJob, Settle};
use crate::ids::{JobId, Millis};
use crate::job::{Codec, ErrorCause};

use super::Bytes;
use super::world::{World, dump};

const OPERATIONS_MAX: u32 = 300;

struct Run<'a> {
    world: World,
    engine: Engine,
    leases: Vec<Grant>,
    ids: Vec<JobId>,
    bytes: Bytes<'a>,
    serial: u32,
    crashes: u32,
}

/// Runs the program; how many crashes it survived.
pub fn program(data: &[u8]) -> u32 {
    let world = World::new();
    let engine = world.open(true).unwrap();
    let (leases, ids) = (Vec::new(), Vec::new());
    let mut run = Run { world, engine, leases, ids, bytes: Bytes::new(data), serial: 0, crashes: 0 };
    let mut operations = 0;
    while !run.bytes.is_empty() && operations < OPERATIONS_MAX {
        run.step();
        operations += 1;
    }
    run.crash(CrashMode::DropUnsynced);
    run.crashes
}

impl Run<'_> {
    fn step(&mut self) {
        match self.bytes.u8() % 20 {
            0..3 => self.add(1),
            3 => {
                let n = 2 + self.bytes.u8() % 20;
                self.add(n);
            }
            4 | 5 => {
                let n = 1 + usize::from(self.bytes.u8() % 6);
                self.leases.extend(self.engine.claim(&[], n, LeaseKind::Pool).unwrap());
            }
            6 | 7 => self.settle(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }),
            8 => {
                let follow_ups = (0..self.bytes.u8() % 4).map(|_| self.job()).collect();
                self.settle(Settle::Ack { follow_ups, cells: Vec::new() });
            }
            9 => self.settle(Settle::Nack {
                error: "no luck".into(),
                cause: ErrorCause::Failed,
                retry_after: None,
                duration: None,
            }),
            10 => self.settle(Settle::Release),
            11 => self.settle(Settle::Bury("enough".into())),
            12 => {
                let id = self.id();
                self.engine.cancel(id).unwrap();
            }
            13 => {
                let id = self.id();
                self.engine.requeue(id).unwrap();
            }
            14 => {
                let pause = self.bytes.u8() & 1 == 0;
                if pause { self.engine.pause("other") } else { self.engine.resume("other") }.unwrap();
            }
            15 => {
                self.world.clock.advance(Duration::from_millis(u64::from(self.bytes.u16())));
                self.engine.promote_due().unwrap();
                while self.engine.make_step().unwrap() {}
            }
            16 => self.engine.checkpoint().unwrap(),
            17 => self.engine.compact_all().unwrap(),
            18 => {
                if self.leases.is_empty() {
                    self.engine.close().unwrap();
                }
                self.crash(CrashMode::KeepAll);
            }
            _ => {
                let mode = self.mode();
                self.crash(mode);
            }
        }
        // An answer waits for all that it looked at.
        let (_, ticket) = self.engine.cancel(JobId(u64::MAX)).unwrap();
        self.engine.wait(ticket).unwrap();
        self.engine.check_books().unwrap();
    }

    fn mode(&mut self) -> CrashMode {
        let (mode, seed) = (self.bytes.u8(), u64::from(self.bytes.u8()));
        match mode % 6 {
            0 => CrashMode::DropUnsynced,
            1 => CrashMode::Torn { seed },
            2 => CrashMode::Subset { seed },
            3 => CrashMode::SizeKept { seed },
            4 => CrashMode::Names { seed },
            _ => CrashMode::Revived { seed },
        }
    }

    fn job(&mut self) -> NewJob {
        self.serial += 1;
        let (shape, length) = (self.bytes.u8(), usize::from(self.bytes.u8()) * 12);
        let mut new = NewJob::new("fuzz", Codec::Raw, format!("{}:{}", self.serial, "x".repeat(length)).into_bytes());
        new.priority = i16::from(shape % 3);
        new.max_attempts = 1 + u32::from(shape >> 2) % 3;
        if shape % 5 == 0 {
            new.queue = "other".into();
        }
        if shape % 4 == 1 {
            new.unique = Some(format!("key {}", shape % 16));
        }
        if shape % 7 == 3 {
            new.run_at = Some(Millis(self.world.clock.wall_ms() + u64::from(self.bytes.u16())));
        }
        new
    }

    fn add(&mut self, n: u8) {
        let jobs = (0..n).map(|_| self.job()).collect();
        let (answers, ticket) = self.engine.enqueue(jobs, Durability::Sync).unwrap();
        self.engine.wait(ticket).unwrap();
        self.ids.extend(answers.iter().map(|answer| answer.id));
    }

    fn settle(&mut self, how: Settle) {
        if self.leases.is_empty() {
            return;
        }
        let at = usize::from(self.bytes.u8()) % self.leases.len();
        let lease = self.leases.swap_remove(at);
        let ticket = self.engine.settle(&lease, how).unwrap();
        self.engine.wait(ticket.expect("the only lease of a job holds it")).unwrap();
    }

    fn id(&mut self) -> JobId {
        let at = usize::from(self.bytes.u8());
        self.ids.get(at % self.ids.len().max(1)).copied().unwrap_or(JobId(1))
    }

    /// Goes on with what a crash leaves, if that is what it must be.
    fn crash(&mut self, mode: CrashMode) {
        let wanted = dump(&self.world.crashed(CrashMode::KeepAll).open(false).unwrap()).unwrap();
        let left = self.world.crashed(mode);
        let engine = left.open(true).unwrap_or_else(|e| panic!("after {mode:?}: {e}"));
        assert_eq!(dump(&engine).unwrap(), wanted, "after {mode:?}");
        engine.check_books().unwrap();
        engine.check_groups().unwrap();
        self.leases.clear();
        (self.world, self.engine) = (left, engine);
        self.crashes += 1;
    }
}

/// To begin with: every operation after some jobs, and long mixtures.
pub fn program_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        (0..20).map(|what| vec![3, 9, 1, 2, 3, 4, 5, 6, 4, 3, what, 1, 2, 19, 0, 1]).collect();
    seeds.extend((0..4).map(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..600).map(|_| rng.u8(..)).collect()
    }));
    seeds
}
