//! What every peer of the race shares: one command line, one kind of job, one way to measure, one line of JSON out.
//!
//! A peer implements [`Peer`] and [`Producer`] and calls [`run`]. What it promises: a call of a producer returns
//! when its jobs are as durable as the peer makes them, and a worker settles a job only after the handler returned.
//!
//! Never here: what any one peer looks like inside.

mod commands;
mod options;
mod payload;
mod workers;

pub use options::Options;
pub use payload::Work;
pub use workers::poll;

use std::path::Path;
use std::sync::Arc;

/// Called by a worker for each job it was given; the job is settled when it returns.
pub type Handler = Arc<dyn Fn(Work) + Send + Sync>;

/// A queue, opened or connected to.
pub trait Peer: Send + Sync {
    /// What one enqueuing thread uses.
    fn producer(&self) -> Box<dyn Producer + '_>;

    /// Starts workers that run until the process ends.
    fn start_workers(&self, workers: usize, handler: Handler);

    /// Whether many jobs can be given in one call. Default: yes.
    fn batches(&self) -> bool {
        true
    }
}

/// Enqueues on one thread.
pub trait Producer {
    /// One job.
    fn one(&mut self, job: &Work);

    /// Many jobs, in the way the peer documents for it.
    fn many(&mut self, jobs: &[Work]);
}

/// How many of the bytes on disk below a folder are only made ready for jobs to come.
pub type Prepared = fn(&Path) -> u64;

/// [`run_prepared`], for a peer that keeps nothing ready or cannot tell it apart.
pub fn run(open: impl Fn(&Options) -> Box<dyn Peer>) -> ! {
    run_prepared(open, |_| 0)
}

/// Reads the command line, opens the peer, runs the command, prints its line of JSON and ends the process: at once,
/// without closing the peer, as a crash would.
pub fn run_prepared(open: impl Fn(&Options) -> Box<dyn Peer>, prepared: Prepared) -> ! {
    let options = Options::from_args();
    let line = commands::run(&options, &open, prepared);
    println!("{line}");
    std::process::exit(0)
}
