//! A real file system that runs full: a tmpfs of a few megabytes, in a mount namespace of a process of its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use backlog::{Backlog, ErrorKind, JobId, Phase, Status};

use crate::system::{home, say};
use crate::{LONG, raw, small};

const DIR: &str = "BACKLOG_BAD_LUCK_MOUNT";

/// `$1`: where, `$2`: this binary.
const SCRIPT: &str = "mount -t tmpfs -o size=4m,mode=0700 small \"$1\" || exit 99
exec \"$2\" --exact mount::child_on_a_small_disk --ignored --nocapture";

#[test]
fn on_a_real_full_file_system_accepted_jobs_are_ended_and_service_resumes_when_room_returns() {
    let home = home();
    let mut why = String::new();
    // As whoever we are in a user namespace of our own, else as root.
    for flags in ["-rm", "-m"] {
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", SCRIPT, "sh"]).arg(home.path()).arg(std::env::current_exe().unwrap());
        match command.env(DIR, home.path()).output() {
            Ok(ran) if ran.status.code() != Some(99) && !ran.stdout.is_empty() => {
                let text = String::from_utf8_lossy(&ran.stdout);
                assert!(ran.status.success(), "{text}\n{}", String::from_utf8_lossy(&ran.stderr));
                let facts: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('@')?.1)).collect();
                println!("a tmpfs of 4 MB: {}", facts.join("; "));
                assert!(facts.last().is_some_and(|fact| *fact == "served again"), "{text}");
                return;
            }
            Ok(ran) => why = String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
            Err(e) => why = format!("unshare: {e}"),
        }
    }
    println!("SKIPPED: no mount of our own here: {why}");
}

/// Takes all room there is.
fn fill(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    for piece in [64 << 10, 4096, 1] {
        let full = loop {
            if let Err(e) = file.write_all(&vec![1; piece]) {
                break e;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
    }
    file.metadata().unwrap().len()
}

/// Enqueues until the disk is full.
fn until_refused(backlog: &Backlog) -> Vec<JobId> {
    let mut accepted = Vec::new();
    loop {
        match backlog.enqueue_all([raw(accepted.len() as u64).metadata("filling", "x".repeat(1_500))]) {
            Ok(answers) => accepted.push(answers[0].id),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Full, "{e}");
                assert!(e.to_string().contains("free space on its disk"), "{e}");
                return accepted;
            }
        }
        assert!(accepted.len() < 10_000, "the disk is never full");
    }
}

/// Ends so many jobs, in every way there is.
fn end(backlog: &Backlog, jobs: &[JobId]) {
    for (n, id) in jobs.iter().enumerate() {
        let lease = backlog.queue("default").claim().unwrap().expect("it was accepted");
        assert_eq!(lease.id(), *id);
        match n % 4 {
            0 => lease.nack_in(LONG, "no room").unwrap(),
            1 => lease.bury("no room").unwrap(),
            _ => lease.ack().unwrap(),
        };
        if n % 4 < 2 {
            let Status::Live(job) = backlog.inspect(*id).unwrap() else { panic!("job {id} is lost") };
            assert_eq!(job.phase, if n % 4 == 0 { Phase::Scheduled } else { Phase::Dead });
            backlog.cancel(*id).unwrap();
        }
    }
}

#[test]
#[ignore = "another test runs it, on a small disk"]
fn child_on_a_small_disk() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (jobs, other) = (Path::new(&dir).join("jobs"), Path::new(&dir).join("other"));
    let backlog = small().open(&jobs).unwrap();
    let taken = fill(&other);
    let left = 300 << 10;
    File::options().write(true).open(&other).unwrap().set_len(taken - left).unwrap();
    say(&format!("another file left {left} bytes of it"));
    let accepted = until_refused(&backlog);
    say(&format!("accepted {} jobs before the first was refused", accepted.len()));
    assert!(accepted.len() > 20, "too little room to mean anything");
    let (first, rest) = accepted.split_at(accepted.len() / 2);
    end(&backlog, first);
    // The next process finds the disk as full as it was.
    backlog.close().unwrap();
    fill(&other.with_extension("more"));
    let backlog = small().open(&jobs).unwrap();
    assert_eq!(backlog.counts().total().ready, rest.len() as u64);
    end(&backlog, rest);
    assert_eq!(backlog.counts().total().live(), 0);
    assert!(backlog.verify().unwrap().is_sound());
    say("ended all of them, over a restart");
    fs::remove_file(&other).unwrap();
    fs::remove_file(other.with_extension("more")).unwrap();
    // No restart is needed; the maker of segments looks again within a second.
    let started = Instant::now();
    let id = loop {
        match backlog.enqueue_all([raw(7)]) {
            Ok(answers) => break answers[0].id,
            Err(e) => assert_eq!(e.kind(), ErrorKind::Full, "{e}"),
        }
        assert!(started.elapsed() < LONG, "still refused");
        std::thread::yield_now();
    };
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!(lease.id(), id);
    lease.ack().unwrap();
    backlog.close().unwrap();
    say("served again");
}
