//! Directories to be damaged: their logs hold every kind of record, every flag, and little else.
//!
//! Compaction first empties segment 1, so that segment 2 begins with what was carried; then every verb there is writes
//! into it until it is full.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{CellSet, Durability, Engine, Grant, LeaseKind, NewJob, Settle};
use crate::ids::{JobId, Lsn, Millis};
use crate::job::{Backoff, Codec, namespace};

use super::super::world::{SEGMENT_BYTES, START_MS, Verbs, World, nack};
use super::served::Served;

/// How a directory was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// In the middle of work, the last jobs written but not synced.
    Killed,
    /// By a clean close.
    Closed,
}

/// A directory, and what its owner saw while he filled it.
pub(super) struct Story {
    pub(super) world: World,
    /// Everything that stood after the verb that ended here.
    pub(super) seen: BTreeMap<Lsn, Served>,
    /// The args of every job that was ever accepted.
    pub(super) args: BTreeMap<JobId, Vec<u8>>,
    /// Earlier copies of all files.
    pub(super) copies: Vec<BTreeMap<String, Vec<u8>>>,
}

/// One segment of 64 KiB, as full as it gets: number 2.
pub(super) fn one_segment(seed: u64, left: Left) -> Story {
    let mut teller = Teller::begin(seed);
    teller.first_segment();
    teller.rounds(2);
    teller.fill();
    teller.end(left)
}

/// Two sealed segments and a third half full, with a checkpoint in the third.
pub(super) fn three_segments(seed: u64, left: Left) -> Story {
    let mut teller = Teller::begin(seed);
    teller.first_segment();
    teller.rounds(3);
    teller.copy();
    for nth in 0..4 {
        teller.round(nth);
    }
    teller.engine().checkpoint().unwrap();
    teller.copy();
    teller.round(4);
    teller.end(left)
}

struct Teller {
    world: World,
    engine: Option<Engine>,
    serial: u64,
    leases: Vec<Grant>,
    seen: BTreeMap<Lsn, Served>,
    args: BTreeMap<JobId, Vec<u8>>,
    copies: Vec<BTreeMap<String, Vec<u8>>>,
}

fn offset(lsn: Lsn) -> u64 {
    lsn.0 % u64::from(SEGMENT_BYTES)
}

impl Teller {
    fn begin(seed: u64) -> Self {
        let world = World::new(seed);
        let engine = Some(world.open());
        let (seen, args) = (BTreeMap::new(), BTreeMap::new());
        Self { world, engine, serial: 0, leases: Vec::new(), seen, args, copies: Vec::new() }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn tail(&self) -> Lsn {
        self.engine().state.lock().stage.tail()
    }

    fn segment(&self) -> u64 {
        self.tail().0 / u64::from(SEGMENT_BYTES)
    }

    /// Looks at everything as it stands now.
    fn note(&mut self) {
        let engine = self.engine();
        let (served, troubles) = Served::read(&**engine, engine.counts());
        assert!(troubles.is_empty(), "{troubles:?}");
        let tail = self.tail();
        for (id, (_, args)) in &served.jobs {
            let known = self.args.entry(*id).or_insert_with(|| args.clone());
            assert_eq!(known, args, "args of job {id} changed");
        }
        self.seen.insert(tail, served);
    }

    fn copy(&mut self) {
        let disk = &self.world.disk;
        self.copies.push(disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect());
    }

    fn job(&mut self, bytes: usize) -> NewJob {
        self.serial += 1;
        let serial = self.serial;
        let text = format!("{{\"job\":{serial},\"pad\":\"{}\"}}", "abcdefg".repeat(bytes / 7));
        let codec = [Codec::Raw, Codec::Json, Codec::Other(200)][serial as usize % 3];
        NewJob::new(["charge", "mail"][serial as usize % 2], codec, text.into_bytes())
    }

    fn add(&mut self, jobs: Vec<NewJob>) {
        self.engine().add_many(jobs);
        self.note();
    }

    fn take(&mut self, queue: &str, n: usize) {
        let taken = self.engine().claim(&[queue.to_owned()], n, LeaseKind::Pool).unwrap();
        self.leases.extend(taken);
        self.note();
    }

    fn settle(&mut self, how: Settle) {
        if self.leases.is_empty() {
            return;
        }
        let lease = self.leases.remove(0);
        self.engine().end(&lease, how);
        self.note();
    }

    fn ack_all(&mut self) {
        while !self.leases.is_empty() {
            self.settle(Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() });
        }
    }

    /// Jobs in every state there is, one more of each cell, then so much churn that segment 1 can be compacted.
    fn first_segment(&mut self) {
        self.states();
        while self.segment() == 1 {
            let mut churn = self.job(3_500);
            churn.queue = "churn".into();
            self.engine().add(churn);
            let lease = self.engine().claim(&["churn".into()], 1, LeaseKind::Pool).unwrap().remove(0);
            self.engine().ack(&lease);
        }
        self.copy();
        self.engine().compact_all().unwrap();
        self.note();
        assert_eq!(self.engine().log.oldest().0, 2);
    }

    fn states(&mut self) {
        let mut jobs = Vec::new();
        for nth in 0..9 {
            let mut job = self.job(60 + nth * 10);
            job.queue = "old".into();
            job.hold = nth == 0;
            job.run_at = (nth == 1).then(|| Millis(self.world.clock.wall_ms() + 40_000_000));
            job.unique = (nth == 2).then(|| "old key".into());
            job.priority = if nth < 5 { 0 } else { 7 };
            jobs.push(job);
        }
        self.add(jobs);
        self.take("old", 3);
        self.settle(Settle::Bury("enough of it".into()));
        self.settle(Settle::Park("nobody here".into()));
        let cells = vec![cell(namespace::RESULT, 1, 700), cell(namespace::STEP, 2, 40)];
        self.settle(Settle::Ack { follow_ups: Vec::new(), cells });
        let ticket = self.engine().pause("halted").unwrap();
        self.engine().wait(ticket).unwrap();
        // Stays in flight while it is carried.
        self.take("old", 1);
    }

    /// All verbs, over and over, until segment `last` is nearly full.
    fn rounds(&mut self, last: u64) {
        let mut nth = 0;
        while self.segment() < last || (self.segment() == last && offset(self.tail()) < 55_000) {
            if nth == 4 {
                self.copy();
                self.crash();
            }
            self.round(nth);
            nth += 1;
        }
        while self.segment() == last && last > 2 {
            let jobs = vec![self.job(500)];
            self.add(jobs);
        }
    }

    /// The process ends here; the jobs in flight are interrupted.
    fn crash(&mut self) {
        self.take("default", 2);
        let cancelled = self.leases.last().unwrap().id;
        self.engine().cancel(cancelled).unwrap();
        self.engine().push().unwrap();
        self.leases.clear();
        self.engine = None;
        let memory = self.world.memory.fork();
        self.world = World { memory, ..self.world.crashed(CrashMode::KeepAll) };
        self.engine = Some(self.world.open());
        self.note();
    }

    fn round(&mut self, nth: u64) {
        let now = self.world.clock.wall_ms();
        let jobs = self.dressed(nth, now);
        self.add(jobs);
        for bytes in [0, 90] {
            let plain = vec![self.job(bytes)];
            self.add(plain);
        }
        self.take("default", 1);
        self.settle(nack("it did not work out"));
        self.take("default", 4);
        self.settle(Settle::Release);
        self.settle(Settle::Snooze(Duration::from_secs(2)));
        let follow_ups = vec![self.job(30), self.job(10)];
        let cells = vec![
            cell(namespace::CHECKPOINT, nth, 30 * nth as usize),
            CellSet { namespace: namespace::STEP, key: vec![2], value: None, until: None },
        ];
        self.settle(Settle::Ack { follow_ups, cells });
        match nth % 3 {
            0 => self.settle(Settle::Bury("no use".into())),
            1 => self.settle(Settle::Park("no handler".into())),
            _ => self.ack_all(),
        }
        self.by_name(nth);
        self.by_time();
        self.ack_all();
    }

    /// Jobs with everything a job can have.
    fn dressed(&mut self, nth: u64, now: u64) -> Vec<NewJob> {
        let mut full = self.job(40);
        full.queue = "dressed".into();
        full.priority = -3;
        full.unique = Some(format!("key {nth}"));
        full.timeout = Some(Duration::from_secs(30));
        full.expires_at = Some(Millis(now + 900_000_000));
        full.backoff = Backoff::Exponential { base: Duration::from_millis(500), cap: Duration::from_secs(60) };
        full.tags = vec!["blue".into(), "large".into()];
        full.metadata = vec![("trace".into(), format!("{nth:08x}")), ("tenant".into(), "t".into())];
        full.keep_result = Some(Duration::from_secs(60));
        let mut scheduled = self.job(20);
        scheduled.run_at = Some(Millis(now + 1_000));
        let mut later = self.job(20);
        later.run_at = Some(Millis(START_MS + 30_000_000 + nth));
        let mut held = self.job(10);
        held.hold = true;
        let mut once = self.job(15);
        once.max_attempts = 1;
        once.backoff = Backoff::Fixed { delay: Duration::from_millis(10) };
        vec![full, scheduled, later, held, once]
    }

    /// What is done to jobs and queues from outside.
    fn by_name(&mut self, nth: u64) {
        let queue = format!("halted {}", nth % 2);
        let ticket =
            if nth % 4 < 2 { self.engine().pause(&queue).unwrap() } else { self.engine().resume(&queue).unwrap() };
        self.engine().wait(ticket).unwrap();
        self.note();
        // One of each state in turn, the oldest first.
        let phases = ["held", "dead", "parked", "scheduled", "ready"];
        let phase = phases[nth as usize % phases.len()];
        let jobs = &self.seen.last_key_value().unwrap().1.jobs;
        let found = jobs.iter().filter(|(_, (job, _))| job.queue == "default" && job.state.phase().as_str() == phase);
        let ids: Vec<JobId> = found.map(|(id, _)| *id).take(2).collect();
        for (at, id) in ids.into_iter().enumerate() {
            let ticket = if at == 0 && phase != "held" {
                self.engine().requeue(id).unwrap().1
            } else {
                self.engine().cancel(id).unwrap().1
            };
            self.engine().wait(ticket).unwrap();
            self.note();
        }
        let parked = self.engine().unpark(&|kind| nth % 5 == 4 && kind == "mail").unwrap();
        if parked > 0 {
            self.note();
        }
    }

    /// A lease taken by hand runs out, scheduled jobs become due.
    fn by_time(&mut self) {
        let lasts = Duration::from_secs(1);
        let taken = self.engine().claim(&["default".into()], 1, LeaseKind::Hand(lasts)).unwrap();
        self.note();
        self.world.clock.advance(Duration::from_secs(3));
        assert_eq!(self.engine().expire_leases().unwrap(), taken.len() as u64);
        self.note();
        self.engine().promote_due().unwrap();
        self.note();
    }

    /// Up to the last few hundred bytes.
    fn fill(&mut self) {
        let segment = self.segment();
        loop {
            let room = u64::from(SEGMENT_BYTES) - offset(self.tail());
            let Some(bytes) = room.checked_sub(900) else { break };
            let jobs = vec![self.job(bytes.min(600) as usize)];
            self.add(jobs);
        }
        assert_eq!(self.segment(), segment);
    }

    /// A synced job, a lease that is out, and two jobs that were only written.
    fn end(mut self, left: Left) -> Story {
        let jobs = vec![self.job(20)];
        self.add(jobs);
        if left == Left::Killed {
            self.take("default", 2);
            let id = self.leases[0].id;
            let ticket = self.engine().cancel(id).unwrap().1;
            self.engine().wait(ticket).unwrap();
            self.note();
        }
        for _ in 0..2 {
            let job = self.job(30);
            let (_, ticket) = self.engine().enqueue(vec![job], Durability::Buffered).unwrap();
            self.engine().wait(ticket).unwrap();
            self.note();
        }
        if left == Left::Closed {
            self.engine().close().unwrap();
        }
        self.engine = None;
        let Self { world, seen, args, copies, .. } = self;
        let world = World { memory: world.memory.fork(), ..world.crashed(CrashMode::KeepAll) };
        Story { world: World { disk: world.disk.copy(), ..world }, seen, args, copies }
    }
}

fn cell(space: u8, key: u64, bytes: usize) -> CellSet {
    let until = (space == namespace::RESULT).then_some(Millis(START_MS + 50_000_000));
    CellSet { namespace: space, key: key.to_be_bytes().to_vec(), value: Some(vec![space; bytes]), until }
}
