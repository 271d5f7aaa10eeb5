//! Gathers handlers and settings for a pool.

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::alarms::{Alarm, Alert};
use super::context::Context;
use super::failure::{Failure, Retry};
use super::handlers::{self, Handler, Handlers};
use super::hooks::{Hooks, Listener};
use super::layers::{Ended, Layers, Run, States};
use super::notes::Progress;
use super::order::Order;
use super::outcome::IntoOutcome;
#[cfg(feature = "cron")]
use super::periodic;
use super::pool::{Parts, Pool};
use super::tasks::{BoxFuture, Spawn};
use super::workers::{OnPoison, Periodic, Workers};
use crate::engine::Event;
use crate::error::{Error, Result};
use crate::ids::JobId;
use crate::queue::seam::JobStore;
use crate::queue::{Backlog, Job, NameOf, check_name};

impl Backlog {
    /// A pool of workers for this backlog: give it handlers, then start it.
    pub fn workers(&self) -> WorkersBuilder {
        WorkersBuilder::over(self.as_store(), Some(self.clone()))
    }

    /// How far a live job said it is ([`Context::progress`]); `None`: it said nothing, or it has ended.
    ///
    /// # Errors
    /// `Corrupt`: what it said does not read back. `Invalid`: it is sealed, and its key is not in the key ring. `Poisoned`,
    /// `Closed`.
    pub fn progress(&self, id: JobId) -> Result<Option<Progress>> {
        let cell = self.as_store().progress(id)?;
        Ok(cell.as_deref().and_then(Progress::from_cell))
    }
}

/// Handlers and settings of a pool of workers; made by [`Backlog::workers`].
///
/// ```
/// use backlog::{Backlog, Context, Job};
/// use std::time::Duration;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greet { name: String }
/// impl Job for Greet { const KIND: &'static str = "greet"; }
///
/// # let dir = tempfile::tempdir()?;
/// let backlog = Backlog::open(dir.path().join("jobs"))?;
/// let (said, heard) = std::sync::mpsc::channel();
/// let workers = backlog.workers()
///     .handle(move |job: Greet, cx: Context| {
///         said.send(format!("Hello {}, attempt {}", job.name, cx.attempt()))?;
///         Ok(())
///     })
///     .concurrency(2)
///     .start()?;
/// backlog.enqueue(&Greet { name: "Ada".into() })?;
/// assert_eq!(heard.recv()?, "Hello Ada, attempt 1");
/// workers.stop(Duration::from_secs(25))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "does nothing until it is started"]
pub struct WorkersBuilder {
    store: Arc<dyn JobStore>,
    home: Option<Backlog>,
    handlers: Vec<(Vec<&'static str>, Handler)>,
    raw: Vec<(String, Handler)>,
    layers: Layers,
    hooks: Hooks,
    states: States,
    /// An error: there is no such executor.
    spawn: Option<Result<Spawn>>,
    queues: Vec<String>,
    /// Of the queues, where they are not in strict order.
    weights: Option<Vec<u32>>,
    concurrency: Option<usize>,
    grace: Duration,
    on_poison: Option<OnPoison>,
    exit: fn(i32),
    #[cfg(feature = "cron")]
    pub(super) cron: Vec<crate::cron::CronSet>,
}

impl WorkersBuilder {
    /// The most threads a pool may have, count.
    pub const CONCURRENCY_MAX: usize = 1024;

    pub(super) fn over(store: Arc<dyn JobStore>, home: Option<Backlog>) -> Self {
        Self {
            store,
            home,
            handlers: Vec::new(),
            raw: Vec::new(),
            layers: Layers::default(),
            hooks: Hooks::default(),
            states: States::default(),
            spawn: None,
            queues: Vec::new(),
            weights: None,
            concurrency: None,
            grace: Duration::from_secs(25),
            on_poison: None,
            exit: exit_process,
            #[cfg(feature = "cron")]
            cron: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn exit_by(mut self, exit: fn(i32)) -> Self {
        self.exit = exit;
        self
    }

    /// Runs jobs of `J` (its kind and its aliases) with this function, on a thread of the pool; it may block.
    ///
    /// `Ok` completes the job (or does what the [`Outcome`](crate::Outcome) says), an error or a panic is a failed
    /// attempt. Args that do not parse as `J` leave the job parked, with its bytes and the reason.
    pub fn handle<J, F, R>(mut self, handler: F) -> Self
    where
        J: Job + DeserializeOwned,
        F: Fn(J, Context) -> Result<R, Failure> + Send + Sync + 'static,
        R: IntoOutcome,
    {
        let mut kinds = vec![J::KIND];
        kinds.extend(J::ALIASES);
        self.handlers.push((kinds, handlers::typed(handler)));
        self
    }

    /// Runs jobs of `J` (its kind and its aliases) with this async function. Its future is polled on the thread of the
    /// pool that has the job, or by the executor given with [`spawner`](Self::spawner) or [`tokio`](Self::tokio); the
    /// thread stays with the job until the future has ended. At the job's
    /// [`timeout`](crate::JobBuilder::timeout) the future is dropped. Otherwise as [`handle`](Self::handle).
    ///
    /// ```
    /// # use backlog::{Backlog, Context, Job};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Greet { name: String }
    /// # impl Job for Greet { const KIND: &'static str = "greet"; }
    /// # async fn greet(_name: &str) -> std::io::Result<()> { Ok(()) }
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let workers = backlog.workers()
    ///     .handle_async(|job: Greet, _cx: Context| async move {
    ///         greet(&job.name).await?;
    ///         Ok(())
    ///     })
    ///     .start()?;
    /// # workers.stop(std::time::Duration::from_secs(25))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_async<J, F, Fut, R>(mut self, handler: F) -> Self
    where
        J: Job + DeserializeOwned,
        F: Fn(J, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Failure>> + Send + 'static,
        R: IntoOutcome,
    {
        let mut kinds = vec![J::KIND];
        kinds.extend(J::ALIASES);
        self.handlers.push((kinds, handlers::typed_async(handler)));
        self
    }

    /// Hands the futures of async handlers to this executor: any function that runs a future to its end. Default: they
    /// are polled on the threads of the pool.
    ///
    /// If the executor drops a future instead, the job is given back, its attempt not spent.
    ///
    /// ```
    /// # use backlog::Backlog;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let builder = backlog.workers().spawner(|future| smol::spawn(future).detach());
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawner(mut self, spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        self.spawn = Some(Ok(Arc::new(spawn)));
        self
    }

    /// Hands the futures of async handlers to the tokio runtime this is called in; what tokio offers works in them. For
    /// another runtime give its `spawn` to [`spawner`](Self::spawner). Where there is no runtime
    /// [`start`](Self::start) answers `Invalid`.
    #[cfg(feature = "tokio")]
    pub fn tokio(mut self) -> Self {
        let spawn = tokio::runtime::Handle::try_current()
            .map(|runtime| -> Spawn { Arc::new(move |future| drop(runtime.spawn(future))) });
        self.spawn = Some(spawn.map_err(|e| {
            Error::invalid(format!("no tokio runtime here: call tokio() inside one, or give spawner() its spawn: {e}"))
        }));
        self
    }

    /// What follows a failure that does not say so itself; `None`: the job's backoff. Called once for each failed
    /// attempt, a panic and a timeout too.
    ///
    /// ```
    /// # use backlog::{Backlog, Retry};
    /// # use std::io;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let builder = backlog.workers().retry(|failure, cx| {
    ///     let error = failure.downcast_ref::<io::Error>()?;
    ///     match error.kind() {
    ///         io::ErrorKind::NotFound => Some(Retry::Bury),
    ///         io::ErrorKind::TimedOut if cx.attempt() < 3 => Some(Retry::In(Duration::from_secs(1))),
    ///         _ => None,
    ///     }
    /// });
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry(mut self, rule: impl Fn(&Failure, &Context) -> Option<Retry> + Send + Sync + 'static) -> Self {
        self.layers.rule = Some(Box::new(rule));
        self
    }

    /// Wraps every run of this pool in a middleware: it may act before and after, look at the end, or fail the attempt
    /// without running it. The first one given is the outermost. A panic in it is a failed attempt.
    ///
    /// ```
    /// # use backlog::Backlog;
    /// # use std::time::Instant;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let builder = backlog.workers().around(|cx, run| {
    ///     let started = Instant::now();
    ///     let ended = run.run();
    ///     eprintln!("{} {} took {:?}, done: {}", cx.kind(), cx.id(), started.elapsed(), ended.is_done());
    ///     Ok(ended)
    /// });
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn around(
        mut self,
        layer: impl Fn(&Context, Run<'_>) -> Result<Ended, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.layers.around.push(Box::new(layer));
        self
    }

    /// Calls this for everything that happens to jobs and queues of this backlog while the pool runs, whoever brought it
    /// about: enqueued, started, completed, failed, retried, died and the rest; the table stands at
    /// [`Event`]. To act around runs of this pool alone, or before they end, take [`around`](Self::around).
    ///
    /// All hooks run on one thread of their own, one event after the other in the order of the log, each when what it
    /// tells is on disk. A panic in one is let go of. If they fall behind by more than 16,384 events they miss some
    /// ([`Workers::missed_events`]). [`Workers::stop`] waits for them, at most as long as its grace.
    ///
    /// ```
    /// # use backlog::{Backlog, What};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let builder = backlog.workers().on(|event| match event.what {
    ///     What::Died { attempts } => eprintln!("{:?} of {} died after {attempts}", event.job, event.kind),
    ///     _ => {}
    /// });
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on(mut self, hook: impl Fn(&Event) + Send + 'static) -> Self {
        self.hooks.add(hook);
        self
    }

    /// Something every handler of this pool can reach by its type: [`Context::state`]. The last of a type counts.
    pub fn with_state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.put(state);
        self
    }

    /// Runs jobs of `kind` with this function, which takes the bytes of the args as they are.
    pub fn handle_raw<F, R>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(&[u8], Context) -> Result<R, Failure> + Send + Sync + 'static,
        R: IntoOutcome,
    {
        self.raw.push((kind.into(), handlers::raw(handler)));
        self
    }

    /// How many jobs run at a time, each on a thread of its own; 1 to [`CONCURRENCY_MAX`](Self::CONCURRENCY_MAX).
    /// Default: as many as the machine runs threads.
    ///
    /// Where runs are short the pool also claims the next jobs ahead: up to a millisecond of work and 256 jobs, which
    /// are in flight while they wait. If the process dies then, that attempt of theirs counts as interrupted; jobs
    /// that crashed before, and last attempts, are never among them.
    pub fn concurrency(mut self, threads: usize) -> Self {
        self.concurrency = Some(threads);
        self
    }

    /// Calls this when something goes wrong for too long or too often: once when it begins, and again only after it was over
    /// in between. On the thread of the hooks ([`on`](Self::on)), while the pool runs.
    ///
    /// ```
    /// # use backlog::{Alarm, Alert, Backlog};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// fn page(alert: &Alert) { eprintln!("{alert:?}") }
    /// let builder = backlog.workers()
    ///     .alarm(Alarm::oldest_ready("mail", Duration::from_secs(300)), page)
    ///     .alarm(Alarm::failures(100, Duration::from_secs(60)), page)
    ///     .alarm(Alarm::deaths(1, Duration::from_secs(3600)), page);
    /// # let _ = builder;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn alarm(mut self, alarm: Alarm, tell: impl Fn(&Alert) + Send + 'static) -> Self {
        self.hooks.arm(alarm, tell);
        self
    }

    /// The queues to claim from, in strict order: the second only when the first has nothing ready. Default: every
    /// queue, by name.
    pub fn queues<Q: Into<String>>(mut self, names: impl IntoIterator<Item = Q>) -> Self {
        self.queues = names.into_iter().map(Into::into).collect();
        self.weights = None;
        self
    }

    /// The queues to claim from, by weight, at least 1 each: while all of them have jobs ready, of four jobs of
    /// `[("critical", 3), ("low", 1)]` three are critical ones. Where one has none the others have its share.
    pub fn weighted_queues<Q: Into<String>>(mut self, weights: impl IntoIterator<Item = (Q, u32)>) -> Self {
        let (queues, weights) = weights.into_iter().map(|(queue, weight)| (queue.into(), weight)).unzip();
        self.queues = queues;
        self.weights = Some(weights);
        self
    }

    /// How long [`run_until_signal`](Workers::run_until_signal) lets running jobs finish. Default: 25 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What to do when the disk fails and nothing can be acknowledged any more. Default: [`OnPoison::Keep`], under
    /// [`run_until_signal`](Workers::run_until_signal) [`OnPoison::Exit`] with status 74.
    pub fn on_poison(mut self, policy: OnPoison) -> Self {
        self.on_poison = Some(policy);
        self
    }

    /// Starts the threads. Parked jobs that a handler here can run are ready again.
    ///
    /// # Errors
    /// `Invalid`: no handler, two handlers for one kind or alias, a bad name, a weight of zero, a concurrency out of range, no tokio
    /// runtime, or a periodic entry that is wrong. `Full`: no room to declare periodic entries that were not declared
    /// before. `Io`: the system gives no more threads. `Poisoned`, `Closed`. Nothing was started.
    pub fn start(self) -> Result<Workers> {
        let threads = match self.concurrency {
            None => std::thread::available_parallelism().map_or(1, NonZero::get),
            Some(n) if (1..=Self::CONCURRENCY_MAX).contains(&n) => n,
            Some(n) => {
                let max = Self::CONCURRENCY_MAX;
                return Err(Error::invalid(format!("concurrency={n} is out of range; give 1 to {max}")));
            }
        };
        #[cfg(feature = "testing")]
        if self.home.as_ref().is_some_and(Backlog::has_no_threads) {
            return Err(Error::invalid("this backlog has no threads: run its workers with drain() instead of start()"));
        }
        let (home, grace, store) = (self.home.clone(), self.grace, Arc::clone(&self.store));
        let (pool, periodic, hooks) = self.into_pool()?;
        let pool = Arc::new(pool);
        let hooks = hooks.listen(&store).map(Listener::start).transpose()?;
        let threads = pool.start(threads)?;
        Ok(Workers::new(pool, threads, hooks, home, grace, periodic))
    }

    /// Runs jobs on this thread, one at a time, in the order a pool of one thread has. When none is ready and what has
    /// ended is on disk, `rest` says whether to look again. Gives how many ran.
    #[cfg(feature = "testing")]
    pub(crate) fn drain(self, rest: &mut dyn FnMut(u64) -> Result<bool>) -> Result<u64> {
        let store = Arc::clone(&self.store);
        let (pool, _periodic, hooks) = self.into_pool()?;
        let hooks = hooks.listen(&store);
        let drained = pool.drain(rest);
        if let Some(mut hooks) = hooks {
            hooks.call_pending();
        }
        drained
    }

    /// Takes jobs through this store instead; it stands before that of the same backlog.
    #[cfg(feature = "testing")]
    pub(crate) fn through(mut self, store: Arc<dyn JobStore>) -> Self {
        self.store = store;
        self
    }

    fn into_pool(self) -> Result<(Pool, Periodic, Hooks)> {
        self.queues.iter().try_for_each(|name| check_name(NameOf::Queue, name))?;
        let mut handlers = Handlers::default();
        for (kinds, handler) in self.handlers {
            handlers.add(&kinds, handler)?;
        }
        for (kind, handler) in self.raw {
            handlers.add(&[&kind], handler)?;
        }
        if handlers.is_empty() {
            return Err(Error::invalid("workers without a handler would park every job; give them one with handle()"));
        }
        let order = match self.weights {
            None => Order::Strict(self.queues),
            Some(weights) => {
                let shares: Vec<(String, u32)> = self.queues.into_iter().zip(weights).collect();
                if let Some((queue, _)) = shares.iter().find(|(_, weight)| *weight == 0) {
                    return Err(Error::invalid(format!(
                        "weight=0 for queue {queue:?}; give at least 1, or leave it out"
                    )));
                }
                Order::weighted(shares)
            }
        };
        handlers.spawn = self.spawn.transpose()?;
        #[cfg(feature = "cron")]
        let periodic = periodic::declare(self.home.as_ref(), self.cron)?;
        #[cfg(not(feature = "cron"))]
        let periodic = ();
        let pool = Pool::new(Parts {
            store: self.store,
            handlers,
            layers: self.layers,
            states: Arc::new(self.states),
            order,
            policy: self.on_poison,
            exit: self.exit,
        });
        Ok((pool, periodic, self.hooks))
    }
}

impl std::fmt::Debug for WorkersBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> = self.handlers.iter().flat_map(|(kinds, _)| kinds).collect();
        f.debug_struct("WorkersBuilder")
            .field("kinds", &kinds)
            .field("queues", &self.queues)
            .field("concurrency", &self.concurrency)
            .field("grace", &self.grace)
            .field("on_poison", &self.on_poison)
            .finish_non_exhaustive()
    }
}

fn exit_process(code: i32) {
    std::process::exit(code)
}
