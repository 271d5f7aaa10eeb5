//! Every program of up to four operations over two jobs, two priorities and one unique key, engine against oracle.
//!
//! An operation that would do nothing where it stands (an ack without a lease) makes a program that was tried
//! without it, and is left out. `BACKLOG_EXHAUSTIVE_OPS=5` goes deeper.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Durability, Grant, LeaseKind, NewJob, Settle};

use super::judged::{Judged, Step, Wait};
use super::lives::{Aftermath, IndexFate, fault_of, image_of};
use super::view::view_of;
use super::world::{World, job, nack};
use crate::testing::effort::{budget, counted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Low,
    High,
    Keyed,
    /// With the key, of high priority, accepted but not waited for.
    KeyedUnwaited,
    /// Buffered: with the operating system, not synced.
    Soft,
    Claim,
    ClaimBoth,
    Ack,
    /// Its follow-up has the key.
    AckAndFollow,
    Nack,
    Release,
    Bury,
    CancelFirst,
    CancelSecond,
    RequeueFirst,
    /// The lease given up last is used once more.
    UseStale,
    Time,
    Checkpoint,
    Compact,
    Close,
    Kill,
    KillAndLoseIndex,
    PowerCut,
}

const ALL: [Op; 23] = [
    Op::Low,
    Op::High,
    Op::Keyed,
    Op::KeyedUnwaited,
    Op::Soft,
    Op::Claim,
    Op::ClaimBoth,
    Op::Ack,
    Op::AckAndFollow,
    Op::Nack,
    Op::Release,
    Op::Bury,
    Op::CancelFirst,
    Op::CancelSecond,
    Op::RequeueFirst,
    Op::UseStale,
    Op::Time,
    Op::Checkpoint,
    Op::Compact,
    Op::Close,
    Op::Kill,
    Op::KillAndLoseIndex,
    Op::PowerCut,
];

fn new_job(priority: i16, keyed: bool) -> NewJob {
    NewJob { priority, unique: keyed.then(|| "key".to_owned()), max_attempts: 2, ..job("two or three bytes") }
}

fn applies(op: Op, judged: &Judged) -> bool {
    let waiting = judged.oracle.best(&[]).is_some();
    match op {
        Op::Low | Op::High | Op::Keyed | Op::KeyedUnwaited | Op::Soft => judged.ids.len() < 2,
        Op::Claim | Op::ClaimBoth => waiting,
        Op::Ack | Op::AckAndFollow | Op::Nack | Op::Release | Op::Bury => !judged.leases.is_empty(),
        Op::CancelFirst | Op::RequeueFirst => !judged.ids.is_empty(),
        Op::CancelSecond => judged.ids.len() > 1,
        Op::UseStale => !judged.stale.is_empty(),
        Op::Time => judged.oracle.view().jobs.values().any(|job| job.run_at.is_some()),
        Op::Checkpoint | Op::Compact | Op::Close | Op::Kill | Op::KillAndLoseIndex | Op::PowerCut => true,
    }
}

fn lease(judged: &mut Judged) -> Grant {
    let lease = judged.leases.remove(0);
    judged.stale.push(lease.clone());
    lease
}

fn perform(op: Op, judged: &mut Judged) -> Step {
    let add = |judged: &mut Judged, new, level, wait| judged.enqueue(vec![new], level, wait);
    let ack = |follow_ups| Settle::Ack { follow_ups, cells: Vec::new() };
    let crash = |judged: &mut Judged, mode, index| judged.crash(Aftermath { index, ..Aftermath::of(mode) });
    match op {
        Op::Low => add(judged, new_job(0, false), Durability::Sync, Wait::Out),
        Op::High => add(judged, new_job(1, false), Durability::Sync, Wait::Out),
        Op::Keyed => add(judged, new_job(0, true), Durability::Sync, Wait::Out),
        Op::KeyedUnwaited => add(judged, new_job(1, true), Durability::Sync, Wait::Not),
        Op::Soft => add(judged, new_job(1, false), Durability::Buffered, Wait::Out),
        Op::Claim => judged.claim(&[], 1, LeaseKind::Pool).map(drop),
        Op::ClaimBoth => judged.claim(&[], 2, LeaseKind::Pool).map(drop),
        Op::Ack | Op::AckAndFollow | Op::Nack | Op::Release | Op::Bury => {
            let lease = lease(judged);
            let how = match op {
                Op::Ack => ack(Vec::new()),
                Op::AckAndFollow => ack(vec![new_job(0, true)]),
                Op::Nack => nack("no luck"),
                Op::Release => Settle::Release,
                _ => Settle::Bury("enough".into()),
            };
            judged.settle(&lease, how, Wait::Out)
        }
        Op::CancelFirst | Op::CancelSecond => {
            let id = judged.ids[usize::from(op == Op::CancelSecond)];
            judged.cancel(id, Wait::Out)
        }
        Op::RequeueFirst => judged.requeue(judged.ids[0], Wait::Out),
        Op::UseStale => {
            let stale = judged.stale.last().cloned().expect("it applies");
            judged.settle(&stale, ack(Vec::new()), Wait::Out)
        }
        Op::Time => {
            judged.world.clock.advance(Duration::from_secs(60));
            judged.oracle.set_clock(judged.now_ms());
            judged.promote()
        }
        Op::Checkpoint => judged.checkpoint(),
        Op::Compact => judged.compact(),
        Op::Close => judged.close_and_open(),
        Op::Kill => crash(judged, CrashMode::KeepAll, IndexFate::AsItWas),
        Op::KillAndLoseIndex => crash(judged, CrashMode::KeepAll, IndexFate::Deleted),
        Op::PowerCut => crash(judged, CrashMode::DropUnsynced, IndexFate::AsItWas),
    }
}

/// Runs a program; the operations that could follow it.
fn run(program: &[Op]) -> Step<Vec<Op>> {
    let mut judged = Judged::on(World::new(5));
    judged.open()?;
    for &op in program {
        perform(op, &mut judged)?;
    }
    // Images first: looking pushes what is staged.
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
        let engine = image_of(&judged.world, mode).try_open()?;
        judged.oracle.clone().recovered(&view_of(&engine)?, fault_of(mode))?;
    }
    judged.compare()?;
    Ok(ALL.into_iter().filter(|op| applies(*op, &judged)).collect())
}

fn explore(program: &mut Vec<Op>, left: usize, tried: &mut u64) {
    *tried += 1;
    let following = run(program).unwrap_or_else(|stop| panic!("{stop}\nreplay: program={program:?}"));
    if left == 0 {
        return;
    }
    for op in following {
        program.push(op);
        explore(program, left - 1, tried);
        program.pop();
    }
}

#[test]
fn c1_to_c10_hold_after_every_program_of_four_operations() {
    let ops = usize::try_from(budget("BACKLOG_EXHAUSTIVE_OPS", 4, 4)).unwrap();
    let mut tried = 0;
    explore(&mut Vec::new(), ops, &mut tried);
    counted("programs of up to four operations", tried);
}
