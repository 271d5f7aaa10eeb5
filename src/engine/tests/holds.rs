//! Held jobs and jobs their holder cancels, judged by the oracle, with a crash at any moment.

use crate::engine::{Durability, LeaseKind, NewJob, Settle};
use crate::ids::JobId;

use super::judged::{Judged, Step};
use super::short::{any_wait, crash, judge};
use super::world::{START_MS, at, job};

fn step(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let wait = any_wait(rng);
    let an_id = |judged: &Judged, rng: &mut fastrand::Rng| -> Option<JobId> {
        (!judged.ids.is_empty()).then(|| judged.ids[rng.usize(..judged.ids.len())])
    };
    match rng.u8(..8) {
        0 | 1 => {
            let run_at = rng.bool().then(|| at(judged.now_ms() - START_MS + rng.u64(..3_000)));
            let unique = rng.bool().then(|| format!("key {}", rng.u8(..3)));
            let new = NewJob { hold: rng.u8(..4) != 0, run_at, unique, ..job("held") };
            judged.enqueue(vec![new], Durability::Sync, wait)
        }
        2..=4 => match an_id(judged, rng) {
            Some(id) => judged.end_hold(id, rng.bool(), wait),
            None => Ok(()),
        },
        5 => judged.claim(&[], 2, LeaseKind::Pool).map(drop),
        6 => match judged.leases.pop() {
            Some(lease) => {
                judged.settle(&lease, Settle::Cancel, wait)?;
                judged.stale.push(lease);
                Ok(())
            }
            None => Ok(()),
        },
        _ => crash(judged, rng),
    }
}

#[test]
fn a_hold_is_lifted_or_ended_once_and_a_holder_cancels_his_job_over_every_crash() {
    judge(40, step);
}
