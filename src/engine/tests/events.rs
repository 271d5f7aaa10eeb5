//! What is told of jobs: events as they happen, and the history of those that ended.

use std::time::Duration;

use crate::engine::enqueue::UniqueRule;
use crate::engine::{Engine, Event, NewJob, PastJob, Settings, Settle, What};
use crate::ids::{JobId, Phase};
use crate::job::{Ending, ErrorCause};

use super::world::{SEGMENT_BYTES, START_MS, Verbs, World, at, job, nack};

fn drained(events: &crate::engine::Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv()).collect()
}

fn whats(events: &crate::engine::Events) -> Vec<What> {
    drained(events).into_iter().map(|event| event.what).collect()
}

#[test]
fn events_are_told_in_order_when_they_are_durable_and_not_before() {
    let engine = World::new(1).open();
    let events = engine.events(100);
    let id = engine.add(NewJob { queue: "mail".into(), ..job("x") });
    let told = drained(&events);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].job, &*told[0].kind, &*told[0].queue), (Some(id), "count", "mail"));
    assert_eq!((told[0].at, told[0].what), (at(0).to_system(), What::Enqueued { phase: Phase::Ready }));
    let grant = engine.take().unwrap();
    engine.settle(&grant, Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }).unwrap();
    engine.push().unwrap();
    assert_eq!(drained(&events), []);
    engine.commit_step().unwrap();
    let took = Duration::ZERO;
    assert_eq!(whats(&events), [What::Started { attempt: 1 }, What::Completed { attempt: 1, took }]);
}

/// One job after the other goes through one change, which is told so.
#[test]
fn every_change_of_a_job_is_told_as_what_it_is() {
    let world = World::new(2);
    let engine = world.open();
    let later = (START_MS + 9_000, Duration::from_secs(9));
    let until = crate::ids::Millis(later.0).to_system();
    type Change = Box<dyn Fn(&Engine, JobId)>;
    let settled = |how: Settle| -> Change {
        Box::new(move |engine, _| {
            let grant = engine.take().unwrap();
            assert!(engine.end(&grant, how.clone()));
        })
    };
    let started = What::Started { attempt: 1 };
    let failed = What::Failed { attempt: 1, cause: ErrorCause::Failed };
    let nack_later = match nack("no") {
        Settle::Nack { error, cause, duration, .. } => {
            Settle::Nack { error, cause, duration, retry_after: Some(later.1) }
        }
        _ => unreachable!(),
    };
    let cases: Vec<(NewJob, Change, Vec<What>)> = vec![
        (job("x"), settled(Settle::Release), vec![started, What::Released]),
        (job("x"), settled(Settle::Snooze(later.1)), vec![started, What::Snoozed { until }]),
        (job("x"), settled(Settle::Bury("no".into())), vec![started, What::Died { attempts: 1 }]),
        (job("x"), settled(Settle::Park("no".into())), vec![started, What::Parked]),
        (job("x"), settled(Settle::Cancel), vec![started, What::Cancelled]),
        (job("x"), settled(nack_later), vec![started, failed, What::Retried { run_at: Some(until) }]),
        (
            NewJob { max_attempts: 1, ..job("x") },
            settled(nack("no")),
            vec![started, failed, What::Died { attempts: 1 }],
        ),
        (
            job("x"),
            Box::new(|engine, id| {
                engine.cancel(id).unwrap();
            }),
            vec![What::Cancelled],
        ),
        (
            NewJob { hold: true, ..job("x") },
            Box::new(|engine, id| {
                engine.confirm(id).unwrap();
            }),
            vec![What::Confirmed],
        ),
        (
            NewJob { hold: true, ..job("x") },
            Box::new(|engine, id| {
                engine.move_to(id, Some("other"), Some(3)).unwrap();
            }),
            vec![],
        ),
        (
            job("x"),
            Box::new(|engine, id| {
                assert!(engine.end(&engine.take().unwrap(), Settle::Bury("no".into())));
                engine.move_to(id, Some("other"), None).unwrap();
            }),
            vec![started, What::Died { attempts: 1 }],
        ),
        (
            NewJob {
                unique: Some("key".into()),
                rule: UniqueRule { until_started: true, ..UniqueRule::default() },
                ..job("x")
            },
            settled(Settle::Release),
            vec![started, What::Released],
        ),
        (
            NewJob { expires_at: Some(at(0)), ..job("x") },
            Box::new(|engine, _| assert!(engine.take().is_none())),
            vec![What::Expired],
        ),
        (
            NewJob { hold: true, ..job("x") },
            Box::new(|engine, id| {
                engine.discard(id).unwrap();
            }),
            vec![What::Discarded],
        ),
        (
            NewJob { run_at: Some(at(50)), ..job("x") },
            Box::new(|engine, id| {
                engine.requeue(id).unwrap();
            }),
            vec![What::Requeued],
        ),
        (
            job("x"),
            Box::new(|engine, id| {
                let grant = engine.take().unwrap();
                engine.cancel(id).unwrap();
                assert!(engine.end(&grant, nack("no")));
            }),
            vec![started, What::CancelRequested, What::Cancelled],
        ),
        (
            job("x"),
            Box::new(|engine, _| {
                engine.pause("q").unwrap();
                engine.pause("q").unwrap();
                engine.resume("q").unwrap();
            }),
            vec![What::QueuePaused, What::QueueResumed],
        ),
    ];
    for (nth, (new, change, expected)) in cases.into_iter().enumerate() {
        let id = engine.add(new);
        let events = engine.events(100);
        change(&engine, id);
        engine.commit_step().unwrap();
        assert_eq!(whats(&events), expected, "case {nth}");
        engine.cancel(id).unwrap();
        engine.commit_step().unwrap();
    }
}

#[test]
fn a_lease_that_runs_out_is_a_failed_attempt_that_is_retried() {
    let world = World::new(3);
    let engine = world.open();
    engine.add(job("x"));
    let events = engine.events(100);
    engine.claim(&[], 1, crate::engine::LeaseKind::Hand(Duration::from_secs(1))).unwrap();
    world.clock.advance(Duration::from_secs(2));
    engine.expire_leases().unwrap();
    engine.commit_step().unwrap();
    let failed = What::Failed { attempt: 1, cause: ErrorCause::LeaseExpired };
    assert_eq!(whats(&events), [What::Started { attempt: 1 }, failed, What::Retried { run_at: None }]);
}

#[test]
fn a_slow_reader_misses_events_and_is_told_how_many_and_nobody_waits_for_him() {
    let engine = World::new(4).open();
    let (slow, quick) = (engine.events(3), engine.events(100));
    engine.add_many((0..10).map(|n| job(&n.to_string())).collect());
    assert_eq!((drained(&slow).len(), slow.missed()), (3, 7));
    assert_eq!((drained(&quick).len(), quick.missed()), (10, 0));
    engine.add(job("next"));
    assert_eq!(drained(&slow).len(), 1, "he is told again when he has room");
    drop((slow, quick));
    engine.add(job("unheard"));
    assert!(!engine.stream.is_heard(), "nobody listens: events cost a flag");
}

#[test]
fn the_stream_ends_with_the_handle() {
    let engine = World::new(5).open();
    let events = engine.events(10);
    engine.add(job("x"));
    engine.close().unwrap();
    let rest: Vec<Event> = events.collect();
    assert_eq!(rest.len(), 1, "what was told is read, then it ends");
    assert_eq!(engine.events(10).count(), 0);
}

fn with_history(history: usize) -> (World, Engine) {
    let world = World::new(6);
    let settings = Settings { segment_bytes: SEGMENT_BYTES, lock_wait: Duration::ZERO, history, ..Settings::default() };
    let engine = Engine::open(world.doors(), settings).unwrap();
    (world, engine)
}

#[test]
fn the_history_holds_the_last_jobs_that_ended_and_no_more() {
    let (world, engine) = with_history(3);
    for n in 0..5 {
        let queue = format!("queue {n}").into();
        engine.add(NewJob { queue, ..job("x") });
        let grant = engine.take().unwrap();
        world.clock.advance(Duration::from_millis(7));
        assert!(engine.ack(&grant));
    }
    engine.add(job("cancelled"));
    engine.cancel(JobId(6)).unwrap();
    let history = engine.history();
    let ids: Vec<u64> = history.iter().map(|past| past.id.0).collect();
    assert_eq!(ids, [6, 5, 4], "the newest first");
    let PastJob { kind, queue, how, attempts, created_at, ended_at, took, .. } = history[1].clone();
    assert_eq!((&*kind, &*queue, how, attempts), ("count", "queue 4", Ending::Completed, 1));
    assert_eq!((created_at, ended_at, took), (at(28).to_system(), at(35).to_system(), Some(Duration::from_millis(7))));
    assert_eq!((history[0].how, history[0].attempts, history[0].took), (Ending::Cancelled, 0, None));
    assert_eq!(engine.past(JobId(4)).map(|past| past.how), Some(Ending::Completed));
    assert_eq!(engine.past(JobId(3)), None);
}

#[test]
fn a_history_of_none_costs_nothing_and_is_empty() {
    let (_world, engine) = with_history(0);
    engine.add(job("x"));
    let grant = engine.take().unwrap();
    assert!(engine.ack(&grant));
    assert_eq!(engine.history(), []);
}

#[test]
fn a_history_of_very_many_names_holds_no_more_of_them_than_jobs_and_tells_each_right() {
    let world = World::new(47);
    let settings = Settings { history: 10, suspects_alone: false, ..World::settings() };
    let engine = Engine::open(world.doors(), settings).unwrap();
    for n in 0..3_000 {
        engine.add(NewJob { kind: format!("kind {n}").into(), ..job("x") });
        assert!(engine.ack(&engine.take().unwrap()));
    }
    let told: Vec<String> = engine.history().iter().map(|past| past.kind.to_string()).collect();
    let expected: Vec<String> = (2_990..3_000).rev().map(|n| format!("kind {n}")).collect();
    assert_eq!(told, expected);
    assert!(engine.state.lock().history.names() <= 1_100, "{}", engine.state.lock().history.names());
}
