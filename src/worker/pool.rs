//! The threads of a pool: claiming, running, settling, stopping. The one place in the library that starts worker
//! threads.
//!
//! One idle thread at a time claims: for itself, for the others that are idle, and where runs are short for the next
//! millisecond. So a pool sends one claim for many jobs when it is behind, and a crash interrupts few that had not
//! started (rule 11; the store gives out alone what must not be interrupted).
//!
//! # Invariants
//! * A grant is in exactly one place: `waiting`, `running`, or with the thread that settles it. Who takes it out of
//!   `running` settles it, and nobody else does.
//! * No lock is held while a handler runs or the store is asked.
//! * A thread that ends, or has nothing to do, has first seen what it settled reach the disk.
//!
//! Never here: what a handler is (`handlers`), signals (`signals`).

#[cfg(feature = "testing")]
mod drain;
mod look;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cancelled::Flag;
use super::context::Context;
use super::handlers::{Handlers, Ran};
use super::layers::{Layers, States};
use super::order::Order;
use super::tasks::Limit;
use super::watch::{Verdict, Watched};
use super::workers::OnPoison;
use crate::engine::{Grant, Settle, Ticket};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::seam::{AtShutdown, JobStore};
use crate::sync::{AtomicBool, Builder, Condvar, JoinHandle, Mutex, MutexGuard};

/// How long claims rest after an error that is not the end.
const REST: Duration = Duration::from_secs(1);
/// How much work may wait in the pool for a thread.
const AHEAD: Duration = Duration::from_millis(1);
/// And how many jobs.
const AHEAD_JOBS_MAX: u128 = 256;

/// What a pool is made of.
pub(super) struct Parts {
    pub(super) store: Arc<dyn JobStore>,
    pub(super) handlers: Handlers,
    pub(super) layers: Layers,
    pub(super) states: Arc<States>,
    pub(super) order: Order,
    pub(super) policy: Option<OnPoison>,
    pub(super) exit: fn(i32),
}

pub(super) struct Pool {
    store: Arc<dyn JobStore>,
    handlers: Handlers,
    layers: Layers,
    states: Arc<States>,
    order: Order,
    /// What `State::stopping` says, for those who must not take the lock.
    stopping: AtomicBool,
    flagged: Arc<Flag>,
    state: Mutex<State>,
    /// Idle threads wait here.
    work: Condvar,
    /// Those who watch the pool wait here.
    news: Condvar,
    exit: fn(i32),
}

/// What the watchers of a pool see, and what its threads share.
#[derive(Default)]
pub(super) struct State {
    pub(super) stopping: bool,
    claiming: bool,
    idle: usize,
    waiting: VecDeque<Arc<Grant>>,
    /// What a run takes: the longest of the last ones, forgotten by an eighth with each. None yet: no idea.
    run_takes: Option<Duration>,
    running: BTreeMap<usize, Running>,
    /// Jobs given back that never started here.
    pub(super) released: usize,
    /// Threads that have not ended.
    pub(super) threads: usize,
    pub(super) signals: u32,
    /// What stopped the pool, if nobody asked it to.
    pub(super) fault: Option<Error>,
    policy: Option<OnPoison>,
}

/// A job that a thread has.
#[derive(Clone)]
struct Running {
    grant: Arc<Grant>,
    /// On the monotonic clock.
    since: Duration,
}

impl Running {
    fn is(&self, other: &Self) -> bool {
        self.grant.token == other.grant.token
    }
}

impl State {
    pub(super) fn still_running(&self) -> usize {
        self.running.len()
    }

    fn has_run(&mut self, took: Duration) {
        let before = self.run_takes.unwrap_or_default();
        self.run_takes =
            Some(took.max(planted!(PoolForgetsSlowRuns, Duration::ZERO, before.saturating_sub(before / 8))));
    }

    /// Jobs to claim beyond those that can start now.
    fn ahead(&self) -> usize {
        let jobs = self.run_takes.map_or(0, |takes| AHEAD.as_nanos() / takes.as_nanos().max(1));
        planted!(PoolNeverClaimsAhead, 0, usize::try_from(jobs.min(AHEAD_JOBS_MAX)).unwrap_or(0))
    }
}

impl Pool {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { store, handlers, layers, states, order, policy, exit } = parts;
        Self {
            store,
            handlers,
            layers,
            states,
            order,
            stopping: AtomicBool::new(false),
            flagged: Arc::default(),
            state: Mutex::new(State { policy, ..State::default() }),
            work: Condvar::new(),
            news: Condvar::new(),
            exit,
        }
    }

    /// Brings back parked jobs this pool can run, and starts its threads: all or none.
    pub(super) fn start(self: &Arc<Self>, threads: usize) -> Result<Vec<JoinHandle<()>>> {
        self.store.unpark(&|kind| self.handlers.knows(kind))?;
        let mut started = Vec::with_capacity(threads);
        for slot in 0..threads {
            let pool = Arc::clone(self);
            self.state.lock().threads += 1;
            match Builder::new().name(format!("backlog-worker-{slot}")).spawn(move || pool.work(slot)) {
                Ok(thread) => started.push(thread),
                Err(e) => {
                    self.state.lock().threads -= 1;
                    self.begin_stop();
                    return Err(Error::io(format!("cannot start worker thread {slot} of {threads}"), e));
                }
            }
        }
        Ok(started)
    }

    /// The life of a thread.
    fn work(&self, slot: usize) {
        let _leaving = Leaving(self);
        let mut mark = None;
        while let Some(grant) = self.next(slot, &mut mark) {
            mark = self.run(slot, &grant).or(mark);
        }
        if let Err(e) = self.see_through(&mut mark) {
            self.fail(e);
        }
    }

    /// The next job for this thread; `None` when the pool stops.
    fn next(&self, slot: usize, mark: &mut Option<Ticket>) -> Option<Arc<Grant>> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(grant) = state.waiting.pop_front() {
                state.running.insert(slot, self.taken(&grant));
                if planted!(RunTwice) {
                    state.waiting.push_back(Arc::clone(&grant));
                }
                return Some(grant);
            }
            if !state.claiming {
                self.claim(&mut state, mark);
            } else if mark.is_some() {
                let seen = MutexGuard::unlocked(&mut state, || self.see_through(mark));
                self.mind(&mut state, seen);
            } else {
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
            }
        }
    }

    fn taken(&self, grant: &Arc<Grant>) -> Running {
        Running { grant: Arc::clone(grant), since: self.store.clock().monotonic() }
    }

    /// Claims for every idle thread; waits for work if there is none.
    fn claim(&self, state: &mut MutexGuard<'_, State>, mark: &mut Option<Ticket>) {
        state.claiming = true;
        let n = state.idle.saturating_add(1).saturating_add(state.ahead());
        let claimed = MutexGuard::unlocked(state, || self.fetch(n, mark));
        state.claiming = false;
        let claimed = claimed.map(|grants| {
            state.waiting.extend(grants.into_iter().map(Arc::new));
            if state.stopping {
                self.give_back_waiting(state);
            }
            // This thread takes one job; one of the woken ones finds none and claims on.
            for _ in 0..state.waiting.len().min(state.idle) {
                self.work.notify_one();
            }
        });
        self.mind(state, claimed);
    }

    fn fetch(&self, n: usize, mark: &mut Option<Ticket>) -> Result<Vec<Grant>> {
        let queues = self.order.next();
        let grants = self.take(&queues, n)?;
        if grants.is_empty() {
            self.see_through(mark)?;
            self.store.wait_for_work(&queues, &|| self.stopping.load(Ordering::SeqCst))?;
        }
        Ok(grants)
    }

    fn take(&self, queues: &[String], n: usize) -> Result<Vec<Grant>> {
        let grants = self.store.claim_many(queues, n)?;
        self.order.granted(queues, &grants);
        Ok(grants)
    }

    /// Waits until what this thread settled is on disk.
    fn see_through(&self, mark: &mut Option<Ticket>) -> Result<()> {
        planted!(PoolForgetsLastAck, None, mark.take()).map_or(Ok(()), |mark| self.store.wait(mark))
    }

    /// Runs one job and settles it.
    fn run(&self, slot: usize, grant: &Arc<Grant>) -> Option<Ticket> {
        let clock = self.store.clock();
        let since = clock.monotonic();
        let limit = grant.envelope.timeout_ms.map(|ms| Limit::from(since, Duration::from_millis(ms)));
        let (store, flagged) = (Arc::clone(&self.store), Arc::clone(&self.flagged));
        let cx = Context::new(Arc::clone(grant), store, flagged, Arc::clone(&self.states), limit);
        let watched = Watched::begin(grant, || self.handlers.knows(&grant.envelope.kind));
        let ran =
            watched.within(|| self.layers.run(&cx, || self.handlers.run(grant, cx.clone(), limit, clock, &watched)));
        let took = clock.monotonic().saturating_sub(since);
        let mut ran = self.layers.ruled(&cx, ran.timed(limit, took));
        // Given back while it ran: its outcome counts for nothing.
        {
            let mut state = self.state.lock();
            state.has_run(took);
            state.running.remove(&slot)?;
        }
        if ran.is_retried() && self.flagged.is_raised() {
            ran = Ran::Release;
        }
        let leaves = matches!(&ran, Ran::Done(done) if !done.is_nothing());
        let limits = self.store.limits();
        let how = ran.into_settle(grant, took, clock, limits);
        let mut verdict = Verdict::of(&*self.store, grant, &how);
        let mut settled = self.settle_when_it_fits(grant, how);
        if let Err(e) = &settled
            && leaves
            && matches!(e.kind(), ErrorKind::Full | ErrorKind::TooLarge | ErrorKind::Invalid)
        {
            let how = Ran::refused(e).into_settle(grant, took, clock, limits);
            verdict = Verdict::of(&*self.store, grant, &how);
            settled = self.settle_when_it_fits(grant, how);
        }
        if matches!(settled, Ok(Some(_))) {
            watched.ended(verdict, took);
        }
        settled.unwrap_or_else(|e| {
            self.fail(e);
            None
        })
    }

    /// On a full disk a job that goes on takes room, and waits until others have ended. If the pool stops before, the
    /// job is found interrupted by the next open.
    fn settle_when_it_fits(&self, grant: &Arc<Grant>, how: Settle) -> Result<Option<Ticket>> {
        if matches!(how, Settle::Ack { .. }) {
            return self.settle(grant, how);
        }
        loop {
            match self.settle(grant, how.clone()) {
                Err(full) if full.kind() == ErrorKind::Full && !planted!(FullStopsThePool) => {
                    let mut state = self.state.lock();
                    if state.stopping {
                        return Err(full);
                    }
                    self.news.wait_for(&mut state, REST);
                }
                settled => return settled,
            }
        }
    }

    fn settle(&self, grant: &Arc<Grant>, how: Settle) -> Result<Option<Ticket>> {
        let answer = self.store.settle_many(vec![(Arc::clone(grant), how)]).pop();
        answer.unwrap_or_else(|| Err(Error::invalid("the store answered for no run; please report this")))
    }

    /// Takes notice of an error of the claiming side.
    fn mind(&self, state: &mut MutexGuard<'_, State>, outcome: Result<()>) {
        let Err(e) = outcome else { return };
        if matches!(e.kind(), ErrorKind::Poisoned | ErrorKind::Unknown | ErrorKind::Closed) {
            MutexGuard::unlocked(state, || self.fail(e));
        } else if !state.stopping && !state.claiming {
            state.claiming = true;
            self.work.wait_for(state, REST);
            state.claiming = false;
        }
    }

    /// The store takes nothing any more: the pool stops. A closed backlog is no fault.
    fn fail(&self, e: Error) {
        if e.kind() != ErrorKind::Closed {
            self.flagged.raise();
            self.state.lock().fault.get_or_insert(e);
        }
        self.begin_stop();
    }

    /// No more claims; what was claimed and has not started is given back.
    pub(super) fn begin_stop(&self) {
        let mut state = self.state.lock();
        self.stopping.store(true, Ordering::SeqCst);
        state.stopping = true;
        self.give_back_waiting(&mut state);
        drop(state);
        self.work.notify_all();
        self.news.notify_all();
        planted!(StopDoesNotNudge, (), self.store.nudge());
    }

    fn give_back_waiting(&self, state: &mut MutexGuard<'_, State>) {
        let waiting = mem::take(&mut state.waiting);
        state.released += waiting.len();
        MutexGuard::unlocked(state, || self.give_back(waiting));
    }

    fn give_back(&self, grants: impl IntoIterator<Item = Arc<Grant>>) {
        let endings: Vec<_> = grants.into_iter().map(|grant| (grant, Settle::Release)).collect();
        let answers = if endings.is_empty() { Vec::new() } else { self.store.settle_many(endings) };
        // An error here is that of a poisoned or closed store: then the next open finds the jobs interrupted.
        if let Some(mark) = answers.into_iter().flatten().flatten().next_back() {
            let _ = self.store.wait(mark);
        }
    }

    /// Asks every run to end soon; a run that fails from now on keeps its attempt.
    pub(super) fn flag(&self) {
        self.flagged.raise();
    }

    /// Waits until `enough` of the pool's state, at most this long.
    pub(super) fn watch<T>(
        &self,
        longest: Option<Duration>,
        enough: impl Fn(&State) -> bool,
        then: impl FnOnce(&mut State) -> T,
    ) -> T {
        let mut state = self.state.lock();
        match longest {
            Some(longest) => {
                let _ = self.news.wait_while_for(&mut state, |state| !enough(state), longest);
            }
            None => self.news.wait_while(&mut state, |state| !enough(state)),
        }
        then(&mut state)
    }

    pub(super) fn on_signal(&self) {
        self.state.lock().signals += planted!(SignalUnheard, 0, 1);
        self.news.notify_all();
    }

    /// What a poisoned store is answered with, unless the program said otherwise.
    pub(super) fn default_policy(&self, policy: OnPoison) {
        self.state.lock().policy.get_or_insert(policy);
    }

    /// Ends the process if the store is poisoned and the policy says so.
    pub(super) fn obey_policy(&self) {
        let (policy, fault) = {
            let state = self.state.lock();
            (state.policy, state.fault.clone())
        };
        let poisoned = fault.is_some_and(|e| matches!(e.kind(), ErrorKind::Poisoned | ErrorKind::Unknown));
        if let (Some(OnPoison::Exit(code)), true) = (policy, poisoned) {
            planted!(PolicyIgnored, (), (self.exit)(code));
        }
    }
}

impl AtShutdown for Pool {
    fn release_running(&self) {
        let running = mem::take(&mut self.state.lock().running);
        planted!(ShutdownReleasesNothing, drop(running), self.give_back(running.into_values().map(|run| run.grant)));
    }
}

/// Counts a thread out, however it ends.
struct Leaving<'p>(&'p Pool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let last = {
            let mut state = self.0.state.lock();
            state.threads -= 1;
            state.threads == 0
        };
        if last {
            self.0.obey_policy();
        }
        self.0.news.notify_all();
    }
}
