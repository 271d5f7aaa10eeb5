//! The lane of the lanes: plants each fault in a process of its own and asserts that the test named beside it fails.
//!
//! Those seen at once by default, all of them with `BACKLOG_EFFORT=full`, those named with `BACKLOG_PLANTS=NAME,NAME`.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::VARIABLE;
use super::faults::{Fault, SLOW};
use crate::testing::effort::is_full;

/// A fault that is seen later than this is not seen.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
const AT_A_TIME: usize = 2;

/// What came of a test in a process of its own.
enum Verdict {
    Passed,
    Failed(Duration),
    /// It ended otherwise, or not in time.
    None(String),
}

fn run(test: &str, fault: Option<Fault>) -> Verdict {
    let began = Instant::now();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env_remove(VARIABLE).env_remove("BACKLOG_EFFORT").env("RUST_BACKTRACE", "0");
    command.envs(fault.map(|fault| (VARIABLE, fault.name())));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, said) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // What a killed test had said so far is of no use.
        let _ = stdout.read_to_end(&mut text);
        let _ = send.send(String::from_utf8_lossy(&text).into_owned());
    });
    let Ok(text) = said.recv_timeout(SEEN_WITHIN) else {
        child.kill().unwrap();
        child.wait().unwrap();
        return Verdict::None(format!("no verdict in {SEEN_WITHIN:?}"));
    };
    let status = child.wait().unwrap();
    let says = |word: &str| text.lines().any(|line| line.starts_with("test ") && line.ends_with(word));
    match status.code() {
        Some(0) if says(" ... ok") => Verdict::Passed,
        Some(101) if says(" ... FAILED") => Verdict::Failed(began.elapsed()),
        _ => Verdict::None(format!("no verdict: {status}; is there a test of this name?")),
    }
}

/// Does every item's work, [`AT_A_TIME`], and gives what each had to complain of.
fn complaints<T: Sync>(items: &[T], work: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let turns = std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::SeqCst)));
        turns.filter_map(&work).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn chosen() -> Vec<Fault> {
    let named = std::env::var("BACKLOG_PLANTS").ok();
    let wanted = |fault: &Fault| match &named {
        Some(names) => names.split(',').any(|name| name == fault.name()),
        None => is_full() || !SLOW.contains(fault),
    };
    Fault::ALL.iter().copied().filter(wanted).collect()
}

#[test]
fn every_planted_fault_makes_the_lane_beside_it_fail_within_a_minute() {
    let faults = chosen();
    let unseen = complaints(&faults, |fault| {
        let (name, lane) = (fault.name(), fault.lane());
        let why = match run(lane, Some(*fault)) {
            Verdict::Failed(took) => {
                println!("planted {name}: seen by {lane} in {:.1} s", took.as_secs_f64());
                return None;
            }
            Verdict::Passed => "it passed".to_owned(),
            Verdict::None(why) => why,
        };
        let breaks = fault.breaks();
        Some(format!("{name} ({breaks}): {why}; replay: {VARIABLE}={name} cargo test --lib -- --exact {lane}"))
    });
    println!("counted: planted faults seen {} of {}", faults.len() - unseen.len(), faults.len());
    assert!(unseen.is_empty(), "planted and not seen:\n{}", unseen.join("\n"));
}

#[test]
fn with_nothing_planted_those_lanes_pass() {
    // By default the lanes run beside this test anyway.
    let lanes: BTreeSet<&str> =
        if is_full() { chosen().into_iter().map(Fault::lane).collect() } else { BTreeSet::new() };
    let lanes: Vec<&str> = lanes.into_iter().collect();
    let failed = complaints(&lanes, |lane| match run(lane, None) {
        Verdict::Passed => None,
        Verdict::Failed(_) => Some(format!("{lane}: it failed")),
        Verdict::None(why) => Some(format!("{lane}: {why}")),
    });
    println!("counted: lanes that pass with nothing planted {}", lanes.len() - failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
#[should_panic(expected = "no such fault")]
fn a_misspelled_fault_is_refused() {
    Fault::named("NoSuchFault");
}
