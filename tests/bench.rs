//! Promises of the helpers with which users test their programs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use backlog::testing::{self, Bench, Call, CrashMode, Fault, RunEnd};
use backlog::{
    Backoff, Codec, Context, ErrorKind, Failure, Job, JobBuilder, Limits, Options, Outcome, Phase, Status,
    WorkersBuilder,
};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Charge {
    sale: u64,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
    const ALIASES: &'static [&'static str] = &["bill"];
    const BACKOFF: Backoff = Backoff::Fixed { delay: MINUTE };
    const MAX_ATTEMPTS: u32 = 3;
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    sale: u64,
}

impl Job for Receipt {
    const KIND: &'static str = "receipt";
}

fn failing(bench: &Bench) -> WorkersBuilder {
    bench.workers().handle(|job: Charge, cx: Context| -> Result<(), Failure> {
        Err(Failure::new(format!("sale {} attempt {}", job.sale, cx.attempt())))
    })
}

/// What an assertion says when it fails.
fn said(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it should have failed");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn a_drain_runs_what_is_due_in_order_and_says_how_each_ended() {
    let bench = testing::backlog();
    let workers = bench.workers().handle(|job: Charge, cx: Context| -> Result<Outcome, Failure> {
        Ok(match job.sale {
            0 => Outcome::Done,
            1 => return Err(Failure::new("declined")),
            2 => Outcome::Snooze(MINUTE),
            3 if cx.metadata().is_empty() => Outcome::Bury("fraud".into()),
            4 => Outcome::Cancel,
            5 => panic!("at the disco"),
            _ => return Err(Failure::new("no more").bury()),
        })
    });
    bench.enqueue_many(&(0..7).map(|sale| Charge { sale }).collect::<Vec<_>>()).unwrap();
    let unknown = bench.enqueue_raw("unknown", vec![1], Codec::Raw).unwrap().id;
    let last = bench.job(&Charge { sale: 1 }).max_attempts(1).priority(-1).enqueue().unwrap().id;
    let drained = bench.drain(workers).unwrap();
    let later = bench.now() + MINUTE;
    let ends: Vec<RunEnd> = drained.runs.iter().map(|run| run.end.clone()).collect();
    assert_eq!(
        ends,
        [
            RunEnd::Completed,
            RunEnd::Failed { error: "declined".into(), retry_at: later },
            RunEnd::Snoozed { until: later },
            RunEnd::Dead { why: "fraud".into() },
            RunEnd::Cancelled,
            RunEnd::Failed { error: "panicked: at the disco".into(), retry_at: later },
            RunEnd::Dead { why: "no more".into() },
            RunEnd::Parked { why: "no handler for kind=\"unknown\" in this program".into() },
            RunEnd::Dead { why: "declined".into() },
        ]
    );
    assert_eq!((drained.runs[7].id, drained.runs[8].id), (unknown, last));
    assert_eq!((drained.len(), drained.completed(), drained.failed(), drained.of::<Charge>().count()), (9, 1, 5, 8));
    let told = said(|| drop(drained.clone().all_completed()));
    assert!(told.contains("runs=9") && told.contains("attempt 1: failed, to be tried again: declined"), "{told}");
}

#[test]
fn a_drain_runs_follow_ups_too_and_leaves_what_is_due_later() {
    let bench = testing::backlog();
    let workers = || {
        bench
            .workers()
            .handle(|job: Charge, _| Ok(Outcome::DoneThen(vec![JobBuilder::new(&Receipt { sale: job.sale })])))
            .handle(|_: Receipt, _| Ok(()))
    };
    bench.enqueue(&Charge { sale: 1 }).unwrap();
    bench.enqueue_in(MINUTE, &Charge { sale: 2 }).unwrap();
    let drained = bench.drain(workers()).unwrap().all_completed();
    assert_eq!(drained.runs.iter().map(|run| run.kind.as_str()).collect::<Vec<_>>(), ["charge", "receipt"]);
    assert_eq!(bench.enqueued::<Charge>(), [Charge { sale: 2 }]);
    bench.advance(Duration::from_millis(59_999)).unwrap();
    assert!(bench.drain(workers()).unwrap().is_empty());
    bench.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(bench.drain(workers()).unwrap().completed(), 2);
}

#[test]
fn what_becomes_due_by_the_clock_alone_is_drained() {
    let bench = testing::backlog();
    bench.enqueue_in(MINUTE, &Charge { sale: 2 }).unwrap();
    bench.clock().advance(MINUTE);
    assert_eq!(bench.drain(bench.workers().handle(|_: Charge, _| Ok(()))).unwrap().completed(), 1);
}

#[test]
fn what_is_due_takes_its_place_in_line_and_what_becomes_due_meanwhile_is_drained_too() {
    let bench = testing::backlog();
    bench.enqueue_in(MINUTE, &Charge { sale: 1 }).unwrap();
    bench.clock().advance(MINUTE);
    bench.enqueue(&Charge { sale: 2 }).unwrap();
    bench.enqueue_in(MINUTE, &Charge { sale: 3 }).unwrap();
    bench.enqueue_in(10 * MINUTE, &Charge { sale: 4 }).unwrap();
    let clock = std::sync::Arc::clone(bench.clock());
    let slow = bench.workers().handle(move |_: Charge, _| {
        clock.advance(MINUTE);
        Ok(())
    });
    let ids: Vec<u64> = bench.drain(slow).unwrap().runs.iter().map(|run| run.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn drain_all_moves_the_clock_until_every_job_has_ended() {
    let bench = testing::backlog();
    let began = bench.now();
    bench.enqueue_in(MINUTE, &Charge { sale: 1 }).unwrap();
    let drained = bench.drain_all(failing(&bench)).unwrap();
    let attempts: Vec<u32> = drained.runs.iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(drained.runs[2].end, RunEnd::Dead { why: "sale 1 attempt 3".into() });
    assert_eq!(bench.now().duration_since(began).unwrap(), 3 * MINUTE);
}

#[test]
fn drain_all_moves_the_clock_for_the_tokens_of_a_limit_too() {
    let bench = testing::backlog();
    bench.limit("default", Limits::new().rate(2, MINUTE)).unwrap();
    bench.enqueue_many(&[0, 1, 2, 3, 4].map(|sale| Charge { sale })).unwrap();
    let began = bench.now();
    let drained = bench.drain_all(bench.workers().handle(|_: Charge, _| Ok(()))).unwrap();
    assert_eq!(drained.all_completed().len(), 5);
    assert_eq!(
        bench.now().duration_since(began).unwrap(),
        MINUTE + MINUTE / 2,
        "two at once, then one each half minute"
    );
}

#[test]
fn a_drain_of_named_queues_leaves_the_others() {
    let bench = testing::backlog();
    bench.enqueue_all(["mail", "billing"].map(|queue| JobBuilder::new(&Charge { sale: 1 }).queue(queue))).unwrap();
    let drained = bench.drain(bench.workers().handle(|_: Charge, _| Ok(())).queues(["mail"])).unwrap();
    assert_eq!((drained.len(), drained.runs[0].queue.as_str()), (1, "mail"));
    bench.assert_enqueued::<Charge>().queue("billing").count(1);
}

#[test]
fn jobs_that_come_back_for_ever_end_the_drain_with_an_error() {
    let bench = testing::backlog();
    bench.enqueue(&Charge { sale: 1 }).unwrap();
    let again = bench
        .workers()
        .handle(|job: Charge, _| Ok(Outcome::DoneThen(vec![JobBuilder::new(&Charge { sale: job.sale + 1 })])));
    let error = bench.drain(again).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("runs=10000"), "{error}");
}

#[test]
fn a_bench_has_no_threads_and_says_so_to_who_starts_some() {
    let bench = testing::backlog();
    let refused = failing(&bench).start().unwrap_err();
    assert!(refused.to_string().contains("drain()"), "{refused}");
}

#[test]
fn run_inline_gives_the_handlers_answer_and_enqueues_nothing() {
    let bench = testing::backlog();
    let follow = |job: Charge, cx: Context| -> Result<Outcome, Failure> {
        assert_eq!((cx.attempt(), cx.queue(), cx.kind()), (1, "default", "charge"));
        let sale = cx.step("charge", || Ok(job.sale + 1))?;
        assert_eq!(cx.step("charge", || -> Result<u64, Failure> { panic!("done already") })?, sale);
        Ok(Outcome::DoneThen(vec![JobBuilder::new(&Receipt { sale })]))
    };
    let Outcome::DoneThen(then) = bench.run_inline(&Charge { sale: 7 }, follow).unwrap() else { panic!("it follows") };
    assert_eq!(then.len(), 1);
    let failed = bench.run_inline(&Charge { sale: 7 }, |_, _| -> Result<(), Failure> { Err(Failure::new("declined")) });
    assert_eq!(failed.unwrap_err().to_string(), "declined");
    let told = said(|| {
        let _ = bench.run_inline(&Charge { sale: 7 }, |job, _| -> Result<(), Failure> { panic!("not {job:?}") });
    });
    assert_eq!(told, "not Charge { sale: 7 }");
    assert_eq!(bench.counts().enqueued, 0);
}

#[test]
fn assertions_see_what_waits_and_narrow_it_down() {
    let bench = testing::backlog();
    bench.assert_not_enqueued::<Charge>();
    bench.job(&Charge { sale: 7 }).queue("billing").priority(3).delay(MINUTE).tag("vip").enqueue().unwrap();
    bench.enqueue(&Charge { sale: 8 }).unwrap();
    bench.enqueue_raw("bill", br#"{"sale":9}"#.to_vec(), Codec::Json).unwrap();
    let found = bench
        .assert_enqueued::<Charge>()
        .count(3)
        .args(|job| job.sale == 7)
        .queue("billing")
        .priority(3)
        .at(bench.now() + MINUTE)
        .which(|info| info.tags == ["vip"])
        .count(1);
    assert_eq!((found.jobs()[0].args.sale, found.jobs()[0].info.phase), (7, Phase::Scheduled));
    assert_eq!(bench.enqueued::<Charge>().iter().map(|job| job.sale).collect::<Vec<_>>(), [7, 8, 9]);
    bench.assert_not_enqueued::<Receipt>();
    bench.assert_not_enqueued_with::<Charge>(|job| job.sale == 6);
    let _ = bench.drain(bench.workers().handle(|_: Charge, _| Ok(Outcome::Bury("no".into())))).unwrap();
    bench.assert_enqueued::<Charge>().count(1);
}

#[test]
fn an_assertion_that_fails_says_what_was_expected_and_what_stands_there() {
    let bench = testing::backlog();
    bench.job(&Charge { sale: 7 }).delay(MINUTE).enqueue().unwrap();
    let stands = "there stand jobs=1\n  job 1 \"charge\" queue=\"default\" scheduled at now+60.000s args={\"sale\":7}";
    let none = |expected: &str| format!("expected a job of kind={expected}, but there is none\n{stands}");
    assert_eq!(said(|| drop(bench.assert_enqueued::<Receipt>())), none("\"receipt\""));
    let charge = || bench.assert_enqueued::<Charge>();
    assert_eq!(said(|| drop(charge().queue("mail"))), none("\"charge\" queue=\"mail\""));
    assert_eq!(said(|| drop(charge().args(|job| job.sale == 1))), none("\"charge\" with args as asked for"));
    assert_eq!(said(|| drop(charge().at(bench.now()))), none("\"charge\" scheduled at now+0.000s"));
    assert_eq!(
        said(|| drop(charge().queue("default").count(2))),
        format!("expected 2 × a job of kind=\"charge\" queue=\"default\", but found=1\n{stands}")
    );
    assert_eq!(
        said(|| bench.assert_not_enqueued::<Charge>()),
        format!("expected no such job of kind=\"charge\", but found=1\n{stands}")
    );
}

#[test]
fn the_same_test_does_the_same_twice_and_benches_share_nothing() {
    let story = || {
        let bench = Bench::with(Options::new().segment_bytes(1 << 20), 7).unwrap();
        let id = bench.job(&Charge { sale: 1 }).backoff(Backoff::Default).max_attempts(6).enqueue().unwrap().id;
        let drained = bench.drain_all(failing(&bench)).unwrap();
        (id, drained, bench.now(), bench.disk().trace())
    };
    let (first, second) = (story(), story());
    assert_eq!(first, second);
    assert_eq!(first.1.len(), 6);
}

#[test]
fn a_full_disk_refuses_new_work_and_lets_the_accepted_jobs_end() {
    let bench = testing::backlog();
    bench.enqueue(&Charge { sale: 1 }).unwrap();
    bench.fill_disk().unwrap();
    assert_eq!(bench.enqueue(&Charge { sale: 2 }).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(bench.drain(bench.workers().handle(|_: Charge, _| Ok(()))).unwrap().completed(), 1);
    bench.assert_not_enqueued::<Charge>();
    bench.free_disk().unwrap();
    bench.enqueue(&Charge { sale: 2 }).unwrap();
    assert_eq!(bench.counts().total().live(), 1);
}

#[test]
fn a_disk_that_fails_poisons_the_backlog_and_the_next_process_finds_what_was_accepted() {
    let mut bench = testing::backlog();
    let kept = bench.enqueue(&Charge { sale: 1 }).unwrap().id;
    bench.fail_disk(0, Fault::eio().on(&[Call::SyncData]));
    assert_eq!(bench.enqueue(&Charge { sale: 2 }).unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(bench.enqueue(&Charge { sale: 3 }).unwrap_err().kind(), ErrorKind::Poisoned);
    bench.crash(CrashMode::DropUnsynced).unwrap();
    assert_eq!(bench.enqueued::<Charge>(), [Charge { sale: 1 }]);
    let lease = bench.queue("default").claim().unwrap().unwrap();
    assert_eq!((lease.id(), lease.attempt()), (kept, 1));
    bench.crash(CrashMode::KeepAll).unwrap();
    let Status::Live(job) = bench.inspect(kept).unwrap() else { panic!("it was accepted") };
    assert_eq!((job.phase, job.attempts, job.crashes), (Phase::Ready, 1, 1));
    assert_eq!(bench.drain(bench.workers().handle(|_: Charge, _| Ok(()))).unwrap().completed(), 1);
}
