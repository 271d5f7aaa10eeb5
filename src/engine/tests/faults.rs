//! The k-th call to the disk fails, for every k of a program with rotation, compaction, checkpoint and close.
//!
//! The error reaches the caller or is harmless; nothing is acknowledged after poison; nothing panics or hangs; and
//! every image of the disk opens with all that was acknowledged. `BACKLOG_FAULT_STRIDE=n` tries every n-th k only, from
//! `BACKLOG_FAULT_FIRST` on.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::disk::simulated::{Call, CrashMode, Fault};
use crate::error::ErrorKind;
use crate::testing::oracle::Oracle;

use super::judged::{Judged, Step, Stop, Wait, broken};
use super::lives::{fault_of, image_of};
use super::script::{STEPS, drain, step};
use super::view::{scan_agrees, view_of};
use super::world::World;
use crate::testing::effort::{budget, counted};

/// A fault, its name in a replay line, and whether the program may not even notice it.
fn faults() -> Vec<(&'static str, Fault, bool)> {
    vec![
        ("eio", Fault::eio(), false),
        ("eio-for-good", Fault::eio().for_good(), false),
        ("enospc", Fault::enospc(), false),
        ("enospc-for-good", Fault::enospc().for_good(), false),
        ("short", Fault::short(700), true),
        ("short-for-good", Fault::short(700).for_good(), true),
        ("eintr", Fault::interrupted(), true),
        ("eintr-for-good", Fault::interrupted().for_good(), true),
    ]
}

#[derive(Default)]
struct Tally {
    runs: u64,
    errors: u64,
    poisoned: u64,
    images: u64,
}

/// The calls of one run without a fault, by kind of call: what `k` counts.
fn calls_of_a_run() -> u64 {
    let mut judged = Judged::on(World::new(77));
    for nth in 0..STEPS {
        step(&mut judged, nth).unwrap_or_else(|stop| panic!("without a fault, step={nth}: {stop}"));
    }
    judged.compare().unwrap_or_else(|stop| panic!("without a fault: {stop}"));
    judged.world.disk.calls()
}

fn run(k: u64, fault: &Fault, harmless: bool, tally: &mut Tally) -> Step {
    let mut judged = Judged::on(World::new(77));
    judged.world.disk.fail_call(k, fault.clone());
    tally.runs += 1;
    let mut nth = 0;
    while nth < STEPS {
        let done = step(&mut judged, nth);
        nth += 1;
        let refused = match done {
            Ok(()) => continue,
            Err(Stop::Failed(refused)) if !harmless => refused,
            Err(other) => return Err(other),
        };
        tally.errors += 1;
        if !matches!(refused.kind(), ErrorKind::Io | ErrorKind::Full | ErrorKind::Poisoned | ErrorKind::Unknown) {
            return broken(format!("step={} answered {refused:?}", nth - 1));
        }
        let Some(engine) = &judged.engine else {
            // An open that failed; once the fault is gone the next one must succeed.
            judged.world.disk.clear_faults();
            check_images(&judged, tally)?;
            judged.reopen_after_kill()?;
            continue;
        };
        if let Some(cause) = engine.poisoned() {
            tally.poisoned += 1;
            let text = cause.to_string();
            if ["next.tmp", "spare-", "prepare", "rename", "directory sim"].iter().any(|word| text.contains(word)) {
                return broken(format!("preparing a segment poisoned the handle: {text}"));
            }
            judged.refuses_everything()?;
            break;
        }
        if judged.is_closed() {
            break;
        }
    }
    judged.world.disk.clear_faults();
    check_images(&judged, tally)?;
    judged.reopen_after_kill()?;
    judged.pause("other", false, Wait::Out)?;
    drain(&mut judged)?;
    judged.compare()
}

/// Every image holds all that was acknowledged (C1, C2), with and without the index.
fn check_images(judged: &Judged, tally: &mut Tally) -> Step {
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::StaleAfterFailedSync] {
        let image = image_of(&judged.world, mode);
        let mut oracle: Oracle = judged.oracle.clone();
        let engine = image.try_open().map_err(|refused| format!("mode={mode:?}: {refused}"))?;
        let found = view_of(&engine)?;
        oracle.recovered(&found, fault_of(mode)).map_err(|broken| format!("mode={mode:?}: {broken}"))?;
        scan_agrees(&engine, &found)?;
        tally.images += 1;
    }
    Ok(())
}

/// Runs `work` on a thread of its own; a hang is told with the line that replays it.
fn bounded(at: &Arc<Mutex<String>>, work: impl FnOnce() + Send + 'static) {
    let (done, news) = channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match news.recv_timeout(Duration::from_secs(300)) {
        Err(RecvTimeoutError::Timeout) => panic!("hangs: {}", at.lock().unwrap()),
        _ => worker.join().unwrap_or_else(|_| panic!("failed: {}", at.lock().unwrap())),
    }
}

#[test]
fn p7_and_c1_hold_when_the_kth_call_to_the_disk_fails() {
    let (first, stride) = (budget("BACKLOG_FAULT_FIRST", 0, 0), budget("BACKLOG_FAULT_STRIDE", 1, 1).max(1));
    let only = std::env::var("BACKLOG_FAULT_KIND").ok();
    let at = Arc::new(Mutex::new(String::new()));
    let place = Arc::clone(&at);
    bounded(&at, move || {
        let mut tally = Tally::default();
        let calls = calls_of_a_run();
        let last = budget("BACKLOG_FAULT_LAST", calls, calls);
        for (name, fault, harmless) in faults() {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            for k in (first..last).step_by(usize::try_from(stride).unwrap()) {
                let replay = format!(
                    "BACKLOG_FAULT_KIND={name} BACKLOG_FAULT_FIRST={k} BACKLOG_FAULT_LAST={} cargo test --lib kth_call",
                    k + 1
                );
                place.lock().unwrap().clone_from(&replay);
                if let Err(stop) = run(k, &fault, harmless, &mut tally) {
                    panic!("{stop}\nreplay: {replay}");
                }
            }
        }
        counted("calls of the program, each made to fail", calls);
        counted("runs with a failing call", tally.runs);
        counted("handles poisoned", tally.poisoned);
        counted("crash images after a failing call", tally.images);
        assert!(tally.errors > 0 && tally.poisoned > 0 || only.is_some());
    });
}

#[test]
fn the_program_of_the_fault_lane_turns_every_stone() {
    let mut judged = Judged::on(World::new(77));
    for nth in 0..STEPS {
        step(&mut judged, nth).unwrap();
    }
    let seen = |call| judged.world.disk.calls_of(&[call]);
    for call in [Call::Open, Call::Create, Call::Read, Call::Write, Call::Len, Call::SyncData, Call::SyncDir] {
        assert!(seen(call) > 0, "{call:?} never called");
    }
    for call in [Call::Rename, Call::CreateDir, Call::List, Call::Lock] {
        assert!(seen(call) > 0, "{call:?} never called");
    }
    let trace = judged.world.disk.trace();
    let recycled = trace.iter().any(|op| op.path.starts_with("log/spare") && op.to.is_some());
    let removed = trace.iter().any(|op| op.call == Some(Call::Rename) && op.path.contains("0000000000000001.seg"))
        || trace.iter().any(|op| op.call == Some(Call::Remove));
    assert!(recycled && removed, "no segment was recycled: {:#?}", judged.world.disk.file_names());
    assert!(judged.world.memory.saves() > 1);
}
