//! kill -9 in the middle of work, again and again, on real files.
//!
//! A child process works on one directory with several threads and says what it is about to do and what was
//! acknowledged. It is killed after a random count of lines, sometimes while it recovers. After each kill the parent
//! opens the directory and holds it against what it heard: nothing acknowledged is lost, nothing ended runs again,
//! every grant is counted, args are the same bytes, batches stand whole or not at all, no unique key twice.
//!
//! `BACKLOG_KILL_ROUNDS` says how often [25; 500 with `BACKLOG_EFFORT=full`], `BACKLOG_KILL_SEED` how.
#![allow(clippy::print_stdout, clippy::struct_excessive_bools, clippy::single_match_else)]
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a test that goes wrong must stop"
)]

#[path = "kill/child.rs"]
mod child;
#[path = "kill/ledger.rs"]
mod ledger;
#[path = "kill/pill.rs"]
mod pill;
#[path = "kill/spec.rs"]
mod spec;
#[path = "system/mod.rs"]
mod system;

use std::path::Path;
use std::time::{Duration, Instant};

use backlog::{Backlog, IndexOrigin, Options};

use ledger::{Found, Ledger};
use system::{Process, effort, home, number, segment_number, segments};

/// Rounds on one directory, then a new one with other segments.
const ROUNDS_PER_DIRECTORY: u64 = 25;
const SEGMENT_BYTES: [u32; 3] = [64 << 10, 256 << 10, 128 << 10];

const DIR: &str = "BACKLOG_KILL_CHILD_DIR";
const SEED: &str = "BACKLOG_KILL_CHILD_SEED";
const SEGMENT: &str = "BACKLOG_KILL_CHILD_SEGMENT";

fn options(segment_bytes: u32) -> Options {
    Backlog::builder()
        .segment_bytes(segment_bytes)
        .checkpoint_bytes(u64::from(segment_bytes) * 3)
        .lease(Duration::from_secs(3600))
        .lock_wait(Duration::from_secs(60))
}

#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn child_main() {
    let Ok(dir) = std::env::var(DIR) else { return };
    child::work(options(number(SEGMENT, 0) as u32), Path::new(&dir), number(SEED, 0));
}

/// When to kill: after so many lines.
fn lines_to_hear(rng: &mut fastrand::Rng) -> u32 {
    match rng.u32(..10) {
        // While it recovers: it has said that it begins.
        0 => 1,
        1..5 => rng.u32(2..80),
        _ => rng.u32(80..1_500),
    }
}

#[derive(Default)]
struct Tally {
    in_recovery: u64,
    trusted: u64,
    rotated: u64,
    trimmed: u64,
    longest_open: Duration,
}

/// Starts the child, hears it, kills it; what it said before its death is in the ledger.
fn work_and_kill(dir: &Path, segment_bytes: u32, seed: u64, ledger: &mut Ledger, tally: &mut Tally) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let environment: [(&str, &dyn AsRef<std::ffi::OsStr>); 3] =
        [(DIR, &dir), (SEED, &seed.to_string()), (SEGMENT, &segment_bytes.to_string())];
    let mut child = Process::start("child_main", &environment);
    let mut left = lines_to_hear(&mut rng);
    let in_recovery = left == 1;
    tally.in_recovery += u64::from(in_recovery);
    while left > 0 {
        let line = child.hear().unwrap_or_else(|| panic!("seed={seed}: the child ended by itself"));
        ledger.hear(&line);
        left -= 1;
    }
    if in_recovery {
        // It says nothing more that could be counted; so some steps of our own.
        (0..rng.u32(..3_000_000)).for_each(|_| std::hint::spin_loop());
    }
    child.kill();
    while let Some(line) = child.hear() {
        ledger.hear(&line);
    }
    child.end();
}

/// Opens the directory as the next owner would.
fn look(dir: &Path, segment_bytes: u32, rng: &mut fastrand::Rng, ledger: &mut Ledger, tally: &mut Tally) {
    let started = Instant::now();
    let backlog = options(segment_bytes).open(dir).unwrap();
    tally.longest_open = tally.longest_open.max(started.elapsed());
    tally.trusted += u64::from(backlog.recovery_report().index == IndexOrigin::Trusted);
    let report = backlog.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut found = Found::of(&backlog);
    if rng.u8(..4) == 0 {
        // C11: the same state without the index.
        let before = found.text.clone();
        backlog.close().unwrap();
        std::fs::remove_dir_all(dir.join("index")).unwrap();
        let backlog = options(segment_bytes).open(dir).unwrap();
        found = Found::of(&backlog);
        assert_eq!(before, found.text, "another state after the index was deleted");
    } else if rng.bool() {
        backlog.close().unwrap();
    }
    ledger.settle(&found);
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let rounds = effort("BACKLOG_KILL_ROUNDS", 25, 500);
    let seed = number("BACKLOG_KILL_SEED", 1);
    println!("kill: rounds={rounds} seed={seed} (BACKLOG_KILL_ROUNDS, BACKLOG_KILL_SEED)");
    let mut tally = Tally::default();
    let mut sums = ledger::Sums::default();
    let mut done = 0;
    for (segment_bytes, nth) in SEGMENT_BYTES.into_iter().cycle().zip(0..) {
        if done == rounds {
            break;
        }
        let home = home();
        let mut ledger = Ledger::default();
        for _ in 0..ROUNDS_PER_DIRECTORY.min(rounds - done) {
            let round = seed.wrapping_mul(1_000_003).wrapping_add(done);
            println!("kill: round={done} child_seed={round} segment_bytes={segment_bytes} directory={nth}");
            let mut rng = fastrand::Rng::with_seed(!round);
            ledger.begin(&format!("round {done}, BACKLOG_KILL_SEED={seed}"));
            work_and_kill(&home.jobs(), segment_bytes, round, &mut ledger, &mut tally);
            look(&home.jobs(), segment_bytes, &mut rng, &mut ledger, &mut tally);
            done += 1;
        }
        let segments = segments(&home.jobs());
        tally.rotated += segments.last().map_or(0, |last| segment_number(last));
        tally.trimmed += segments.first().map_or(0, |first| segment_number(first) - 1);
        sums.add(ledger.sums());
    }
    println!(
        "kill: kills={rounds} (in recovery {}) {sums} segments={} trimmed={} index trusted={} longest open={:?}; lost 0, run again 0",
        tally.in_recovery, tally.rotated, tally.trimmed, tally.trusted, tally.longest_open
    );
    println!("counted: kill -9 rounds {rounds}");
    println!("counted: acknowledged operations checked {}", sums.acknowledged());
    if rounds >= ROUNDS_PER_DIRECTORY {
        assert!(tally.rotated > 20 && tally.trimmed > 5 && tally.trusted > 0, "too little happened to mean anything");
    }
}
