//! Async handlers, on the threads of the pool and on executors.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::ids::Phase;
use crate::job::ErrorCause;
use crate::worker::{BoxFuture, Context, Failure, Outcome, WorkersBuilder};

/// Not ready at first, woken from another thread.
fn later() -> impl Future<Output = ()> + Send {
    let mut asked = false;
    poll_fn(move |cx| {
        if asked {
            return Poll::Ready(());
        }
        asked = true;
        let waker = cx.waker().clone();
        std::thread::spawn(move || waker.wake());
        Poll::Pending
    })
}

async fn handler(job: Add, cx: Context) -> Result<Outcome, Failure> {
    later().await;
    assert!(job.n != 1, "number one");
    later().await;
    match job.n {
        0 => Ok(Outcome::Done),
        2 => Err(Failure::new("two")),
        3 => Ok(Outcome::Bury(format!("attempt {}", cx.attempt()))),
        4 => Ok(Outcome::Cancel),
        _ => pending().await,
    }
}

/// Says when it is dropped.
struct Dropped(Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

/// Every kind of end, the same wherever the future is polled.
fn ends_as_it_says(name: &str, on: impl Fn(WorkersBuilder) -> WorkersBuilder) {
    let store = Twin::new();
    let pool = on(workers(&store)).handle_async(handler).concurrency(3).start().unwrap();
    let ids: Vec<u64> = (0..5).map(|n| store.add("add", &format!(r#"{{"n":{n}}}"#))).collect();
    let unreadable = store.add("plus", "{}");
    let panicked = store.until_phase(ids[1], Phase::Scheduled);
    assert_eq!(panicked.errors[0].message, "panicked: number one", "{name}");
    assert_eq!(panicked.errors[0].kind, ErrorCause::Panicked, "{name}");
    assert_eq!(store.until_phase(ids[2], Phase::Scheduled).errors[0].message, "two", "{name}");
    assert_eq!(store.until_phase(ids[3], Phase::Dead).reason.as_deref(), Some("attempt 1"), "{name}");
    store.until_phase(unreadable, Phase::Parked);
    store.until(|held| held.ended.contains(&ids[0]) && held.ended.contains(&ids[4]));
    let stopped = pool.stop(LONG).unwrap();
    assert_eq!(stopped.still_running, 0, "{name}");
}

#[test]
fn async_handlers_end_alike_on_own_threads_tokio_and_smol() {
    ends_as_it_says("own threads", |workers| workers);
    ends_as_it_says("smol", |workers| workers.spawner(|future| smol::spawn(future).detach()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    ends_as_it_says("tokio", |workers| runtime.block_on(async { workers.tokio() }));
}

#[test]
fn what_tokio_offers_works_in_a_handler() {
    let store = Twin::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let builder = runtime.block_on(async { workers(&store).tokio() });
    let pool = builder
        .handle_async(|_: Add, _| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        })
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":0}"#);
    store.until(|held| held.ended == [id]);
    pool.stop(LONG).unwrap();
}

#[test]
fn without_a_tokio_runtime_the_pool_does_not_start_and_says_why() {
    let refused = workers(&Twin::new()).tokio().handle_async(handler).start().unwrap_err();
    assert!(refused.to_string().contains("no tokio runtime here"), "{refused}");
}

#[test]
fn at_its_timeout_a_future_is_dropped_and_the_attempt_has_failed() {
    for on_smol in [false, true] {
        let store = Twin::new();
        let (gone, dropped) = channel();
        let (started, running) = channel();
        let builder = workers(&store).handle_async(move |_: Add, cx: Context| {
            let guard = Dropped(gone.clone());
            started.send(cx).unwrap();
            async move {
                pending::<()>().await;
                drop(guard);
                Ok(())
            }
        });
        let builder = if on_smol { builder.spawner(|future| smol::spawn(future).detach()) } else { builder };
        let pool = builder.concurrency(1).start().unwrap();
        let id = store.add_with("add", r#"{"n":0}"#, |job| job.timeout_ms = Some(50));
        let cx = running.recv_timeout(LONG).unwrap();
        assert!(!cx.is_cancelled() && cx.time_left() == Some(Duration::from_millis(50)));
        store.advance(Duration::from_millis(50));
        dropped.recv_timeout(LONG).expect("the future is dropped");
        assert!(cx.is_cancelled() && cx.time_left() == Some(Duration::ZERO));
        let job = store.until_phase(id, Phase::Scheduled);
        assert_eq!(job.errors[0].kind, ErrorCause::TimedOut);
        assert_eq!(job.errors[0].message, "stopped at its timeout of 50ms");
        pool.stop(LONG).unwrap();
    }
}

#[test]
fn an_executor_that_drops_a_run_gives_the_job_back_and_no_attempt_is_spent() {
    let store = Twin::new();
    let (first, rest) = (std::sync::atomic::AtomicBool::new(true), channel());
    let pool = workers(&store)
        .spawner(move |future| {
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                drop(future);
            } else {
                smol::spawn(future).detach();
            }
        })
        .handle_async(move |_: Add, cx: Context| {
            let told = rest.0.send(cx.attempt());
            async move { Ok(told?) }
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":0}"#);
    store.until(|held| held.ended == [id]);
    assert_eq!(rest.1.try_iter().collect::<Vec<_>>(), [1, 1]);
    pool.stop(LONG).unwrap();
}

/// Panics when it is dropped.
struct Spiteful;

impl Future for Spiteful {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        panic!("not without a word");
    }
}

#[test]
fn a_spawner_or_a_future_that_panics_harms_only_its_own_run() {
    let store = Twin::new();
    let pool = workers(&store)
        .handle_async(|_: Add, _| async {
            Spiteful.await;
            Ok(())
        })
        .concurrency(1)
        .start()
        .unwrap();
    let id = store.add("add", r#"{"n":0}"#);
    assert_eq!(store.until_phase(id, Phase::Scheduled).errors[0].message, "panicked: not without a word");
    pool.stop(LONG).unwrap();

    let store = Twin::new();
    let spawn: Arc<dyn Fn(BoxFuture) + Send + Sync> = Arc::new(|_| panic!("no room"));
    let pool = workers(&store).spawner(move |future| spawn(future)).handle_async(handler).start().unwrap();
    let id = store.add("add", r#"{"n":0}"#);
    let back = |held: &super::twin::Held| held.jobs.get(&id).is_some_and(|(job, _)| job.yields > 0);
    store.until(back);
    assert_eq!(store.job(id).attempts, 0);
    pool.stop(LONG).unwrap();
}
