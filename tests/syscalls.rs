//! Watches the system calls of a working process through strace, so that nothing of our own vouches for itself.
//!
//! * No acknowledgement leaves the process before the segment file its record was written to was synced after it.
//! * No frame is written into a new segment before its name is durable, nor before the segment before it is.
//!
//! Says SKIPPED where strace is missing or may not trace. `tests/syscalls.sh` runs this with what it prints.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "syscalls/check.rs"]
mod check;
#[path = "system/mod.rs"]
mod system;
#[path = "syscalls/trace.rs"]
mod trace;

use std::path::Path;
use std::process::{Command, Stdio};

use backlog::{Backlog, Codec, Durability, JobBuilder};

use system::{anew, home, say};

const DIR: &str = "BACKLOG_SYSCALLS_DIR";
const CALLS: &str = "trace=openat,write,pwrite64,fdatasync,fsync,rename,renameat,renameat2,close";

/// The process that is watched. It says `job`, `end`: this was acknowledged.
#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn child_main() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let backlog = Backlog::builder().segment_bytes(64 << 10).open(Path::new(&dir)).unwrap();
    let job = |n: usize| JobBuilder::raw("watched", vec![7; 50 + n * 211 % 2_000], Codec::Raw);
    for round in 0..4 {
        for n in 0..12 {
            let level = if n % 4 == 3 { Durability::Buffered } else { Durability::Sync };
            let id = backlog.enqueue_all([job(n).durability(level)]).unwrap()[0].id;
            if level == Durability::Sync {
                say(&format!("job {id}"));
            }
        }
        for accepted in backlog.enqueue_all((0..20).map(job)).unwrap() {
            say(&format!("job {}", accepted.id));
        }
        for (n, lease) in backlog.queue("default").claim_many(24).unwrap().into_iter().enumerate() {
            let id = lease.id();
            match n % 6 {
                4 => drop(lease.nack("no luck").unwrap()),
                5 => drop(lease.release().unwrap()),
                _ => {
                    assert!(!lease.ack().unwrap().is_stale());
                    say(&format!("end {id}"));
                }
            }
        }
        // Several at a time: one sync for many.
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let backlog = &backlog;
                scope.spawn(move || {
                    for n in 0..6 {
                        let id = backlog.enqueue_all([job(thread * 7 + n)]).unwrap()[0].id;
                        say(&format!("job {id}"));
                        if n % 2 == 0 {
                            backlog.cancel(id).unwrap();
                            say(&format!("end {id}"));
                        }
                    }
                });
            }
        });
        if round == 2 {
            backlog.compact().unwrap();
        }
    }
    backlog.close().unwrap();
}

/// Why strace cannot be used here, if so.
fn missing() -> Option<String> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stdin(Stdio::null()).output();
    match tried {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Some("strace is not installed".to_owned()),
        Err(e) => Some(format!("strace cannot be run: {e}")),
        Ok(ran) if !ran.status.success() => {
            Some(format!("strace may not trace: {}", String::from_utf8_lossy(&ran.stderr).trim()))
        }
        Ok(_) => None,
    }
}

#[test]
fn no_acknowledgement_leaves_the_process_before_the_sync_it_needs() {
    if let Some(why) = missing() {
        println!("SKIPPED: {why}");
        return;
    }
    let home = home();
    let file = home.path().join("trace");
    let child = anew("child_main");
    let ran = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "2000000", "-e", CALLS, "-o"])
        .arg(&file)
        .arg(child.get_program())
        .args(child.get_args())
        .env(DIR, home.jobs())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = std::fs::read_to_string(&file).unwrap();
    let found = check::check(&trace::read(&text)).unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("syscalls: {found}");
    assert!(found.acknowledged > 250 && found.segments >= 4 && found.rotations >= 2, "too little to mean anything");

    // The check itself: without the syncs it must complain.
    for call in ["fdatasync(", "fsync("] {
        let without: String = lines_without(&text, call);
        let wrong = check::check(&trace::read(&without)).expect_err("a trace without syncs passed the check");
        println!("syscalls: without {call}...): {wrong}");
    }
}

fn lines_without(text: &str, call: &str) -> String {
    text.lines().filter(|line| !line.contains(&format!(" {call}"))).fold(String::new(), |text, line| text + line + "\n")
}
