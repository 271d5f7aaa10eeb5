//! Where a schedule takes place: a directory on a disk whose calls are steps, and a ledger of what was acknowledged.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use super::explore::under;
use crate::Options;
use crate::disk::simulated::CrashMode;
use crate::disk::{Access, Disk, DiskFile, Lock};
use crate::engine::world::{SEGMENT_BYTES, Verbs, World, job};
use crate::engine::{Doors, Drive, Durability, Engine, NewJob, Settings, Status, Ticket};
use crate::error::Result;
use crate::ids::JobId;
use crate::queue::Backlog;
use crate::sync::scheduled::let_time_pass;
use crate::sync::{AtomicBool, JoinHandle};
use crate::upkeep;

/// The directory every schedule of a test begins in.
pub(super) struct Template(World);

impl Template {
    pub(super) fn make(before: impl Fn(&Engine) + Send + Sync + 'static) -> Self {
        let world = World::new(1);
        let inside = world.clone();
        under(0, move || {
            let engine = inside.open();
            before(&engine);
            engine.close().unwrap();
        });
        Self(world)
    }
}

/// One schedule's world. Its own locks are never held across a step.
pub(super) struct Yard {
    pub(super) world: World,
    seed: u64,
    rng: Mutex<fastrand::Rng>,
    ledger: Mutex<Vec<Fact>>,
    afterwards: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

struct Fact {
    at: Moment,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Accepted(JobId, Durability),
    Ending(JobId),
    Ended(JobId),
}

/// What the disk and the saved index held: operations and saves so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    ops: usize,
    saves: usize,
}

impl Yard {
    pub(super) fn new(template: &Template, seed: u64) -> Self {
        let Template(world) = template;
        let world = World { disk: world.disk.copy(), ..world.cut_nothing() };
        let world = World { memory: world.memory.as_of(world.memory.saves()), ..world };
        Self {
            world,
            seed,
            rng: Mutex::new(fastrand::Rng::with_seed(!seed)),
            ledger: Mutex::default(),
            afterwards: Mutex::default(),
        }
    }

    /// In one schedule of four, waits with a time run out and the clock moves.
    pub(super) fn let_time_pass(&self) {
        let clock = Arc::clone(&self.world.clock);
        let passes = self.seed / 4 % 4 == 0;
        let_time_pass(passes.then(|| Box::new(move |by| clock.advance(by)) as _));
    }

    /// A number below `n` of the schedule's own choice.
    pub(super) fn below(&self, n: usize) -> usize {
        self.rng.lock().usize(..n)
    }

    pub(super) fn doors(&self) -> Doors {
        let disk = Paced { disk: Arc::new(self.world.disk.clone()), step: Arc::default() };
        Doors { disk: Arc::new(disk), drive: Drive::Threads, ..self.world.doors() }
    }

    /// The engine with committer, maker and compactor.
    pub(super) fn open(&self) -> Arc<Engine> {
        let settings = Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, ..Settings::default() };
        Arc::new(Engine::open(self.doors(), settings).unwrap())
    }

    /// The same with upkeep.
    pub(super) fn open_with_upkeep(&self) -> Arc<Engine> {
        let engine = self.open();
        upkeep::start(&engine).unwrap();
        engine
    }

    /// What a program holds.
    pub(super) fn open_backlog(&self) -> Backlog {
        Options::new().lock_wait(Duration::ZERO).open_with(self.doors()).unwrap()
    }

    /// Runs `check` when the schedule is over and all of its threads have ended.
    pub(super) fn after(&self, check: impl FnOnce() + Send + 'static) {
        self.afterwards.lock().push(Box::new(check));
    }

    pub(super) fn afterwards(&self) {
        let checks = std::mem::take(&mut *self.afterwards.lock());
        checks.into_iter().for_each(|check| check());
    }

    fn note(&self, what: What) {
        let at = Moment { ops: self.world.disk.ops(), saves: self.world.memory.saves() };
        self.ledger.lock().push(Fact { at, what });
    }

    /// Enqueues, waits for the level, and notes what was acknowledged.
    pub(super) fn enqueue(&self, engine: &Engine, jobs: Vec<NewJob>, level: Durability) -> Result<Vec<JobId>> {
        let (answers, ticket) = engine.enqueue(jobs, level)?;
        engine.wait(ticket)?;
        Ok(answers.iter().map(|answer| answer.id).inspect(|id| self.accepted(*id, level)).collect())
    }

    pub(super) fn accepted(&self, id: JobId, level: Durability) {
        self.note(What::Accepted(id, level));
    }

    /// From now on the job may be gone.
    pub(super) fn ending(&self, id: JobId) {
        self.note(What::Ending(id));
    }

    /// Its end was acknowledged.
    pub(super) fn ended(&self, id: JobId) {
        self.note(What::Ended(id));
    }

    /// Asks for a job's end, waits until that is durable, and notes it. `false`: refused.
    pub(super) fn end(&self, engine: &Engine, id: JobId, ask: impl FnOnce() -> Result<Option<Ticket>>) -> Result<bool> {
        self.ending(id);
        let Some(ticket) = ask()? else { return Ok(false) };
        engine.wait(ticket)?;
        self.ended(id);
        Ok(true)
    }

    /// Cuts the power at a moment somebody was acknowledged something, or now, and reopens what is left.
    pub(super) fn judge(&self) {
        let facts = std::mem::take(&mut *self.ledger.lock());
        let now = Moment { ops: self.world.disk.ops(), saves: self.world.memory.saves() };
        let at = facts.get(self.below(facts.len() + 1)).map_or(now, |fact| fact.at);
        let mode = match self.below(4) {
            0 => CrashMode::KeepAll,
            1 => CrashMode::StaleAfterFailedSync,
            _ => CrashMode::DropUnsynced,
        };
        let memory = self.world.memory.as_of(at.saves);
        let left = World { memory, ..self.world.cut(at.ops, mode) }.open();
        left.check_books().unwrap();
        let known: Vec<What> = facts.iter().filter(|fact| fact.at <= at).map(|fact| fact.what).collect();
        for what in &known {
            match *what {
                What::Accepted(id, level) if !known.contains(&What::Ending(id)) => {
                    let kept = level == Durability::Sync || mode == CrashMode::KeepAll;
                    assert!(!kept || lives(&left, id), "accepted {level:?} and lost: id={id} at={at:?} mode={mode:?}");
                }
                What::Ended(id) => assert!(!lives(&left, id), "ended and back: id={id} at={at:?} mode={mode:?}"),
                What::Accepted(..) | What::Ending(_) => {}
            }
        }
    }

    /// Closes the directory, then [`judge`](Self::judge)s.
    pub(super) fn close_and_judge(&self, engine: &Engine) {
        engine.close().unwrap();
        self.judge();
    }
}

fn lives(engine: &Engine, id: JobId) -> bool {
    matches!(engine.inspect(id).unwrap(), Status::Live(_))
}

/// A batch of jobs; of `big` ones four fill a segment.
pub(super) fn batch(big: bool) -> Vec<NewJob> {
    if big { (0..4).map(|_| job(&"x".repeat(3_900))).collect() } else { vec![job("small")] }
}

/// Adds a batch that is durable at once.
pub(super) fn add(engine: &Engine, jobs: Vec<NewJob>) {
    engine.add_many(jobs);
}

/// Starts a thread of the schedule.
pub(super) fn start<T: Send + 'static>(life: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    shuttle::thread::spawn(life)
}

/// Waits for all of them.
pub(super) fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// The simulated disk; each call is a step, before it happens.
#[derive(Debug)]
struct Paced {
    disk: Arc<dyn Disk>,
    step: Arc<AtomicBool>,
}

#[derive(Debug)]
struct PacedFile {
    file: Arc<dyn DiskFile>,
    step: Arc<AtomicBool>,
}

impl Paced {
    fn disk(&self) -> &dyn Disk {
        self.step.load(Ordering::SeqCst);
        &*self.disk
    }
}

impl PacedFile {
    fn file(&self) -> &dyn DiskFile {
        self.step.load(Ordering::SeqCst);
        &*self.file
    }
}

impl Disk for Paced {
    fn root(&self) -> Option<&Path> {
        self.disk.root()
    }

    fn display(&self, path: &str) -> String {
        self.disk.display(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk().create_dir(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk().list(dir)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk().open(path, access)?;
        Ok(Arc::new(PacedFile { file, step: Arc::clone(&self.step) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk().rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk().remove(path)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk().sync_dir(dir)
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk().try_lock(path)
    }
}

impl DiskFile for PacedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file().read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file().write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file().len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }
}
