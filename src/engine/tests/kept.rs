//! What is kept for a time: results of completed jobs and dead jobs, judged by the oracle, with a crash at any moment.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::look::Source;
use crate::engine::{Durability, Engine, LeaseKind, NewJob, Settings, Settle, result_cell};
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};
use crate::job::{State, namespace};

use super::judged::{Judged, Step, broken};
use super::short::{any_wait, crash, judge};
use super::world::{SEGMENT_BYTES, Verbs, World, job, nack};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn keeping(args: &str, keep: Duration) -> NewJob {
    NewJob { keep_result: Some(keep), max_attempts: 1, ..job(args) }
}

/// What a prune at this moment must take, found by looking at everything.
fn over(engine: &Engine, now: u64) -> (Vec<(u8, Vec<u8>, Option<Vec<u8>>)>, Vec<JobId>) {
    let is_over = |(space, key): &(u8, Vec<u8>)| {
        let (_, until) = engine.cell_value(*space, key).unwrap().unwrap();
        until.is_some_and(|until| until.0 <= now)
    };
    let cells = engine.cell_keys().into_iter().filter(is_over).map(|(space, key)| (space, key, None)).collect();
    let keep_ms = u64::try_from(Settings::default().keep_dead.as_millis()).unwrap();
    let died = |id: &JobId| match engine.job(*id).unwrap().unwrap().0.state {
        State::Dead { at } => at.0 + keep_ms <= now,
        _ => false,
    };
    let dead = engine.ids_from(JobId(0), None).into_iter().filter(died).collect();
    (cells, dead)
}

fn prune(judged: &mut Judged) -> Step {
    let (cells, dead) = over(judged.engine(), judged.now_ms());
    let pruned = judged.engine().prune()?;
    if !cells.is_empty() {
        judged.oracle.set_cells(&cells);
    }
    for id in &dead {
        judged.oracle.prune(*id)?;
    }
    let due = (cells.len() + dead.len()) as u64;
    if pruned == due { Ok(()) } else { broken(format!("{pruned} were pruned, {due} were due")) }
}

fn step(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let wait = any_wait(rng);
    match rng.u8(..14) {
        0..=2 => {
            let keep = Duration::from_millis([0, 1, 50_000, 400_000][rng.usize(..4)]);
            judged.enqueue(vec![keeping("kept", keep)], Durability::Sync, wait)
        }
        3 | 4 => judged.claim(&[], 1, LeaseKind::Pool).map(drop),
        5..=8 => {
            let Some(lease) = judged.leases.pop() else { return Ok(()) };
            let how = match rng.u8(..6) {
                0 => nack("no luck"),
                1 => Settle::Park("nobody".into()),
                _ => {
                    let value = vec![rng.u8(..); rng.usize(..900)];
                    let cell = result_cell(&lease, value, crate::ids::Millis(judged.now_ms()));
                    Settle::Ack { follow_ups: Vec::new(), cells: Vec::from_iter(cell) }
                }
            };
            judged.settle(&lease, how, wait)?;
            judged.stale.push(lease);
            Ok(())
        }
        9 | 10 => {
            let by = [Duration::from_secs(60), 100 * DAY][usize::from(rng.u8(..4) == 0)];
            judged.world.clock.advance(by);
            judged.oracle.set_clock(judged.now_ms());
            prune(judged)
        }
        11 => prune(judged),
        12 => {
            if rng.bool() {
                judged.checkpoint()
            } else {
                judged.compact()
            }
        }
        _ => crash(judged, rng),
    }
}

#[test]
fn rule_19_a_result_stands_with_its_end_and_goes_when_its_time_is_over_and_so_do_the_dead() {
    judge(80, step);
}

#[test]
fn a_result_is_answered_until_its_time_is_over_and_not_a_moment_longer() {
    let world = World::new(1);
    let engine = world.open();
    let id = engine.add(keeping("x", Duration::from_secs(10)));
    assert_eq!(engine.result(id).unwrap(), None, "it has not ended");
    let grant = engine.take().unwrap();
    let cell = result_cell(&grant, vec![7], super::world::at(0));
    assert!(engine.end(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::from_iter(cell) }));
    world.clock.advance(Duration::from_millis(9_999));
    assert_eq!(engine.result(id).unwrap(), Some(Ok(vec![7])));
    assert_eq!(engine.prune().unwrap(), 0);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(engine.result(id).unwrap(), None);
    assert_eq!(engine.prune().unwrap(), 1);
    assert_eq!(engine.prune().unwrap(), 0);
}

#[test]
fn rule_19_a_crowd_of_parked_jobs_is_never_pruned_and_hides_no_dead_one_behind_it() {
    let world = World::new(2);
    let engine = world.open();
    let parked = 5_000;
    for batch in 0..parked / 50 {
        engine.add_many((0..50).map(|n| job(&format!("{batch}:{n}"))).collect());
        for grant in engine.take_some(50) {
            engine.settle(&grant, Settle::Park("nobody".into())).unwrap();
        }
        engine.idle();
    }
    world.clock.advance(DAY);
    engine.add(keeping("dies", DAY));
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Bury("enough".into())));
    world.clock.advance(400 * DAY);
    let turns = (0..4).position(|_| engine.prune().unwrap() == 1);
    assert!(turns.is_some(), "the dead job stands behind the parked ones");
    let total = engine.counts().total();
    assert_eq!((total.parked, total.dead, engine.counts().pruned), (parked, 0, 1));
    assert_eq!(engine.inspect(grant.id).unwrap(), crate::engine::Status::Finished);
    let again = world.crashed(CrashMode::DropUnsynced).without_index().open();
    assert_eq!(again.counts().total().parked, parked);
}

#[test]
fn more_than_one_frame_holds_is_pruned_in_several() {
    let world = World::new(3);
    let engine = world.open();
    for _ in 0..8 {
        engine.add_many((0..100).map(|n| keeping(&n.to_string(), Duration::from_millis(1))).collect());
        while let Some(grant) = engine.take() {
            let cell = result_cell(&grant, vec![1; 20], super::world::at(0));
            engine.settle(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::from_iter(cell) }).unwrap();
        }
        engine.idle();
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.prune().unwrap(), 800);
    assert!(engine.cell_keys().iter().all(|(space, _)| *space != namespace::RESULT));
    engine.check_books().unwrap();
}

#[test]
fn rule_10_a_job_ends_on_a_full_disk_and_leaves_no_result() {
    let world = World::new(4);
    world.disk.set_capacity(u64::from(SEGMENT_BYTES) * 5);
    let engine = world.open();
    loop {
        match engine.enqueue(vec![keeping(&"x".repeat(900), DAY)], Durability::Sync) {
            Ok((_, ticket)) => engine.wait(ticket).unwrap(),
            Err(full) => {
                assert_eq!(full.kind(), ErrorKind::Full);
                break;
            }
        }
    }
    let mut ended = 0;
    while let Some(grant) = engine.take() {
        let cell = result_cell(&grant, vec![1; 60_000], super::world::at(0));
        let settled = engine.settle(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::from_iter(cell) });
        engine.wait(settled.expect("an end always goes").expect("the lease is ours")).unwrap();
        assert_eq!(engine.result(grant.id).unwrap(), None);
        ended += 1;
        if ended == 20 {
            break;
        }
    }
    assert_eq!((ended, engine.counts().completed), (20, 20));
    assert_eq!(engine.job(JobId(1)).unwrap().map(|job| job.0.state.phase()), None::<Phase>);
}
