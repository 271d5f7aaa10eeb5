//! Seeing jobs go and come back: results, waiting, history, events, hooks.

use std::sync::mpsc::channel;
use std::time::Duration;

use backlog::limits::CELL_BYTES_MAX;
use backlog::{
    Backlog, Context, Done, Ending, ErrorCause, ErrorKind, Failure, Job, JobBuilder, JobId, Outcome, Phase, Status,
    Waited, What,
};
use serde::{Deserialize, Serialize};

use crate::{LONG, home, letter, live};

/// Answers with so many bytes.
#[derive(Serialize, Deserialize)]
struct Ask {
    bytes: usize,
}

impl Job for Ask {
    const KIND: &'static str = "ask";
    const KEEP_RESULT: Option<Duration> = Some(Duration::from_secs(3600));
    const MAX_ATTEMPTS: u32 = 1;
}

fn answer(Ask { bytes }: Ask, _: Context) -> Result<Outcome, Failure> {
    match bytes {
        0 => Err(Failure::new("nothing to say")),
        1 => Ok(Outcome::Done),
        n => Ok(Outcome::done_with(&"x".repeat(n - 2))),
    }
}

fn finished(waited: Waited) -> backlog::Finished {
    match waited {
        Waited::Finished(finished) => *finished,
        other => panic!("it is {other:?}"),
    }
}

#[test]
fn who_waits_for_a_job_gets_its_result_from_a_thread_and_from_a_task() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&Ask { bytes: 5 }).unwrap().id;
    assert_eq!(backlog.wait(id, Duration::ZERO).unwrap(), Waited::TimedOut);
    let waiting = backlog.wait_async(id);
    let mut dropped = backlog.wait_async(id);
    assert!(smol::block_on(smol::future::poll_once(&mut dropped)).is_none());
    drop(dropped);
    let workers = backlog.workers().handle(answer).concurrency(1).start().unwrap();
    let told = finished(backlog.wait(id, LONG).unwrap());
    assert_eq!(told.result::<String>().unwrap().as_deref(), Some("xxx"));
    assert_eq!(told.result::<u64>().unwrap_err().kind(), ErrorKind::Invalid);
    let past = told.details.as_ref().unwrap();
    assert_eq!((&*past.kind, past.how, past.attempts), ("ask", Ending::Completed, 1));
    assert_eq!(finished(smol::block_on(waiting).unwrap()), told);
    assert_eq!(backlog.result::<String>(id).unwrap().as_deref(), Some("xxx"));
    assert_eq!(backlog.history().first(), Some(past));
    assert!(!format!("{told:?}").contains("xxx"), "what a job returned is shown to nobody by chance");
    workers.stop(LONG).unwrap();
}

#[test]
fn a_result_outlives_the_process_and_what_is_not_remembered_is_said_to_be_gone() {
    let home = home();
    let (kept, plain) = {
        let backlog = home.open();
        let kept = backlog.enqueue(&Ask { bytes: 4 }).unwrap().id;
        let plain = backlog.enqueue(&letter("Ada")).unwrap().id;
        let queue = backlog.queue("default");
        queue.claim().unwrap().unwrap().complete(Done::with(&"hi")).unwrap();
        queue.claim().unwrap().unwrap().complete(Done::with(&"unheard")).unwrap();
        assert_eq!(backlog.result::<String>(plain).unwrap(), None, "it asked for none to be kept");
        backlog.close().unwrap();
        (kept, plain)
    };
    let backlog = home.open();
    assert_eq!(backlog.history(), []);
    let (kept, plain) = (finished(backlog.wait(kept, LONG).unwrap()), finished(backlog.wait(plain, LONG).unwrap()));
    assert_eq!((&kept.details, kept.is_completed()), (&None, true));
    assert_eq!(kept.result::<String>().unwrap().as_deref(), Some("hi"));
    assert_eq!((&plain.details, plain.is_completed()), (&None, false));
    assert_eq!(backlog.wait(JobId(u64::MAX), LONG).unwrap(), Waited::Unknown);
}

#[test]
fn a_result_with_follow_ups_is_one_commit_and_lasts_as_long_as_the_call_said() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let id = backlog.job(&letter("Ada")).keep_result(Duration::from_secs(60)).enqueue().unwrap().id;
    let done = Done::with(&7).then([JobBuilder::new(&letter("Bob")).queue("second")]);
    backlog.queue("default").claim().unwrap().unwrap().complete(done).unwrap();
    assert_eq!(backlog.queue("second").counts().ready, 1);
    assert_eq!(backlog.result::<u8>(id).unwrap(), Some(7));
    clock.advance(Duration::from_secs(60));
    assert_eq!(backlog.result::<u8>(id).unwrap(), None);
}

#[test]
fn a_result_beyond_its_limit_is_a_failed_attempt_that_says_so_and_at_the_limit_it_is_kept() {
    let home = home();
    // In small segments a frame of this length does not fit.
    let backlog = home.open_full_size();
    let workers = backlog.workers().handle(answer).concurrency(1).start().unwrap();
    let [most, more] = [CELL_BYTES_MAX, CELL_BYTES_MAX + 1].map(|bytes| backlog.enqueue(&Ask { bytes }).unwrap().id);
    assert_eq!(
        finished(backlog.wait(most, LONG).unwrap()).result::<String>().unwrap().unwrap().len(),
        CELL_BYTES_MAX - 2
    );
    let Waited::Dead(job) = backlog.wait(more, LONG).unwrap() else { panic!("its one attempt failed") };
    let said = format!("result of {} bytes, kind=\"ask\": the limit is {CELL_BYTES_MAX} bytes", CELL_BYTES_MAX + 1);
    assert!(job.errors[0].contains(&said), "{:?}", job.errors);
    workers.stop(LONG).unwrap();
    let again = backlog.enqueue(&Ask { bytes: 1 }).unwrap().id;
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let refused = lease.complete(Done::with(&"x".repeat(CELL_BYTES_MAX))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    refused.into_lease().complete(Done::new()).unwrap();
    assert!(backlog.wait(again, LONG).unwrap().is_completed());
}

#[test]
fn a_job_that_dies_is_over_for_who_waits_and_a_parked_one_is_not() {
    let home = home();
    let backlog = home.open();
    let dead = backlog.enqueue(&Ask { bytes: 0 }).unwrap().id;
    let parked = backlog.enqueue(&letter("nobody")).unwrap().id;
    let workers = backlog.workers().handle(answer).concurrency(1).start().unwrap();
    let Waited::Dead(job) = backlog.wait(dead, LONG).unwrap() else { panic!("it is dead") };
    assert_eq!((job.phase, job.errors[0].as_str()), (Phase::Dead, "nothing to say"));
    let over = backlog.wait_async(parked);
    workers.stop(LONG).unwrap();
    assert_eq!(backlog.wait(parked, Duration::ZERO).unwrap(), Waited::TimedOut);
    backlog.cancel(parked).unwrap();
    assert_eq!(finished(smol::block_on(over).unwrap()).details.unwrap().how, Ending::Cancelled);
}

#[test]
fn who_waits_while_the_backlog_is_closed_is_told() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("Ada")).unwrap().id;
    let mut waiting = backlog.wait_async(id);
    assert!(smol::block_on(smol::future::poll_once(&mut waiting)).is_none());
    backlog.close().unwrap();
    assert_eq!(smol::block_on(waiting).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn the_hooks_of_a_pool_hear_what_becomes_of_every_job() {
    let home = home();
    let backlog = home.open();
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .on(move |event| say.send((event.job, event.what)).unwrap())
        .handle(answer)
        .concurrency(1)
        .start()
        .unwrap();
    let good = backlog.enqueue(&Ask { bytes: 1 }).unwrap().id;
    let bad = backlog.enqueue(&Ask { bytes: 0 }).unwrap().id;
    backlog.wait(good, LONG).unwrap();
    backlog.wait(bad, LONG).unwrap();
    workers.stop(LONG).unwrap();
    let heard: Vec<_> = hear.try_iter().collect();
    let of = |id| heard.iter().filter(|(job, _)| *job == Some(id)).map(|(_, what)| *what).collect::<Vec<_>>();
    let enqueued = What::Enqueued { phase: Phase::Ready };
    let started = What::Started { attempt: 1 };
    assert!(
        matches!(of(good)[..], [first, second, What::Completed { attempt: 1, .. }] if [first, second] == [enqueued, started])
    );
    let failed = What::Failed { attempt: 1, cause: ErrorCause::Failed };
    assert_eq!(of(bad), [enqueued, started, failed, What::Died { attempts: 1 }]);
}

#[test]
fn a_blocking_run_hears_of_its_cancel_and_of_its_timeout_and_so_does_a_future_it_waits_for() {
    let home = home();
    let backlog = home.open();
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |job: Ask, cx: Context| {
            say.send(job.bytes)?;
            match job.bytes {
                0 => assert!(cx.wait_cancelled(LONG)),
                _ => smol::block_on(cx.cancelled()),
            }
            Err::<(), _>(Failure::new("stopped"))
        })
        .concurrency(2)
        .start()
        .unwrap();
    let ask = |bytes| backlog.job(&Ask { bytes });
    for timed in [ask(0), ask(1)] {
        let id = timed.timeout(Duration::from_millis(1)).enqueue().unwrap().id;
        assert!(matches!(backlog.wait(id, LONG).unwrap(), Waited::Dead(_)), "its time is over");
        hear.recv_timeout(LONG).unwrap();
    }
    for cancelled in [ask(0), ask(1)] {
        let id = cancelled.enqueue().unwrap().id;
        hear.recv_timeout(LONG).unwrap();
        backlog.cancel(id).unwrap();
        let past = finished(backlog.wait(id, LONG).unwrap()).details.unwrap();
        assert_eq!(past.how, Ending::Cancelled);
    }
    workers.stop(LONG).unwrap();
}

fn dies(backlog: &Backlog) -> JobId {
    let id = backlog.enqueue(&letter("Ada")).unwrap().id;
    backlog.queue("default").claim().unwrap().unwrap().bury("no").unwrap();
    id
}

#[test]
fn rule_19_dead_jobs_go_after_the_time_the_program_says_and_are_counted() {
    let home = home();
    let clock = std::sync::Arc::new(backlog::testing::ManualClock::new(1_700_000_000_000));
    let open = |keep| {
        let parts =
            backlog::testing::Parts { clock: clock.clone(), ..backlog::testing::Parts::real(&home.path).unwrap() };
        Backlog::builder().segment_bytes(1 << 20).keep_dead(keep).open_parts(parts).unwrap()
    };
    let backlog = open(Duration::MAX);
    let id = dies(&backlog);
    clock.advance(Duration::from_secs(1_000 * 24 * 3600));
    assert_eq!(live(&backlog, id).phase, Phase::Dead);
    backlog.close().unwrap();
    let backlog = open(Duration::from_secs(60));
    // Upkeep sees to it by itself; who waits is told.
    let waited = backlog.events();
    while backlog.counts().pruned == 0 {
        std::thread::yield_now();
    }
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
    assert_eq!(waited.try_recv(), None, "a pruned job is counted, not told");
}
