//! The verbs that change jobs and queues.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};

use serde::Serialize;

use super::args::{Args, Pause, Which};
use super::looking::filter_of;
use super::reach;
use super::show::{Screen, aside, plain};
use super::trouble::{Ended, NOT_FOUND, Trouble};
use crate::face::shape::{ChangeShape, CountShape};
use crate::face::verbs::{Act, Look};

/// What became of the jobs that were asked for.
#[derive(Debug, Default, Serialize)]
struct Sum {
    /// Jobs the words fit when they were counted.
    matched: u64,
    /// Changed as asked.
    done: u64,
    /// Running: asked to stop.
    requested: u64,
    /// In a state in which that cannot be done, or another job holds the unique key.
    refused: u64,
    /// Over already, or never there.
    not_live: u64,
    dry_run: bool,
}

impl Sum {
    fn add(&mut self, answer: &ChangeShape) {
        match answer.outcome.as_str() {
            "done" => self.done += 1,
            "requested" => self.requested += 1,
            "not_live" => self.not_live += 1,
            _ => self.refused += 1,
        }
    }
}

pub(super) fn retry(args: &Args, screen: &mut Screen, which: &Which) -> Ended {
    change(args, screen, which, Some("state:dead"), "make ready", &|id| Act::Requeue { id })
}

pub(super) fn cancel(args: &Args, screen: &mut Screen, which: &Which) -> Ended {
    change(args, screen, which, None, "cancel", &|id| Act::Cancel { id })
}

pub(super) fn move_to(args: &Args, screen: &mut Screen, which: &Which, to: &str) -> Ended {
    let what = format!("move to {}", plain(to));
    change(args, screen, which, None, &what, &|id| Act::Move { id, queue: to.to_owned() })
}

/// Changes the jobs named by id; or counts those that fit, asks, and changes them.
fn change(
    args: &Args,
    screen: &mut Screen,
    which: &Which,
    unless_stated: Option<&str>,
    what: &str,
    act: &dyn Fn(u64) -> Act,
) -> Ended {
    let ids: Result<Vec<u64>, _> = which.jobs.iter().map(|word| word.parse::<u64>()).collect();
    let filter = if ids.is_ok() {
        None
    } else {
        let mut words = which.jobs.clone();
        let stated = words.iter().any(|word| word.starts_with("state:") || word.contains(" state:"));
        words.extend(unless_stated.filter(|_| !stated).map(str::to_owned));
        Some(filter_of(&words, screen)?)
    };
    let target = if which.dry_run { reach::to_look(args)? } else { reach::to_change(args, false)? };
    let mut sum = Sum { dry_run: which.dry_run, ..Sum::default() };
    match (&ids, &filter) {
        (Ok(ids), _) => {
            sum.matched = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            for id in ids.iter().filter(|_| !which.dry_run) {
                sum.add(&target.act(act(*id))?);
            }
        }
        (Err(_), filter) => {
            let filter = filter.clone().unwrap_or_default();
            let count: CountShape = target.see(Look::Count { filter: filter.clone() })?;
            sum.matched = count.jobs;
            if !which.dry_run && count.jobs > 0 {
                if let Err(trouble) = agreed(which, &format!("{what}: {} jobs that fit {filter}", count.jobs)) {
                    target.close()?;
                    return Err(trouble);
                }
                crate::face::every(&filter, act, |look| target.see(look), |act| target.act(act), |one| sum.add(one))?;
            }
        }
    }
    let way = target.way();
    target.close()?;
    report(screen, way, &sum, what, ids.is_ok())
}

/// Whether a person agrees; where none can be asked, `--yes` says so.
fn agreed(which: &Which, what: &str) -> Ended {
    if which.yes {
        return Ok(());
    }
    let what = plain(what);
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::usage(format!("{what}: give --yes to do it, or --dry-run to only count")));
    }
    aside(&format!("{what}? [y/N]"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Trouble::usage("nothing was changed")) }
}

fn report(screen: &Screen, way: &str, sum: &Sum, what: &str, by_id: bool) -> Ended {
    screen.value(way, sum)?;
    if sum.dry_run {
        return screen.line(&format!("would {what}: {} jobs", sum.matched));
    }
    let mut text = format!("{what}: {} of {}", sum.done, sum.matched);
    for (count, word) in
        [(sum.requested, "running and asked to stop"), (sum.refused, "refused"), (sum.not_live, "not there any more")]
    {
        if count > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", {count} {word}");
        }
    }
    screen.line(&text)?;
    // Of jobs that were named each one counts; of those that fit some may have ended since.
    match (by_id, sum.refused, sum.not_live) {
        (true, 0, gone) if gone == sum.matched => Err(Trouble::new(NOT_FOUND, "not_found", text)),
        (true, 0, 0) | (false, 0, _) => Ok(()),
        _ => Err(Trouble::incomplete(text)),
    }
}

pub(super) fn queue(args: &Args, screen: &mut Screen, what: &Pause) -> Ended {
    single(
        args,
        screen,
        match what {
            Pause::Pause { name } => Act::PauseQueue { queue: name.clone() },
            Pause::Resume { name } => Act::ResumeQueue { queue: name.clone() },
        },
    )
}

pub(super) fn kind(args: &Args, screen: &mut Screen, what: &Pause) -> Ended {
    single(
        args,
        screen,
        match what {
            Pause::Pause { name } => Act::PauseKind { kind: name.clone() },
            Pause::Resume { name } => Act::ResumeKind { kind: name.clone() },
        },
    )
}

pub(super) fn checkpoint(args: &Args, screen: &mut Screen) -> Ended {
    single(args, screen, Act::Checkpoint {})
}

pub(super) fn compact(args: &Args, screen: &mut Screen) -> Ended {
    single(args, screen, Act::Compact {})
}

/// One change without jobs.
fn single(args: &Args, screen: &Screen, act: Act) -> Ended {
    let target = reach::to_change(args, false)?;
    let answer: ChangeShape = target.act(act)?;
    let way = target.way();
    target.close()?;
    screen.value(way, &answer)?;
    screen.line("done")
}
