//! Promises of the pool of workers, on a real directory; signals and kills on a process of its own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use backlog::{
    Backlog, Backoff, Confirmed, Context, ErrorKind, Failure, Job, JobBuilder, Outcome, Phase, Requeued, Retry, Status,
};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
#[path = "worker/processes.rs"]
mod processes;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
struct Step {
    n: u32,
}

impl Job for Step {
    const KIND: &'static str = "step";
    const BACKOFF: Backoff = Backoff::Fixed { delay: Duration::from_millis(1) };
    const MAX_ATTEMPTS: u32 = 3;
}

fn open(dir: &Path) -> Backlog {
    Backlog::builder().segment_bytes(1 << 20).lock_wait(LONG).open(dir.join("jobs")).unwrap()
}

#[test]
fn every_job_runs_once_and_is_completed_before_the_pool_has_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let workers = backlog.workers().handle(move |job: Step, _| Ok(say.send(job.n)?)).concurrency(4).start().unwrap();
    let jobs: Vec<Step> = (0..2000).map(|n| Step { n }).collect();
    backlog.enqueue_many(&jobs).unwrap();
    let mut ran: Vec<u32> = hear.iter().take(2000).collect();
    workers.stop(LONG).unwrap();
    ran.sort_unstable();
    assert_eq!(ran, (0..2000).collect::<Vec<_>>());
    let counts = backlog.counts();
    assert_eq!((counts.completed, counts.total().live()), (2000, 0));
    backlog.close().unwrap();
}

#[test]
fn a_job_that_fails_is_tried_again_until_it_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |_: Step, cx: Context| -> Result<(), Failure> {
            say.send(cx.attempt())?;
            assert!(cx.attempt() != 2, "the second time");
            Err(Failure::new(format!("attempt {} of {}", cx.attempt(), cx.max_attempts())))
        })
        .concurrency(2)
        .start()
        .unwrap();
    let id = backlog.enqueue(&Step { n: 1 }).unwrap().id;
    assert_eq!(hear.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    workers.stop(LONG).unwrap();
    let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("dead jobs are kept") };
    assert_eq!((job.phase, job.attempts), (Phase::Dead, 3));
    assert_eq!(job.errors, ["attempt 1 of 3", "panicked: the second time", "attempt 3 of 3"]);
    assert_eq!(backlog.requeue(id).unwrap(), Requeued::Done);
}

#[test]
fn a_chain_of_follow_ups_runs_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |job: Step, _| {
            say.send(job.n)?;
            Ok(match job.n {
                0 => Outcome::Done,
                n => Outcome::DoneThen(vec![JobBuilder::new(&Step { n: n - 1 })]),
            })
        })
        .concurrency(2)
        .start()
        .unwrap();
    backlog.enqueue(&Step { n: 30 }).unwrap();
    assert_eq!(hear.iter().take(31).collect::<Vec<_>>(), (0..=30).rev().collect::<Vec<_>>());
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.counts().completed, 31);
}

#[test]
fn queues_are_served_in_strict_order_and_others_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    for queue in ["later", "never", "first"] {
        backlog.enqueue_all((0..3).map(|n| JobBuilder::new(&Step { n }).queue(queue))).unwrap();
    }
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |_: Step, cx: Context| Ok(say.send(cx.queue().to_owned())?))
        .queues(["first", "later"])
        .concurrency(1)
        .start()
        .unwrap();
    assert_eq!(hear.iter().take(6).collect::<Vec<_>>(), ["first", "first", "first", "later", "later", "later"]);
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.queue("never").counts().ready, 3);
}

#[test]
fn jobs_nobody_can_run_are_parked_with_their_bytes_and_run_when_a_handler_appears() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let bad = backlog.enqueue_raw("step", b"{\"n\":-1}".to_vec(), backlog::Codec::Json).unwrap().id;
    let unknown = backlog.enqueue_raw("other", vec![1, 2, 3], backlog::Codec::Raw).unwrap().id;
    let last = backlog.enqueue(&Step { n: 1 }).unwrap().id;
    let (say, hear) = channel();
    let workers =
        backlog.workers().handle(move |_: Step, cx: Context| Ok(say.send(cx.id())?)).concurrency(1).start().unwrap();
    assert_eq!(hear.recv().unwrap(), last);
    workers.stop(LONG).unwrap();
    for (id, why) in [(bad, "args of kind=\"step\" do not parse"), (unknown, "no handler for kind=\"other\"")] {
        let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("parked jobs are kept") };
        assert_eq!((job.phase, job.attempts), (Phase::Parked, 0));
        assert!(job.reason.as_deref().unwrap().contains(why), "{:?}", job.reason);
    }
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle_raw("step", {
            let say = say.clone();
            move |args, _| Ok(say.send(args.to_vec())?)
        })
        .handle_raw("other", move |args, _| Ok(say.send(args.to_vec())?))
        .concurrency(1)
        .start()
        .unwrap();
    assert_eq!(hear.iter().take(2).collect::<Vec<_>>(), [b"{\"n\":-1}".to_vec(), vec![1, 2, 3]]);
    workers.stop(LONG).unwrap();
}

#[test]
fn a_job_cancelled_while_it_runs_is_told_and_ends_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let (tell, told) = crossbeam_channel::bounded::<()>(0);
    let workers = backlog
        .workers()
        .handle(move |_: Step, cx: Context| {
            say.send(cx.clone())?;
            told.recv()?;
            if cx.is_cancelled() { Err(Failure::new("cancelled")) } else { Ok(()) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = backlog.enqueue(&Step { n: 1 }).unwrap().id;
    let cx = hear.recv().unwrap();
    assert!(!cx.is_cancelled());
    backlog.cancel(id).unwrap();
    assert!(cx.is_cancelled());
    tell.send(()).unwrap();
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.counts().cancelled, 1);
}

#[test]
fn a_backlog_is_not_closed_under_a_running_job_and_a_closed_one_ends_its_pool() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let (tell, told) = crossbeam_channel::bounded::<()>(0);
    let workers = backlog
        .workers()
        .handle(move |_: Step, _| {
            say.send(())?;
            Ok(told.recv()?)
        })
        .concurrency(2)
        .start()
        .unwrap();
    backlog.enqueue(&Step { n: 1 }).unwrap();
    hear.recv().unwrap();
    assert_eq!(backlog.clone().close().expect_err("it runs").kind(), ErrorKind::InUse);
    tell.send(()).unwrap();
    while let Err(e) = backlog.clone().close() {
        assert_eq!(e.kind(), ErrorKind::InUse);
        std::thread::yield_now();
    }
    assert_eq!(workers.stop(LONG).unwrap().still_running, 0);
}

#[test]
fn what_still_runs_when_the_program_lets_go_of_its_last_handle_is_given_back_for_the_next_owner() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let (tell, told) = crossbeam_channel::bounded::<()>(0);
    let workers = backlog
        .workers()
        .handle(move |_: Step, _| {
            say.send(())?;
            Ok(told.recv()?)
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = backlog.enqueue(&Step { n: 1 }).unwrap().id;
    hear.recv().unwrap();
    assert_eq!(workers.stop(Duration::ZERO).unwrap().still_running, 1);
    drop(backlog);
    let error = Backlog::builder().lock_wait(Duration::ZERO).open(dir.path().join("jobs"));
    assert_eq!(error.expect_err("the run goes on").kind(), ErrorKind::InUse);
    tell.send(()).unwrap();
    let backlog = open(dir.path());
    let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("its outcome came too late") };
    assert_eq!((job.phase, job.attempts), (Phase::Ready, 0));
    assert_eq!(backlog.recovery_report().requeued, 0);
}

#[test]
fn an_async_handler_is_stopped_at_its_timeout_and_the_next_attempt_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle_async(move |_: Step, cx: Context| {
            let say = say.clone();
            async move {
                if cx.attempt() == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(say.send(cx.attempt())?)
            }
        })
        .concurrency(2)
        .start()
        .unwrap();
    let id = backlog.job(&Step { n: 1 }).timeout(Duration::from_millis(20)).enqueue().unwrap().id;
    assert_eq!(hear.recv_timeout(LONG).unwrap(), 2);
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
    assert_eq!(backlog.counts().completed, 1);
    backlog.close().unwrap();
}

#[test]
fn a_held_job_runs_only_when_it_is_confirmed_also_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let held = |n| backlog.job(&Step { n }).hold().enqueue().unwrap().id;
    let (kept, dropped) = (held(1), held(2));
    assert!(backlog.queue("default").claim().unwrap().is_none());
    backlog.close().unwrap();

    let backlog = open(dir.path());
    assert_eq!(backlog.discard(dropped).unwrap(), Confirmed::Done);
    assert_eq!(backlog.confirm(kept).unwrap(), Confirmed::Done);
    assert_eq!(backlog.confirm(kept).unwrap(), Confirmed::Refused(Phase::Ready));
    assert_eq!(backlog.confirm(dropped).unwrap(), Confirmed::NotLive);
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!((lease.id(), lease.args::<Step>().unwrap().n), (kept, 1));
    lease.ack().unwrap();
    assert_eq!((backlog.counts().completed, backlog.counts().discarded), (1, 1));
    backlog.close().unwrap();
}

#[test]
fn a_handler_may_cancel_its_job_and_a_rule_may_discard_a_declined_one() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let workers = backlog
        .workers()
        .retry(|failure, _| failure.downcast_ref::<std::num::ParseIntError>().map(|_| Retry::Cancel))
        .handle(|job: Step, _| {
            if job.n == 1 {
                return Ok(Outcome::Cancel);
            }
            "declined".parse::<u8>()?;
            Ok(Outcome::Done)
        })
        .concurrency(1)
        .start()
        .unwrap();
    let ids: Vec<_> = backlog.enqueue_many(&[Step { n: 1 }, Step { n: 2 }]).unwrap();
    while backlog.counts().cancelled < 2 {
        std::thread::yield_now();
    }
    workers.stop(LONG).unwrap();
    assert!(ids.iter().all(|job| backlog.inspect(job.id).unwrap() == Status::Finished));
    backlog.close().unwrap();
}

#[test]
fn a_step_that_is_done_is_not_run_again_by_later_attempts_and_its_value_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let told = say.clone();
    let workers = backlog
        .workers()
        .handle(move |job: Step, cx: Context| {
            let payment: u32 = cx.step("charge", || {
                say.send(("charge", cx.attempt()))?;
                Ok(job.n + 1)
            })?;
            cx.progress(50, format!("paid {payment}"))?;
            if cx.attempt() == 1 {
                cx.checkpoint(b"half way")?;
                return Err(Failure::new("the mail server is down"));
            }
            assert_eq!(cx.last_checkpoint()?.as_deref(), Some(&b"half way"[..]));
            say.send(("receipt", payment))?;
            Ok(())
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = backlog.enqueue(&Step { n: 41 }).unwrap().id;
    let said: Vec<_> = hear.iter().take(2).collect();
    assert_eq!(said, [("charge", 1), ("receipt", 42)]);
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.progress(id).unwrap(), None, "it has ended, and what it kept with it");
    let mut dump = Vec::new();
    backlog.dump(&mut dump).unwrap();
    assert!(!String::from_utf8(dump).unwrap().contains("\"cell\":7"));
    drop(told);
    backlog.close().unwrap();
}

#[test]
fn steps_checkpoints_and_progress_are_there_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let backlog = open(dir.path());
        let workers = backlog
            .workers()
            .handle_async(|job: Step, cx: Context| async move {
                let doubled: u32 = cx.step_async("double", async { Ok(job.n * 2) }).await?;
                cx.checkpoint(&doubled.to_be_bytes())?;
                cx.progress(101, "waits")?;
                Ok(Outcome::Snooze(Duration::from_secs(3600)))
            })
            .concurrency(1)
            .start()
            .unwrap();
        let id = backlog.enqueue(&Step { n: 21 }).unwrap().id;
        while backlog.counts().total().scheduled == 0 {
            std::thread::yield_now();
        }
        workers.stop(LONG).unwrap();
        backlog.close().unwrap();
        id
    };
    let backlog = open(dir.path());
    let progress = backlog.progress(id).unwrap().unwrap();
    assert_eq!((progress.percent, progress.text.as_str()), (100, "waits"));
    assert_eq!(backlog.requeue(id).unwrap(), Requeued::Done);
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |_: Step, cx: Context| {
            let doubled: u32 = cx.step("double", || Err(Failure::new("it runs again")))?;
            say.send((doubled, cx.last_checkpoint()?))?;
            let unread: Result<String, Failure> = cx.step("double", || Ok(String::new()));
            assert!(unread.unwrap_err().to_string().contains("is not of this type"));
            Ok(())
        })
        .concurrency(1)
        .start()
        .unwrap();
    assert_eq!(hear.recv_timeout(LONG).unwrap(), (42, Some(42_u32.to_be_bytes().to_vec())));
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.counts().completed, 1);
    backlog.close().unwrap();
}

#[test]
fn a_context_that_outlives_its_run_keeps_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path());
    let (say, hear) = channel();
    let workers =
        backlog.workers().handle(move |_: Step, cx: Context| Ok(say.send(cx)?)).concurrency(1).start().unwrap();
    backlog.enqueue(&Step { n: 1 }).unwrap();
    let late = hear.recv_timeout(LONG).unwrap();
    workers.stop(LONG).unwrap();
    let refused = late.checkpoint(b"late").unwrap_err();
    assert!(refused.to_string().contains("no longer this run's"), "{refused}");
    assert!(late.step("", || Ok(())).unwrap_err().to_string().contains("name of a step is empty"));
    backlog.close().unwrap();
}
