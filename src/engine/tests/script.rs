//! One program that turns every stone: rotation, recycling, checkpoint, compaction, close, reopen.
//!
//! The same calls in every run up to the first fault; after a harmless one it goes on as far as it can.

use std::time::Duration;

use crate::engine::{CellSet, Durability, LeaseKind, NewJob, Settle};
use crate::job::namespace;

use super::judged::{Judged, Step, Wait};
use super::world::{START_MS, at, job, nack};

pub(super) const STEPS: usize = 30;

/// Jobs of this many bytes: seventeen fill a segment.
const ARGS_BYTES: usize = 3_600;

fn some(judged: &Judged, n: usize) -> Vec<NewJob> {
    let serial = judged.ids.len();
    let one = |n: usize| {
        let mut new = job(&format!("{n}:{}", "x".repeat(ARGS_BYTES)));
        new.priority = i16::try_from(n % 3).unwrap() - 1;
        new.max_attempts = 1 + u32::try_from(n % 4).unwrap();
        new.unique = (n % 4 == 0).then(|| format!("key {}", n % 7));
        new.queue = if n % 5 == 0 { "other".into() } else { "default".into() };
        new.run_at = (n % 6 == 5).then(|| at(judged.now_ms() - START_MS + 2_000));
        new
    };
    (serial..serial + n).map(one).collect()
}

fn ack() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

fn settle(judged: &mut Judged, how: Settle) -> Step {
    let Some(lease) = judged.leases.first().cloned() else { return Ok(()) };
    judged.settle(&lease, how, Wait::Out)?;
    let lease = judged.leases.remove(0);
    judged.stale.push(lease);
    Ok(())
}

fn settle_all(judged: &mut Judged, how: &Settle) -> Step {
    while !judged.leases.is_empty() {
        settle(judged, how.clone())?;
    }
    Ok(())
}

fn by_id(judged: &mut Judged, nth: usize, cancel: bool) -> Step {
    let Some(id) = judged.ids.get(nth).copied() else { return Ok(()) };
    if cancel { judged.cancel(id, Wait::Out) } else { judged.requeue(id, Wait::Out) }
}

fn follow_up(judged: &Judged) -> Settle {
    let cell = CellSet { namespace: namespace::STEP, key: vec![1], value: Some(vec![7; 400]), until: None };
    Settle::Ack { follow_ups: some(judged, 2), cells: vec![cell] }
}

/// Step `nth` of the program; after the last one everything was done.
pub(super) fn step(judged: &mut Judged, nth: usize) -> Step {
    judged.oracle.set_clock(judged.now_ms());
    match nth {
        0 => judged.open(),
        1 | 4 | 7 | 12 => {
            let jobs = some(judged, 9);
            judged.enqueue(jobs, Durability::Sync, Wait::Out)
        }
        2 | 22 => judged.claim(&[], 3, LeaseKind::Pool).map(drop),
        3 => settle(judged, ack()),
        5 => judged.checkpoint(),
        6 => settle(judged, nack("no luck")),
        8 => {
            let jobs = some(judged, 1);
            judged.enqueue(jobs, Durability::Buffered, Wait::Out)
        }
        9 => judged.claim(&["other", "default"], 4, LeaseKind::Hand(Duration::from_secs(5))).map(drop),
        10 => {
            let how = follow_up(judged);
            settle(judged, how)
        }
        11 => settle(judged, Settle::Bury("enough".into())),
        13 => judged.compact(),
        14 => settle(judged, Settle::Release),
        15 => settle(judged, Settle::Snooze(Duration::from_secs(1))),
        16 => by_id(judged, 5, true),
        17 => judged.pause("other", true, Wait::Out),
        18 => {
            judged.world.clock.advance(Duration::from_secs(6));
            judged.oracle.set_clock(judged.now_ms());
            judged.expire_leases()
        }
        19 => judged.promote(),
        20 => (0..6).try_for_each(|nth| by_id(judged, nth, false)),
        21 | 28 => judged.engine().make_step().map(drop).map_err(Into::into),
        23 => settle_all(judged, &Settle::Release),
        24 | 29 => judged.close_and_open(),
        25 => judged.pause("other", false, Wait::Out),
        26 => drain(judged),
        _ => judged.compact(),
    }
}

/// C13: every ready job is delivered, one after the other, and can be acked.
pub(super) fn drain(judged: &mut Judged) -> Step {
    loop {
        settle_all(judged, &ack())?;
        if judged.claim(&[], 4, LeaseKind::Pool)? == 0 {
            return Ok(());
        }
    }
}
