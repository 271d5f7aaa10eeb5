//! Jobs and cells in one frame, if other cells stand as they were read.

use crate::engine::Durability;
use crate::engine::look::Source;
use crate::engine::settle::CellSet;
use crate::job::namespace;

use super::world::{Verbs, World, job};

fn set(key: &str, value: &str) -> CellSet {
    CellSet {
        namespace: namespace::CRON,
        key: key.as_bytes().to_vec(),
        value: (!value.is_empty()).then(|| value.as_bytes().to_vec()),
        until: None,
    }
}

fn value(engine: &crate::engine::Engine, key: &str) -> Option<String> {
    let cell = engine.cell_value(namespace::CRON, key.as_bytes()).unwrap();
    cell.map(|(value, _)| String::from_utf8(value).unwrap())
}

#[test]
fn of_several_who_read_the_same_cell_one_writes() {
    let world = World::new(1);
    let engine = world.open();
    let accept = |args: &str, cell: &CellSet, seen: &[_]| {
        let jobs = engine.prepare_all(std::iter::once(Ok(job(args)))).unwrap();
        let accepted = engine.accept_with(jobs, std::slice::from_ref(cell), seen, Durability::Sync).unwrap();
        accepted.map(|(answers, ticket)| {
            engine.wait(ticket).unwrap();
            answers[0].id
        })
    };
    let see = |key: &str| engine.see_cell(namespace::CRON, key.as_bytes()).unwrap();
    // Absent, then set, then set to the same value, then cleared: each reader's cell is another one.
    for (nth, value_now) in ["one", "one", "", "two"].into_iter().enumerate() {
        let (first, second, other) = (see("a"), see("a"), see("b"));
        let both = [first, other.clone()];
        assert!(accept("won", &set("a", value_now), &both).is_some(), "{nth}");
        if nth != 2 {
            assert!(accept("lost", &set("a", "three"), std::slice::from_ref(&second)).is_none(), "{nth}");
            assert!(accept("lost", &set("a", "three"), &[other, second]).is_none(), "{nth}");
        }
        assert_eq!(value(&engine, "a"), (!value_now.is_empty()).then(|| value_now.to_owned()));
    }
    assert_eq!(engine.counts().total().ready, 4, "the jobs of those who lost were not accepted");
    engine.check_books().unwrap();
    assert_eq!(engine.cell_keys_of(namespace::CRON, b"a"), [b"a".to_vec()]);
    assert!(engine.cell_keys_of(namespace::CRON, b"aa").is_empty());
}

#[test]
fn a_cell_too_long_to_stay_in_memory_is_compared_too_and_compaction_only_makes_one_look_again() {
    let world = World::new(2);
    let engine = world.open();
    let long = "x".repeat(5_000);
    engine.accept_with(Vec::new(), &[set("a", &long)], &[], Durability::Sync).unwrap();
    let seen = engine.see_cell(namespace::CRON, b"a").unwrap();
    assert_eq!(seen.value.as_deref(), Some(long.as_bytes()));
    let again =
        engine.accept_with(Vec::new(), &[set("a", &long)], std::slice::from_ref(&seen), Durability::Sync).unwrap();
    assert!(again.is_some());
    assert!(engine.accept_with(Vec::new(), &[set("a", "")], &[seen], Durability::Sync).unwrap().is_none());
    // Carried to another place: whoever read it before looks again, and finds the same value.
    let before = engine.see_cell(namespace::CRON, b"a").unwrap();
    let place = || engine.state.lock().books.index.cell_place(namespace::CRON, b"a");
    let at = place();
    for _ in 0..200 {
        let id = engine.add(job(&"y".repeat(900)));
        let grant = engine.take().unwrap();
        assert_eq!(grant.id, id);
        engine.ack(&grant);
        engine.idle();
        if place() != at {
            break;
        }
    }
    assert_ne!(place(), at, "compaction carried it");
    assert!(engine.accept_with(Vec::new(), &[set("a", "")], &[before], Durability::Sync).unwrap().is_none());
    assert_eq!(value(&engine, "a"), Some(long));
}

#[test]
fn jobs_and_cells_of_one_call_survive_together() {
    let world = World::new(3);
    {
        let engine = world.open();
        let jobs = engine.prepare_all([job("1"), job("2")].into_iter().map(Ok)).unwrap();
        let seen = engine.see_cell(namespace::CRON, b"a").unwrap();
        let accepted = engine.accept_with(jobs, &[set("a", "v"), set("b", "w")], &[seen], Durability::Sync).unwrap();
        engine.wait(accepted.unwrap().1).unwrap();
    }
    let engine = world.without_index().open();
    assert_eq!((value(&engine, "a"), value(&engine, "b")), (Some("v".to_owned()), Some("w".to_owned())));
    assert_eq!(engine.counts().total().ready, 2);
}
