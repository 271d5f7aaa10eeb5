//! One verb for all jobs that match: what the verb for one does, to each, once; over every crash.

mod crashes;

use std::time::Duration;

use crate::engine::look::Source;
use crate::engine::{AuditRecord, BulkDone, Durability, Engine, NewJob, OnParentFailure, Settle, Status, audits};
use crate::error::ErrorKind;
use crate::ids::{AuditId, GroupId, JobId, Phase};
use crate::job::{BulkRun, BulkVerb, Criteria, Role, namespace};

use super::world::{SEGMENT_BYTES, Verbs, World, at, job, nack};

fn state(phase: Phase) -> Criteria {
    Criteria { phase: Some(phase), ..Criteria::default() }
}

fn all() -> Criteria {
    Criteria::default()
}

fn bulk(engine: &Engine, verb: BulkVerb, criteria: &Criteria) -> BulkDone {
    let (done, ticket) = engine.bulk("ada", verb, criteria, &mut |_| {}).unwrap();
    engine.wait(ticket).unwrap();
    engine.check_books().unwrap();
    engine.check_groups().unwrap();
    done
}

fn records(engine: &Engine) -> Vec<AuditRecord> {
    audits(&**engine, usize::MAX).unwrap()
}

/// Goes on with what nobody drives, until nothing is left.
fn upkeep(engine: &Engine) -> u64 {
    let mut steps = 0;
    loop {
        match engine.continue_bulks().unwrap() {
            0 => return steps,
            more => steps += more,
        }
        assert!(steps < 1_000, "it does not end");
    }
}

/// Jobs that are dead, of 200 bytes each.
fn dead(engine: &Engine, n: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    while ids.len() < n {
        let jobs = (ids.len()..n).take(50).map(|_| NewJob { max_attempts: 9, ..job(&"x".repeat(200)) });
        ids.extend(engine.add_many(jobs.collect()));
    }
    let mut buried = 0;
    while buried < n {
        for grant in engine.take_some(50) {
            assert!(engine.end(&grant, Settle::Bury("the host is down".into())));
            buried += 1;
        }
    }
    ids
}

fn phase(engine: &Engine, id: JobId) -> Option<Phase> {
    match engine.inspect(id).unwrap() {
        Status::Live(info) => Some(info.phase),
        _ => None,
    }
}

/// A job in every state, with keys, groups and others that wait for it.
fn zoo(engine: &Engine) -> Vec<JobId> {
    let keyed = |args: &str| NewJob { unique: Some("key".into()), ..job(args) };
    let mut ids = Vec::new();
    for args in ["first", "second"] {
        ids.push(engine.add(keyed(args)));
        assert!(engine.end(&engine.take().unwrap(), Settle::Bury("no".into())));
    }
    ids.push(engine.add(job("parked")));
    assert!(engine.end(&engine.take().unwrap(), Settle::Park("what is it".into())));
    ids.push(engine.add(job("retried")));
    assert!(engine.end(&engine.take().unwrap(), nack("no")));
    ids.push(engine.add(job("runs")));
    let _ = engine.take().unwrap();
    ids.push(engine.add(NewJob { hold: true, ..job("held") }));
    ids.push(engine.add(NewJob { run_at: Some(at(60_000)), priority: 2, queue: "mail".into(), ..job("later") }));
    let group = engine.draw_group_id().unwrap();
    ids.extend(grouped(engine, group, &["a", "b"]));
    let parent = engine.add(NewJob { queue: "mail".into(), tags: vec!["big".into()], ..job("parent") });
    let mut child = job("child");
    child.wait_for([parent]);
    child.ties.on_failure = OnParentFailure::Discard;
    ids.extend([parent, engine.add(child)]);
    ids
}

/// A sealed group with all callbacks, which come first.
fn grouped(engine: &Engine, id: GroupId, members: &[&str]) -> Vec<JobId> {
    let callbacks = [Role::Success, Role::Complete, Role::Death].map(|role| {
        let mut callback = NewJob { queue: "callbacks".into(), ..job(&format!("{role:?}")) };
        callback.ties.callback = Some((id, role));
        callback
    });
    let members = members.iter().map(|args| {
        let mut member = job(args);
        member.ties.group = Some(id);
        member
    });
    let jobs = callbacks.into_iter().chain(members).map(Ok);
    let prepared = engine.prepare_all(jobs).unwrap();
    let (answers, ticket) = engine.accept_with_groups(&[(id, true)], prepared, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    answers.into_iter().map(|answer| answer.id).collect()
}

/// Jobs and cells, but for what bulk verbs leave.
fn text_without_audit(engine: &Engine) -> String {
    engine.release_callbacks().unwrap();
    let ours = |line: &&str| !line.starts_with("{\"cell\":10,") && !line.starts_with("{\"cell\":12,");
    engine.text().lines().filter(ours).fold(String::new(), |all, line| all + line + "\n")
}

fn one_by_one(engine: &Engine, verb: &BulkVerb, ids: &[JobId]) {
    for id in ids {
        match verb {
            BulkVerb::Requeue => drop(engine.requeue(*id).unwrap()),
            BulkVerb::Cancel => drop(engine.cancel(*id).unwrap()),
            BulkVerb::Move { queue } => drop(engine.move_to(*id, Some(queue), None).unwrap()),
            BulkVerb::SetPriority { priority } => drop(engine.move_to(*id, None, Some(*priority)).unwrap()),
            BulkVerb::Reschedule { run_at } => drop(engine.reschedule(*id, *run_at).unwrap()),
        }
    }
}

#[test]
fn a_bulk_verb_makes_of_every_job_what_the_verb_for_one_makes_of_it() {
    let verbs = [
        BulkVerb::Requeue,
        BulkVerb::Cancel,
        BulkVerb::Move { queue: "slow".into() },
        BulkVerb::SetPriority { priority: -7 },
        BulkVerb::Reschedule { run_at: at(90_000) },
    ];
    for (verb, seed) in verbs.into_iter().zip(700..) {
        let (one, many) = (World::new(seed), World::new(seed));
        let (one, many) = (one.open(), many.open());
        let ids = zoo(&one);
        assert_eq!(zoo(&many), ids);
        one_by_one(&one, &verb, &ids);
        let done = bulk(&many, verb.clone(), &all());
        assert_eq!(text_without_audit(&many), text_without_audit(&one), "{verb}");
        assert_eq!((many.counts(), many.groups()), (one.counts(), one.groups()), "{verb}");
        assert_eq!(done.total(), ids.len() as u64, "{verb}: {done:?}");
        let right = match verb {
            BulkVerb::Requeue => (4, 0, 8, 1, 1),
            BulkVerb::Cancel => (13, 1, 0, 0, 0),
            BulkVerb::Move { .. } | BulkVerb::SetPriority { .. } => (13, 0, 0, 1, 0),
            BulkVerb::Reschedule { .. } => (5, 0, 8, 1, 0),
        };
        assert_eq!((done.changed, done.requested, done.refused, done.running, done.duplicate), right, "{verb}");
    }
}

#[test]
fn a_bulk_verb_of_many_frames_meets_every_match_once_and_leaves_one_record() {
    let world = World::new(710);
    let engine = world.open();
    let ids = dead(&engine, 300);
    let stays = engine.add(NewJob { queue: "other".into(), ..job("stays") });
    let mut told = Vec::new();
    let (done, ticket) = engine.bulk("ada", BulkVerb::Requeue, &state(Phase::Dead), &mut |met| told.push(met)).unwrap();
    engine.wait(ticket).unwrap();
    assert!(told.len() > 5 && told.is_sorted() && told.last() == Some(&300), "{told:?}");
    assert_eq!((done.changed, done.total()), (300, 300));
    assert!(ids.iter().all(|id| phase(&engine, *id) == Some(Phase::Ready)));
    for engine in [engine, world.crashed(crate::disk::simulated::CrashMode::DropUnsynced).without_index().open()] {
        let [record] = &records(&engine)[..] else { panic!("one record") };
        assert_eq!((record.number, record.who.as_str(), record.bulk), (done.audit, "ada", Some(done)));
        assert_eq!(record.what, "requeue: jobs with state=dead");
        assert_eq!((engine.counts().total().ready, phase(&engine, stays)), (301, Some(Phase::Ready)));
        assert_eq!(upkeep(&engine), 0, "nothing is left of it");
    }
}

#[test]
fn a_bulk_verb_meets_only_what_its_filter_says() {
    let world = World::new(711);
    let engine = world.open();
    let ids = zoo(&engine);
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        (Criteria { queue: text("mail"), ..all() }, 2),
        (Criteria { tag: text("big"), ..all() }, 1),
        (Criteria { error: text("what is"), ..all() }, 1),
        (Criteria { kind: text("count"), phase: Some(Phase::Dead), ..all() }, 2),
        (Criteria { kind: text("other"), ..all() }, 0),
        (Criteria { kind_like: text("c*nt"), ..all() }, 14),
        (Criteria { kind_like: text("*x*"), ..all() }, 0),
        (Criteria { priority: Some((i16::MIN, -1)), ..all() }, 0),
        (Criteria { priority: Some((0, i16::MAX)), ..all() }, 14),
        (Criteria { first: Some(ids[2].0), last: Some(ids[4].0), ..all() }, 3),
        (Criteria { last: Some(ids[0].0), ..all() }, 1),
        (Criteria { first: Some(u64::MAX), ..all() }, 0),
        (Criteria { since: Some(at(1)), ..all() }, 0),
        (Criteria { before: Some(at(1)), ..all() }, 14),
        (all(), 14),
    ];
    for (criteria, matching) in filters {
        assert_eq!(engine.count_matching(&criteria).unwrap(), matching, "{criteria}");
        let listed = engine.list(&criteria, None, usize::MAX).unwrap().len() as u64;
        let done = bulk(&engine, BulkVerb::SetPriority { priority: 0 }, &criteria);
        assert_eq!((listed, done.total()), (matching, matching), "{criteria}");
    }
    assert_eq!(engine.count_matching(&state(Phase::Dead)).unwrap(), 2);
}

#[test]
fn c8_of_two_dead_jobs_with_one_key_a_bulk_requeue_takes_the_first() {
    let world = World::new(712);
    let engine = world.open();
    let ids = zoo(&engine);
    let done = bulk(&engine, BulkVerb::Requeue, &state(Phase::Dead));
    assert_eq!((done.changed, done.duplicate), (1, 1));
    assert_eq!((phase(&engine, ids[0]), phase(&engine, ids[1])), (Some(Phase::Ready), Some(Phase::Dead)));
}

#[test]
fn jobs_enqueued_while_a_bulk_verb_goes_on_are_not_touched() {
    let world = World::new(713);
    let engine = world.open();
    let before = engine.add_many((0..100).map(|_| job(&"x".repeat(300))).collect());
    let mut after = Vec::new();
    let verb = BulkVerb::SetPriority { priority: 5 };
    let (done, _) = engine
        .bulk("ada", verb, &all(), &mut |_| {
            assert!(after.len() < 1_000, "it does not end");
            after.extend(engine.add_many((0..60).map(|_| job(&"y".repeat(300))).collect()));
        })
        .unwrap();
    assert!(after.len() > 60);
    assert_eq!(done.changed, before.len() as u64);
    let priority = |id: &JobId| engine.job(*id).unwrap().unwrap().0.priority;
    assert!(before.iter().all(|id| priority(id) == 5) && after.iter().all(|id| priority(id) == 0));
}

#[test]
fn rule_9_a_job_that_moves_between_the_look_and_the_frame_is_looked_at_again() {
    let world = World::new(714);
    let engine = world.open();
    let ids = engine.add_many((0..5).map(|n| job(&n.to_string())).collect());
    let verb = BulkVerb::Move { queue: "slow".into() };
    let mut run = BulkRun::new("ada".into(), verb, all(), ids[4].0 + 1);
    let found = engine.next_matching(&run).unwrap();
    let (runs, ends) = (engine.take().unwrap(), engine.take().unwrap());
    assert!(engine.ack(&ends));
    engine.move_to(ids[3], None, Some(9)).unwrap();
    let over = engine.bulk_step_with(AuditId(7), &mut run, found).unwrap();
    assert!(over.is_some());
    assert_eq!((run.counts.changed, run.counts.running, run.counts.total()), (3, 1, 4));
    let (moved, args) = engine.job(ids[3]).unwrap().unwrap();
    assert_eq!((moved.queue.as_str(), moved.priority, args.as_slice()), ("slow", 9, &b"3"[..]));
    assert!(engine.ack(&runs), "whoever runs it still holds it");
    assert!(ids[2..].iter().all(|id| engine.job(*id).unwrap().unwrap().0.queue == "slow"));
    engine.check_books().unwrap();
}

#[test]
fn rule_20_a_bulk_cancel_asks_those_that_run_and_one_that_comes_back_meanwhile_is_cancelled_too() {
    let world = World::new(715);
    let engine = world.open();
    let ids = engine.add_many((0..100).map(|_| job(&"x".repeat(300))).collect());
    let grants = engine.take_some(2);
    let mut comes_back = Some(&grants[1]);
    let (done, _) = engine
        .bulk("ada", BulkVerb::Cancel, &all(), &mut |_| {
            if let Some(grant) = comes_back.take() {
                assert!(engine.end(grant, nack("no")));
            }
        })
        .unwrap();
    assert_eq!((done.changed, done.requested, done.total()), (99, 1, 100));
    assert!(engine.cancel_requested(ids[0], grants[0].token), "it is told");
    assert!(engine.end(&grants[0], nack("no")));
    let counts = engine.counts();
    assert_eq!((counts.total().live(), counts.cancelled), (0, 100));
}

#[test]
fn a_group_is_cancelled_whole_and_its_callbacks_go_by_their_own_rules() {
    let world = World::new(716);
    let engine = world.open();
    let stays = engine.add(NewJob { queue: "other".into(), ..job("stays") });
    let id = engine.draw_group_id().unwrap();
    let jobs = grouped(&engine, id, &["a", "b", "c", "d"]);
    let runs = engine.claim(&["default".into()], 1, crate::engine::LeaseKind::Pool).unwrap().remove(0);
    let (done, ticket) = engine.cancel_group("ada", id).unwrap().expect("it is known");
    engine.wait(ticket).unwrap();
    assert_eq!((done.changed, done.requested, done.total()), (3, 1, 4));
    engine.release_callbacks().unwrap();
    assert_eq!([0, 1, 2].map(|nth| phase(&engine, jobs[nth])), [Some(Phase::Held); 3], "one is pending");
    assert!(engine.end(&runs, Settle::Release));
    engine.release_callbacks().unwrap();
    assert_eq!([0, 1, 2].map(|nth| phase(&engine, jobs[nth])), [None, Some(Phase::Ready), None]);
    let status = engine.group_status(id).unwrap();
    assert_eq!((status.cancelled, status.pending, status.is_complete()), (4, 0, true));
    assert_eq!(phase(&engine, stays), Some(Phase::Ready));
    assert_eq!(records(&engine)[0].what, format!("cancel: jobs with group={id}"));
    assert!(engine.cancel_group("ada", GroupId(5)).unwrap().is_none());
    engine.check_groups().unwrap();
}

#[test]
fn audit_records_are_numbered_on_over_restarts_and_go_after_their_time() {
    let world = World::new(717);
    let engine = world.open();
    let first = bulk(&engine, BulkVerb::Requeue, &all());
    let (second, ticket) = engine.audit("bob", "paused queue=mail").unwrap();
    engine.wait(ticket).unwrap();
    drop(engine);
    let world = world.crashed(crate::disk::simulated::CrashMode::KeepAll).without_index();
    let engine = world.open();
    world.clock.advance(Duration::from_secs(1));
    let third = bulk(&engine, BulkVerb::Cancel, &state(Phase::Dead));
    let numbers: Vec<AuditId> = records(&engine).into_iter().map(|record| record.number).collect();
    assert_eq!(numbers, [third.audit, second, first.audit]);
    assert!(first.audit < second && second < third.audit);
    assert_eq!(audits(&*engine, 2).unwrap().len(), 2);
    assert_eq!((records(&engine)[1].what.as_str(), records(&engine)[1].bulk), ("paused queue=mail", None));
    world.clock.advance(Duration::from_secs(180 * 24 * 3600));
    engine.prune().unwrap();
    assert!(records(&engine).is_empty());
}

#[test]
fn rule_15_a_job_that_cannot_be_read_is_counted_and_holds_up_no_other() {
    let world = World::new(718);
    let engine = world.open();
    let ids = dead(&engine, 3);
    let place = engine.state.lock().books.index.get(ids[1]).unwrap().place;
    engine.push().unwrap();
    let segment = place.lsn.0 / u64::from(SEGMENT_BYTES);
    let file = format!("log/{segment:016x}.seg");
    let names = world.disk.file_names();
    let file = names.iter().find(|name| **name == file).unwrap_or_else(|| panic!("{names:?}"));
    world.disk.flip_bit(file, place.lsn.0 % u64::from(SEGMENT_BYTES) + 40, 0);
    let (done, _) = engine.bulk("ada", BulkVerb::Requeue, &state(Phase::Dead), &mut |_| {}).unwrap();
    assert_eq!((done.changed, done.unreadable), (2, 1));
    assert_eq!(engine.counts().total().dead, 1);
}

#[test]
fn p11_on_a_full_disk_what_grows_waits_for_room_and_a_bulk_cancel_makes_it() {
    let world = World::new(719);
    world.disk.set_capacity(u64::from(SEGMENT_BYTES) * 8);
    let engine = world.open();
    let mut ids = Vec::new();
    while ids.len() < 700 {
        ids.extend(engine.add_many((0..350).map(|_| job("x")).collect()));
    }
    let filler = |n: usize| NewJob { queue: "filler".into(), ..job(&"y".repeat(n)) };
    for bytes in [3_000, 300, 10] {
        while let Ok((_, ticket)) = engine.enqueue(vec![filler(bytes)], Durability::Sync) {
            engine.wait(ticket).unwrap();
        }
    }
    let (queue, targets) = ("q".repeat(200), Criteria { queue: Some("default".into()), ..all() });
    let grow = BulkVerb::Move { queue: queue.clone() };
    let refused = engine.bulk("ada", grow, &targets, &mut |_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    let moved = engine.counts().queues[&queue].ready;
    assert!(moved > 0 && moved < 700, "moved={moved}");
    assert_eq!((engine.continue_bulks().unwrap(), records(&engine).len()), (0, 0), "still no room, and not over");
    let _ = crate::upkeep::step(&engine).unwrap();
    let fillers = Criteria { queue: Some("filler".into()), ..all() };
    let cancelled = bulk(&engine, BulkVerb::Cancel, &fillers);
    assert_eq!((cancelled.changed, engine.counts().queues["filler"].live()), (engine.counts().cancelled, 0));
    while matches!(engine.compact_step(), Ok(true)) {}
    assert!(upkeep(&engine) > 0);
    assert_eq!(engine.counts().queues[&queue].ready, 700);
    let done = records(&engine).into_iter().find(|record| record.number < cancelled.audit);
    assert_eq!(done.and_then(|record| record.bulk).map(|done| (done.changed, done.total())), Some((700, 700)));
    assert_eq!(records(&engine).len(), 2);
    engine.check_books().unwrap();
}
