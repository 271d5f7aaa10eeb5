//! Claims, ends and the sleep between them: one live lease a job, one end, and nobody sleeps through a job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use super::explore::explore;
use super::yard::{Yard, add, batch, join, start};
use crate::engine::world::{START_MS, Verbs, job, nack};
use crate::engine::{Cancelled, Durability, Engine, Grant, LeaseKind, NewJob, Settle, Source};
use crate::ids::{JobId, Millis};
use crate::sync::scheduled::let_time_pass;
use crate::sync::{AtomicBool, Condvar, JoinHandle};
use crate::{Context, Job};

fn ack() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

/// Who holds what, and what is over.
#[derive(Default)]
struct Round {
    /// Never held across a step.
    seen: Mutex<Seen>,
    done: AtomicBool,
}

#[derive(Default)]
struct Seen {
    held: BTreeSet<JobId>,
    acked: BTreeSet<JobId>,
    released: BTreeSet<JobId>,
}

impl Round {
    fn take(&self, grant: &Grant) {
        let mut seen = self.seen.lock();
        assert!(seen.held.insert(grant.id), "two live leases: id={}", grant.id);
        assert!(!seen.acked.contains(&grant.id), "granted after its ack: id={}", grant.id);
    }

    /// Before the verdict is given: after it somebody else may hold the job.
    fn let_go(&self, grant: &Grant) {
        assert!(self.seen.lock().held.remove(&grant.id));
    }

    /// `true`: these were all.
    fn acked(&self, grant: &Grant, all: usize) -> bool {
        let mut seen = self.seen.lock();
        assert!(seen.acked.insert(grant.id), "acked twice: id={}", grant.id);
        seen.acked.len() == all
    }
}

/// Claims and ends jobs until `all` are over; sleeps when there is none.
fn worker(yard: &Arc<Yard>, engine: &Arc<Engine>, round: &Arc<Round>, all: usize) -> JoinHandle<()> {
    let (yard, engine, round) = (Arc::clone(yard), Arc::clone(engine), Arc::clone(round));
    start(move || {
        while !round.done.load(Ordering::SeqCst) {
            let grants = engine.claim(&[], 1 + yard.below(2), LeaseKind::Pool).unwrap();
            if grants.is_empty() {
                engine.wait_for_work(&[], None, &|| round.done.load(Ordering::SeqCst)).unwrap();
            }
            grants.iter().for_each(|grant| round.take(grant));
            for grant in &grants {
                round.let_go(grant);
                // Given back once at most: a second release would have to wait.
                if yard.below(4) == 0 && round.seen.lock().released.insert(grant.id) {
                    assert!(engine.settle(grant, Settle::Release).unwrap().is_some());
                    continue;
                }
                let acked = yard.end(&engine, grant.id, || engine.settle(grant, ack()));
                assert!(acked.unwrap(), "the lease was live: id={}", grant.id);
                if round.acked(grant, all) {
                    round.done.store(true, Ordering::SeqCst);
                    engine.nudge();
                }
            }
        }
    })
}

#[test]
fn a_job_has_one_live_lease_at_a_time_and_one_end() {
    explore(
        |_| {},
        |yard| {
            let engine = yard.open();
            let round = Arc::<Round>::default();
            let workers: Vec<_> = (0..2).map(|_| worker(yard, &engine, &round, 4)).collect();
            let producers: Vec<_> = [Durability::Sync, Durability::Buffered]
                .into_iter()
                .map(|level| {
                    let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
                    start(move || (0..2).for_each(|_| drop(yard.enqueue(&engine, batch(false), level).unwrap())))
                })
                .collect();
            join(producers);
            join(workers);
            assert_eq!(engine.counts().total().ready, 0);
            yard.close_and_judge(&engine);
        },
    );
}

const LATER_MS: u64 = 500;

/// Leaves a job that is not due and one in a queue that is paused.
fn not_yet(engine: &Engine) {
    add(engine, vec![NewJob { run_at: Some(Millis(START_MS + LATER_MS)), ..job("later") }]);
    add(engine, vec![NewJob { queue: "paused".into(), ..job("paused") }]);
    engine.pause("paused").unwrap();
}

#[test]
fn a_worker_that_falls_asleep_hears_of_every_job() {
    explore(not_yet, |yard| {
        let engine = yard.open_with_upkeep();
        let round = Arc::<Round>::default();
        let workers: Vec<_> = (0..2).map(|_| worker(yard, &engine, &round, 4)).collect();
        let mut others = Vec::new();
        for level in [Durability::Sync, Durability::Buffered] {
            let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
            others.push(start(move || drop(yard.enqueue(&engine, batch(false), level).unwrap())));
        }
        let (mine, clock) = (Arc::clone(&engine), Arc::clone(&yard.world.clock));
        others.push(start(move || {
            clock.advance(Duration::from_millis(LATER_MS));
            // What upkeep's own timer would do now.
            mine.upkeep.ring();
        }));
        let mine = Arc::clone(&engine);
        others.push(start(move || {
            mine.resume("paused").unwrap();
        }));
        join(others);
        join(workers);
        yard.close_and_judge(&engine);
    });
}

/// Leaves two ready jobs.
fn two_jobs(engine: &Engine) {
    add(engine, batch(false));
    add(engine, batch(false));
}

/// Claims one job and acks it, or fails it; what happened.
fn one_run(yard: &Yard, engine: &Engine) -> Option<(JobId, bool)> {
    let grant = engine.take()?;
    let acks = yard.below(3) != 0;
    let ended = if acks {
        yard.end(engine, grant.id, || engine.settle(&grant, ack())).unwrap()
    } else {
        engine.settle(&grant, nack("no luck")).unwrap();
        false
    };
    assert!(ended || !acks, "a run keeps its lease, cancelled or not: id={}", grant.id);
    Some((grant.id, ended))
}

#[test]
fn a_cancel_beside_a_run_ends_the_job_exactly_once() {
    explore(two_jobs, |yard| {
        let engine = yard.open();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (yard, engine) = (Arc::clone(yard), Arc::clone(&engine));
                start(move || one_run(&yard, &engine))
            })
            .collect();
        let ids = engine.ids_from(JobId(0), None);
        let mut answers = Vec::new();
        for id in ids {
            let mut answer = None;
            let ended = yard.end(&engine, id, || {
                let (cancelled, ticket) = engine.cancel(id)?;
                answer = Some(cancelled);
                Ok((cancelled == Cancelled::Done).then_some(ticket))
            });
            ended.unwrap();
            answers.push((id, answer.unwrap()));
        }
        let runs: Vec<_> = join(workers).into_iter().flatten().collect();
        for (id, answer) in answers {
            let acked = runs.iter().any(|run| *run == (id, true));
            let ran = runs.iter().any(|run| run.0 == id);
            match answer {
                Cancelled::Done => assert!(!acked, "cancelled and acked: id={id}"),
                Cancelled::Requested => assert!(ran, "nobody ran what was asked to stop: id={id}"),
                Cancelled::NotLive => assert!(acked, "neither cancelled nor acked: id={id}"),
            }
            assert!(engine.job(id).unwrap().is_none(), "neither ended it: id={id} {answer:?} {runs:?}");
        }
        yard.close_and_judge(&engine);
    });
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Count;

impl Job for Count {
    const KIND: &'static str = "count_by_pool";
}

/// Runs so far.
#[derive(Default)]
struct Ran {
    ids: crate::sync::Mutex<Vec<JobId>>,
    news: Condvar,
}

#[test]
fn a_pool_runs_every_job_once_and_what_it_ended_is_on_disk_when_it_has_stopped() {
    explore(
        |_| {},
        |yard| {
            let backlog = yard.open_backlog();
            // Runs end by news, not because the time is up.
            let_time_pass(None);
            let ran = Arc::<Ran>::default();
            let (inside, mine) = (Arc::clone(&ran), Arc::clone(yard));
            let handler = move |_: Count, cx: Context| {
                mine.ending(cx.id());
                inside.ids.lock().push(cx.id());
                inside.news.notify_all();
                Ok(())
            };
            let workers = backlog.workers().handle(handler).concurrency(2).start().unwrap();
            let (mine, producing) = (Arc::clone(yard), backlog.clone());
            let producer = start(move || {
                let enqueue = |_| producing.enqueue(&Count).unwrap().id;
                (0..3).map(enqueue).inspect(|id| mine.accepted(*id, Durability::Sync)).collect::<Vec<_>>()
            });
            let accepted = producer.join().unwrap();
            ran.news.wait_while(&mut ran.ids.lock(), |ids| ids.len() < accepted.len());
            let stopped = workers.stop(Duration::from_secs(25)).unwrap();
            assert_eq!((stopped.released, stopped.still_running), (0, 0));
            let mut ran = std::mem::take(&mut *ran.ids.lock());
            ran.iter().for_each(|id| yard.ended(*id));
            ran.sort_unstable();
            assert_eq!(ran, accepted, "each once");
            if yard.below(2) == 0 {
                backlog.close().unwrap();
            }
            yard.judge();
        },
    );
}
