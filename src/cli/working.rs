//! The verb that runs a command for each job.
//!
//! # Invariants
//! * The directory is this process's own while it works: another worker on it is refused.
//! * SIGTERM and SIGINT stop the claiming; running commands may finish for the grace, and what is left is given back.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{Args, Work};
use super::command::Commands;
use super::putting::EXEC;
use super::reach::dir;
use super::show::Screen;
use super::trouble::{Ended, IN_USE, Trouble};
use crate::sync::Builder;
use crate::{Backlog, Context, Failure, OnPoison, Options, What};

/// Why the work ends.
enum Why {
    Signal,
    Drained,
    Closed,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Sum {
    completed: u64,
    dead: u64,
    /// Commands that were still running at the end of the grace.
    still_running: usize,
    drained: bool,
}

pub(super) fn work(args: &Args, screen: &mut Screen, what: &Work) -> Ended {
    let dir = dir(args)?;
    let backlog = Options::new().lock_wait(args.wait).open(dir).map_err(|e| {
        let mut trouble = Trouble::from(e);
        if trouble.code == IN_USE {
            trouble.message += "; jobs are run by the program that has the directory open";
        }
        trouble
    })?;
    let commands = Arc::new(Commands::new(dir, &what.exec)?);
    commands.tidy(&backlog)?;
    let before = backlog.counts();
    let queues = queues(what);
    let (tell, told) = channel();
    watch_signals(tell.clone())?;
    let workers = pool(&backlog, what, &queues, &commands)?;
    watch_events(&backlog, what.drain, queues, tell)?;
    let why = told.recv().unwrap_or(Why::Closed);
    // The second signal ends the wait for commands: they run on, and the next worker waits for them.
    let hurried = Builder::new().name("backlog-hurry".to_owned());
    hurried
        .spawn(move || {
            while let Ok(why) = told.recv() {
                if matches!(why, Why::Signal) {
                    std::process::exit(130);
                }
            }
        })
        .map_err(Trouble::from)?;
    let stopped = workers.stop(what.grace)?;
    let after = backlog.counts();
    let sum = Sum {
        completed: after.completed.saturating_sub(before.completed),
        dead: after.total().dead.saturating_sub(before.total().dead),
        still_running: stopped.still_running,
        drained: matches!(why, Why::Drained),
    };
    let closed = if stopped.still_running == 0 { backlog.close() } else { Ok(()) };
    screen.value("opened", &sum)?;
    screen.line(&format!("{} jobs done, {} dead", sum.completed, sum.dead))?;
    if sum.still_running > 0 {
        let running = sum.still_running;
        return Err(Trouble::incomplete(format!("{running} commands run on; their jobs come back, and wait for them")));
    }
    Ok(closed?)
}

fn queues(what: &Work) -> Vec<String> {
    match (what.queue.is_empty(), what.kind.is_empty()) {
        (false, _) => what.queue.clone(),
        (true, true) => vec![EXEC.to_owned()],
        (true, false) => vec!["default".to_owned()],
    }
}

fn pool(backlog: &Backlog, what: &Work, queues: &[String], commands: &Arc<Commands>) -> Ended<crate::Workers> {
    let own = [EXEC.to_owned()];
    let kinds = if what.kind.is_empty() { &own[..] } else { &what.kind };
    // A disk that fails leaves nothing to wait for: sysexits' I/O error.
    let mut builder = backlog.workers().queues(queues).grace(what.grace).on_poison(OnPoison::Exit(74));
    for kind in kinds {
        let commands = Arc::clone(commands);
        builder = builder.handle_raw(kind.clone(), move |args: &[u8], cx: Context| run(&commands, args, &cx));
    }
    if let Some(n) = what.concurrency {
        builder = builder.concurrency(n);
    }
    let to_end = Arc::clone(commands);
    builder = builder.on(move |event| {
        if let (What::CancelRequested, Some(id)) = (event.what, event.job) {
            to_end.end(id);
        }
    });
    Ok(builder.start()?)
}

fn run(commands: &Arc<Commands>, args: &[u8], cx: &Context) -> Result<(), Failure> {
    let Some(left) = cx.time_left() else { return commands.run(args, cx) };
    // Whoever watches its time holds the context and ends with the run.
    let (over, is_over) = crossbeam_channel::bounded::<()>(0);
    let (to_end, id) = (Arc::clone(commands), cx.id());
    let watch = move || {
        if is_over.recv_timeout(left) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            to_end.end(id);
        }
    };
    let watching = Builder::new().name("backlog-timeout".to_owned()).spawn(watch)?;
    let ran = commands.run(args, cx);
    drop(over);
    // It does nothing that could panic.
    drop(watching.join());
    ran
}

fn watch_signals(tell: Sender<Why>) -> Ended {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let watch = move || {
        for _ in signals.forever() {
            if tell.send(Why::Signal).is_err() {
                return;
            }
        }
    };
    Builder::new().name("backlog-signals".to_owned()).spawn(watch)?;
    Ok(())
}

/// Tells when the backlog is closed, and when its queues are empty if that is asked for.
fn watch_events(backlog: &Backlog, drain: bool, queues: Vec<String>, tell: Sender<Why>) -> Ended {
    let events = backlog.events();
    let weak = backlog.downgrade();
    let watch = move || {
        loop {
            let Some(backlog) = weak.upgrade() else { break };
            let counts = backlog.counts();
            drop(backlog);
            let left = |queue: &String| counts.queues.get(queue).map_or(0, |q| q.ready + q.scheduled + q.in_flight);
            if drain && queues.iter().all(|queue| left(queue) == 0) {
                // Nobody hears it if a signal came first.
                let _ = tell.send(Why::Drained);
                return;
            }
            if events.recv().is_none() {
                break;
            }
        }
        let _ = tell.send(Why::Closed);
    };
    Builder::new().name("backlog-drain".to_owned()).spawn(watch)?;
    Ok(())
}
