//! Workers in a process of their own, which is signalled and killed. The process is this test binary, run anew.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use backlog::{Context, Failure, Phase, Status};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Step, open};

const DIR: &str = "BACKLOG_TEST_DIR";
const GRACE_MS: &str = "BACKLOG_TEST_GRACE_MS";

/// The process: runs until a signal, says when a job has started, and never lets a job of 0 end.
#[test]
#[ignore = "the other tests run it, in a process of its own"]
fn child() {
    let (Ok(dir), Ok(grace)) = (std::env::var(DIR), std::env::var(GRACE_MS)) else { return };
    let backlog = open(Path::new(&dir));
    let workers = backlog
        .workers()
        .handle(|job: Step, cx: Context| -> Result<(), Failure> {
            until_signals_are_watched();
            eprintln!("attempt {} of job {}", cx.attempt(), job.n);
            println!("started {} {}", job.n, cx.attempt());
            while job.n == 0 || !std::fs::exists(Path::new(&std::env::var(DIR)?).join("go"))? {
                std::thread::yield_now();
            }
            Ok(())
        })
        .concurrency(1)
        .grace(Duration::from_millis(grace.parse().unwrap()))
        .start()
        .unwrap();
    let stopped = workers.run_until_signal().unwrap();
    println!("stopped {}", stopped.still_running);
    std::process::exit(0);
}

/// SIGTERM is caught: its bit (14) stands in the mask of caught signals.
fn until_signals_are_watched() {
    loop {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << 14) != 0 {
            return;
        }
        std::thread::yield_now();
    }
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(dir: &Path, grace: Duration) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--nocapture"])
            .env(DIR, dir)
            .env(GRACE_MS, grace.as_millis().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that starts so; the test harness writes others.
    fn hear(&mut self, word: &str) -> String {
        self.lines.by_ref().map(Result::unwrap).find(|line| line.contains(word)).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

fn enqueue(dir: &Path, n: u32) -> backlog::JobId {
    let backlog = open(dir);
    let id = backlog.enqueue(&Step { n }).unwrap().id;
    backlog.close().unwrap();
    id
}

#[test]
fn sigterm_lets_the_running_job_finish_and_the_process_end_well() {
    let dir = tempfile::tempdir().unwrap();
    let id = enqueue(dir.path(), 1);
    let mut process = Process::start(dir.path(), crate::LONG);
    assert!(process.hear("started").ends_with("started 1 1"));
    process.signal(Signal::TERM);
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert!(process.hear("stopped").ends_with("stopped 0"));
    assert!(process.end().success());
    assert_eq!(open(dir.path()).inspect(id).unwrap(), Status::Finished);
}

#[test]
fn a_run_that_does_not_end_in_the_grace_is_given_back_without_spending_an_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let id = enqueue(dir.path(), 0);
    let mut process = Process::start(dir.path(), Duration::from_millis(1));
    process.hear("started");
    process.signal(Signal::INT);
    assert!(process.hear("stopped").ends_with("stopped 1"));
    assert!(process.end().success());
    let backlog = open(dir.path());
    let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("it did not end") };
    assert_eq!((job.phase, job.attempts, job.crashes), (Phase::Ready, 0, 0));
}

#[test]
fn a_second_signal_ends_the_wait_at_once() {
    let dir = tempfile::tempdir().unwrap();
    enqueue(dir.path(), 0);
    let mut process = Process::start(dir.path(), crate::LONG);
    process.hear("started");
    process.signal(Signal::TERM);
    process.signal(Signal::INT);
    assert!(process.hear("stopped").ends_with("stopped 1"));
    assert!(process.end().success());
}

#[test]
fn a_job_that_ran_when_the_process_was_killed_runs_again_as_its_next_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let id = enqueue(dir.path(), 1);
    let mut process = Process::start(dir.path(), crate::LONG);
    process.hear("started 1 1");
    process.child.kill().unwrap();
    assert_eq!(process.end().signal(), Some(Signal::KILL.as_raw()));
    let mut process = Process::start(dir.path(), crate::LONG);
    process.hear("started 1 2");
    std::fs::write(dir.path().join("go"), "").unwrap();
    process.signal(Signal::TERM);
    process.hear("stopped 0");
    assert!(process.end().success());
    let backlog = open(dir.path());
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
    assert!(backlog.recovery_report().requeued == 0);
}
