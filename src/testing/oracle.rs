//! A plain queue in memory, written from the promises and not from the code, to hold the real one against.
//!
//! Tell it every operation beside the real backlog's answer, in the order of the log. It says at once where an answer
//! breaks a promise, and after a crash whether the recovered state is that after some prefix of the operations that
//! holds every acknowledged one (C2). Each [`Violation`] names the invariant (C1–C15) it breaks.
//!
//! How to drive it:
//! 1. Set the clock with [`Oracle::set_clock`]; it may go back. [`Oracle::set_elapsed`] never does.
//! 2. After each operation of the real backlog call the method of the same name, with what the real one answered. A
//!    call that was refused before anything was written (full, invalid, too large) is not told.
//! 3. When the real call said it is durable, or written, say so with [`Oracle::acknowledge`] and the [`Op`] that the
//!    method gave: also for answers that changed nothing, since they wait for what they looked at.
//! 4. Compare [`Oracle::view`] with the real state whenever you like, and run [`Oracle::check`].
//! 5. After a crash read the real state as it was reopened, before any upkeep, and give it to [`Oracle::recovered`].
//!
//! # Invariants
//! * It shares nothing with the code it judges but ids and the names of states.
//! * One operation is one step: what happens in one frame is one state of the history.
//!
//! Never here: files, threads, time that passes by itself.

mod attempt;
mod claim;
mod history;
mod manage;
mod queue;
mod turns;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::OnConflict;
use crate::ids::JobId;

use history::History;
use queue::Queue;
use turns::Turns;

pub use attempt::{Retry, default_backoff_allows};
pub use claim::Grant;
pub use history::{Fault, Level, Op};
pub use manage::{CancelAnswer, RequeueAnswer};
pub use view::{Counters, JobView, View};

/// A promise that was broken: which invariant, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// A job as it is enqueued. Everything a caller does not set is the real default.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its kind.
    pub kind: String,
    /// Its queue (default: `default`).
    pub queue: String,
    /// Larger first (default: 0).
    pub priority: i16,
    /// No second live job of its kind may have this key (default: none).
    pub unique: Option<String>,
    /// Its key is free from its first start on (default: when it has ended).
    pub until_started: bool,
    /// What becomes of a waiting job that has the key (default: nothing).
    pub on_conflict: OnConflict,
    /// Not started any more from this time on, milliseconds since 1970 (default: never).
    pub expires_at: Option<u64>,
    /// When it may run, milliseconds since 1970 (default: at once).
    pub run_at: Option<u64>,
    /// Attempts it may spend (default: 25).
    pub max_attempts: u32,
    /// Not claimable before it is confirmed (default: no).
    pub hold: bool,
    /// Its bytes.
    pub args: Arc<[u8]>,
    /// The level it is accepted at: it is claimable from there on (default: `Level::Synced`).
    pub level: Level,
}

impl NewJob {
    /// A job of `kind` with every default.
    pub fn new(kind: &str, args: &[u8]) -> Self {
        Self {
            kind: kind.to_owned(),
            queue: "default".to_owned(),
            priority: 0,
            unique: None,
            until_started: false,
            on_conflict: OnConflict::Keep,
            expires_at: None,
            run_at: None,
            max_attempts: 25,
            hold: false,
            args: args.into(),
            level: Level::Synced,
        }
    }
}

/// What the real backlog answered to one enqueued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Accepted under this id.
    New(JobId),
    /// A live job with its key stood already.
    Duplicate(JobId),
    /// It took the place of the waiting job with its key.
    Replaced(JobId),
    /// The waiting job with its key was moved to its time.
    Rescheduled(JobId),
}

/// A cell to set, or to clear with `None`: namespace, key, value.
pub type CellSet = (u8, Vec<u8>, Option<Vec<u8>>);

/// The judge. See the module's text for how to drive it.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    now_ms: u64,
    queue: Queue,
    history: History,
    /// The highest id ever seen, in this life or one before.
    highest_id: Option<JobId>,
    /// The last token seen: opening, counter.
    last_token: (u64, u64),
    /// The job of each idempotency key ever seen, and the key of each job.
    keys: BTreeMap<String, JobId>,
    key_of: BTreeMap<JobId, String>,
    elapsed: Duration,
    turns: Turns,
}

impl Oracle {
    /// Judges an empty backlog.
    pub fn new() -> Self {
        Self::default()
    }

    /// The wall clock, milliseconds since 1970. It may go back.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// How everything stands after all operations told so far.
    pub fn view(&self) -> View {
        self.queue.view()
    }

    /// How everything would stand if the process ended now, nothing were lost, and it were opened again.
    pub fn view_after_crash(&self) -> View {
        self.queue.interrupted().view()
    }

    /// The latest operation told.
    pub fn last_op(&self) -> Op {
        self.history.last_op()
    }

    /// The real call for `op` returned, at this level: so did everything before it in the log.
    pub fn acknowledge(&mut self, op: Op, level: Level) {
        self.history.acknowledge(op, level);
    }

    /// One job; see [`enqueue_many`](Self::enqueue_many).
    pub fn enqueue(&mut self, job: &NewJob, answer: Answer) -> Result<Op, Violation> {
        self.enqueue_many(std::slice::from_ref(job), &[answer])
    }

    /// Jobs in one call, all or nothing. C8: the answer is [`Answer::Duplicate`] exactly while a live job has the key.
    pub fn enqueue_many(&mut self, jobs: &[NewJob], answers: &[Answer]) -> Result<Op, Violation> {
        let mut queue = self.queue.clone();
        self.accept(&mut queue, jobs, answers)?;
        if answers.iter().all(|answer| matches!(answer, Answer::Duplicate(_))) {
            return Ok(self.last_op());
        }
        Ok(self.step("enqueue", queue))
    }

    /// Sets or clears cells by themselves.
    pub fn set_cells(&mut self, cells: &[CellSet]) -> Op {
        let mut queue = self.queue.clone();
        queue.set_cells(cells);
        self.step("set cells", queue)
    }

    /// Everything scheduled that is due becomes ready, the earliest first. Gives how many did.
    pub fn promote(&mut self) -> usize {
        let mut promoted = 0;
        while let Some(id) = self.queue.first_due(self.now_ms) {
            let mut queue = self.queue.clone();
            if let Some(job) = queue.jobs.get_mut(&id) {
                job.make_ready();
            }
            // A step each: the real one may log them in portions of any size.
            self.step("promote", queue);
            promoted += 1;
        }
        promoted
    }

    /// What must hold at any moment: C8 and C9.
    pub fn check(&self) -> Result<(), Violation> {
        self.queue.check()
    }

    /// The real backlog was reopened after `fault` and stands like `found`: C1, C2, C15. Goes on from there.
    pub fn recovered(&mut self, found: &View, fault: Fault) -> Result<(), Violation> {
        self.queue = self.history.recover(found, fault)?;
        self.history.restart(&self.queue);
        self.line_up();
        Ok(())
    }

    /// The real backlog was closed and opened again and stands like `found`: nothing may differ.
    pub fn reopened(&mut self, found: &View) -> Result<(), Violation> {
        if let Some(difference) = self.view().difference(found) {
            return Err(Violation::new(format!("C2: changed by closing and opening: {difference}")));
        }
        self.history.restart(&self.queue);
        self.line_up();
        Ok(())
    }

    /// One operation happened: this is how things stand now.
    fn step(&mut self, what: &'static str, queue: Queue) -> Op {
        self.history.push(what, &queue);
        self.queue = queue;
        self.history.last_op()
    }

    /// Puts new jobs into `queue`, where the answers are right.
    fn accept(&mut self, queue: &mut Queue, jobs: &[NewJob], answers: &[Answer]) -> Result<(), Violation> {
        if jobs.len() != answers.len() {
            return Err(Violation::new(format!("C15: {} jobs got {} answers", jobs.len(), answers.len())));
        }
        // The first of a key counts in one call.
        let mut settled: BTreeSet<JobId> = BTreeSet::new();
        for (job, answer) in jobs.iter().zip(answers) {
            let holder = job.unique.as_ref().and_then(|key| queue.holder(&job.kind, key, None));
            let changes = holder.filter(|id| !settled.contains(id) && queue.waits(*id));
            match (*answer, holder, job.on_conflict) {
                (Answer::New(id), None, _) => {
                    self.number(id)?;
                    queue.insert(id, job, self.now_ms, self.history.next_op());
                }
                (Answer::Replaced(id), Some(_), OnConflict::Replace) if changes == Some(id) => {
                    queue.replace(id, job, self.now_ms);
                }
                (Answer::Rescheduled(id), Some(_), OnConflict::Reschedule) if changes == Some(id) => {
                    queue.reschedule(id, job.run_at, self.now_ms);
                }
                (Answer::Duplicate(id), Some(holder), policy)
                    if id == holder && (policy == OnConflict::Keep || changes.is_none()) => {}
                (answer, holder, policy) => {
                    return Err(Violation::new(format!(
                        "C8: answered {answer:?} by {policy:?} while the key is held by {holder:?}"
                    )));
                }
            }
            settled.extend(match *answer {
                Answer::New(id) | Answer::Duplicate(id) | Answer::Replaced(id) | Answer::Rescheduled(id) => [id],
            });
        }
        Ok(())
    }

    /// Ids rise, and none is given twice, not even that of a job a crash took.
    fn number(&mut self, id: JobId) -> Result<(), Violation> {
        if self.highest_id.is_some_and(|highest| id <= highest) {
            return Err(Violation::new(format!("C1: job={id} was numbered after job={:?}", self.highest_id)));
        }
        self.highest_id = Some(id);
        Ok(())
    }
}
