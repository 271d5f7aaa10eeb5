//! The command line: reads its arguments, reaches the backlog, shows the answer.
//!
//! * `args` are the words it understands; `reach` finds the way: the socket of a running program, else the directory.
//! * `looking`, `changing`, `putting`, `working` (with `command`), `carrying`, `checking` are the verbs.
//! * `serving` starts the console, the neighbour that has its own door: nothing else of it is known here.
//! * `show` is how answers look; `trouble` how it ends when it fails.
//!
//! # Invariants
//! * Looking never recovers or writes: a stopped directory is read without a lock.
//! * Text that came from a job or a name reaches a terminal escaped.
//! * Exit codes are the table in `trouble`, the same in the help and in `src/docs/cli.md`.
//!
//! Never here: what a verb means (`face`, `queue`).
#![allow(missing_docs, reason = "the binary's own; the library has no face here but `main`")]

mod args;
mod carrying;
mod changing;
mod checking;
#[cfg(unix)]
mod command;
mod looking;
mod putting;
mod reach;
#[cfg(feature = "console")]
mod serving;
mod show;
#[cfg(test)]
mod tests;
mod trouble;
#[cfg(unix)]
mod working;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Verb};
use show::Screen;
use trouble::{Ended, Trouble};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Nothing can be done for whoever does not read it.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { trouble::USAGE } else { 0 });
        }
    };
    let mut screen = Screen::new(args.json, args.verb.name());
    match run(&args, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            screen.trouble(&trouble);
            ExitCode::from(trouble.code)
        }
    }
}

fn run(args: &Args, screen: &mut Screen) -> Ended {
    match &args.verb {
        Verb::Stats => looking::stats(args, screen),
        Verb::Ls { filter, limit, after } => looking::ls(args, screen, filter, *limit, *after),
        Verb::Show { id } => looking::show(args, screen, *id),
        Verb::Failures { filter } => looking::failures(args, screen, filter),
        Verb::Verify => looking::verify(args, screen),
        Verb::History { limit } => looking::history(args, screen, *limit),
        Verb::Tail => looking::tail(args, screen),
        Verb::Enqueue(what) => putting::enqueue(args, screen, what),
        #[cfg(unix)]
        Verb::Work(what) => working::work(args, screen, what),
        #[cfg(not(unix))]
        Verb::Work(_) => Err(Trouble::failed("commands are run on Unix only; a program can run jobs here")),
        Verb::Retry(which) => changing::retry(args, screen, which),
        Verb::Cancel(which) => changing::cancel(args, screen, which),
        Verb::Move { which, to } => changing::move_to(args, screen, which, to),
        Verb::Queue { what } => changing::queue(args, screen, what),
        Verb::Kind { what } => changing::kind(args, screen, what),
        Verb::Checkpoint => changing::checkpoint(args, screen),
        Verb::Compact => changing::compact(args, screen),
        Verb::Export { file } => carrying::export(args, screen, file.as_deref()),
        Verb::Import { file, with_dead } => carrying::import(args, screen, file, *with_dead),
        #[cfg(feature = "console")]
        Verb::Console(what) => serving::console(args, screen, what),
        Verb::Doctor => checking::doctor(args, screen),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "backlog", &mut text);
            show::write(&text)
        }
        Verb::Man { verb } => {
            let command = Args::command();
            let page = match verb {
                None => command,
                Some(verb) => {
                    let found = command.find_subcommand(verb).cloned();
                    found.ok_or_else(|| Trouble::usage(format!("no verb {verb:?}; backlog help lists them")))?
                }
            };
            let mut text = Vec::new();
            clap_mangen::Man::new(page).render(&mut text).map_err(|e| Trouble::failed(e.to_string()))?;
            show::write(&text)
        }
    }
}
