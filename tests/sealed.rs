//! Sealed jobs as a program uses them: on threads and on a real disk, with keys that change between processes.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backlog::testing::CrashEverywhere;
use backlog::{
    Backlog, Codec, Context, CronEntry, CronSet, Done, ErrorKind, Failure, Filter, Job, JobBuilder, JobId, KeyRing,
    Phase, Status, Unique, Waited,
};
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(60);
const MARK: &str = "PLAINTEXT";

#[derive(Serialize, Deserialize)]
struct Statement {
    account: String,
}

impl Job for Statement {
    const KIND: &'static str = "statement";
    const SEALED: bool = true;
    const KEEP_RESULT: Option<Duration> = Some(Duration::from_secs(3600));
    const MAX_ATTEMPTS: u32 = 3;
}

fn statement(name: &str) -> Statement {
    Statement { account: format!("{MARK}-{name}") }
}

fn old() -> KeyRing {
    KeyRing::new("2025-03", [3; 32])
}

fn rotated() -> KeyRing {
    KeyRing::new("2026-11", [11; 32]).also("2025-03", [3; 32])
}

fn open(dir: &Path, keys: impl Into<Option<KeyRing>>) -> Backlog {
    let options = Backlog::builder().segment_bytes(1 << 20).lock_wait(LONG);
    let options = match keys.into() {
        Some(keys) => options.keys(keys),
        None => options,
    };
    options.open(dir.join("jobs")).unwrap()
}

/// Files below `dir` that hold the mark.
fn with_mark(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with_mark(&path));
        } else if std::fs::read(&path).unwrap().windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn info(backlog: &Backlog, id: JobId) -> backlog::JobInfo {
    match backlog.inspect(id).unwrap() {
        Status::Live(job) => *job,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sealed_job_runs_with_its_steps_and_leaves_no_plain_byte_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), old());
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let workers = backlog
        .workers()
        .handle(move |job: Statement, cx: Context| {
            let paid: String = cx.step("pay", || {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(format!("{} paid", job.account))
            })?;
            if cx.attempt() == 1 {
                cx.checkpoint(job.account.as_bytes())?;
                cx.progress(50, &job.account)?;
                return Err(Failure::new(format!("{} declined", job.account)).retry_in(Duration::ZERO));
            }
            assert_eq!(cx.last_checkpoint()?.unwrap(), job.account.as_bytes());
            Ok(Done::with(&paid).then(if job.account.ends_with("one") {
                vec![JobBuilder::new(&statement("child"))]
            } else {
                Vec::new()
            }))
        })
        .start()
        .unwrap();
    let one = backlog.enqueue(&statement("one")).unwrap().id;
    let Waited::Finished(done) = backlog.wait(one, LONG).unwrap() else { panic!("it is done") };
    assert_eq!(done.result::<String>().unwrap().unwrap(), format!("{MARK}-one paid"));
    assert_eq!(backlog.result::<String>(one).unwrap().unwrap(), format!("{MARK}-one paid"));
    let failing = backlog.job(&statement("x")).max_attempts(1).enqueue().unwrap().id;
    let Waited::Dead(dead) = backlog.wait(failing, LONG).unwrap() else { panic!("it is dead") };
    assert_eq!(dead.errors, [format!("{MARK}-x declined")]);
    assert_eq!(backlog.progress(failing).unwrap().unwrap().text, format!("{MARK}-x"));
    assert_eq!(backlog.list(&Filter::new().error("declined")).unwrap().len(), 1);
    while backlog.counts().completed < 2 {
        std::thread::yield_now();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3, "a step is run once");
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();
    assert_eq!(with_mark(dir.path()), Vec::<String>::new());

    // Without the key the end is told, and what it left is not.
    let blind = open(dir.path(), None);
    let Waited::Finished(done) = blind.wait(one, LONG).unwrap() else { panic!("it is over") };
    assert!(done.is_completed());
    let why = done.result::<String>().unwrap_err();
    assert!(why.kind() == ErrorKind::Invalid && why.to_string().contains("2025-03"), "{why}");
    assert!(blind.result::<String>(one).is_err());
    assert!(info(&blind, failing).errors[0].contains("sealed under key \"2025-03\""));
    blind.close().unwrap();
    let look = Backlog::builder().keys(rotated()).open_read_only(dir.path().join("jobs")).unwrap();
    assert_eq!(look.list(&Filter::new().error("declined")).unwrap()[0].sealed.as_deref(), Some("2025-03"));
}

#[test]
fn groups_chains_batches_raw_jobs_and_cron_seal_too() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), old());
    let job = |name: &str| JobBuilder::new(&statement(name));
    backlog.group().job(job("member")).on_complete(job("callback")).enqueue().unwrap();
    backlog.job(&statement("first")).then(job("second")).enqueue().unwrap();
    backlog.enqueue_many(&[statement("a"), statement("b")]).unwrap();
    backlog.job(&statement("held")).hold().enqueue().unwrap();
    let raw = backlog.raw_job("raw", MARK.as_bytes().to_vec(), Codec::Raw).sealed().queue("raw").enqueue().unwrap().id;
    let lease = backlog.queue("raw").claim().unwrap().unwrap();
    assert_eq!((lease.id(), lease.payload()), (raw, MARK.as_bytes()));
    lease.ack_with([job("follow-up")]).unwrap();
    let (fired, due) = channel();
    let fired = Mutex::new(fired);
    let workers = backlog
        .workers()
        .handle(move |job: Statement, _: Context| {
            let _ = fired.lock().unwrap().send(job.account);
            Ok(())
        })
        .cron(
            CronSet::new("set")
                .entry(CronEntry::every("tick", Duration::from_secs(1), move |_| JobBuilder::new(&statement("tick")))),
        )
        .start()
        .unwrap();
    let mut names = BTreeSet::new();
    let all = ["member", "callback", "first", "second", "a", "b", "follow-up", "tick"];
    while names.len() < all.len() {
        names.insert(due.recv_timeout(LONG).unwrap());
    }
    assert_eq!(names, all.iter().map(|name| format!("{MARK}-{name}")).collect());
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();
    assert_eq!(with_mark(dir.path()), Vec::<String>::new());
}

#[test]
fn without_keys_every_way_in_refuses_a_sealed_job_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), None);
    let job = |name: &str| JobBuilder::new(&statement(name));
    let refusals = [
        backlog.enqueue(&statement("x")).map(drop),
        backlog.enqueue_many(&[statement("x")]).map(drop),
        backlog.job(&statement("x")).unique(Unique::by_args()).enqueue().map(drop),
        backlog.raw_job("raw", MARK.into(), Codec::Raw).sealed().enqueue().map(drop),
        backlog.group().job(job("x")).enqueue().map(drop),
        backlog.group().on_complete(job("x")).enqueue().map(drop),
        backlog.raw_job("plain", b"{}".to_vec(), Codec::Json).then(job("x")).enqueue().map(drop),
    ];
    for refused in refusals {
        let why = refused.unwrap_err();
        assert!(why.kind() == ErrorKind::Invalid && why.to_string().contains("Options::keys"), "{why}");
    }
    assert_eq!(backlog.counts().enqueued, 0);
    backlog.enqueue_raw("plain", b"{}".to_vec(), Codec::Json).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let refused = lease.ack_with([job("x")]).unwrap_err();
    refused.into_lease().ack().unwrap();
    backlog.close().unwrap();
    assert_eq!(with_mark(dir.path()), Vec::<String>::new());
    let twice = Backlog::builder().keys(old().also("2025-03", [1; 32])).open(dir.path().join("jobs"));
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_pool_without_the_key_parks_its_jobs_and_one_with_it_runs_them() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), old());
    let ids: Vec<JobId> = (0..5).map(|n| backlog.enqueue(&statement(&n.to_string())).unwrap().id).collect();
    backlog.close().unwrap();

    let new = open(dir.path(), KeyRing::new("2026-11", [11; 32]));
    let workers = new.workers().handle(|_: Statement, _: Context| Ok(())).start().unwrap();
    let mine = new.enqueue(&statement("mine")).unwrap().id;
    assert!(new.wait(mine, LONG).unwrap().is_completed());
    workers.stop(LONG).unwrap();
    let parked = new.list(&Filter::new().phase(Phase::Parked)).unwrap();
    assert_eq!(parked.iter().map(|job| job.id).collect::<Vec<_>>(), ids);
    assert!(parked.iter().all(|job| job.attempts == 0 && job.reason.as_ref().unwrap().contains("2025-03")));
    // A pool that starts anew leaves them where they are.
    new.workers().handle(|_: Statement, _: Context| Ok(())).start().unwrap().stop(LONG).unwrap();
    assert_eq!(new.counts().total().parked, 5);
    new.close().unwrap();

    let both = open(dir.path(), rotated());
    let workers = both.workers().handle(|_: Statement, _: Context| Ok(())).start().unwrap();
    for id in ids {
        assert!(both.wait(id, LONG).unwrap().is_completed());
    }
    workers.stop(LONG).unwrap();
}

#[test]
fn many_threads_that_enqueue_sealed_and_plain_jobs_lose_none_and_run_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), old());
    let (ran, runs) = channel();
    let ran = Mutex::new(ran);
    let seen = move |cx: Context| {
        let _ = ran.lock().unwrap().send(cx.id());
    };
    let seen = Arc::new(seen);
    let other = Arc::clone(&seen);
    let workers = backlog
        .workers()
        .concurrency(3)
        .handle(move |_: Statement, cx: Context| {
            seen(cx);
            Ok(())
        })
        .handle_raw("plain", move |_: &[u8], cx: Context| {
            other(cx);
            Ok(())
        })
        .start()
        .unwrap();
    let ids: Vec<JobId> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|thread| {
                let backlog = &backlog;
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    for n in 0..40 {
                        let before = ids.len();
                        match (thread + n) % 3 {
                            0 => ids.push(backlog.enqueue(&statement("one")).unwrap().id),
                            1 => ids.push(backlog.enqueue_raw("plain", b"{}".to_vec(), Codec::Json).unwrap().id),
                            _ => {
                                let both = [statement("a"), statement("b")];
                                ids.extend(backlog.enqueue_many(&both).unwrap().iter().map(|answer| answer.id));
                            }
                        }
                        assert!(ids[before..].iter().all(|id| ids[..before].iter().all(|earlier| earlier < id)));
                    }
                    ids
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let given: BTreeSet<JobId> = ids.iter().copied().collect();
    assert_eq!(given.len(), ids.len(), "an id was given twice");
    let mut done: Vec<JobId> = ids.iter().map(|_| runs.recv_timeout(LONG).unwrap()).collect();
    workers.stop(LONG).unwrap();
    done.extend(runs.try_iter());
    assert_eq!(done.len(), ids.len(), "a job ran twice");
    assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), given);
}

#[test]
fn a_crash_at_every_operation_neither_loses_a_sealed_job_nor_parks_it() {
    let options = Backlog::builder().segment_bytes(64 << 10).keys(old());
    let tried = CrashEverywhere::new().options(options).find(|scenario| {
        let ran = Arc::new(Mutex::new(BTreeSet::new()));
        let sold = std::cell::Cell::new(0);
        let workers = |backlog: &Backlog| {
            let ran = Arc::clone(&ran);
            backlog.workers().handle(move |job: Statement, cx: Context| {
                let paid: String = cx.step("pay", || Ok(job.account.clone()))?;
                ran.lock().unwrap().insert(paid);
                Ok(Done::with(&job.account))
            })
        };
        scenario.run(|backlog| {
            backlog.enqueue(&statement("one"))?;
            sold.set(1);
            backlog.enqueue_many(&[statement("two"), statement("three")])?;
            sold.set(3);
            scenario.drain(workers(backlog))?;
            Ok(())
        })?;
        scenario.finish(|backlog| {
            scenario.drain(workers(backlog))?;
            let left = backlog.counts().total().live();
            if left == 0 { Ok(()) } else { Err(Failure::new(format!("left={left}"))) }
        })?;
        let ran = ran.lock().unwrap().len();
        if ran >= sold.get() { Ok(()) } else { Err(Failure::new(format!("ran={ran} sold={}", sold.get()))) }
    });
    let tried = tried.unwrap_or_else(|found| panic!("{found}"));
    assert!(tried.images > 100);
}

#[test]
fn a_sealed_kind_is_tested_like_any_other() {
    let options = Backlog::builder().segment_bytes(64 << 10).keys(old());
    let bench = backlog::testing::Bench::with(options, 1).unwrap();
    bench.enqueue(&statement("one")).unwrap();
    bench.assert_enqueued::<Statement>().args(|job| job.account.ends_with("one")).count(1);
    let ran = bench.run_inline(&statement("two"), |job: Statement, cx: Context| {
        cx.step("pay", || Ok(job.account.clone()))?;
        Ok(())
    });
    assert!(ran.is_ok());
}
