//! Workers whose handler does nothing: what remains is the cost of the queue.
//!
//! Every time here ends when the pool has stopped, so with the last ack on disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use backlog::{Backlog, Context, Failure, Workers};

use super::Outcome;
use super::jobs::{Work, fill, fill_with};

/// Longer than any turn; then something hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// How the runs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// A failed attempt; the next one is an hour away.
    Retry,
}

impl Ending {
    fn count(self, backlog: &Backlog) -> u64 {
        let counts = backlog.counts();
        match self {
            Self::Done => counts.completed,
            Self::Retry => counts.total().scheduled,
        }
    }
}

/// A pool that will have run so many jobs.
struct Crew {
    workers: Workers,
    backlog: Backlog,
    all_ran: Receiver<()>,
    ending: Ending,
    expected: u64,
}

impl Crew {
    /// As many threads as a pool has by default.
    fn start(backlog: &Backlog, jobs: usize, ending: Ending) -> Outcome<Self> {
        let (tell, all_ran) = sync_channel(1);
        let ran = AtomicUsize::new(0);
        let expected = ending.count(backlog) + jobs as u64;
        let handler = move |_: Work, _: Context| {
            if ran.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                tell.send(())?;
            }
            match ending {
                Ending::Done => Ok(()),
                Ending::Retry => Err(Failure::new("not yet").retry_in(Duration::from_secs(3600))),
            }
        };
        let workers = backlog.workers().queues(["default"]).handle(handler).start()?;
        Ok(Self { workers, backlog: backlog.clone(), all_ran, ending, expected })
    }

    /// Waits for its jobs, and until their ends are on disk.
    fn finish(self) -> Outcome<()> {
        self.all_ran.recv_timeout(PATIENCE).map_err(|_| "the workers ran fewer jobs than there are")?;
        let stopped = self.workers.stop(PATIENCE)?;
        let ended = self.ending.count(&self.backlog);
        if ended < self.expected || stopped.still_running > 0 {
            return Err(format!("ended={ended}, expected {}; {stopped:?}", self.expected).into());
        }
        Ok(())
    }
}

/// How long a pool takes for `jobs` jobs that are ready.
pub(crate) fn drain(backlog: &Backlog, jobs: usize) -> Outcome<Duration> {
    run(backlog, jobs, Ending::Done)
}

/// The same, with the end told.
pub(crate) fn run(backlog: &Backlog, jobs: usize, ending: Ending) -> Outcome<Duration> {
    let started = Instant::now();
    Crew::start(backlog, jobs, ending)?.finish()?;
    Ok(started.elapsed())
}

/// How long as many threads take for `jobs` ready jobs that claim and ack by hand, many at a time: what a pool adds its
/// handlers to.
pub(crate) fn drain_by_hand(backlog: &Backlog, jobs: usize) -> Outcome<Duration> {
    const AT_A_TIME: usize = 256;
    let expected = backlog.counts().completed + jobs as u64;
    let queue = backlog.queue("default");
    let work = || -> Outcome<()> {
        loop {
            let leases = queue.claim_many(AT_A_TIME)?;
            if leases.is_empty() {
                return Ok(());
            }
            for lease in leases {
                std::hint::black_box(lease.args::<Work>()?);
                // Nobody waits for the single end: the next verb that is on disk says so of all before it.
                drop(lease.ack_async());
            }
        }
    };
    let threads = std::thread::available_parallelism()?.get();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let crew: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        crew.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    backlog.resume("default")?;
    let took = started.elapsed();
    let ended = backlog.counts().completed;
    if ended < expected {
        return Err(format!("ended={ended}, expected {expected}").into());
    }
    Ok(took)
}

/// How long it takes to enqueue `jobs` jobs in batches while workers run them.
pub(crate) fn cycle(backlog: &Backlog, works: &[Work], jobs: usize) -> Outcome<Duration> {
    let started = Instant::now();
    let crew = Crew::start(backlog, jobs, Ending::Done)?;
    fill(backlog, works, jobs)?;
    crew.finish()?;
    Ok(started.elapsed())
}

/// How long it takes from the moment at which `jobs` jobs are due together until the last has run. `lead` is the time
/// to enqueue them in; `None`: it was too short.
pub(crate) fn due(backlog: &Backlog, works: &[Work], jobs: usize, lead: Duration) -> Outcome<Option<Duration>> {
    let (due, run_at) = (Instant::now() + lead, SystemTime::now() + lead);
    let crew = Crew::start(backlog, jobs, Ending::Done)?;
    fill_with(backlog, works, jobs, |job| job.run_at(run_at))?;
    let in_time = Instant::now() < due;
    crew.finish()?;
    Ok(in_time.then(|| due.elapsed()))
}

/// From the call of enqueue to the start of the handler, each time on a backlog that has nothing else to do.
pub(crate) fn start_latencies(backlog: &Backlog, work: &Work, times: usize) -> Outcome<Vec<Duration>> {
    const QUEUE: &str = "latency";
    let (tell, heard) = sync_channel(1);
    let handler = move |_: Work, _: Context| Ok(tell.send(Instant::now())?);
    let workers = backlog.workers().queues([QUEUE]).handle(handler).start()?;
    let mut latencies = Vec::with_capacity(times);
    for _ in 0..times {
        let completed = backlog.counts().completed;
        let called = Instant::now();
        backlog.job(work).queue(QUEUE).enqueue()?;
        latencies.push(heard.recv_timeout(PATIENCE)?.duration_since(called));
        become_idle(backlog, completed)?;
    }
    workers.stop(PATIENCE)?;
    Ok(latencies)
}

/// From the moment at which a scheduled job is due to the start of its handler, each time the only one. An early start is
/// an error.
pub(crate) fn due_latenesses(backlog: &Backlog, work: &Work, times: usize) -> Outcome<Vec<Duration>> {
    const QUEUE: &str = "latency";
    let (tell, heard) = sync_channel(1);
    let handler = move |_: Work, _: Context| Ok(tell.send(SystemTime::now())?);
    let workers = backlog.workers().queues([QUEUE]).handle(handler).start()?;
    let (mut late, mut random) = (Vec::with_capacity(times), fastrand::Rng::with_seed(1));
    for _ in 0..times {
        let completed = backlog.counts().completed;
        // What is stored is whole milliseconds, rounded up.
        let lead = Duration::from_micros(random.u64(3_000..9_000));
        let run_at = SystemTime::now() + lead;
        backlog.job(work).queue(QUEUE).run_at(run_at).enqueue()?;
        late.push(heard.recv_timeout(PATIENCE)?.duration_since(run_at).map_err(|_| "a job ran before it was due")?);
        become_idle(backlog, completed)?;
    }
    workers.stop(PATIENCE)?;
    Ok(late)
}

/// Waits until the ack is on disk and the workers wait again.
fn become_idle(backlog: &Backlog, completed: u64) -> Outcome<()> {
    while backlog.counts().completed == completed {
        std::thread::yield_now();
    }
    // Any verb that is on disk says so of all before it.
    backlog.resume("latency")?;
    std::thread::sleep(Duration::from_millis(2));
    Ok(())
}
