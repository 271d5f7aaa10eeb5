//! The k-th call to the disk fails, for every k: the caller hears of it, and nothing acknowledged is lost.

use super::crash::{Run, acknowledged, effort, found, goes_on, modes};
use super::*;
use crate::disk::simulated::{Call, Fault};

/// What a fault may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Somebody must hear of it.
    Error,
    /// Nobody may.
    Nothing,
    /// A full disk is no error while a log is opened.
    Perhaps,
}

fn faults() -> Vec<(Fault, Expect)> {
    vec![
        (Fault::eio(), Expect::Error),
        (Fault::enospc(), Expect::Perhaps),
        (Fault::eio().for_good(), Expect::Error),
        (Fault::eio().on(&[Call::SyncData, Call::SyncDir]).for_good(), Expect::Error),
        (Fault::short(100), Expect::Nothing),
        (Fault::interrupted(), Expect::Nothing),
        (Fault::short(700).for_good(), Expect::Nothing),
    ]
}

#[test]
fn the_kth_call_fails_and_nothing_acknowledged_is_lost() {
    let steps = 60;
    let (mut runs, mut images, mut poisoned) = (0, 0, 0);
    for seed in 0..2 * effort() as u64 {
        for (nth, (fault, expect)) in faults().into_iter().enumerate() {
            let mut k = 0;
            loop {
                let mut run = Run::new(500 + seed);
                run.sim.fail_call(k, fault.clone());
                let context = format!("seed={seed} k={k} fault={fault:?}");
                let (errors, struck) = run_through(&mut run, steps, k, &context);
                match expect {
                    Expect::Error if nth != 3 => assert!(errors > 0 || !struck, "{context}: nobody heard of it"),
                    Expect::Nothing => assert_eq!(errors, 0, "{context}"),
                    _ => {}
                }
                runs += 1;
                poisoned += usize::from(run.rig.as_ref().is_some_and(|rig| rig.log.poisoned().is_some()));
                images += holds_everything(&run, k, &context);
                // Every later k only costs time where every call is counted the same.
                if !struck {
                    break;
                }
                k += 1 + k / 60;
            }
        }
    }
    println!("runs with a fault: {runs}, poisoned: {poisoned}, crash images: {images}");
    assert!(poisoned > 0);
}

/// Steps until the end, or until the log is poisoned. Gives how many errors were heard of, and whether the fault
/// struck.
fn run_through(run: &mut Run, steps: usize, k: u64, context: &str) -> (usize, bool) {
    let mut errors = 0;
    for _ in 0..steps {
        let Err(error) = run.step() else { continue };
        errors += 1;
        let expected = [ErrorKind::Io, ErrorKind::Full, ErrorKind::Poisoned];
        assert!(expected.contains(&error.kind()), "{context}: {error}");
        let Some(rig) = &mut run.rig else { continue };
        if let Some(poison) = rig.log.poisoned() {
            let calls = run.sim.calls();
            assert_eq!(rig.push().unwrap_err().to_string(), poison.to_string(), "{context}");
            assert_eq!(rig.sync().unwrap_err().to_string(), poison.to_string(), "{context}");
            assert_eq!(run.sim.calls(), calls, "{context}: a poisoned log touched the disk");
            break;
        }
    }
    (errors, run.sim.calls() > k)
}

fn holds_everything(run: &Run, k: u64, context: &str) -> usize {
    let mut images = 0;
    let story = run.told();
    let acknowledged = acknowledged(&story, usize::MAX);
    for mode in modes(1).into_iter().skip(usize::from(!k.is_multiple_of(3))) {
        let image = run.sim.crash_image(run.sim.ops(), mode);
        let outcome = found(&image, &story, acknowledged).and_then(|_| goes_on(&image, &story));
        if let Err(why) = outcome {
            panic!("{context} mode={mode:?}: {why}\n{:?}", run.sim.trace());
        }
        images += 1;
    }
    // And in the same system, whose page cache may show what the medium has not.
    run.sim.clear_faults();
    let outcome = found(&run.sim, &story, acknowledged).and_then(|_| goes_on(&run.sim, &story));
    if let Err(why) = outcome {
        panic!("{context} reopened: {why}");
    }
    images + 1
}
