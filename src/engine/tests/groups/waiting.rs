//! Jobs that wait `after` others, and chains.

use super::*;

fn bury_one(engine: &Engine) {
    let grant = take_of(engine, "default").unwrap();
    assert!(engine.end(&grant, Settle::Bury("no".into())));
}

fn ack_one(engine: &Engine) {
    let grant = take_of(engine, "default").unwrap();
    assert!(engine.ack(&grant));
}

fn requeue(engine: &Engine, id: JobId) {
    let (_, ticket) = engine.requeue(id).unwrap();
    engine.wait(ticket).unwrap();
}

#[test]
fn a_job_that_waits_is_held_until_all_its_parents_have_succeeded() {
    let world = World::new(630);
    let engine = world.open();
    let parents = engine.add_many(vec![job("a"), job("b"), job("c")]);
    let twice = [parents.clone(), parents.clone()].concat();
    let child = engine.add(waiting_for(&twice, OnParentFailure::Wait));
    for _ in 0..3 {
        assert_eq!(phase(&engine, child), HELD);
        ack_one(&engine);
    }
    assert_eq!(phase(&engine, child), READY);
    engine.check_groups().unwrap();
}

#[test]
fn what_a_failed_parent_means_is_the_policy_of_who_waits() {
    use OnParentFailure::{Discard, Run, Wait};
    let world = World::new(631);
    let engine = world.open();
    let parents = engine.add_many(vec![job("a"), job("b")]);
    let [waits, strict, runs] = [Wait, Discard, Run].map(|policy| engine.add(waiting_for(&parents, policy)));
    bury_one(&engine);
    assert_eq!([waits, strict, runs].map(|id| phase(&engine, id)), [HELD, None, HELD]);
    ack_one(&engine);
    assert_eq!([waits, strict, runs].map(|id| phase(&engine, id)), [HELD, None, READY]);
    let late = engine.add(waiting_for(&parents, Wait));
    let too_late = engine.add(waiting_for(&parents, Discard));
    assert_eq!([late, too_late].map(|id| phase(&engine, id)), [HELD, None], "a parent was dead already");
    requeue(&engine, parents[0]);
    ack_one(&engine);
    assert_eq!([waits, late, runs].map(|id| phase(&engine, id)), [READY; 3]);
    engine.check_groups().unwrap();
}

#[test]
fn a_parent_that_ended_without_success_discards_who_waits() {
    let world = World::new(632);
    let engine = world.open();
    let parents = engine.add_many(vec![job("a"), job("b")]);
    let child = engine.add(waiting_for(&parents, OnParentFailure::Wait));
    let grandchild = engine.add(waiting_for(&[child], OnParentFailure::Wait));
    let anyway = engine.add(waiting_for(&[child], OnParentFailure::Run));
    cancel(&engine, parents[0]);
    assert_eq!(phase(&engine, child), HELD, "the other is pending");
    ack_one(&engine);
    // Each look lets one generation go.
    assert_eq!([child, grandchild, anyway].map(|id| phase(&engine, id)), [None, None, READY]);
    engine.check_groups().unwrap();
}

#[test]
fn a_parent_that_is_over_keeps_nobody_waiting_and_one_that_never_was_is_refused() {
    let world = World::new(633);
    let engine = world.open();
    let parent = engine.add(job("a"));
    ack_one(&engine);
    let child = engine.add(waiting_for(&[parent], OnParentFailure::Wait));
    assert_eq!(phase(&engine, child), READY);
    for never in [0, child.0 + 1, 1 << 40] {
        let refused = engine.enqueue(vec![waiting_for(&[JobId(never)], OnParentFailure::Wait)], Durability::Sync);
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(&format!("after={never}")), "{refused}");
    }
}

#[test]
fn the_jobs_that_wait_for_one_have_a_limit_and_at_the_limit_all_of_them_run() {
    let world = World::new(634);
    let engine = world.open();
    let parent = engine.add(job("a"));
    let most = engine.limits().jobs_after_one;
    let some = |n: usize| (0..n).map(|_| waiting_for(&[parent], OnParentFailure::Wait)).collect::<Vec<_>>();
    let refused = engine.enqueue(some(most + 1), Durability::Sync).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    engine.add_many(some(most));
    assert_eq!(engine.enqueue(some(1), Durability::Sync).unwrap_err().kind(), ErrorKind::TooLarge);
    ack_one(&engine);
    engine.release_callbacks().unwrap();
    assert_eq!(engine.counts().total().ready, most as u64);
    engine.check_groups().unwrap();
}

#[test]
fn a_waiting_job_that_is_cancelled_or_confirmed_by_hand_is_not_let_go_again() {
    let world = World::new(635);
    let engine = world.open();
    let parent = engine.add(job("a"));
    let [gone, early] = [0, 1].map(|_| engine.add(waiting_for(&[parent], OnParentFailure::Wait)));
    cancel(&engine, gone);
    let (_, ticket) = engine.confirm(early).unwrap();
    engine.wait(ticket).unwrap();
    let grant = take_of(&engine, "waiting").unwrap();
    assert!(engine.ack(&grant));
    ack_one(&engine);
    assert_eq!([gone, early].map(|id| phase(&engine, id)), [None, None]);
    assert_eq!(engine.counts().total().live(), 0);
}

#[test]
fn the_links_of_a_chain_run_one_after_the_other() {
    let world = World::new(636);
    let engine = world.open();
    let mut links: Vec<NewJob> = (0..4).map(|nth| job(&nth.to_string())).collect();
    for (nth, link) in links.iter_mut().enumerate().skip(1) {
        link.behind(nth - 1);
    }
    let ids = engine.add_many(links);
    let mut ran = Vec::new();
    loop {
        let grants = engine.take_some(4);
        assert!(grants.len() <= 1, "two links at once");
        let Some(grant) = grants.first() else { break };
        assert!(engine.ack(grant));
        ran.push(grant.id);
    }
    assert_eq!(ran, ids);
}
