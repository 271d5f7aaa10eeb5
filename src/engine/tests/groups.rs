//! Groups, jobs that wait for others, and chains: counted in the frame of what happens, over every crash.

mod crashes;
mod waiting;

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::enqueue::UniqueRule;
use crate::engine::groups::{Parent, Ties};
use crate::engine::manage::Cancelled;
use crate::engine::{
    Acceptance, Durability, Engine, Grant, GroupSealed, GroupStatus, LeaseKind, NewJob, OnConflict, OnParentFailure,
    Settle, Status,
};
use crate::error::ErrorKind;
use crate::ids::{GroupId, JobId, Phase};
use crate::job::Role;

use super::world::{SEGMENT_BYTES, Verbs, World, at, job, nack};

const ALL: [Role; 3] = [Role::Success, Role::Complete, Role::Death];

/// A group that was made, by the ids of its jobs.
#[derive(Debug, Clone)]
struct Made {
    id: GroupId,
    /// In the order that was asked for.
    callbacks: Vec<JobId>,
    members: Vec<JobId>,
}

fn callback(id: GroupId, role: Role) -> NewJob {
    let mut job = NewJob { queue: "callbacks".into(), ..job(&format!("{role:?}")) };
    job.ties.callback = Some((id, role));
    job
}

fn member(id: GroupId, args: &str) -> NewJob {
    let mut job = job(args);
    job.ties.group = Some(id);
    job
}

fn make(engine: &Engine, roles: &[Role], members: Vec<NewJob>, sealed: bool) -> Made {
    let id = engine.draw_group_id().unwrap();
    let members = members.into_iter().map(|job| NewJob { ties: Ties { group: Some(id), ..job.ties.clone() }, ..job });
    let jobs: Vec<_> = roles.iter().map(|role| callback(id, *role)).chain(members).collect();
    let prepared = engine.prepare_all(jobs.into_iter().map(Ok)).unwrap();
    let (answers, ticket) = engine.accept_with_groups(&[(id, sealed)], prepared, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    let mut ids: Vec<JobId> = answers.into_iter().map(|answer| answer.id).collect();
    let members = ids.split_off(roles.len());
    Made { id, callbacks: ids, members }
}

fn seal(engine: &Engine, id: GroupId) -> GroupSealed {
    let (answer, ticket) = engine.seal_group(id).unwrap();
    engine.wait(ticket).unwrap();
    answer
}

fn cancel(engine: &Engine, id: JobId) -> Cancelled {
    let (answer, ticket) = engine.cancel(id).unwrap();
    engine.wait(ticket).unwrap();
    answer
}

fn status(engine: &Engine, made: &Made) -> GroupStatus {
    engine.check_groups().unwrap();
    engine.check_books().unwrap();
    engine.group_status(made.id).expect("the group is known")
}

/// Total, pending, succeeded, dead, and those that ended otherwise.
fn counts(engine: &Engine, made: &Made) -> [u64; 5] {
    let it = status(engine, made);
    [it.total, it.pending, it.succeeded, it.dead, it.cancelled + it.expired + it.discarded + it.pruned]
}

fn phase(engine: &Engine, id: JobId) -> Option<Phase> {
    engine.release_callbacks().unwrap();
    match engine.inspect(id).unwrap() {
        Status::Live(info) => Some(info.phase),
        _ => None,
    }
}

fn phases<const N: usize>(engine: &Engine, made: &Made) -> [Option<Phase>; N] {
    let phases: Vec<_> = made.callbacks.iter().map(|id| phase(engine, *id)).collect();
    phases.try_into().unwrap()
}

fn take_of(engine: &Engine, queue: &str) -> Option<Grant> {
    engine.claim(&[queue.to_owned()], 1, LeaseKind::Pool).unwrap().pop()
}

const READY: Option<Phase> = Some(Phase::Ready);
const HELD: Option<Phase> = Some(Phase::Held);

/// One way of a member to come to its end, or to die, in a world that may be another one after it.
type Way = fn(World, Engine, &Made) -> (World, Engine);

fn crash_of(world: &World, engine: Engine) -> (World, Engine) {
    drop(engine);
    let world = world.crashed(CrashMode::KeepAll);
    let engine = world.open();
    (world, engine)
}

const WAYS: [(&str, [u64; 5], Way); 13] = [
    ("ack", [1, 0, 1, 0, 0], |world, engine, _| {
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
        (world, engine)
    }),
    ("cancelled while it waits", [1, 0, 0, 0, 1], |world, engine, made| {
        assert_eq!(cancel(&engine, made.members[0]), Cancelled::Done);
        (world, engine)
    }),
    ("cancelled while it runs, counted at its end", [1, 0, 0, 0, 1], |world, engine, made| {
        let grant = engine.take().unwrap();
        assert_eq!(cancel(&engine, made.members[0]), Cancelled::Requested);
        assert_eq!(counts(&engine, made), [1, 1, 0, 0, 0]);
        assert!(engine.end(&grant, nack("no")));
        (world, engine)
    }),
    ("cancelled while it runs, and the process dies", [1, 0, 0, 0, 1], |world, engine, made| {
        engine.take().unwrap();
        assert_eq!(cancel(&engine, made.members[0]), Cancelled::Requested);
        crash_of(&world, engine)
    }),
    ("cancelled by its holder", [1, 0, 0, 0, 1], |world, engine, _| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, Settle::Cancel));
        (world, engine)
    }),
    ("the last attempt fails", [1, 0, 0, 1, 0], |world, engine, made| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, nack("no")));
        assert_eq!(counts(&engine, made), [1, 1, 0, 0, 0], "one is left");
        world.clock.advance(Duration::from_secs(3_600));
        engine.promote_due().unwrap();
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, nack("no")));
        (world, engine)
    }),
    ("buried", [1, 0, 0, 1, 0], |world, engine, _| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, Settle::Bury("enough".into())));
        (world, engine)
    }),
    ("dead for longer than the retention", [1, 0, 0, 0, 1], |world, engine, _| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, Settle::Bury("enough".into())));
        world.clock.advance(Duration::from_secs(181 * 24 * 3_600));
        assert_eq!(engine.prune().unwrap(), 1);
        (world, engine)
    }),
    ("dead, then cancelled", [1, 0, 0, 0, 1], |world, engine, made| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, Settle::Bury("enough".into())));
        assert_eq!(cancel(&engine, made.members[0]), Cancelled::Done);
        (world, engine)
    }),
    ("parked, unparked and done", [1, 0, 1, 0, 0], |world, engine, made| {
        let grant = engine.take().unwrap();
        assert!(engine.end(&grant, Settle::Park("nobody".into())));
        assert_eq!(counts(&engine, made), [1, 1, 0, 0, 0]);
        assert_eq!(engine.unpark(&|_| true).unwrap(), 1);
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
        (world, engine)
    }),
    ("the lease of the last attempt runs out", [1, 0, 0, 1, 0], |world, engine, _| {
        for _ in 0..2 {
            assert_eq!(engine.claim(&[], 1, LeaseKind::Hand(Duration::from_secs(1))).unwrap().len(), 1);
            world.clock.advance(Duration::from_secs(2));
            assert_eq!(engine.expire_leases().unwrap(), 1);
        }
        (world, engine)
    }),
    ("the process dies in the last attempt", [1, 0, 0, 1, 0], |world, engine, _| {
        engine.take().unwrap();
        let (world, engine) = crash_of(&world, engine);
        engine.take().unwrap();
        crash_of(&world, engine)
    }),
    ("released, snoozed and done", [1, 0, 1, 0, 0], |world, engine, _| {
        for how in [Settle::Release, Settle::Snooze(Duration::from_secs(1))] {
            let grant = engine.take().unwrap();
            assert!(engine.end(&grant, how));
        }
        world.clock.advance(Duration::from_secs(5));
        engine.promote_due().unwrap();
        let grant = engine.take().unwrap();
        assert!(engine.ack(&grant));
        (world, engine)
    }),
];

#[test]
fn every_way_a_member_can_end_or_die_is_counted() {
    for (nth, (way, expected, go)) in WAYS.into_iter().enumerate() {
        let world = World::new(600 + nth as u64);
        let engine = world.open();
        let made = make(&engine, &ALL, vec![NewJob { max_attempts: 2, ..job("member") }], true);
        assert_eq!(phases(&engine, &made), [HELD; 3], "{way}");
        let (world, engine) = go(world, engine, &made);
        assert_eq!(counts(&engine, &made), expected, "{way}");
        let [_, _, succeeded, dead, _] = expected;
        let success = if succeeded == 1 {
            READY
        } else if dead == 1 {
            HELD
        } else {
            None
        };
        let died = dead == 1 || way.starts_with("dead");
        let expected_phases = [success, READY, died.then_some(Phase::Ready)];
        assert_eq!(phases(&engine, &made), expected_phases, "{way}");
        let text = engine.text();
        drop(engine);
        assert_eq!(world.without_index().open().text(), text, "{way}, rebuilt");
    }
}

#[test]
fn a_member_that_expires_is_counted_when_it_is_reached() {
    let world = World::new(630);
    let engine = world.open();
    let late = NewJob { expires_at: Some(at(1_000)), ..job("late") };
    let made = make(&engine, &[Role::Complete, Role::Success], vec![late], true);
    world.clock.advance(Duration::from_secs(2));
    assert!(take_of(&engine, "default").is_none(), "it is handed to nobody");
    assert_eq!((status(&engine, &made).expired, counts(&engine, &made)), (1, [1, 0, 0, 0, 1]));
    assert_eq!(phases(&engine, &made), [READY, None], "complete, and no success");
}

#[test]
fn a_member_that_is_replaced_stays_one_and_the_one_that_replaces_it_joins_no_group() {
    let engine = World::new(631).open();
    let keyed = |args: &str| NewJob { unique: Some("key".into()), ..job(args) };
    let (made, other) = (make(&engine, &[], vec![keyed("old")], true), make(&engine, &[], vec![job("other")], false));
    let rule = UniqueRule { on_conflict: OnConflict::Replace, ..UniqueRule::default() };
    let new = NewJob { rule, ..member(other.id, "new") };
    let (answers, ticket) =
        engine.enqueue(vec![NewJob { unique: Some("key".into()), ..new }], Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    assert_eq!(answers[0].acceptance, Acceptance::Replaced(made.members[0]));
    assert_eq!((counts(&engine, &made), counts(&engine, &other)), ([1, 1, 0, 0, 0], [1, 1, 0, 0, 0]));
    let grant = engine.take().unwrap();
    assert_eq!(grant.args, b"new");
    assert!(engine.ack(&grant));
    assert_eq!((counts(&engine, &made), counts(&engine, &other)), ([1, 0, 1, 0, 0], [1, 1, 0, 0, 0]));
}

#[test]
fn who_waits_for_a_dead_parent_is_discarded_when_that_is_pruned() {
    let world = World::new(632);
    let engine = world.open();
    let parent = engine.add(job("parent"));
    let child = engine.add(waiting_for(&[parent], OnParentFailure::Wait));
    assert!(engine.end(&engine.take().unwrap(), Settle::Bury("enough".into())));
    assert_eq!(phase(&engine, child), HELD);
    world.clock.advance(Duration::from_secs(181 * 24 * 3_600));
    assert_eq!(engine.prune().unwrap(), 1);
    assert!(engine.take().is_none());
    assert_eq!((phase(&engine, child), engine.counts().discarded), (None, 1));
    engine.check_groups().unwrap();
}

#[test]
fn a_poison_pill_is_a_dead_member() {
    let mut world = World::new(620);
    let mut engine = world.open();
    let made = make(&engine, &[Role::Death], vec![job("pill")], true);
    for _ in 0..3 {
        assert!(engine.take().is_some());
        (world, engine) = crash_of(&world, engine);
    }
    assert_eq!(engine.report().convicted, 1);
    assert_eq!(counts(&engine, &made), [1, 0, 0, 1, 0]);
    assert_eq!(phases(&engine, &made), [READY]);
}

#[test]
fn many_members_that_die_in_one_crash_are_counted_together() {
    let world = World::new(621);
    let engine = world.open();
    let of_three: Vec<Made> = (0..3)
        .map(|_| make(&engine, &ALL, (0..40).map(|_| NewJob { max_attempts: 2, ..job("x") }).collect(), true))
        .collect();
    assert_eq!(engine.take_some(120).len(), 120);
    let (world, engine) = crash_of(&world, engine);
    let mut taken = 0;
    while engine.take().is_some() {
        taken += 1;
    }
    assert_eq!(taken, 120, "one by one, before the last attempt");
    let (_, engine) = crash_of(&world, engine);
    for made in &of_three {
        assert_eq!(counts(&engine, made), [40, 0, 0, 40, 0]);
        assert_eq!(phases(&engine, made), [HELD, READY, READY]);
    }
}

#[test]
fn on_success_waits_for_every_member_and_is_discarded_if_one_ended_otherwise() {
    let world = World::new(601);
    let engine = world.open();
    let made = make(&engine, &ALL, vec![job("a"), job("b"), job("c")], true);
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(cancel(&engine, made.members[1]), Cancelled::Done);
    assert_eq!(phases(&engine, &made), [HELD; 3], "one is pending");
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(phases(&engine, &made), [None, READY, None]);
    assert_eq!(counts(&engine, &made), [3, 0, 2, 0, 1]);
    assert_eq!(engine.counts().discarded, 2);
}

#[test]
fn a_requeued_member_is_pending_again_and_its_success_makes_the_group_one() {
    let world = World::new(602);
    let engine = world.open();
    let made = make(&engine, &ALL, vec![job("a"), job("b")], true);
    for how in [Settle::Bury("no".into()), Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }] {
        let grant = take_of(&engine, "default").unwrap();
        assert!(engine.end(&grant, how));
    }
    assert_eq!(counts(&engine, &made), [2, 0, 1, 1, 0]);
    assert_eq!(phases(&engine, &made), [HELD, READY, READY]);
    let complete = take_of(&engine, "callbacks").unwrap();
    assert!(engine.ack(&complete));
    let (_, ticket) = engine.requeue(made.members[0]).unwrap();
    engine.wait(ticket).unwrap();
    assert_eq!(counts(&engine, &made), [2, 1, 1, 0, 0]);
    let grant = take_of(&engine, "default").unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(counts(&engine, &made), [2, 0, 2, 0, 0]);
    assert_eq!(phases(&engine, &made), [READY, None, READY], "on_complete ran once and is over");
}

#[test]
fn an_open_group_waits_for_its_seal_and_an_empty_one_is_complete_at_once() {
    let world = World::new(603);
    let engine = world.open();
    let open = make(&engine, &ALL, Vec::new(), false);
    let empty = make(&engine, &ALL, Vec::new(), true);
    let bare = make(&engine, &[], Vec::new(), true);
    assert_eq!(phases(&engine, &empty), [READY, READY, None]);
    assert!(status(&engine, &bare).finished_at.is_some());
    engine.add(member(open.id, "later"));
    let grant = take_of(&engine, "default").unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(phases(&engine, &open), [HELD; 3]);
    assert_eq!(seal(&engine, open.id), GroupSealed::Done);
    assert_eq!(seal(&engine, open.id), GroupSealed::Already);
    assert_eq!(seal(&engine, GroupId(7)), GroupSealed::NotFound);
    assert_eq!(phases(&engine, &open), [READY, READY, None]);
}

#[test]
fn a_member_adds_to_its_sealed_group_in_the_frame_of_its_own_end() {
    let world = World::new(604);
    let engine = world.open();
    let made = make(&engine, &[Role::Complete], vec![job("a")], true);
    let grant = engine.take().unwrap();
    let follow_ups = vec![member(made.id, "b"), job("no member"), member(made.id, "c")];
    assert!(engine.end(&grant, Settle::Ack { follow_ups, cells: Vec::new() }));
    assert_eq!(counts(&engine, &made), [3, 2, 1, 0, 0]);
    assert_eq!(phases(&engine, &made), [HELD]);
    for grant in engine.take_some(3) {
        assert!(engine.ack(&grant));
    }
    assert_eq!(phases(&engine, &made), [READY]);
}

#[test]
fn a_group_that_is_complete_takes_no_more_jobs() {
    let world = World::new(605);
    let engine = world.open();
    let made = make(&engine, &[Role::Complete], vec![job("a")], true);
    engine.add(member(made.id, "while one is pending"));
    for grant in engine.take_some(2) {
        assert!(engine.ack(&grant));
    }
    engine.release_callbacks().unwrap();
    let before = engine.text();
    for id in [made.id, GroupId(12_345)] {
        let refused = engine.enqueue(vec![job("x"), member(id, "late")], Durability::Sync).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(&format!("group={id}")), "{refused}");
        engine.add(job("parent"));
        let grant = take_of(&engine, "default").unwrap();
        let how = Settle::Ack { follow_ups: vec![member(id, "late")], cells: Vec::new() };
        assert_eq!(engine.settle(&grant, how).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(engine.ack(&grant), "the lease stands");
    }
    assert_eq!(engine.text(), before);
}

#[test]
fn a_duplicate_is_no_member() {
    let world = World::new(606);
    let engine = world.open();
    let unique = |args: &str| NewJob { unique: Some("key".into()), ..job(args) };
    engine.add(unique("outside"));
    let made = make(&engine, &[], vec![unique("inside"), job("other")], true);
    assert_eq!(counts(&engine, &made), [1, 1, 0, 0, 0]);
}

#[test]
fn a_callback_may_be_a_member_of_a_group_around_it() {
    let world = World::new(607);
    let engine = world.open();
    let outer = make(&engine, &[Role::Success], Vec::new(), false);
    let id = engine.draw_group_id().unwrap();
    let mut inner = callback(id, Role::Complete);
    inner.ties.group = Some(outer.id);
    let jobs = engine.prepare_all([inner, member(id, "inner")].into_iter().map(Ok)).unwrap();
    let (_, ticket) = engine.accept_with_groups(&[(id, true)], jobs, Durability::Sync).unwrap();
    engine.wait(ticket).unwrap();
    seal(&engine, outer.id);
    assert_eq!(counts(&engine, &outer), [1, 1, 0, 0, 0]);
    for queue in ["default", "callbacks"] {
        assert_eq!(phases(&engine, &outer), [HELD], "{queue}");
        let grant = take_of(&engine, queue).unwrap();
        assert!(engine.ack(&grant));
    }
    assert_eq!(phases(&engine, &outer), [READY]);
}

/// File and offset of the middle of a job's record.
fn flip(world: &World, engine: &Engine, id: JobId) {
    let place = engine.state.lock().books.index.get(id).unwrap().place;
    let (segment, offset) = (place.lsn.0 / u64::from(SEGMENT_BYTES), place.lsn.0 % u64::from(SEGMENT_BYTES));
    world.disk.flip_bit(&format!("log/{segment:016x}.seg"), offset + u64::from(place.len) / 2, 3);
}

#[test]
fn a_damaged_member_is_a_dead_one() {
    let world = World::new(608);
    let engine = world.open();
    let big = "x".repeat(500);
    let made = make(&engine, &ALL, (0..5).map(|_| job(&big)).collect(), true);
    engine.add(member(made.id, &big));
    flip(&world, &engine, made.members[2]);
    for grant in engine.take_some(6) {
        assert!(engine.ack(&grant));
    }
    assert_eq!(counts(&engine, &made), [6, 0, 5, 1, 0]);
    assert_eq!(phases(&engine, &made), [HELD, READY, READY]);
    assert_eq!(cancel(&engine, made.members[2]), Cancelled::Done);
    assert_eq!(phases(&engine, &made), [None, READY, READY]);
}

#[test]
fn a_damaged_callback_is_dead_and_not_held_for_ever() {
    let world = World::new(609);
    let engine = world.open();
    let made = make(&engine, &[Role::Complete], vec![job("a")], true);
    flip(&world, &engine, made.callbacks[0]);
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(phases(&engine, &made), [Some(Phase::Dead)]);
}

#[test]
fn a_group_survives_two_compactions_and_a_rebuild() {
    let world = World::new(610);
    let engine = world.open();
    let made = make(&engine, &ALL, vec![job("a"), job("b")], true);
    let parent = engine.add(NewJob { queue: "slow".into(), ..job("parent") });
    let child = engine.add(waiting_for(&[parent], OnParentFailure::Wait));
    let grant = take_of(&engine, "default").unwrap();
    assert!(engine.ack(&grant));
    let before = engine.text();
    for _ in 0..5 {
        engine.add_many((0..45).map(|_| NewJob { queue: "filler".into(), ..job(&"x".repeat(1_000)) }).collect());
        while let Some(grant) = take_of(&engine, "filler") {
            assert!(engine.ack(&grant));
        }
        engine.compact_all().unwrap();
        engine.idle();
    }
    assert!(engine.log.oldest().0 > 3, "the first segments are gone");
    assert_eq!(engine.text(), before);
    drop(engine);
    let engine = world.without_index().open();
    assert_eq!(engine.text(), before);
    assert_eq!(counts(&engine, &made), [2, 1, 1, 0, 0]);
    for queue in ["default", "slow"] {
        let grant = take_of(&engine, queue).unwrap();
        assert!(engine.ack(&grant));
    }
    assert_eq!(phases(&engine, &made), [READY, READY, None]);
    assert_eq!(phase(&engine, child), READY);
}

#[test]
fn a_finished_group_is_told_for_a_day_and_then_forgotten_with_all_its_cells() {
    let world = World::new(611);
    let engine = world.open();
    let before = engine.text();
    let made = make(&engine, &ALL, (0..3).map(|_| job("a")).collect(), false);
    for _ in 0..3 {
        engine.add(job("between"));
        engine.add(member(made.id, "one more"));
    }
    seal(&engine, made.id);
    while let Some(grant) = engine.take() {
        assert!(engine.ack(&grant));
    }
    let text = status(&engine, &made);
    assert_eq!((text.total, text.succeeded, text.is_complete()), (6, 6, true));
    world.clock.advance(Duration::from_secs(86_399));
    assert_eq!(engine.forget_groups().unwrap(), 0);
    world.clock.advance(Duration::from_secs(1));
    let (_, engine) = crash_of(&world, engine);
    assert_eq!(engine.forget_groups().unwrap(), 1);
    assert_eq!(engine.group_status(made.id), None);
    assert_eq!(engine.text(), before);
}

#[test]
fn the_group_of_a_job_that_waited_is_forgotten_as_soon_as_it_is_let_go() {
    let world = World::new(613);
    let engine = world.open();
    let before = engine.text();
    for _ in 0..600 {
        let parent = engine.add(job("parent"));
        engine.add(waiting_for(&[parent], OnParentFailure::Wait));
    }
    while let Some(grant) = engine.take() {
        assert!(engine.ack(&grant));
    }
    assert_eq!(engine.forget_groups().unwrap(), 600);
    assert_eq!(engine.text(), before);
}

#[test]
fn of_very_many_finished_groups_the_last_are_told() {
    let world = World::new(614);
    let engine = world.open();
    let oldest = make(&engine, &[], Vec::new(), true);
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..10_000 {
        let id = engine.draw_group_id().unwrap();
        engine.accept_with_groups(&[(id, true)], Vec::new(), Durability::Buffered).unwrap();
    }
    assert_eq!(engine.groups().len(), 10_001);
    assert_eq!(engine.forget_groups().unwrap(), 1);
    assert_eq!(engine.group_status(oldest.id), None);
    assert_eq!(engine.groups().len(), 10_000);
}

#[test]
fn an_unfinished_group_is_never_forgotten() {
    let world = World::new(612);
    let engine = world.open();
    let open = make(&engine, &[], Vec::new(), false);
    let dead = make(&engine, &[], vec![job("a")], true);
    let grant = engine.take().unwrap();
    assert!(engine.end(&grant, Settle::Bury("no".into())));
    world.clock.advance(Duration::from_secs(1 << 30));
    assert_eq!(engine.forget_groups().unwrap(), 0);
    assert!(engine.group_status(open.id).is_some() && engine.group_status(dead.id).is_some());
}

/// A job that waits for others.
fn waiting_for(parents: &[JobId], on_failure: OnParentFailure) -> NewJob {
    let after = Some(parents.iter().map(|id| Parent::Known(*id)).collect());
    NewJob { queue: "waiting".into(), ties: Ties { after, on_failure, ..Ties::default() }, ..job("child") }
}
