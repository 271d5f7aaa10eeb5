//! One million pending jobs: the process is killed, and the next one serves them, in little memory.
//!
//! The time to the first claim is printed, and measured in `benches/recovery.rs`; here the counts and the memory must
//! be right. `BACKLOG_MILLION` says how many jobs [1000000].
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, clippy::cast_possible_truncation)]

#[path = "system/mod.rs"]
mod system;

use std::path::Path;
use std::time::Instant;

use backlog::{Backlog, Codec, IndexOrigin, JobBuilder};

use system::{Process, home, number, say};

const DIR: &str = "BACKLOG_MILLION_DIR";
/// Jobs of one commit.
const BATCH: u64 = 10_000;
const RAM_KB_MAX: u64 = 128 << 10;

fn jobs() -> u64 {
    number("BACKLOG_MILLION", 1_000_000)
}

/// 200 bytes of JSON.
fn job(n: u64) -> JobBuilder {
    let args = format!("{{\"n\":{n:08},\"text\":\"{}\"}}", "x".repeat(200 - 24));
    JobBuilder::raw("million", args.into_bytes(), Codec::Json)
}

#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn child_that_fills() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let backlog = Backlog::open(Path::new(&dir)).unwrap();
    let started = Instant::now();
    for batch in 0..jobs() / BATCH {
        // So that there is both: a saved index, and log behind it.
        if batch == jobs() / BATCH * 9 / 10 {
            backlog.checkpoint().unwrap();
        }
        backlog.enqueue_all((batch * BATCH..(batch + 1) * BATCH).map(job)).unwrap();
    }
    say(&format!("filled in {:?}", started.elapsed()));
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn child_that_opens() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let started = Instant::now();
    let backlog = Backlog::open(Path::new(&dir)).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let first = started.elapsed();
    assert_eq!(lease.payload().len(), 200);
    let (counts, report) = (backlog.counts(), backlog.recovery_report());
    say(&format!("{} {} {}", counts.total().ready, counts.total().in_flight, counts.enqueued));
    say(&format!("{}", peak_kb()));
    say(&format!("{}", report.index == IndexOrigin::Trusted));
    say(&format!("first claim after {first:?}, records replayed {}, index {:?}", report.records, report.index));
    // No close, no drop: as if killed.
    std::process::exit(0);
}

/// The most memory this process ever held.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn open_anew(dir: &Path, what: &str) -> bool {
    let mut child = Process::start("child_that_opens", &[(DIR, &dir)]);
    let counts = child.hear().unwrap();
    assert_eq!(counts, format!("{} 1 {}", jobs() - 1, jobs()), "{what}");
    let peak_kb: u64 = child.hear().unwrap().parse().unwrap();
    let trusted = child.hear().unwrap() == "true";
    println!("million: {what}: {} peak={} MB", child.hear().unwrap(), peak_kb >> 10);
    assert!(peak_kb <= RAM_KB_MAX, "{what}: peak memory {peak_kb} kB, at most {RAM_KB_MAX} promised");
    assert!(child.end());
    trusted
}

#[test]
fn a_million_pending_jobs_are_served_again_after_a_kill_in_little_memory() {
    let home = home();
    let mut child = Process::start("child_that_fills", &[(DIR, &home.jobs())]);
    println!("million: {}", child.hear().unwrap());
    child.kill();
    child.end();
    assert!(open_anew(&home.jobs(), "killed, index saved at nine tenths"), "the index was not believed");
    std::fs::remove_dir_all(home.jobs().join("index")).unwrap();
    assert!(!open_anew(&home.jobs(), "index deleted"));
}
