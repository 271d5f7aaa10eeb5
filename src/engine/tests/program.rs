//! Random programs of verbs and maintenance, one operation at a time.

use std::time::Duration;

use crate::disk::simulated::{Call, Fault};
use crate::engine::{Durability, Engine, Grant, LeaseKind, NewJob, Settle};
use crate::ids::JobId;

use super::world::{Verbs, World, at, job, nack};

/// A program under way: the world it runs in, the handle, and what it remembers.
pub(super) struct Program {
    pub(super) world: World,
    pub(super) engine: Option<Engine>,
    rng: fastrand::Rng,
    ids: Vec<JobId>,
    leases: Vec<Grant>,
    /// Kinds of operation this seed leaves out.
    without: u32,
    serial: u32,
}

/// Kinds of operation, by number.
const KINDS: u32 = 17;

impl Program {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = World::new(seed);
        // Each seed switches some kinds off, so that the others go deeper.
        let without = rng.u32(..) & rng.u32(..);
        let engine = Some(world.open());
        Self { world, engine, rng, ids: Vec::new(), leases: Vec::new(), without, serial: 0 }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// One operation, everything of it durable when this returns. Says what it was.
    pub(super) fn step(&mut self) -> &'static str {
        let kind = self.rng.u32(..KINDS);
        let name = if kind > 3 && self.without & (1 << kind) != 0 { self.add(1) } else { self.perform(kind) };
        let ticket = self.engine().seen_so_far();
        self.engine().wait(ticket).unwrap();
        name
    }

    fn perform(&mut self, kind: u32) -> &'static str {
        match kind {
            0 | 1 => self.add(1),
            2 => {
                let n = self.rng.usize(2..12);
                self.add(n)
            }
            3 | 4 => self.take(),
            5 => self.settle(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }, "ack"),
            6 => {
                let follow_ups = (0..self.rng.usize(1..4)).map(|_| self.new_job()).collect();
                self.settle(Settle::Ack { follow_ups, cells: Vec::new() }, "ack with follow-ups")
            }
            7 => self.settle(nack("no luck"), "nack"),
            8 => self.settle(Settle::Release, "release"),
            9 => self.settle(Settle::Bury("enough".into()), "bury"),
            10 => self.by_id("cancel", |engine, id| engine.cancel(id).map(drop).unwrap()),
            11 => self.by_id("requeue", |engine, id| engine.requeue(id).map(drop).unwrap()),
            12 => self.pass_time(),
            13 => {
                self.engine().checkpoint().unwrap();
                "checkpoint"
            }
            14 => {
                self.engine().compact_all().unwrap();
                "compact"
            }
            15 => self.reopen(),
            _ => self.fail_a_sync(),
        }
    }

    fn new_job(&mut self) -> NewJob {
        self.serial += 1;
        let mut new = job(&format!("{}:{}", self.serial, "x".repeat(self.rng.usize(..2_000))));
        new.priority = self.rng.i16(-1..2);
        new.max_attempts = self.rng.u32(1..4);
        if self.rng.u8(..4) == 0 {
            new.queue = "other".into();
        }
        if self.rng.u8(..4) == 0 {
            new.unique = Some(format!("key {}", self.rng.u8(..6)));
        }
        if self.rng.u8(..5) == 0 {
            let now = self.world.clock.wall_ms() - super::world::START_MS;
            new.run_at = Some(at(now + self.rng.u64(1..20_000)));
        }
        new
    }

    fn add(&mut self, n: usize) -> &'static str {
        let jobs = (0..n).map(|_| self.new_job()).collect();
        let ids = self.engine().add_many(jobs);
        self.ids.extend(ids);
        "enqueue"
    }

    fn take(&mut self) -> &'static str {
        let n = self.rng.usize(1..5);
        let grants = self.engine().claim(&[], n, LeaseKind::Pool).unwrap();
        self.leases.extend(grants);
        "claim"
    }

    fn settle(&mut self, how: Settle, name: &'static str) -> &'static str {
        if self.leases.is_empty() {
            return self.take();
        }
        let lease = self.leases.swap_remove(self.rng.usize(..self.leases.len()));
        assert!(self.engine().end(&lease, how), "the only lease of job {} was stale", lease.id);
        name
    }

    fn by_id(&mut self, name: &'static str, verb: impl Fn(&Engine, JobId)) -> &'static str {
        if !self.ids.is_empty() {
            let id = self.ids[self.rng.usize(..self.ids.len())];
            verb(self.engine(), id);
        }
        name
    }

    fn pass_time(&mut self) -> &'static str {
        let ms = self.rng.u64(1..8_000);
        self.world.clock.advance(Duration::from_millis(ms));
        self.engine().promote_due().unwrap();
        while self.engine().make_step().unwrap() {}
        "time"
    }

    /// A sync fails: the handle is poisoned. The next open reads what the page cache shows and the disk has not, and
    /// its own syncs succeed.
    fn fail_a_sync(&mut self) -> &'static str {
        let job = self.new_job();
        self.world.disk.fail_call(0, Fault::eio().on(&[Call::SyncData]));
        let engine = self.engine();
        let done = engine.enqueue(vec![job], Durability::Sync).and_then(|(_, ticket)| engine.wait(ticket));
        self.world.disk.clear_faults();
        // A segment that could not be prepared harms nothing; neither does a duplicate that needed no sync.
        assert!(done.is_err() || self.engine().poisoned().is_none());
        if self.engine().poisoned().is_some() {
            self.leases.clear();
            self.engine = None;
            self.engine = Some(self.world.open());
        }
        "failed sync"
    }

    fn reopen(&mut self) -> &'static str {
        self.leases.clear();
        if let Some(engine) = self.engine.take() {
            if self.rng.bool() && engine.leases() == 0 {
                engine.close().unwrap();
            }
        }
        self.engine = Some(self.world.open());
        "reopen"
    }
}
