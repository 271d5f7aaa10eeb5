//! Putting jobs in.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime};

use backlog::limits::{
    ATTEMPTS_MAX, BATCH_JOBS_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, TAGS_MAX,
};
use backlog::{
    Acceptance, Backlog, Backoff, Codec, Detached, Durability, Enqueued, ErrorKind, Filter, Job, JobBuilder, Lease,
    OnConflict, Phase, Result, Unique,
};
use serde::Serialize;

use crate::{Letter, home, letter, live};

#[test]
fn a_job_keeps_everything_it_asked_for_over_a_restart() {
    let home = home();
    let backlog = home.open();
    let id = backlog
        .job(&letter("Ada"))
        .queue("post")
        .priority(-7)
        .unique("ada")
        .max_attempts(3)
        .backoff(Backoff::Fixed { delay: Duration::from_secs(9) })
        .tag("paper")
        .tag("slow")
        .metadata("trace", "t-1")
        .durability(Durability::Buffered)
        .enqueue()
        .unwrap()
        .id;
    backlog.close().unwrap();
    let backlog = home.open();
    let job = live(&backlog, id);
    assert_eq!((job.kind.as_str(), job.queue.as_str(), job.priority, job.max_attempts), ("letter", "post", -7, 3));
    assert_eq!((job.phase, job.attempts, job.unique.as_deref()), (Phase::Ready, 0, Some("ada")));
    assert_eq!(job.tags, ["paper", "slow"]);
    assert_eq!(job.metadata, [("trace".to_owned(), "t-1".to_owned())]);
    let lease = backlog.queue("post").claim().unwrap().unwrap();
    assert_eq!(lease.args::<Letter>().unwrap(), letter("Ada"));
    assert_eq!(lease.metadata(), job.metadata);
    lease.ack().unwrap();
}

#[test]
fn what_the_type_says_holds_unless_the_enqueue_says_otherwise() {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        text: &'a str,
    }
    impl Job for Borrowed<'_> {
        const KIND: &'static str = "borrowed";
        const QUEUE: &'static str = "fast";
        const PRIORITY: i16 = 4;
        const MAX_ATTEMPTS: u32 = 2;
    }
    let home = home();
    let backlog = home.open();
    let text = String::from("not cloned");
    let job = live(&backlog, backlog.enqueue(&Borrowed { text: &text }).unwrap().id);
    assert_eq!((job.queue.as_str(), job.priority, job.max_attempts), ("fast", 4, 2));
    let job = live(&backlog, backlog.job(&Borrowed { text: &text }).queue("slow").priority(0).enqueue().unwrap().id);
    assert_eq!((job.queue.as_str(), job.priority, job.max_attempts), ("slow", 0, 2));
}

#[test]
fn a_job_is_not_claimable_before_its_time_and_is_when_it_has_come() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let queue = backlog.queue("default");
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.wall_ms());
    let later = backlog.enqueue_in(Duration::from_secs(60), &letter("in")).unwrap().id;
    let last = backlog.enqueue_at(now + Duration::from_secs(120), &letter("at")).unwrap().id;
    assert!(queue.claim().unwrap().is_none());
    assert_eq!(live(&backlog, later).phase, Phase::Scheduled);
    assert_eq!(live(&backlog, later).run_at, Some(now + Duration::from_secs(60)));
    for id in [later, last] {
        clock.advance(Duration::from_secs(60));
        let lease = queue.claim_timeout(crate::LONG).unwrap().unwrap();
        assert_eq!(lease.id(), id);
        assert!(queue.claim().unwrap().is_none());
        lease.ack().unwrap();
    }
}

#[test]
fn a_job_is_not_claimable_a_fraction_of_a_millisecond_before_its_time() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let due = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.wall_ms()) + Duration::from_micros(5_001);
    backlog.enqueue_at(due, &letter("then")).unwrap();
    clock.advance(Duration::from_millis(5));
    assert!(backlog.queue("default").claim().unwrap().is_none());
    clock.advance(Duration::from_millis(1));
    backlog.queue("default").claim_timeout(crate::LONG).unwrap().expect("it is due").ack().unwrap();
}

#[test]
fn a_time_that_has_passed_means_at_once() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue_at(SystemTime::UNIX_EPOCH, &letter("then")).unwrap().id;
    let lease = backlog.queue("default").claim_timeout(crate::LONG).unwrap().unwrap();
    assert_eq!(lease.id(), id);
    lease.ack().unwrap();
}

#[test]
fn many_jobs_are_accepted_together_and_come_in_their_order() {
    let home = home();
    let backlog = home.open();
    let letters: Vec<Letter> = (0..300).map(|n| letter(n.to_string())).collect();
    let accepted = backlog.enqueue_many(&letters).unwrap();
    assert!(accepted.windows(2).all(|pair| pair[0].id < pair[1].id));
    let mut claimed = Vec::new();
    while claimed.len() < letters.len() {
        for lease in backlog.queue("default").claim_many(70).unwrap() {
            claimed.push((lease.id(), lease.args::<Letter>().unwrap()));
            lease.ack().unwrap();
        }
    }
    let expected: Vec<_> = accepted.iter().map(|accepted| accepted.id).zip(letters).collect();
    assert_eq!(claimed, expected);
}

#[test]
fn a_batch_with_one_bad_job_leaves_no_trace() {
    let home = home();
    let backlog = home.open();
    let jobs = [JobBuilder::new(&letter("good")), JobBuilder::new(&letter("bad")).queue("")];
    assert_eq!(backlog.enqueue_all(jobs).expect_err("an empty name").kind(), ErrorKind::Invalid);
    assert_eq!(backlog.counts().enqueued, 0);
    assert!(backlog.list(&Filter::new()).unwrap().is_empty());
    assert!(backlog.enqueue_many(&Vec::<Letter>::new()).unwrap().is_empty());
}

#[test]
fn a_batch_mixes_kinds_queues_and_levels() {
    let home = home();
    let backlog = home.open();
    let jobs = [
        JobBuilder::new(&letter("a")).queue("one").durability(Durability::Buffered),
        JobBuilder::raw("bytes", vec![0, 255], Codec::Raw).queue("two"),
    ];
    let accepted = backlog.enqueue_all(jobs).unwrap();
    assert_eq!(accepted.len(), 2);
    let lease = backlog.queue("two").claim().unwrap().unwrap();
    assert_eq!((lease.kind(), lease.payload(), lease.codec()), ("bytes", &[0, 255][..], Codec::Raw));
    assert_eq!(lease.args::<Letter>().expect_err("another kind").kind(), ErrorKind::Invalid);
    lease.ack().unwrap();
}

#[test]
fn a_unique_key_keeps_a_second_job_out_while_the_first_is_live() {
    let home = home();
    let backlog = home.open();
    let enqueue = |key: &str| backlog.job(&letter("Ada")).unique(key).enqueue().unwrap();
    let first = enqueue("k");
    assert_eq!(first.acceptance, Acceptance::New);
    assert_eq!(enqueue("k").acceptance, Acceptance::Duplicate(first.id));
    assert_eq!(enqueue("k").id, first.id);
    assert!(enqueue("another").is_new());
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert!(!enqueue("k").is_new(), "it runs: still live");
    lease.ack().unwrap();
    assert!(enqueue("k").is_new());
    let batch = [JobBuilder::new(&letter("x")).unique("twice"), JobBuilder::new(&letter("y")).unique("twice")];
    let accepted: Vec<bool> = backlog.enqueue_all(batch).unwrap().iter().map(Enqueued::is_new).collect();
    assert_eq!(accepted, [true, false]);
}

#[test]
fn unique_by_its_args_means_the_same_bytes_and_a_policy_says_what_becomes_of_the_first() {
    let home = home();
    let backlog = home.open();
    let enqueue = |to: &str, unique: Unique| backlog.job(&letter(to)).unique(unique).enqueue().unwrap();
    let ada = enqueue("Ada", Unique::by_args());
    assert_eq!(enqueue("Ada", Unique::by_args()).acceptance, Acceptance::Duplicate(ada.id));
    assert!(enqueue("Bob", Unique::by_args()).is_new());
    let keyed = || Unique::key("one").until_started();
    let first = enqueue("first", keyed());
    let replaced = enqueue("second", keyed().on_conflict(OnConflict::Replace));
    assert_eq!(replaced.acceptance, Acceptance::Replaced(first.id));
    let (moved, later) = (keyed().on_conflict(OnConflict::Reschedule), Duration::from_secs(60));
    let moved = backlog.job(&letter("third")).unique(moved).delay(later).enqueue().unwrap();
    assert_eq!(moved.acceptance, Acceptance::Rescheduled(first.id));
    assert_eq!(live(&backlog, first.id).phase, Phase::Scheduled);
    assert_eq!(backlog.counts().enqueued, 3);
}

#[test]
fn a_job_that_nobody_reached_in_its_time_has_expired() {
    #[derive(Serialize)]
    struct Code;
    impl Job for Code {
        const KIND: &'static str = "code";
        const EXPIRES_IN: Option<Duration> = Some(Duration::from_secs(60));
    }
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    backlog.enqueue(&Code).unwrap();
    let longer = backlog.job(&Code).expires_in(Duration::from_secs(61)).enqueue().unwrap().id;
    let until = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.wall_ms() + 60_000);
    backlog.job(&letter("late")).expires_at(until).enqueue().unwrap();
    clock.advance(Duration::from_secs(60));
    let leases = backlog.queue("default").claim_many(9).unwrap();
    assert_eq!(leases.iter().map(Lease::id).collect::<Vec<_>>(), [longer]);
    while backlog.queue("default").claim().unwrap().is_some() {}
    assert_eq!(backlog.counts().expired, 2);
}

/// At the limit it is accepted, one beyond it is refused with the size and the limit in the message.
fn limit(backlog: &Backlog, what: &str, max: usize, job: impl Fn(usize) -> JobBuilder<Detached>) {
    backlog.enqueue_all([job(max)]).unwrap_or_else(|e| panic!("{what} at the limit: {e}"));
    let before = backlog.counts().enqueued;
    let error = backlog.enqueue_all([job(max + 1)]).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains(&format!("limit={max}")), "{error}");
    assert_eq!(backlog.counts().enqueued, before);
}

#[test]
fn every_size_is_accepted_at_its_limit_and_refused_one_beyond() {
    let home = home();
    let backlog = home.open_full_size();
    let job = || JobBuilder::new(&letter("x"));
    limit(&backlog, "kind", NAME_BYTES_MAX, |n| JobBuilder::raw(&"k".repeat(n), vec![], Codec::Raw));
    limit(&backlog, "queue", NAME_BYTES_MAX, |n| job().queue("q".repeat(n)));
    limit(&backlog, "unique", KEY_BYTES_MAX, |n| job().unique("u".repeat(n)));
    limit(&backlog, "tag", KEY_BYTES_MAX, |n| job().tag("t".repeat(n)));
    limit(&backlog, "tags", TAGS_MAX, |n| (0..n).fold(job(), |job, n| job.tag(n.to_string())));
    limit(&backlog, "metadata", METADATA_BYTES_MAX, |n| job().metadata("m", "m".repeat(n - 1)));
    limit(&backlog, "args", PAYLOAD_BYTES_MAX, |n| JobBuilder::raw("k", vec![7; n], Codec::Raw));
}

#[test]
fn a_batch_beyond_its_limits_is_refused_before_all_of_it_is_made() {
    let home = home();
    let backlog = home.open_full_size();
    let many = (0_usize..).map(|n| {
        assert!(n <= BATCH_JOBS_MAX, "an endless batch ends at the limit");
        JobBuilder::raw("k", vec![], Codec::Raw)
    });
    let error = backlog.enqueue_all(many).expect_err("too many jobs");
    assert!(error.to_string().contains("limit=100000"), "{error}");
    let large = (0_usize..).map(|n| {
        assert!(n <= 31, "an endless batch ends at the limit");
        JobBuilder::raw("k", vec![7; PAYLOAD_BYTES_MAX], Codec::Raw)
    });
    assert_eq!(backlog.enqueue_all(large).expect_err("too many bytes").kind(), ErrorKind::TooLarge);
    assert_eq!(backlog.counts().enqueued, 0);
}

#[test]
fn a_value_that_cannot_be_accepted_is_refused_by_name() {
    struct Unwritable;
    impl Job for Unwritable {
        const KIND: &'static str = "unwritable";
    }
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("on purpose"))
        }
    }
    let home = home();
    let backlog = home.open();
    let refused = |result: Result<Enqueued>, word: &str| {
        let error = result.expect_err(word);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    let x = letter("x");
    let job = || backlog.job(&x);
    refused(job().queue("").enqueue(), "queue name is empty");
    refused(job().queue("a\u{7}b").enqueue(), r#"control character: "a\u{7}b""#);
    refused(backlog.enqueue_raw("", vec![], Codec::Raw), "kind is empty");
    refused(backlog.enqueue_raw("k", vec![], Codec::Other(2)), "codec=2 is reserved");
    refused(job().unique("").enqueue(), "unique key is empty");
    refused(job().tag("").enqueue(), "tag is empty");
    refused(job().metadata("", "v").enqueue(), "metadata key is empty");
    refused(job().max_attempts(0).enqueue(), "max_attempts=0");
    refused(job().max_attempts(ATTEMPTS_MAX + 1).enqueue(), "max_attempts=1000001");
    let (soon, late) = (Duration::from_secs(1), Duration::from_secs(2));
    refused(job().delay(late).expires_in(soon).enqueue(), "would expire 1000 ms before it may start");
    refused(backlog.enqueue(&Unwritable), "on purpose");
    assert_eq!(backlog.counts().enqueued, 0);
}

/// The smallest executor: sleeps until it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_future_tells_that_the_job_is_on_disk_and_needs_no_runtime() {
    let home = home();
    let backlog = home.open();
    let accepted = block_on(backlog.enqueue_async(&letter("Ada"))).unwrap();
    assert_eq!(live(&backlog, accepted.id).phase, Phase::Ready);
    let error = block_on(backlog.job(&letter("x")).queue("").enqueue_async()).expect_err("an empty name");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_dropped_future_gives_up_the_news_and_not_the_job() {
    let home = home();
    let backlog = home.open();
    drop(backlog.enqueue_async(&letter("unheard")));
    let lease = backlog.queue("default").claim_timeout(crate::LONG).unwrap().unwrap();
    assert_eq!(lease.args::<Letter>().unwrap(), letter("unheard"));
    lease.ack().unwrap();
}

#[test]
fn many_futures_are_told_by_their_own_executor_thread() {
    let home = home();
    let backlog = home.open();
    let futures: Vec<_> = (0..200).map(|n| backlog.enqueue_async(&letter(n.to_string()))).collect();
    let told = thread::Builder::new().spawn(move || futures.into_iter().map(block_on).collect::<Result<Vec<_>>>());
    assert_eq!(told.unwrap().join().unwrap().unwrap().len(), 200);
}
