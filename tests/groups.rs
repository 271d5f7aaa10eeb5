//! Groups, chains and jobs that wait for others, as a program uses them: on threads, and with a crash everywhere.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backlog::testing::{Scenario, crash_everywhere};
use backlog::{
    Backlog, Context, ErrorKind, Failure, GroupId, GroupSealed, Job, JobBuilder, OnParentFailure, Outcome, Phase,
    Status, WorkersBuilder,
};
use serde::{Deserialize, Serialize};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
struct Invoice {
    user: u64,
}

impl Job for Invoice {
    const KIND: &'static str = "invoice";
    const MAX_ATTEMPTS: u32 = 1;
}

#[derive(Serialize, Deserialize)]
struct Told {
    what: String,
}

impl Job for Told {
    const KIND: &'static str = "told";
    const QUEUE: &'static str = "told";
}

fn invoice(user: u64) -> JobBuilder {
    JobBuilder::new(&Invoice { user })
}

fn told(what: &str) -> JobBuilder {
    JobBuilder::new(&Told { what: what.to_owned() })
}

fn open(dir: &Path) -> Backlog {
    Backlog::builder().segment_bytes(1 << 20).lock_wait(LONG).open(dir.join("jobs")).unwrap()
}

fn callbacks(backlog: &Backlog) -> backlog::GroupBuilder<'_> {
    backlog.group().on_success(told("success")).on_complete(told("complete")).on_death(told("death"))
}

fn next(backlog: &Backlog, queue: &str) -> backlog::Lease {
    backlog.queue(queue).claim_timeout(LONG).unwrap().expect("a job in time")
}

fn next_told(backlog: &Backlog) -> String {
    let lease = next(backlog, "told");
    let what = lease.args::<Told>().unwrap().what;
    lease.ack().unwrap();
    what
}

#[test]
fn callbacks_are_told_at_the_first_death_when_all_are_through_and_when_all_succeeded() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let group = callbacks(&backlog).jobs((0..3).map(invoice)).enqueue().unwrap();
    next(&backlog, "default").nack("no").unwrap();
    assert_eq!(next_told(&backlog), "death");
    for _ in 0..2 {
        let lease = next(&backlog, "default");
        assert_eq!(lease.group(), Some(group.id));
        lease.ack().unwrap();
    }
    assert_eq!(next_told(&backlog), "complete");
    let status = backlog.group_status(group.id).unwrap();
    assert_eq!((status.total, status.pending, status.succeeded, status.dead), (3, 0, 2, 1));
    backlog.requeue(group.jobs[0].id).unwrap();
    next(&backlog, "default").ack().unwrap();
    assert_eq!(next_told(&backlog), "success");
    assert!(backlog.group_status(group.id).unwrap().finished_at.is_some());
    assert_eq!(backlog.groups().len(), 1);
    backlog.close().unwrap();
}

#[test]
fn a_callback_that_was_due_when_the_handle_closed_runs_after_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..10 {
        let backlog = open(dir.path());
        callbacks(&backlog).job(invoice(nth)).enqueue().unwrap();
        next(&backlog, "default").ack().unwrap();
        backlog.close().unwrap();
        let backlog = open(dir.path());
        let mut seen = [next_told(&backlog), next_told(&backlog)];
        seen.sort();
        assert_eq!(seen, ["complete", "success"]);
        backlog.close().unwrap();
    }
}

#[test]
fn running_members_add_to_their_group_and_the_callback_sees_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let seen = backlog.clone();
    let workers = backlog
        .workers()
        .handle(|job: Invoice, cx: Context| {
            let group = cx.group().ok_or_else(|| Failure::new("no member"))?;
            // Each of the first three becomes ten more.
            let more = if job.user < 3 { 10 } else { 0 };
            Ok(Outcome::DoneThen((0..more).map(|nth| invoice(100 + nth).group(group)).collect()))
        })
        .handle(move |_: Told, _: Context| {
            let all = seen.groups();
            Ok(say.send(all.iter().map(|it| (it.total, it.succeeded, it.finished_at.is_some())).collect::<Vec<_>>())?)
        })
        .concurrency(4)
        .start()
        .unwrap();
    let group = backlog.group().on_success(told("all")).open().unwrap();
    backlog.enqueue_all((0..3).map(|user| invoice(user).group(group.id))).unwrap();
    assert_eq!(backlog.seal_group(group.id).unwrap(), GroupSealed::Done);
    assert_eq!(hear.recv_timeout(LONG).unwrap(), [(33, 33, true)]);
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();
}

#[test]
fn a_chain_runs_link_by_link_and_waits_while_one_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let chain = backlog.job(&Invoice { user: 1 }).then(invoice(2)).then(told("receipt")).enqueue().unwrap();
    let first = next(&backlog, "default");
    assert_eq!(first.id(), chain[0].id);
    first.nack("declined").unwrap();
    assert_eq!(backlog.queue("default").counts().ready, 0);
    backlog.requeue(chain[0].id).unwrap();
    for link in &chain[..2] {
        let lease = next(&backlog, "default");
        assert_eq!(lease.id(), link.id);
        lease.ack().unwrap();
    }
    assert_eq!(next_told(&backlog), "receipt");
    backlog.close().unwrap();
}

#[test]
fn what_cannot_be_is_refused_with_nothing_enqueued_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let unknown = GroupId(4711);
    let refused = [
        backlog.group().on_success(told("x").unique("key")).enqueue().map(drop),
        backlog.group().on_complete(told("x").hold()).enqueue().map(drop),
        backlog.group().job(invoice(1).group(unknown)).enqueue().map(drop),
        backlog.enqueue_all([invoice(1).group(unknown)]).map(drop),
        backlog.enqueue_all([invoice(1).hold().after([backlog::JobId(1)])]).map(drop),
        backlog.enqueue_all([invoice(1).after([backlog::JobId(99)])]).map(drop),
        backlog.job(&Invoice { user: 1 }).then(invoice(2).unique("key")).enqueue().map(drop),
        backlog.job(&Invoice { user: 1 }).then(invoice(2).hold()).enqueue().map(drop),
        backlog.group().job(invoice(1).queue("")).enqueue().map(drop),
    ];
    for refused in refused {
        let why = refused.unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Invalid, "{why}");
        assert!(why.to_string().len() > 20, "{why}");
    }
    assert_eq!((backlog.counts().total().live(), backlog.groups().len()), (0, 0));
    assert_eq!(backlog.seal_group(unknown).unwrap(), GroupSealed::NotFound);
    assert_eq!(backlog.group_status(unknown), None);
    backlog.close().unwrap();
}

#[test]
fn a_waiting_job_with_a_time_of_its_own_is_scheduled_when_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let parent = backlog.enqueue(&Invoice { user: 1 }).unwrap().id;
    let late = backlog.job(&Invoice { user: 2 }).delay(LONG * 60).after([parent]).enqueue().unwrap().id;
    let policy = OnParentFailure::Run;
    let soon =
        backlog.job(&Told { what: "ran".into() }).after([parent]).on_parent_failure(policy).enqueue().unwrap().id;
    backlog.cancel(parent).unwrap();
    assert_eq!(next_told(&backlog), "ran");
    assert!(soon > late, "they are let go in the order of their ids");
    assert_eq!(backlog.inspect(late).unwrap(), Status::Finished, "its parent did not succeed");
    let parent = backlog.enqueue(&Invoice { user: 3 }).unwrap().id;
    let late = backlog.job(&Invoice { user: 4 }).delay(LONG * 60).after([parent]).enqueue().unwrap().id;
    backlog.enqueue_all([told("its neighbour").after([parent])]).unwrap();
    next(&backlog, "default").ack().unwrap();
    assert_eq!(next_told(&backlog), "its neighbour");
    assert!(matches!(backlog.inspect(late).unwrap(), Status::Live(job) if job.phase == Phase::Scheduled));
    backlog.close().unwrap();
}

/// An invoice that outlives the death of its process.
fn patient(user: u64) -> JobBuilder {
    invoice(user).max_attempts(5)
}

/// What was told, by the key it came with: once each, however often it ran.
#[derive(Clone, Default)]
struct Ears(Arc<Mutex<BTreeMap<String, String>>>);

impl Ears {
    fn workers(&self, backlog: &Backlog) -> WorkersBuilder {
        let (ears, seen) = (self.clone(), backlog.clone());
        backlog
            .workers()
            .handle(|job: Invoice, cx: Context| match (job.user, cx.group()) {
                (0, Some(group)) => Ok(Outcome::DoneThen(vec![patient(7).group(group)])),
                (1, _) => Ok(Outcome::Bury("declined".to_owned())),
                _ => Ok(Outcome::Done),
            })
            .handle(move |job: Told, cx: Context| {
                for status in seen.groups() {
                    assert!(job.what != "complete" || status.is_complete(), "told too early: {status:?}");
                }
                ears.0.lock().unwrap().insert(cx.idempotency_key().to_owned(), job.what);
                Ok(())
            })
    }

    fn heard(&self) -> Vec<String> {
        let mut heard: Vec<String> = self.0.lock().unwrap().values().cloned().collect();
        heard.sort();
        heard
    }
}

#[test]
fn wherever_the_process_dies_each_callback_runs_once_and_nothing_is_left_behind() {
    let tried = crash_everywhere(|scenario: &Scenario| {
        let (ears, made) = (Ears::default(), Cell::new(false));
        let work = |backlog: &Backlog| -> Result<(), Failure> {
            scenario.drain(ears.workers(backlog))?;
            for status in backlog.groups() {
                backlog.seal_group(status.id)?;
            }
            scenario.drain(ears.workers(backlog))?;
            Ok(())
        };
        scenario.run(|backlog| {
            let group = callbacks(backlog).jobs((0..3).map(patient)).open()?;
            made.set(true);
            let last = group.jobs[2].id;
            backlog.job(&Invoice { user: 8 }).max_attempts(5).after([last]).enqueue()?;
            work(backlog)
        })?;
        let left = scenario.finish(|backlog| {
            work(backlog)?;
            Ok((backlog.counts().total(), backlog.groups()))
        })?;
        let (left, groups) = left;
        // One member is dead, and so on_success stands held until it is requeued.
        match groups.first() {
            Some(group) => {
                if (group.total, group.pending, group.dead) != (4, 0, 1) || (left.dead, left.held) != (1, 1) {
                    return Err(Failure::new(format!("{group:?} {left:?}")));
                }
                if ears.heard() != ["complete", "death"] {
                    return Err(Failure::new(format!("told: {:?}", ears.heard())));
                }
            }
            None if made.get() => return Err(Failure::new("the group is gone")),
            None => {}
        }
        Ok(())
    });
    println!("{tried}");
}
