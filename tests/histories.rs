//! Real threads on a simulated disk: every verb is written down with its begin and end, and the history is judged.
//!
//! Nobody knows in which order calls that overlap took effect, so a judge only says what is certain: what returned
//! before another call began came before it. Then power is cut at many operations of the trace, in the middle of other
//! threads' commits, and each image is held against what had returned by then.
//!
//! `BACKLOG_HISTORIES` says how many histories, `BACKLOG_HISTORIES_SEED` which; `BACKLOG_EFFORT=full` asks for many.
#![allow(clippy::print_stdout)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test that goes wrong must stop"
)]

#[path = "histories/actor.rs"]
mod actor;
#[path = "histories/history.rs"]
mod history;
#[path = "histories/images.rs"]
mod images;
#[path = "histories/judge.rs"]
mod judge;
#[path = "kill/spec.rs"]
mod spec;
#[path = "system/mod.rs"]
mod system;

use std::sync::Arc;

use backlog::testing::{Parts, SeededRandom, SimDisk};
use backlog::{Backlog, Options};

use system::{effort, home};

const SEGMENT_BYTES: u32 = 64 << 10;

fn options() -> Options {
    Backlog::builder().segment_bytes(SEGMENT_BYTES)
}

fn open(disk: &SimDisk, real: &Parts, seed: u64) -> Backlog {
    let random = Arc::new(SeededRandom::new(seed));
    let parts = Parts { disk: Arc::new(disk.clone()), random, save_index: false, ..real.clone() };
    options().open_parts(parts).unwrap()
}

#[test]
fn histories_of_real_threads_keep_the_promises_and_so_does_every_crash_in_their_middle() {
    let (histories, first) = (effort("BACKLOG_HISTORIES", 20, 400), effort("BACKLOG_HISTORIES_SEED", 1, 1));
    let home = home();
    let real = Parts::real(home.jobs()).unwrap();
    let (mut operations, mut images, mut stale, mut duplicates) = (0, 0, 0, 0);
    for seed in first..first + histories {
        let replay =
            format!("BACKLOG_HISTORIES=1 BACKLOG_HISTORIES_SEED={seed} (threads: several tries may be needed)");
        let disk = SimDisk::new();
        let backlog = open(&disk, &real, seed);
        let events = actor::act(&backlog, seed, &|| disk.ops());
        operations += events.len();
        let history = history::History::of(events, &replay);
        stale += history.stale();
        duplicates += history.duplicates();
        judge::at_work(&history);
        // The trace with its last commits in it; the end in order comes after.
        let (cuts, ops) = (disk.replayer(), disk.ops());
        backlog.verify().unwrap();
        backlog.close().unwrap();
        judge::at_rest(&history, &open(&disk, &real, !seed));
        images += images::judge(&history, cuts, ops, seed, |image| open(image, &real, seed + 1));
    }
    println!("counted: histories of real threads {histories}");
    println!("counted: operations in histories of real threads {operations}");
    println!("counted: crash images of histories of real threads {images}");
    println!("stale leases refused={stale} duplicates refused={duplicates}");
    assert!(histories < 5 || (stale > 0 && duplicates > 0), "too little happened to mean anything");
}

#[test]
fn histories_of_real_threads_on_a_real_disk_keep_the_promises() {
    let (histories, first) = (effort("BACKLOG_HISTORIES", 3, 40), effort("BACKLOG_HISTORIES_SEED", 1, 1));
    for seed in first..first + histories {
        let home = home();
        let backlog = options().open(home.jobs()).unwrap();
        let events = actor::act(&backlog, seed, &|| 0);
        let replay = format!("BACKLOG_HISTORIES=1 BACKLOG_HISTORIES_SEED={seed} on a real disk");
        let history = history::History::of(events, &replay);
        judge::at_work(&history);
        backlog.close().unwrap();
        judge::at_rest(&history, &options().open(home.jobs()).unwrap());
    }
    println!("counted: histories of real threads on a real disk {histories}");
}
