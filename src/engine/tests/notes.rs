//! What a running job keeps beside itself, judged by the oracle, with a crash at any moment.

use std::time::Duration;

use crate::engine::{CellSet, Durability, LeaseKind, Settle};
use crate::job::namespace;

use super::judged::{Judged, Step};
use super::short::{any_wait, crash, judge};
use super::world::{job, nack};

/// A cell of the job with this lease, living or stale.
fn note(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let leases: Vec<_> = judged.leases.iter().chain(&judged.stale).cloned().collect();
    let Some(grant) = (!leases.is_empty()).then(|| leases[rng.usize(..leases.len())].clone()) else { return Ok(()) };
    let mut key = grant.id.0.to_be_bytes().to_vec();
    key.push(rng.u8(..3));
    let cell = CellSet {
        namespace: namespace::OF_A_JOB[rng.usize(..3)],
        key,
        value: (rng.u8(..6) != 0).then(|| vec![rng.u8(..); rng.usize(..900)]),
        until: None,
    };
    let level = if rng.bool() { Durability::Sync } else { Durability::Buffered };
    let holds = judged.oracle.holds(grant.id, (grant.token.epoch, grant.token.counter));
    let noted = judged.engine().note(&grant, std::slice::from_ref(&cell), level)?;
    assert_eq!(noted.is_some(), holds, "only the living lease writes");
    let Some(ticket) = noted else { return Ok(()) };
    let op = judged.oracle.set_cells(&[(cell.namespace, cell.key, cell.value)]);
    let wait = any_wait(rng);
    judged.reach(op, ticket, wait)
}

fn step(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let wait = any_wait(rng);
    match rng.u8(..12) {
        0 | 1 => judged.enqueue(vec![job("long")], Durability::Sync, wait),
        2 | 3 => judged.claim(&[], 2, LeaseKind::Pool).map(drop),
        4..=7 => note(judged, rng),
        8 | 9 => {
            let Some(lease) = judged.leases.pop() else { return Ok(()) };
            let how = match rng.u8(..4) {
                0 => Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() },
                1 => nack("no luck"),
                2 => Settle::Release,
                _ => Settle::Cancel,
            };
            judged.settle(&lease, how, wait)?;
            judged.stale.push(lease);
            Ok(())
        }
        10 => {
            judged.world.clock.advance(Duration::from_secs(60));
            judged.oracle.set_clock(judged.now_ms());
            judged.promote()?;
            if rng.bool() { judged.checkpoint() } else { judged.compact() }
        }
        _ => crash(judged, rng),
    }
}

#[test]
fn what_a_run_keeps_goes_with_its_job_and_survives_every_crash_before() {
    judge(60, step);
}
