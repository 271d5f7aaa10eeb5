//! C1–C15, one by one, in the smallest program that can break each; the other lanes hold them all at once.

use std::time::Duration;

use crate::disk::simulated::{Call, CrashMode, Fault};
use crate::engine::{CellSet, Durability, LeaseKind, NewJob, Settle};
use crate::ids::JobId;
use crate::index::Lie;
use crate::job::namespace;

use super::judged::{Judged, Stop, Wait};
use super::lives::{Aftermath, IndexFate, fault_of, image_of};
use super::script::drain;
use super::view::view_of;
use super::world::{SEGMENT_BYTES, Verbs, World, at, job, nack};
use crate::testing::effort::counted;

const OUT: Wait = Wait::Out;

fn judged(seed: u64) -> Judged {
    let mut judged = Judged::on(World::new(seed));
    judged.open().unwrap();
    judged
}

fn jobs(n: usize, change: impl Fn(usize, &mut NewJob)) -> Vec<NewJob> {
    let one = |nth| {
        let mut new = job(&format!("job {nth}"));
        change(nth, &mut new);
        new
    };
    (0..n).map(one).collect()
}

fn ack() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

/// Claims `n` and ends them all so.
fn end(judged: &mut Judged, n: usize, how: &Settle) {
    judged.claim(&[], n, LeaseKind::Pool).unwrap();
    while let Some(lease) = judged.leases.pop() {
        judged.settle(&lease, how.clone(), OUT).unwrap();
        judged.stale.push(lease);
    }
}

/// Jobs in many states, some of them behind a checkpoint.
fn busy(seed: u64) -> Judged {
    let mut judged = judged(seed);
    let cell = CellSet { namespace: namespace::STEP, key: vec![1], value: Some(vec![9; 300]), until: None };
    let new = jobs(12, |nth, new| {
        new.priority = i16::try_from(nth % 3).unwrap();
        new.unique = (nth % 4 == 0).then(|| format!("key {nth}"));
        new.run_at = (nth % 5 == 0).then(|| at(5_000));
    });
    judged.enqueue(new, Durability::Sync, OUT).unwrap();
    end(&mut judged, 2, &Settle::Ack { follow_ups: jobs(1, |_, _| {}), cells: vec![cell] });
    end(&mut judged, 1, &nack("no luck"));
    judged.checkpoint().unwrap();
    end(&mut judged, 1, &Settle::Bury("enough".into()));
    end(&mut judged, 1, &Settle::Release);
    judged.claim(&[], 2, LeaseKind::Pool).unwrap();
    judged
}

#[test]
fn c1_nothing_acknowledged_is_lost_and_nothing_completed_runs_again() {
    for mode in CrashMode::all(1) {
        let mut judged = busy(1);
        judged.crash(Aftermath::of(mode)).unwrap_or_else(|stop| panic!("mode={mode:?}: {stop}"));
        drain(&mut judged).unwrap_or_else(|stop| panic!("mode={mode:?}: {stop}"));
    }
}

#[test]
fn c2_what_is_recovered_is_a_prefix_that_holds_every_acknowledged_operation() {
    for seed in 0..40 {
        let mut judged = busy(2);
        judged.enqueue(jobs(2, |_, _| {}), Durability::Buffered, OUT).unwrap();
        judged.enqueue(jobs(1, |_, _| {}), Durability::Sync, Wait::Not).unwrap();
        judged.cancel(JobId(3), Wait::Written).unwrap();
        let lease = judged.leases.pop().unwrap();
        judged.settle(&lease, ack(), Wait::Not).unwrap();
        for mode in CrashMode::all(seed) {
            let engine = image_of(&judged.world, mode).open();
            let found = view_of(&engine).unwrap();
            let verdict = judged.oracle.clone().recovered(&found, fault_of(mode));
            verdict.unwrap_or_else(|broken| panic!("seed={seed} mode={mode:?}: {broken}"));
        }
    }
}

#[test]
fn c3_tokens_rise_and_every_use_of_an_old_one_is_refused() {
    let mut judged = busy(3);
    judged.crash(Aftermath::of(CrashMode::KeepAll)).unwrap();
    judged.claim(&[], 1, LeaseKind::Pool).unwrap();
    for old in judged.stale.clone() {
        for how in [ack(), nack("late"), Settle::Release, Settle::Snooze(Duration::ZERO), Settle::Park("no".into())] {
            judged.settle(&old, how, OUT).unwrap();
        }
        assert!(!judged.engine().extend(old.id, old.token, Duration::from_secs(9)).unwrap());
        assert!(judged.engine().cancel_requested(old.id, old.token));
    }
    judged.compare().unwrap();
}

#[test]
fn c4_order_within_a_priority_survives_reopening_and_a_rebuild() {
    for index in [IndexFate::AsItWas, IndexFate::Deleted, IndexFate::Lies(Lie::Older(1))] {
        let mut judged = judged(4);
        for _ in 0..3 {
            judged.enqueue(jobs(5, |_, _| {}), Durability::Sync, OUT).unwrap();
            judged.checkpoint().unwrap();
        }
        end(&mut judged, 2, &Settle::Release);
        judged.crash(Aftermath { index, ..Aftermath::of(CrashMode::DropUnsynced) }).unwrap();
        judged.claim(&[], 15, LeaseKind::Pool).unwrap();
        let order: Vec<u64> = judged.leases.iter().map(|lease| lease.id.0).collect();
        assert_eq!(order, (1..=15).collect::<Vec<_>>(), "{index:?}");
    }
}

#[test]
fn c5_a_higher_priority_is_granted_first_whenever_it_came() {
    let mut judged = judged(5);
    for priority in [0, -5, 7, 0, i16::MAX, i16::MIN, 7] {
        judged.enqueue(jobs(1, |_, new| new.priority = priority), Durability::Sync, OUT).unwrap();
    }
    for expected in [5, 3, 7, 1, 4, 2, 6] {
        judged.claim(&[], 1, LeaseKind::Pool).unwrap();
        assert_eq!(judged.leases.last().unwrap().id, JobId(expected));
    }
}

#[test]
fn c6_no_job_is_early_across_reopening_and_ten_years_of_clock_jumps() {
    let mut judged = judged(6);
    judged.enqueue(jobs(1, |_, new| new.run_at = Some(at(60_000))), Durability::Sync, OUT).unwrap();
    for wall in [at(59_999), at(0), crate::ids::Millis(at(0).0 - 315_360_000_000)] {
        judged.world.clock.set_wall_ms(wall.0);
        judged.oracle.set_clock(wall.0);
        judged.promote().unwrap();
        assert_eq!(judged.claim(&[], 1, LeaseKind::Pool).unwrap(), 0);
        judged.crash(Aftermath::of(CrashMode::DropUnsynced)).unwrap();
    }
    judged.world.clock.set_wall_ms(at(60_000).0);
    judged.oracle.set_clock(at(60_000).0);
    judged.promote().unwrap();
    assert_eq!(judged.claim(&[], 1, LeaseKind::Pool).unwrap(), 1);
}

#[test]
fn c7_attempts_number_the_grants_and_a_job_is_dead_exactly_at_its_maximum() {
    let mut judged = judged(7);
    judged.enqueue(jobs(1, |_, new| new.max_attempts = 4), Durability::Sync, OUT).unwrap();
    let mut attempts = Vec::new();
    for round in 0..6 {
        judged.claim(&[], 1, LeaseKind::Pool).unwrap();
        let Some(lease) = judged.leases.pop() else { break };
        attempts.push(lease.attempt);
        match round {
            0 => judged.settle(&lease, Settle::Release, OUT).unwrap(),
            1 | 3 => judged.crash(Aftermath::of(CrashMode::KeepAll)).unwrap(),
            _ => judged.settle(&lease, nack("no luck"), OUT).unwrap(),
        }
        judged.world.clock.advance(Duration::from_secs(600));
        judged.oracle.set_clock(judged.now_ms());
        judged.promote().unwrap();
    }
    assert_eq!(attempts, [1, 1, 2, 3, 4]);
    judged.compare().unwrap();
}

#[test]
fn c8_two_live_jobs_never_share_a_key_and_a_key_is_free_at_once() {
    let mut judged = judged(8);
    let keyed = || jobs(1, |_, new| new.unique = Some("sale:7".into()));
    for how in [ack(), nack("again"), Settle::Park("nobody".into()), Settle::Bury("enough".into())] {
        judged.enqueue(keyed(), Durability::Sync, OUT).unwrap();
        judged.enqueue(keyed(), Durability::Sync, OUT).unwrap();
        judged.claim(&[], 2, LeaseKind::Pool).unwrap();
        judged.enqueue(keyed(), Durability::Sync, OUT).unwrap();
        let lease = judged.leases.pop().unwrap();
        judged.settle(&lease, how, OUT).unwrap();
        judged.enqueue(keyed(), Durability::Sync, OUT).unwrap();
        judged.crash(Aftermath { index: IndexFate::Deleted, ..Aftermath::of(CrashMode::DropUnsynced) }).unwrap();
        judged.enqueue(keyed(), Durability::Sync, OUT).unwrap();
        judged.compare().unwrap();
        for id in judged.ids.clone() {
            judged.cancel(id, OUT).unwrap();
        }
    }
}

#[test]
fn c9_what_was_accepted_is_live_or_has_ended_by_the_counters_and_by_a_scan() {
    let mut judged = busy(9);
    judged.compare().unwrap();
    for index in [IndexFate::AsItWas, IndexFate::Deleted] {
        judged.crash(Aftermath { index, ..Aftermath::of(CrashMode::KeepAll) }).unwrap();
        drain(&mut judged).unwrap();
        judged.compact().unwrap();
        judged.compare().unwrap();
    }
}

#[test]
fn c10_args_come_back_byte_for_byte() {
    let mut judged = judged(10);
    let max = SEGMENT_BYTES as usize / 16;
    let bytes = |n: usize| (0..n).map(|at| (at % 256) as u8).collect::<Vec<u8>>();
    let new = [0, 1, 7, 8, 9, 255, 256, 257, max - 1, max].map(|n| NewJob { args: bytes(n), ..job("") });
    judged.enqueue(new.to_vec(), Durability::Sync, OUT).unwrap();
    end(&mut judged, 3, &Settle::Release);
    judged.compact().unwrap();
    judged.crash(Aftermath::of(CrashMode::DropUnsynced)).unwrap();
    judged.compare().unwrap();
    drain(&mut judged).unwrap();
}

#[test]
fn c11_the_same_stands_with_the_index_and_without_it() {
    let mut judged = busy(11);
    judged.compare_without_index().unwrap();
    judged.compact().unwrap();
    judged.compare_without_index().unwrap();
}

#[test]
fn c12_a_recovery_that_dies_at_any_operation_is_finished_by_the_next() {
    let judged = busy(12);
    let mut tried = 0;
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::StaleAfterFailedSync] {
        let outer = image_of(&judged.world, mode);
        drop(outer.open());
        for at in 0..=outer.disk.ops() {
            for inner in CrashMode::all(at as u64) {
                let image = World { disk: outer.disk.crash_image(at, inner), ..image_of(&outer, inner) };
                let engine = image.try_open().unwrap_or_else(|e| panic!("mode={mode:?} at={at} inner={inner:?}: {e}"));
                let found = view_of(&engine).unwrap();
                let verdict = judged.oracle.clone().recovered(&found, crate::testing::oracle::Fault::Power);
                verdict.unwrap_or_else(|broken| panic!("mode={mode:?} at={at} inner={inner:?}: {broken}"));
                tried += 1;
            }
        }
    }
    counted("crash images inside recovery", tried);
}

#[test]
fn c13_a_job_the_disk_refused_to_read_is_handed_out_by_a_later_claim() {
    for for_good in [false, true] {
        let mut judged = judged(13);
        judged.enqueue(jobs(3, |_, _| {}), Durability::Sync, OUT).unwrap();
        let fault = Fault::eio().on(&[Call::Read]);
        for k in [0, 1] {
            judged.world.disk.fail_call(k, if for_good { fault.clone().for_good() } else { fault.clone() });
        }
        let claimed = judged.claim(&[], 1, LeaseKind::Pool);
        assert!(matches!(claimed, Err(Stop::Failed(_))), "the fault was not met");
        judged.world.disk.clear_faults();
        assert!(judged.engine().wait_for_work(&[], None, &|| false).unwrap());
        drain(&mut judged).unwrap();
        judged.compare().unwrap();
        assert_eq!(judged.oracle.view().counters.completed, 3);
        judged.close_and_open().unwrap();
    }
}

#[test]
fn c13_after_the_faults_stop_every_ready_job_is_delivered() {
    for seed in 0..60 {
        let mut judged = busy(seed);
        judged.world.disk.fail_call(seed % 12, Fault::eio());
        let _ = judged.enqueue(jobs(2, |_, _| {}), Durability::Sync, OUT);
        let _ = judged.engine().compact_all();
        let _ = judged.claim(&[], 2, LeaseKind::Pool);
        judged.world.disk.clear_faults();
        if judged.engine().poisoned().is_some() {
            judged.crash(Aftermath::of(CrashMode::StaleAfterFailedSync)).unwrap();
        }
        drain(&mut judged).unwrap_or_else(|stop| panic!("seed={seed}: {stop}"));
    }
}

#[test]
fn c14_the_log_settles_within_its_bound_after_retries_cells_and_a_long_tail() {
    let mut judged = judged(14);
    judged.enqueue(jobs(20, |_, new| new.args = vec![5; 3_000]), Durability::Sync, OUT).unwrap();
    for round in 0..200_u8 {
        let cell = CellSet { namespace: namespace::STEP, key: vec![round % 3], value: Some(vec![1; 900]), until: None };
        end(&mut judged, 1, &nack("again"));
        end(&mut judged, 1, &Settle::Ack { follow_ups: jobs(1, |_, _| {}), cells: vec![cell] });
        judged.engine().idle();
        judged.world.clock.advance(Duration::from_secs(60));
        judged.oracle.set_clock(judged.now_ms());
        judged.promote().unwrap();
    }
    for _ in 0..3 {
        judged.world.clock.advance(Duration::from_millis(1_100));
        while judged.engine().make_step().unwrap() || judged.engine().compact_step().unwrap() {}
    }
    let files = judged.world.disk.file_names().iter().filter(|name| name.starts_with("log/")).count() as u64;
    let (live, segment) = (judged.engine().live_bytes(), u64::from(SEGMENT_BYTES));
    assert!(files * segment <= 2 * live + 3 * segment, "files={files} live={live}");
}

#[test]
fn c15_a_batch_is_all_or_nothing_at_every_cut() {
    let mut judged = judged(15);
    judged.enqueue(jobs(17, |_, new| new.args = vec![3; 3_000]), Durability::Sync, OUT).unwrap();
    let (before, kept) = (judged.world.disk.ops(), judged.oracle.clone());
    // Does not fit behind the first ones: the segment turns under it.
    judged.enqueue(jobs(9, |_, new| new.args = vec![4; 3_000]), Durability::Sync, OUT).unwrap();
    for cut in before..=judged.world.disk.ops() {
        for mode in CrashMode::all(cut as u64) {
            let ready = judged.world.cut(cut, mode).open().counts().total().ready;
            assert!(ready == 17 || ready == 26, "cut={cut} mode={mode:?} ready={ready}");
        }
    }
    assert_eq!(kept.view().jobs.len(), 17);
}
