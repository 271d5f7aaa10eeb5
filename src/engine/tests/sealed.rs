//! Sealed jobs: nothing of them in plain on the disk, over every path in, every crash and every key that is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::disk::simulated::{CrashMode, SimDisk};
use crate::disk::{Access, Disk};
use crate::engine::enqueue::UniqueRule;
use crate::engine::groups::{Parent, Ties};
use crate::engine::look::Source;
use crate::engine::settle::CellSet;
use crate::engine::{
    Acceptance, Criteria, Durability, Engine, Grant, JobInfo, NewJob, OnConflict, ReadOnlyEngine, Settings, Settle,
    Status, result_cell,
};
use crate::error::ErrorKind;
use crate::ids::{JobId, Phase};
use crate::job::namespace;
use crate::keys::KeyRing;

use super::world::{Verbs, World, dump_of, job, nack};

const MARK: &str = "PLAINTEXT";

fn old() -> KeyRing {
    KeyRing::new("2025-03", [3; 32])
}

fn rotated() -> KeyRing {
    KeyRing::new("2026-11", [11; 32]).also("2025-03", [3; 32])
}

fn open_with(world: &World, keys: KeyRing) -> Engine {
    Engine::open(world.doors(), Settings { keys: keys.into(), ..World::settings() }).unwrap()
}

/// With the mark in its args.
fn sealed(name: &str) -> NewJob {
    NewJob { sealed: true, ..job(&format!("{MARK}{name}")) }
}

/// Every byte of every file.
fn bytes_of(disk: &SimDisk) -> Vec<u8> {
    let mut all = Vec::new();
    for dir in ["", "log", "index"] {
        for name in disk.list(dir).unwrap_or_default() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let Ok(file) = disk.open(&path, Access::Read) else { continue };
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            all.extend(bytes);
        }
    }
    all
}

fn shows_mark(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

fn assert_nothing_plain(world: &World) {
    assert!(!shows_mark(&bytes_of(&world.disk)), "plain bytes on the disk");
}

fn info(engine: &Engine, id: JobId) -> JobInfo {
    match engine.inspect(id).unwrap() {
        Status::Live(info) => *info,
        other => panic!("{id}: {other:?}"),
    }
}

fn note(engine: &Engine, grant: &Grant, namespace: u8, name: &str, value: &str) {
    let key = [&grant.id.0.to_be_bytes()[..], name.as_bytes()].concat();
    let cell = CellSet { namespace, key, value: Some(value.as_bytes().to_vec()), until: None };
    let ticket = engine.note(grant, &[cell], Durability::Sync).unwrap().unwrap();
    engine.wait(ticket).unwrap();
}

fn noted(engine: &Engine, grant: &Grant, namespace: u8, name: &str) -> String {
    let key = [&grant.id.0.to_be_bytes()[..], name.as_bytes()].concat();
    String::from_utf8(engine.noted(grant, namespace, &key).unwrap().unwrap()).unwrap()
}

#[test]
fn nothing_of_a_sealed_job_stands_in_plain_on_the_disk() {
    let world = World::new(1);
    let engine = open_with(&world, old());
    let id = engine.add(NewJob { keep_result: Some(Duration::from_secs(3600)), ..sealed("args") });
    let grant = engine.take().unwrap();
    assert_eq!(grant.plain_args(), format!("{MARK}args").as_bytes());
    for (namespace, name) in [(namespace::STEP, "pay"), (namespace::CHECKPOINT, ""), (namespace::PROGRESS, "")] {
        note(&engine, &grant, namespace, name, &format!("{MARK}{namespace}"));
        assert_eq!(noted(&engine, &grant, namespace, name), format!("{MARK}{namespace}"));
    }
    assert!(engine.end(&grant, nack(&format!("{MARK}error"))));
    assert_eq!(info(&engine, id).errors, [format!("{MARK}error")]);
    engine.requeue(id).unwrap();
    assert!(engine.end(&engine.take().unwrap(), Settle::Park(format!("{MARK}park"))));
    assert_eq!(info(&engine, id).reason.unwrap(), format!("{MARK}park"));
    engine.requeue(id).unwrap();
    assert!(engine.end(&engine.take().unwrap(), Settle::Bury(format!("{MARK}bury"))));
    assert_eq!(info(&engine, id).reason.unwrap(), format!("{MARK}bury"));
    engine.requeue(id).unwrap();
    engine.move_to(id, Some("elsewhere"), Some(3)).unwrap();
    // Steps and the rest are there for the last attempt, and the result behind it.
    let grant = engine.take().unwrap();
    assert_eq!(noted(&engine, &grant, namespace::STEP, "pay"), format!("{MARK}7"));
    assert_eq!(engine.progress(id).unwrap().unwrap(), format!("{MARK}15").as_bytes());
    let cell = result_cell(&grant, format!("{MARK}result").into_bytes(), crate::ids::Millis(world.clock.wall_ms()));
    assert!(engine.end(&grant, Settle::Ack { follow_ups: vec![sealed("next")], cells: vec![cell.unwrap()] }));
    assert_eq!(engine.result(id).unwrap().unwrap().unwrap(), format!("{MARK}result").as_bytes());
    engine.checkpoint().unwrap();
    engine.compact_all().unwrap();
    engine.close().unwrap();
    assert_nothing_plain(&world);
    assert!(world.disk.trace().iter().all(|op| !shows_mark(format!("{op:?}").as_bytes())));
    let again = open_with(&world.cut_nothing(), rotated());
    assert_eq!(again.result(id).unwrap().unwrap().unwrap(), format!("{MARK}result").as_bytes());
    assert_eq!(again.take().unwrap().plain_args(), format!("{MARK}next").as_bytes());
}

#[test]
fn every_way_in_seals_or_refuses() {
    let world = World::new(2);
    let engine = open_with(&world, old());
    let group = engine.draw_group_id().unwrap();
    let mut ids = engine.add_many(vec![sealed("one"), job("plain"), sealed("two")]);
    let chain = vec![sealed("first"), NewJob { ties: behind(0), ..sealed("second") }];
    ids.extend(engine.add_many(chain));
    let mut callback = sealed("callback");
    callback.ties.callback = Some((group, crate::job::Role::Complete));
    let mut member = sealed("member");
    member.ties.group = Some(group);
    let prepared = engine.prepare_all([callback, member].into_iter().map(Ok)).unwrap();
    let (answers, ticket) = engine.accept_with_groups(&[(group, true)], prepared, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    ids.extend(answers.iter().map(|answer| answer.id));
    let unique = |name: &str, on_conflict| NewJob {
        unique: Some("key".into()),
        rule: UniqueRule { on_conflict, ..UniqueRule::default() },
        ..sealed(name)
    };
    let held = engine.add(unique("old", OnConflict::Keep));
    let (answers, ticket) = engine.enqueue(vec![unique("new", OnConflict::Replace)], Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    assert_eq!(answers[0].acceptance, Acceptance::Replaced(held));
    ids.push(held);
    assert_nothing_plain(&world);
    let mut seen = BTreeSet::new();
    while let Some(grant) = engine.take() {
        seen.insert((grant.id, String::from_utf8(grant.plain_args().to_vec()).unwrap()));
        assert!(engine.ack(&grant));
        engine.idle();
    }
    let names = ["one", "", "two", "first", "second", "callback", "member", "new"];
    for (id, name) in ids.iter().zip(names) {
        let args = if name.is_empty() { "plain".to_owned() } else { format!("{MARK}{name}") };
        assert!(seen.contains(&(*id, args)), "{name}: {seen:?}");
    }

    let plain = World::new(3);
    let engine = plain.open();
    engine.add(job("before"));
    let before = engine.text();
    let refused = engine.enqueue(vec![job("beside"), sealed("x")], Durability::Sync).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("Options::keys"), "{refused}");
    let grant = engine.take().unwrap();
    assert!(engine.settle(&grant, Settle::Ack { follow_ups: vec![sealed("x")], cells: Vec::new() }).is_err());
    assert!(engine.end(&grant, Settle::Release));
    assert_eq!(before.lines().count(), engine.text().lines().count());
    assert_nothing_plain(&plain);
}

fn behind(nth: usize) -> Ties {
    Ties { after: Some(vec![Parent::Nth(nth)]), ..Ties::default() }
}

#[test]
fn a_link_of_a_sealed_chain_waits_for_the_one_before() {
    let world = World::new(4);
    let engine = open_with(&world, old());
    let ids = engine.add_many(vec![sealed("first"), NewJob { ties: behind(0), ..sealed("second") }]);
    let first = engine.take().unwrap();
    assert!(first.id == ids[0] && engine.take().is_none());
    assert_eq!(info(&engine, ids[1]).phase, Phase::Held);
    assert!(engine.ack(&first));
    engine.idle();
    assert_eq!(engine.take().unwrap().id, ids[1]);
}

#[test]
fn a_duplicate_in_a_sealed_batch_is_no_member_of_its_group() {
    let world = World::new(5);
    let engine = open_with(&world, old());
    engine.add(NewJob { unique: Some("taken".into()), ..job("holder") });
    let group = engine.draw_group_id().unwrap();
    let member = |unique: Option<&str>| NewJob {
        unique: unique.map(str::to_owned),
        ties: Ties { group: Some(group), ..Ties::default() },
        ..sealed("m")
    };
    let jobs = [member(None), member(Some("taken")), member(None), member(None)];
    let prepared = engine.prepare_all(jobs.into_iter().map(Ok)).unwrap();
    let (answers, ticket) = engine.accept_with_groups(&[(group, true)], prepared, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_new()).count(), 3);
    let status = engine.group_status(group).unwrap();
    assert_eq!((status.total, status.pending), (3, 3));
    engine.check_groups().unwrap();
    while let Some(grant) = engine.take() {
        assert!(engine.ack(&grant));
    }
    assert!(engine.group_status(group).unwrap().is_complete());
}

#[test]
fn a_job_whose_reserved_id_is_below_others_is_found_by_claims_and_by_the_next_open() {
    let world = World::new(6);
    let engine = open_with(&world, old());
    let mut first = engine.prepare_all([Ok(sealed("a")), Ok(sealed("b"))].into_iter()).unwrap();
    engine.seal_new(&mut first).unwrap();
    let (others, _) = engine.enqueue(vec![job("between")], Durability::Sync).unwrap();
    let between = others[0].id;
    let (answers, ticket) = engine.accept(first, Durability::Sync).unwrap();
    let ids: Vec<JobId> = answers.iter().map(|answer| answer.id).collect();
    assert!(ids[0] < ids[1] && ids[1] < between, "{ids:?} {between:?}");
    assert!(engine.take().is_none(), "handed out before its sync");
    engine.wait(ticket).unwrap();
    assert_eq!(engine.take().unwrap().id, ids[0]);
    let behind = engine.add(job("behind"));
    assert!(behind > between);
    engine.check_books().unwrap();

    for image in [world.crashed(CrashMode::KeepAll), world.crashed(CrashMode::KeepAll).without_index()] {
        let again = open_with(&image, old());
        again.check_books().unwrap();
        let found: BTreeSet<JobId> = std::iter::from_fn(|| again.take()).map(|grant| grant.id).collect();
        assert_eq!(found, BTreeSet::from([ids[0], ids[1], between, behind]));
        assert!(again.add(job("later")) > behind);
    }
}

#[test]
fn ids_that_were_reserved_and_not_used_are_given_to_nobody_else() {
    let world = World::new(7);
    let engine = open_with(&world, old());
    let mut lost = engine.prepare_all(std::iter::once(Ok(sealed("lost")))).unwrap();
    engine.seal_new(&mut lost).unwrap();
    let reserved = lost[0].id();
    drop(lost);
    let mut both = vec![engine.prepare_all(std::iter::once(Ok(sealed("a")))).unwrap()];
    both.push(engine.prepare_all(std::iter::once(Ok(sealed("b")))).unwrap());
    for jobs in &mut both {
        engine.seal_new(jobs).unwrap();
    }
    let mut ids = vec![reserved, engine.add(job("c"))];
    for jobs in both {
        ids.extend(engine.accept(jobs, Durability::Sync).unwrap().0.iter().map(|answer| answer.id));
    }
    let unlike: BTreeSet<JobId> = ids.iter().copied().collect();
    assert_eq!(unlike.len(), ids.len(), "{ids:?}");
}

#[test]
fn a_job_whose_key_is_missing_is_parked_and_comes_back_with_the_key() {
    let world = World::new(8);
    let engine = open_with(&world, old());
    let id = engine.add(sealed("x"));
    engine.close().unwrap();

    let without = open_with(&world, KeyRing::new("2026-11", [11; 32]));
    assert!(without.take().is_none());
    let parked = info(&without, id);
    assert_eq!((parked.phase, parked.sealed.as_deref(), parked.attempts), (Phase::Parked, Some("2025-03"), 0));
    let reason = parked.reason.unwrap();
    assert!(reason.contains("2025-03") && reason.contains("KeyRing::also"), "{reason}");
    // Handlers alone do not help.
    assert_eq!(without.unpark(&|_| true).unwrap(), 0);
    without.close().unwrap();

    let none = world.open();
    assert_eq!(info(&none, id).phase, Phase::Parked);
    none.requeue(id).unwrap();
    assert!(none.take().is_none());
    assert!(info(&none, id).reason.unwrap().contains("Options::keys"));
    none.close().unwrap();

    let with = open_with(&world, rotated());
    let grant = with.take().unwrap();
    assert_eq!((grant.id, grant.attempt, grant.plain_args()), (id, 1, format!("{MARK}x").as_bytes()));
    assert_nothing_plain(&world);
}

#[test]
fn what_does_not_authenticate_is_parked_and_never_retried_to_death() {
    let world = World::new(9);
    let engine = open_with(&world, old());
    let id = engine.add(sealed("x"));
    engine.close().unwrap();
    let wrong = open_with(&world, KeyRing::new("2025-03", [4; 32]));
    for _ in 0..3 {
        assert!(wrong.take().is_none());
        let info = info(&wrong, id);
        assert_eq!((info.phase, info.attempts), (Phase::Parked, 0));
        assert!(info.reason.unwrap().contains("not authentic"));
        assert_eq!(wrong.unpark(&|_| true).unwrap(), 0);
        wrong.requeue(id).unwrap();
    }
    assert!(wrong.take().is_none());
    wrong.close().unwrap();
    assert_eq!(open_with(&world, old()).take().unwrap().id, id);
}

#[test]
fn a_step_that_does_not_open_parks_its_job_before_anybody_runs_it() {
    let world = World::new(10);
    let engine = open_with(&world, KeyRing::new("new", [1; 32]).also("2025-03", [3; 32]));
    let id = {
        let first = open_closed(&world, engine);
        let id = first.add(sealed("x"));
        first.close().unwrap();
        id
    };
    // The args stand under the old key, the step under the new one.
    let engine = open_with(&world, KeyRing::new("new", [1; 32]).also("2025-03", [3; 32]));
    let grant = engine.take().unwrap();
    note(&engine, &grant, namespace::STEP, "pay", MARK);
    assert!(engine.end(&grant, Settle::Release));
    engine.close().unwrap();
    let back = open_with(&world, old());
    assert!(back.take().is_none());
    let parked = info(&back, id);
    assert_eq!(parked.phase, Phase::Parked);
    assert!(parked.reason.unwrap().contains("a step sealed under key \"new\""));
    back.close().unwrap();
    let engine = open_with(&world, KeyRing::new("new", [1; 32]).also("2025-03", [3; 32]));
    let grant = engine.take().unwrap();
    assert_eq!(noted(&engine, &grant, namespace::STEP, "pay"), MARK);
}

fn open_closed(world: &World, engine: Engine) -> Engine {
    engine.close().unwrap();
    open_with(world, old())
}

#[test]
fn a_job_that_crashed_or_failed_keeps_its_args_sealed_and_whole() {
    let world = World::new(11);
    let engine = open_with(&world, old());
    let id = engine.add(NewJob { unique: Some("k".into()), rule: until_started(), ..sealed("x") });
    let grant = engine.take().unwrap();
    note(&engine, &grant, namespace::CHECKPOINT, "", MARK);
    let crashed = world.crashed(CrashMode::KeepAll);
    let again = open_with(&crashed, rotated());
    let grant = again.take().unwrap();
    assert_eq!((grant.id, grant.plain_args()), (id, format!("{MARK}x").as_bytes()));
    assert_eq!(noted(&again, &grant, namespace::CHECKPOINT, ""), MARK);
    assert_eq!(info(&again, id).errors, ["process ended while the job ran"]);
    assert_nothing_plain(&crashed);
}

fn until_started() -> UniqueRule {
    UniqueRule { until_started: true, ..UniqueRule::default() }
}

#[test]
fn looks_say_that_a_job_is_sealed_and_show_its_texts_only_with_the_key() {
    let world = World::new(12);
    let engine = open_with(&world, old());
    let id = engine.add(NewJob { max_attempts: 1, ..sealed("x") });
    assert!(engine.end(&engine.take().unwrap(), nack(&format!("{MARK}: declined"))));
    let says = Criteria { error: Some("declined".into()), ..Criteria::default() };
    assert_eq!(engine.list(&says, None, 10).unwrap().len(), 1);
    engine.close().unwrap();
    let disk = std::sync::Arc::new(world.disk.clone()) as _;
    let clock = std::sync::Arc::clone(&world.clock) as _;
    let look = ReadOnlyEngine::open(&disk, &clock).unwrap();
    let Status::Live(info) = look.inspect(id).unwrap() else { panic!() };
    assert_eq!(info.sealed.as_deref(), Some("2025-03"));
    assert!(info.errors[0].contains("sealed under key \"2025-03\""), "{:?}", info.errors);
    assert!(look.list(&says, None, 10).unwrap().is_empty());
    let dump = dump_of(&look);
    assert!(dump.contains(r#""sealed":"2025-03""#) && dump.contains("args_sealed_hex") && !dump.contains(MARK));
    assert!(!dump.contains("\"args\"") && !dump.contains("\"args_hex\""));
    let with = look.with_keys(old().into());
    assert_eq!(with.list(&says, None, 10).unwrap().len(), 1);
}

#[test]
fn the_key_of_a_sealed_job_by_its_args_is_kept_by_the_directorys_own_hash() {
    let (world, other) = (World::new(13), World::new(14));
    let by_args = |name: &str| NewJob {
        unique: Some("args:0".into()),
        rule: UniqueRule { by_args: true, ..UniqueRule::default() },
        ..sealed(name)
    };
    let engine = open_with(&world, old());
    let id = engine.add(by_args("same"));
    engine.close().unwrap();
    // Whatever key seals.
    let engine = open_with(&world, rotated());
    let (answers, _) = engine.enqueue(vec![by_args("same"), by_args("other")], Durability::Sync).unwrap();
    assert!(answers[0].acceptance == Acceptance::Duplicate(id) && answers[1].is_new());
    let elsewhere = open_with(&other, old());
    let there = elsewhere.add(by_args("same"));
    assert_ne!(info(&engine, id).unique, info(&elsewhere, there).unique);
}

#[test]
fn limits_count_what_is_stored_and_say_so() {
    let world = World::new(15);
    let engine = open_with(&world, old());
    engine.add(sealed("x"));
    let grant = engine.take().unwrap();
    let key = grant.id.0.to_be_bytes().to_vec();
    let cell = |bytes| CellSet { namespace: namespace::CHECKPOINT, key: key.clone(), value: Some(bytes), until: None };
    let refused = engine.note(&grant, &[cell(vec![1; crate::limits::CELL_BYTES_MAX])], Durability::Sync).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    let fits = crate::limits::CELL_BYTES_MAX - crate::keys::SEAL_BYTES_MAX;
    if crate::limits::CELL_BYTES_MAX < engine.limits().batch_bytes_max {
        engine.note(&grant, &[cell(vec![1; fits])], Durability::Sync).unwrap();
    }
}

/// What was acknowledged, and how many operations had been made by then.
struct Told {
    ops: usize,
    jobs: Vec<JobId>,
    done: Vec<JobId>,
}

#[test]
fn a_crash_at_any_operation_loses_no_sealed_job_and_leaves_nothing_plain() {
    let world = World::new(16);
    let engine = open_with(&world, old());
    let mut told = vec![Told { ops: world.disk.ops(), jobs: Vec::new(), done: Vec::new() }];
    let (mut jobs, mut done) = (Vec::new(), Vec::new());
    for nth in 0..6 {
        jobs.push(engine.add(sealed(&nth.to_string())));
        if nth == 2 {
            jobs.extend(engine.add_many(vec![sealed("many"), sealed("more")]));
        }
        told.push(Told { ops: world.disk.ops(), jobs: jobs.clone(), done: done.clone() });
        let grant = engine.take().unwrap();
        note(&engine, &grant, namespace::STEP, "pay", MARK);
        if nth % 2 == 0 {
            assert!(engine.end(&grant, nack(MARK)));
        } else {
            let id = grant.id;
            assert!(engine.ack(&grant));
            done.push(id);
        }
        told.push(Told { ops: world.disk.ops(), jobs: jobs.clone(), done: done.clone() });
    }
    let mut images = 0;
    let from = told[0].ops;
    for cut in from..=world.disk.ops() {
        let stands = told.iter().rev().find(|told| told.ops <= cut).unwrap();
        for mode in CrashMode::all(cut as u64) {
            let image = world.cut(cut, mode).without_index();
            assert!(!shows_mark(&bytes_of(&image.disk)), "cut={cut} mode={mode:?}");
            let again = open_with(&image, rotated());
            again.check_books().unwrap();
            for id in &stands.jobs {
                let Some((envelope, args)) = again.job(*id).unwrap() else {
                    assert!(done.contains(id), "cut={cut} mode={mode:?}: job {id} is gone");
                    continue;
                };
                assert!(!stands.done.contains(id), "cut={cut} mode={mode:?}: job {id} is back");
                let opened = again.open_sealed(*id, &envelope, &args).unwrap().unwrap().unwrap();
                assert!(opened.starts_with(MARK.as_bytes()), "cut={cut} mode={mode:?}");
            }
            assert!(again.add(sealed("later")) > *stands.jobs.last().unwrap_or(&JobId(0)));
            images += 1;
        }
    }
    println!("counted: crash images with sealed jobs {images}");
}
