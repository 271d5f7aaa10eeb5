//! Gathers handlers and settings for a pool.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::failure::Failure;
use super::handlers::{self, Handler, Handlers};
use super::outcome::IntoOutcome;
use super::pool::Pool;
use super::workers::{OnPoison, Workers};
use crate::error::{Error, Result};
use crate::queue::seam::JobStore;
use crate::queue::{Backlog, Job, NameOf, check_name};

impl Backlog {
    /// A pool of workers for this backlog: give it handlers, then start it.
    pub fn workers(&self) -> WorkersBuilder {
        WorkersBuilder::over(self.as_store(), Some(self.clone()))
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
    queues: Vec<String>,
    concurrency: Option<usize>,
    grace: Duration,
    on_poison: Option<OnPoison>,
    exit: fn(i32),
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
            queues: Vec::new(),
            concurrency: None,
            grace: Duration::from_secs(25),
            on_poison: None,
            exit: exit_process,
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

    /// The queues to claim from, in strict order: the second only when the first has nothing ready. Default: every
    /// queue, by name.
    pub fn queues<Q: Into<String>>(mut self, names: impl IntoIterator<Item = Q>) -> Self {
        self.queues = names.into_iter().map(Into::into).collect();
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
    /// `Invalid`: no handler, two handlers for one kind or alias, a bad name, or a concurrency out of range. `Io`: the
    /// system gives no more threads. `Poisoned`, `Closed`. Nothing was started.
    pub fn start(self) -> Result<Workers> {
        let threads = match self.concurrency {
            None => std::thread::available_parallelism().map_or(1, NonZero::get),
            Some(n) if (1..=Self::CONCURRENCY_MAX).contains(&n) => n,
            Some(n) => {
                let max = Self::CONCURRENCY_MAX;
                return Err(Error::invalid(format!("concurrency={n} is out of range; give 1 to {max}")));
            }
        };
        let (home, grace) = (self.home.clone(), self.grace);
        let pool = Arc::new(self.into_pool()?);
        let threads = pool.start(threads)?;
        Ok(Workers::new(pool, threads, home, grace))
    }

    /// Runs jobs on this thread, one at a time, in the order a pool of one thread has. When none is ready and what has
    /// ended is on disk, `rest` says whether to look again. Gives how many ran.
    #[cfg(feature = "testing")]
    pub(crate) fn drain(self, rest: &mut dyn FnMut(u64) -> Result<bool>) -> Result<u64> {
        self.into_pool()?.drain(rest)
    }

    fn into_pool(self) -> Result<Pool> {
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
        Ok(Pool::new(self.store, handlers, self.queues, self.on_poison, self.exit))
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
