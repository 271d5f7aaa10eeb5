//! After a crash at any moment no group hangs, drifts, or lets a callback go too early; and a full disk.

use std::collections::BTreeMap;

use super::*;
use crate::engine::QueueCounts;
use crate::job::{BulkVerb, Criteria, GROUP_BYTES_MAX, Group, encode_group};
use crate::testing::effort::{budget, counted};

/// A group in every stage of its life, over several segments and a compaction.
fn story(engine: &Engine) -> Made {
    let made = make(engine, &ALL, vec![job("a"), job("b"), job("c")], false);
    let child = engine.add(waiting_for(&made.members[..2], OnParentFailure::Run));
    engine.add(waiting_for(&[child], OnParentFailure::Wait));
    let grant = take_of(engine, "default").unwrap();
    let follow_ups = vec![member(made.id, "d")];
    assert!(engine.end(&grant, Settle::Ack { follow_ups, cells: Vec::new() }));
    let grant = take_of(engine, "default").unwrap();
    assert!(engine.end(&grant, Settle::Bury("no".into())));
    for _ in 0..2 {
        engine.add_many((0..45).map(|_| NewJob { queue: "filler".into(), ..job(&"x".repeat(1_000)) }).collect());
        for grant in engine.claim(&["filler".to_owned()], 45, LeaseKind::Pool).unwrap() {
            assert!(engine.ack(&grant));
        }
    }
    engine.compact_all().unwrap();
    cancel(engine, made.members[2]);
    seal(engine, made.id);
    let (_, ticket) = engine.requeue(made.members[1]).unwrap();
    engine.wait(ticket).unwrap();
    engine.checkpoint().unwrap();
    while let Some(grant) = engine.take() {
        assert!(engine.ack(&grant));
        engine.commit_step().unwrap();
    }
    made
}

/// Runs what is left; whoever is granted early, or is left over, breaks a promise.
fn finish(engine: &Engine, made: &Made, replay: &str) {
    engine.check_groups().unwrap_or_else(|why| panic!("{replay}: {why}"));
    engine.check_books().unwrap_or_else(|why| panic!("{replay}: {why}"));
    let Some(status) = engine.group_status(made.id) else {
        // The frame that made it is not there: nothing of it is.
        assert!(made.callbacks.iter().all(|id| phase(engine, *id).is_none()), "{replay}");
        return;
    };
    if status.open {
        seal(engine, made.id);
    }
    loop {
        let Some(grant) = engine.take() else { break };
        let status = engine.group_status(made.id).expect("it is kept for a day");
        if grant.envelope.queue == "callbacks" {
            match grant.args.as_slice() {
                b"Complete" => assert!(status.is_complete(), "{replay}: {status:?}"),
                b"Success" => assert_eq!(status.succeeded, status.total, "{replay}"),
                _ => {}
            }
        }
        assert!(engine.ack(&grant), "{replay}");
    }
    for id in made.members.iter().filter(|id| phase(engine, **id) == Some(Phase::Dead)) {
        cancel(engine, *id);
    }
    engine.release_callbacks().unwrap();
    while let Some(grant) = engine.take() {
        assert!(engine.ack(&grant), "{replay}");
    }
    engine.check_groups().unwrap_or_else(|why| panic!("{replay}: {why}"));
    let status = engine.group_status(made.id).unwrap();
    assert!(status.finished_at.is_some(), "{replay}: {status:?}");
    assert_eq!(engine.counts().total(), QueueCounts::default(), "{replay}: {status:?}");
}

#[test]
fn after_a_crash_at_any_operation_no_group_hangs_or_drifts() {
    let world = World::new(640);
    let engine = world.open();
    let before = world.disk.ops();
    let made = story(&engine);
    let end = world.disk.ops();
    assert_eq!(engine.counts().total(), QueueCounts::default());
    drop(engine);
    let every = usize::try_from(budget("BACKLOG_GROUP_CUTS", 1, 1)).unwrap();
    let mut images = 0;
    for cut in (before..=end).step_by(every) {
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::Torn { seed: cut as u64 }] {
            let replay = format!("cut={cut} mode={mode:?}");
            let image = world.cut(cut, mode).without_index();
            let engine = image.try_open().unwrap_or_else(|why| panic!("{replay}: {why}"));
            finish(&engine, &made, &replay);
            images += 1;
        }
    }
    counted("crash images of groups", images);
}

/// What a random program has made.
#[derive(Default)]
struct Made1 {
    groups: Vec<Made>,
    ids: Vec<JobId>,
}

fn one_step(engine: &Engine, world: &World, made: &mut Made1, rng: &mut fastrand::Rng, leases: &mut Vec<Grant>) {
    let any_id = |made: &Made1, rng: &mut fastrand::Rng| made.ids.get(rng.usize(..made.ids.len().max(1))).copied();
    match rng.u8(..17) {
        0 | 1 => {
            let roles: Vec<Role> = ALL.into_iter().filter(|_| rng.bool()).collect();
            let members = (0..rng.usize(..5)).map(|_| NewJob { max_attempts: rng.u32(1..3), ..job("m") }).collect();
            let group = make(engine, &roles, members, rng.u8(..3) != 0);
            made.ids.extend(group.members.iter().chain(&group.callbacks));
            made.groups.push(group);
        }
        2 | 3 => {
            let Some(group) = rng.choice(&made.groups) else { return };
            // Refused when it is complete: also an answer.
            if let Ok((answers, _)) = engine.enqueue(vec![job("n"), member(group.id, "more")], Durability::Sync) {
                made.ids.extend(answers.iter().map(|answer| answer.id));
            }
        }
        4 => {
            let Some(group) = rng.choice(&made.groups) else { return };
            seal(engine, group.id);
        }
        5 | 6 => {
            let parents: Vec<JobId> = (0..rng.usize(1..4)).filter_map(|_| any_id(made, rng)).collect();
            let policy = [OnParentFailure::Wait, OnParentFailure::Discard, OnParentFailure::Run][rng.usize(..3)];
            if let Ok((answers, _)) = engine.enqueue(vec![waiting_for(&parents, policy)], Durability::Sync) {
                made.ids.extend(answers.iter().map(|answer| answer.id));
            }
        }
        7 | 8 => leases.extend(engine.take_some(rng.usize(1..4))),
        9..=11 if !leases.is_empty() => {
            let grant = leases.swap_remove(rng.usize(..leases.len()));
            let more = rng.choice(&made.groups).filter(|_| rng.bool()).map(|group| member(group.id, "follow-up"));
            let how = match rng.u8(..6) {
                0 => nack("no"),
                1 => Settle::Bury("no".into()),
                2 => Settle::Cancel,
                3 => Settle::Ack { follow_ups: more.into_iter().collect(), cells: Vec::new() },
                _ => Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() },
            };
            // A follow-up whose group is complete is refused, and the lease stands.
            if engine.settle(&grant, how).is_err() {
                leases.push(grant);
            }
        }
        12 => {
            let Some(id) = any_id(made, rng) else { return };
            let _ = if rng.bool() { engine.cancel(id).map(drop) } else { engine.requeue(id).map(drop) };
        }
        13 => {
            world.clock.advance(Duration::from_secs(rng.u64(..40_000)));
            engine.idle();
        }
        14 => drop(engine.forget_groups().unwrap()),
        15 => {
            let group = rng.choice(&made.groups).map(|group| group.id.0).filter(|_| rng.bool());
            let verb = if rng.bool() { BulkVerb::Cancel } else { BulkVerb::Requeue };
            let phase = Some([Phase::Ready, Phase::Dead, Phase::InFlight][rng.usize(..3)]);
            let _ = engine.bulk("ada", verb, &Criteria { group, phase, ..Criteria::default() }, &mut |_| {}).unwrap();
        }
        _ => drop(engine.release_callbacks().unwrap()),
    }
}

/// Everything runs, is requeued or cancelled: nothing may be left.
fn end_all(world: &World, engine: &Engine, made: &Made1, replay: &str) {
    for group in &made.groups {
        seal(engine, group.id);
    }
    for _ in 0..1_000 {
        engine.idle();
        engine.release_callbacks().unwrap();
        // The committer sees within a second to what nobody waits for: until then a new job is nobody's.
        engine.commit_step().unwrap();
        for grant in engine.take_some(64) {
            assert!(engine.ack(&grant), "{replay}");
        }
        let total = engine.counts().total();
        if total == QueueCounts::default() {
            return;
        }
        if total.ready == 0 && total.in_flight == 0 {
            for id in &made.ids {
                if phase(engine, *id) == Some(Phase::Dead) {
                    cancel(engine, *id);
                }
            }
        }
        world.clock.advance(Duration::from_secs(60));
        engine.check_groups().unwrap_or_else(|why| panic!("{replay}: {why}"));
    }
    panic!("{replay}: left over: {:?}\n{}", engine.counts().total(), engine.text());
}

#[test]
fn random_programs_with_crashes_leave_no_group_hanging_or_drifting() {
    let seeds = budget("BACKLOG_GROUP_SEEDS", 200, 5_000);
    for seed in 0..seeds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed);
        let mut engine = world.open_without_turns();
        let (mut made, mut leases) = (Made1::default(), Vec::new());
        for nth in 0..60 {
            let replay = format!("seed={seed} step={nth}");
            if rng.u8(..12) == 0 {
                let mode = [CrashMode::KeepAll, CrashMode::DropUnsynced][rng.usize(..2)];
                drop(engine);
                world = world.crashed(mode);
                if rng.bool() {
                    world = world.without_index();
                }
                engine = world.open_without_turns();
                leases.clear();
                // What was lost was never acknowledged; ids that were not are not asked about.
                made.groups.retain(|group| engine.group_status(group.id).is_some());
                made.ids.retain(|id| matches!(engine.inspect(*id).unwrap(), Status::Live(_) | Status::Finished));
            } else {
                one_step(&engine, &world, &mut made, &mut rng, &mut leases);
            }
            engine.check_groups().unwrap_or_else(|why| panic!("{replay}: {why}"));
            engine.check_books().unwrap_or_else(|why| panic!("{replay}: {why}"));
        }
        leases.drain(..).for_each(|grant| assert!(engine.settle(&grant, Settle::Release).is_ok()));
        made.ids = live(&engine);
        end_all(&world, &engine, &made, &format!("seed={seed}"));
    }
    counted("programs of groups", seeds);
}

fn live(engine: &Engine) -> Vec<JobId> {
    engine.state.lock().books.index.jobs_from(JobId(0)).map(|(id, _)| id).collect()
}

#[test]
fn a_group_s_cell_is_never_longer_than_the_room_that_is_kept_for_it() {
    let world = World::new(642);
    let engine = world.open();
    let (id, most) = (u64::MAX >> 11, u64::MAX >> 1);
    let mut group = Group::new(crate::ids::Millis(most), true);
    for count in [&mut group.total, &mut group.succeeded, &mut group.dead, &mut group.cancelled] {
        *count = most;
    }
    (group.expired, group.discarded, group.pruned) = (most, most, most);
    group.finished_at = Some(crate::ids::Millis(most));
    ALL.into_iter().for_each(|role| group.name_callback(role, JobId(most)));
    group.newest = Some((most, most));
    let value = encode_group(&group);
    assert!(value.len() <= GROUP_BYTES_MAX, "{}", value.len());
    let mut state = engine.state.lock();
    state.groups.changed.insert(id, group);
    let company = engine.company(&mut state, &[], &[]);
    let bytes = crate::engine::staging::entries_len(company.entries()) - crate::engine::staging::entries_len([]);
    assert!(bytes <= crate::engine::groups::CELL_ROOM, "{bytes}");
}

/// Members of one group until the disk is full.
fn full_of_members(segments: u64, bytes: usize) -> (World, Engine, Made) {
    let world = World::new(643);
    world.disk.set_capacity(u64::from(SEGMENT_BYTES) * segments);
    let engine = world.open();
    let mut made = make(&engine, &ALL, vec![job("first")], true);
    loop {
        let jobs = (0..5).map(|_| member(made.id, &"x".repeat(bytes))).collect();
        match engine.enqueue(jobs, Durability::Sync) {
            Ok((answers, ticket)) => {
                engine.wait(ticket).unwrap();
                made.members.extend(answers.iter().map(|answer| answer.id));
            }
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::Full);
                return (world, engine, made);
            }
        }
    }
}

/// Grants, acks, until nothing lives; gives how often each ran.
fn ack_everything(engine: &Engine, at_once: usize, replay: &str) -> BTreeMap<JobId, u64> {
    let mut ran = BTreeMap::new();
    while engine.counts().total() != QueueCounts::default() {
        let mut grants = Vec::new();
        while grants.len() < at_once {
            match engine.claim(&[], at_once - grants.len(), LeaseKind::Pool) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => grants.extend(more),
                Err(full) => {
                    assert_eq!(full.kind(), ErrorKind::Full);
                    assert!(!grants.is_empty(), "{replay}: nothing runs, and nothing can be claimed: {full}");
                    break;
                }
            }
        }
        assert!(!grants.is_empty(), "{replay}: {:?}", engine.counts());
        for grant in grants {
            let ack = Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() };
            let settled = engine.settle(&grant, ack).unwrap_or_else(|why| panic!("{replay}: {why}"));
            engine.wait(settled.expect("the lease is ours")).unwrap();
            *ran.entry(grant.id).or_insert(0) += 1;
        }
    }
    ran
}

#[test]
fn p11_every_member_of_a_full_disk_can_be_acked_and_the_callback_runs() {
    for (segments, bytes) in [(4, 3_000), (7, 700), (7, 100), (12, 1)] {
        for at_once in [1, 20, 200, usize::MAX] {
            let (_world, engine, made) = full_of_members(segments, bytes);
            let replay = format!("segments={segments} bytes={bytes} at_once={at_once}");
            let ran = ack_everything(&engine, at_once, &replay);
            let [success, complete, death] = made.callbacks[..] else { panic!("three") };
            assert_eq!(
                [success, complete, death].map(|id| ran.get(&id).copied()),
                [Some(1), Some(1), None],
                "{replay}"
            );
            assert_eq!(counts(&engine, &made), [made.members.len() as u64, 0, made.members.len() as u64, 0, 0]);
        }
    }
}

#[test]
fn p11_a_full_disk_opens_with_all_members_running_and_ends_them() {
    for (segments, bytes) in [(4, 3_000), (7, 700), (12, 1)] {
        let replay = format!("segments={segments} bytes={bytes}");
        let (world, engine, made) = full_of_members(segments, bytes);
        while engine.claim(&[], 1_000, LeaseKind::Pool).is_ok_and(|more| !more.is_empty()) {}
        let running = engine.counts().total().in_flight;
        let image = world.crashed(CrashMode::KeepAll);
        image.disk.set_capacity(u64::from(SEGMENT_BYTES) * segments);
        let again = image.open();
        assert_eq!(again.report().requeued, running, "{replay}");
        let ran = ack_everything(&again, 20, &replay);
        assert_eq!(ran.len(), made.members.len() + 2, "{replay}");
        assert_eq!(counts(&again, &made), [made.members.len() as u64, 0, made.members.len() as u64, 0, 0]);
    }
}

#[test]
fn p11_every_parent_on_a_full_disk_can_be_acked_and_who_waits_runs() {
    for (segments, bytes) in [(4, 3_000), (7, 700), (12, 1)] {
        for at_once in [1, 20, usize::MAX] {
            let replay = format!("segments={segments} bytes={bytes} at_once={at_once}");
            let world = World::new(644);
            world.disk.set_capacity(u64::from(SEGMENT_BYTES) * segments);
            let engine = world.open();
            let mut accepted = 0_u64;
            let refused = loop {
                let jobs: Vec<NewJob> = (0..5).map(|_| job(&"x".repeat(bytes))).collect();
                let parents = match engine.enqueue(jobs, Durability::Sync) {
                    Ok((answers, _)) => answers,
                    Err(refused) => break refused,
                };
                accepted += 5;
                let parents: Vec<JobId> = parents.iter().map(|answer| answer.id).collect();
                let waiting = (0..6).map(|_| waiting_for(&parents, OnParentFailure::Wait)).collect();
                match engine.enqueue(waiting, Durability::Sync) {
                    Ok(_) => accepted += 6,
                    Err(refused) => break refused,
                }
            };
            assert_eq!(refused.kind(), ErrorKind::Full);
            engine.wait(engine.seen_so_far()).unwrap();
            let ran = ack_everything(&engine, at_once, &replay);
            assert_eq!(ran.len() as u64, accepted, "{replay}");
            assert!(ran.values().all(|times| *times == 1), "{replay}");
            engine.check_groups().unwrap();
        }
    }
}
