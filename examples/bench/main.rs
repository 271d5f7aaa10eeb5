//! How fast a backlog is on your disk, beside what the disk itself can do, in a minute or two.
//!
//! ```sh
//! cargo run --release --example bench -- [--json] [--dir D] [--jobs N] [--deep]
//! ```
//!
//! The least that a durable job can cost is its bytes appended and synced. That floor is measured in the same run, in
//! turn with the figures, and each figure is shown as a fraction of it: medians of several rounds, since a disk is a
//! different one an hour later. `--help` says what each word does.
//!
//! * `rounds`: floors and rates, in turn. `reopen`: a million jobs, killed and served again. `deep`: ten million.
//! * `child`: what runs in a process of its own, so that it can be killed, and its memory is its own.
//! * `figures`: what is measured and against what. `report`: the table, and the object of `--json`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "an example talks to people and measures by the clock; the rules are the library's"
)]

mod args;
mod child;
#[path = "../../benches/common/mod.rs"]
mod common;
mod deep;
mod figures;
#[path = "../../tests/system/measure.rs"]
mod measure;
mod place;
mod reopen;
mod report;
mod rounds;
mod syncs;

use std::process::ExitCode;

use args::{Args, Asked};
use common::Outcome;
use figures::Figures;
use place::Place;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if child::is_meant(&words) {
        return child::run(&words);
    }
    match args::parse(words)? {
        Asked::Help => println!("{}", args::HELP),
        Asked::Bench(args) => bench(&args)?,
    }
    Ok(())
}

fn bench(args: &Args) -> Outcome<()> {
    // Goes with everything in it when this function ends, however it ends.
    let place = Place::new(args.dir.as_deref())?;
    if cfg!(debug_assertions) {
        eprintln!("bench: this build is not optimized; say `cargo run --release --example bench`");
    }
    let mut figures = Figures::default();
    rounds::measure(&place, args.jobs, &mut figures)?;
    reopen::measure(&place, &mut figures)?;
    if args.deep {
        deep::measure(&place, &mut figures)?;
    }
    if args.json { report::json(&place, args, &figures) } else { report::table(&place, args, &figures) }
}

/// What goes on, for a person who waits.
fn tell(what: &str) {
    eprintln!("bench: {what}");
}
