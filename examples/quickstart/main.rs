//! Watch a queue be killed twice in the middle of real work, and lose nothing.
//!
//! ```sh
//! cargo run --release --example quickstart [DIR]
//! ```
//!
//! Enqueues one job per file below DIR (default: this checkout and the sources of cargo's registry). A second process
//! works them, several at a time: SHA-256 of each file, appended to a file of results. It is killed with SIGKILL at a
//! fifth and at half of the way, and started again. At the end every result is compared with a plain hash of the same
//! files. Exit status 1 if anything is lost or differs.
//!
//! * `worker`: the process that is killed. How a program uses workers.
//! * `show`: the process you started. How a program enqueues, and who does the killing.
//! * `results`: an effect that may happen twice without harm.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "an example talks to people and measures by the clock; the rules are the library's"
)]

mod files;
mod report;
mod results;
mod show;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use backlog::Job;
use serde::{Deserialize, Serialize};

/// The args of a job.
#[derive(Serialize, Deserialize)]
struct HashFile {
    path: String,
}

impl Job for HashFile {
    const KIND: &'static str = "hash_file";
}

/// Tells the process that it is the worker, and where the queue lies.
const WORK_IN: &str = "BACKLOG_QUICKSTART_WORK_IN";

fn main() -> ExitCode {
    let outcome = match std::env::var_os(WORK_IN) {
        Some(home) => worker::work(&PathBuf::from(home)).map(|()| true),
        None => show::show(std::env::args_os().nth(1).map(PathBuf::from)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("quickstart: {e}");
            ExitCode::FAILURE
        }
    }
}
