//! The process that is killed: opens the queue, works it, and ends in order when its input is closed.
//!
//! It tells its parent what it does, a line each: `open REQUEUED`, `start JOB ATTEMPT`, `done JOB`. The parent holds it
//! on a leash, a byte for each job it may start, so that its kills hit the middle of the work.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backlog::{Backlog, Context, Outcome};

use crate::HashFile;
use crate::files::{self, Found};
use crate::results::Results;

/// Several at a time, also on a small machine: files wait for the disk.
const THREADS: usize = 4;

pub(crate) fn work(home: &Path) -> Result<(), Box<dyn Error>> {
    let backlog = Backlog::open(home.join("queue"))?;
    say(format_args!("open {}", backlog.recovery_report().requeued))?;
    let results = Arc::new(Results::append_to(&home.join("results"))?);
    let (leash, leave) = crossbeam_channel::unbounded();
    let workers = backlog
        .workers()
        .handle(move |job: HashFile, cx: Context| {
            if leave.recv().is_err() {
                return Ok(Outcome::Release);
            }
            say(format_args!("start {} {}", cx.id(), cx.attempt()))?;
            // A file that cannot be read is a result too: trying again would not help.
            let found = files::hash(Path::new(&job.path)).unwrap_or_else(|e| Found::unreadable(&e));
            results.put(&job.path, &found)?;
            say(format_args!("done {}", cx.id()))?;
            Ok(Outcome::Done)
        })
        .concurrency(THREADS)
        .start()?;
    for byte in io::stdin().lock().bytes() {
        leash.send(byte?)?;
    }
    // The parent has heard of every job, or has died.
    drop(leash);
    workers.stop(Duration::from_secs(25))?;
    backlog.close()?;
    Ok(())
}

/// One line, handed to the system in one piece: what was said before a kill arrives.
fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    io::stdout().lock().write_all(format!("{line}\n").as_bytes())
}
