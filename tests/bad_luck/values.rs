//! Values at their limits, one below and one above; names that are empty or hold what no name may hold.

use backlog::limits::{
    ATTEMPTS_MAX, BATCH_JOBS_MAX, ERROR_BYTES_MAX, ERRORS_KEPT_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX,
    PAYLOAD_BYTES_MAX, TAGS_MAX,
};
use backlog::{Backlog, Codec, Durability, ErrorKind, Filter, JobBuilder, Options, Status};

use crate::system::home;
use crate::{raw, refused, small};

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn every_value_is_accepted_up_to_its_limit_and_refused_beyond_it_by_name() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    type Make = fn(usize) -> JobBuilder;
    let sizes: [(&str, usize, Make); 8] = [
        ("args", PAYLOAD_BYTES_MAX, |n| JobBuilder::raw("kind", vec![7; n], Codec::Raw)),
        ("kind", NAME_BYTES_MAX, |n| JobBuilder::raw(&text(n), vec![], Codec::Raw)),
        ("queue name", NAME_BYTES_MAX, |n| raw(1).queue(text(n))),
        ("unique key", KEY_BYTES_MAX, |n| raw(1).unique(text(n))),
        ("tag", KEY_BYTES_MAX, |n| raw(1).tag(text(n))),
        ("tags", TAGS_MAX, |n| (0..n).fold(raw(1), |job, nth| job.tag(format!("tag {nth}")))),
        ("metadata", METADATA_BYTES_MAX, |n| raw(1).metadata("key", text(n - 3))),
        ("metadata key", KEY_BYTES_MAX, |n| raw(1).metadata(text(n), "")),
    ];
    let mut accepted = 0;
    for (what, limit, make) in sizes {
        for n in [limit - 1, limit] {
            backlog.enqueue_all([make(n)]).unwrap_or_else(|e| panic!("{what} of {n}: {e}"));
            accepted += 1;
        }
        let limit = format!("limit={limit}");
        refused(backlog.enqueue_all([make(limit_plus_one(&limit))]), ErrorKind::TooLarge, &[what, &limit]);
    }
    for attempts in [1, ATTEMPTS_MAX - 1, ATTEMPTS_MAX] {
        backlog.enqueue_all([raw(1).max_attempts(attempts)]).unwrap();
        accepted += 1;
    }
    for attempts in [0, ATTEMPTS_MAX + 1] {
        let says = [&*format!("max_attempts={attempts}"), &*format!("1 to {ATTEMPTS_MAX}")];
        refused(backlog.enqueue_all([raw(1).max_attempts(attempts)]), ErrorKind::Invalid, &says);
    }
    assert_eq!(backlog.counts().enqueued, accepted, "what was refused left a trace");
    backlog.close().unwrap();
    assert_eq!(Backlog::open(home.jobs()).unwrap().counts().total().ready, accepted);
}

fn limit_plus_one(limit: &str) -> usize {
    limit.trim_start_matches("limit=").parse::<usize>().unwrap() + 1
}

#[test]
fn a_batch_is_accepted_up_to_its_limits_and_refused_whole_beyond_them() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    let mut accepted = 0;
    for n in [BATCH_JOBS_MAX - 1, BATCH_JOBS_MAX] {
        assert_eq!(backlog.enqueue_all((0..n as u64).map(raw)).unwrap().len(), n);
        accepted += n as u64;
    }
    let says = [&*format!("jobs={}", BATCH_JOBS_MAX + 1), &*format!("limit={BATCH_JOBS_MAX}"), "several calls"];
    refused(backlog.enqueue_all((0..=BATCH_JOBS_MAX as u64).map(raw)), ErrorKind::TooLarge, &says);

    // 30 MiB, what is stored beside the args counted.
    let mebibyte = |bytes: usize| JobBuilder::raw("kind", vec![7; bytes], Codec::Raw).durability(Durability::Buffered);
    let batch = |rest: usize| (0..29).map(|_| mebibyte(1 << 20)).chain([mebibyte((1 << 20) - rest)]);
    assert_eq!(backlog.enqueue_all(batch(30 * 64)).unwrap().len(), 30);
    accepted += 30;
    let beyond = batch(0).chain([mebibyte(1)]);
    refused(backlog.enqueue_all(beyond), ErrorKind::TooLarge, &["bytes", "limit", "several calls"]);
    assert_eq!(backlog.counts().total().ready, accepted, "what was refused left a trace");
    backlog.close().unwrap();
}

#[test]
fn what_is_stored_beside_the_args_counts_into_a_batch_to_the_byte() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    let limit = 30 << 20;
    let last = PAYLOAD_BYTES_MAX - 10_000;
    let batch = |last: usize| {
        let sizes = (0..29).map(|_| PAYLOAD_BYTES_MAX).chain([10_000, last]);
        sizes.map(|bytes| JobBuilder::raw("kind", vec![7; bytes], Codec::Raw).durability(Durability::Buffered))
    };
    // The args alone are exactly 30 MiB.
    let error = backlog.enqueue_all(batch(last)).expect_err("with what is stored beside them it is more");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let text = error.to_string();
    let stored: usize = text.split_once("batch of ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    let surplus = stored - limit;
    assert!(surplus > 31 * 10 && surplus < 31 * 100, "{text}");
    for n in [surplus + 1, surplus] {
        assert_eq!(backlog.enqueue_all(batch(last - n)).unwrap().len(), 31, "{n} bytes less");
    }
    refused(backlog.enqueue_all(batch(last - surplus + 1)), ErrorKind::TooLarge, &[&format!("{limit} bytes"), "split"]);
    assert_eq!(backlog.counts().enqueued, 62);
}

#[test]
fn errors_are_cut_to_their_limit_and_the_newest_are_kept() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    let id = backlog.enqueue_all([raw(1).max_attempts(100)]).unwrap()[0].id;
    let errors = |text: &str| {
        let lease = backlog.queue("default").claim_timeout(crate::LONG).unwrap().unwrap();
        lease.nack_in(std::time::Duration::ZERO, text).unwrap();
        let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("it has attempts left") };
        job.errors
    };
    for n in [ERROR_BYTES_MAX - 1, ERROR_BYTES_MAX] {
        assert_eq!(errors(&text(n)).pop().unwrap(), text(n));
    }
    // Beyond: the beginning of it, never half a character.
    for long in [text(ERROR_BYTES_MAX + 1), text(1 << 20), format!("x{}", "é".repeat(ERROR_BYTES_MAX))] {
        let kept = errors(&long).pop().unwrap();
        assert!(kept.len() <= ERROR_BYTES_MAX && kept.len() + 8 > ERROR_BYTES_MAX, "bytes={}", kept.len());
        assert!(long.starts_with(kept.trim_end_matches('…')), "not its beginning");
    }
    for n in 6..ERRORS_KEPT_MAX + 2 {
        let kept = errors(&format!("error {n}"));
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (n.min(ERRORS_KEPT_MAX), &*format!("error {n}")));
    }
}

#[test]
fn a_page_of_a_listing_and_a_lease_have_their_limits() {
    let home = home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    let n = Filter::LIMIT_MAX as u64;
    backlog.enqueue_all((0..=n).map(raw)).unwrap();
    for (asked, shown) in [(n - 1, n - 1), (n, n), (n + 1, n)] {
        let page = backlog.list(&Filter::new().limit(usize::try_from(asked).unwrap())).unwrap();
        assert_eq!(page.len() as u64, shown, "limit={asked}");
    }
    backlog.close().unwrap();
    let second = std::time::Duration::from_secs(1);
    for lease in [Options::LEASE_MAX.saturating_sub(second), Options::LEASE_MAX] {
        small().lease(lease).open(home.jobs()).unwrap();
    }
    let beyond = small().lease(Options::LEASE_MAX + second).open(home.jobs());
    refused(beyond, ErrorKind::Invalid, &["lease=", "at most 604800 s"]);
}

#[test]
fn limits_scale_with_small_segments_and_hold_there_too() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    let limit = (64 << 10) / 16;
    for n in [limit - 1, limit] {
        backlog.enqueue_all([JobBuilder::raw("kind", vec![7; n], Codec::Raw)]).unwrap();
    }
    let too_large = JobBuilder::raw("kind", vec![7; limit + 1], Codec::Raw);
    refused(backlog.enqueue_all([too_large]), ErrorKind::TooLarge, &["args", &format!("limit={limit}")]);
    // Every size of batch around what a segment can hold: accepted or refused, never stuck.
    let mut edges = 0;
    for bytes in (50 << 10..68 << 10).step_by(509) {
        let jobs = (0..bytes / 3_000).map(|_| JobBuilder::raw("kind", vec![7; 3_000], Codec::Raw));
        let rest = JobBuilder::raw("kind", vec![7; bytes % 3_000], Codec::Raw);
        match backlog.enqueue_all(jobs.chain([rest])) {
            Ok(_) => {}
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::TooLarge, "{e}");
                edges += 1;
            }
        }
    }
    assert!(edges > 3);
    backlog.close().unwrap();
}

#[test]
fn empty_names_and_names_with_control_characters_are_refused_by_name() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    let kind = |name: &str| backlog.enqueue_raw(name, vec![], Codec::Raw).map(drop);
    let queue = |name: &str| backlog.enqueue_all([raw(1).queue(name)]).map(drop);
    let tag = |name: &str| backlog.enqueue_all([raw(1).tag(name)]).map(drop);
    let key = |name: &str| backlog.enqueue_all([raw(1).metadata(name, "value")]).map(drop);
    let claim = |name: &str| backlog.queue(name).claim().map(drop);
    let pause = |name: &str| backlog.pause(name);
    let resume = |name: &str| backlog.resume(name);
    let pool = |name: &str| backlog.workers().handle_raw("k", |_, _| Ok(())).queues([name]).start().map(drop);
    let handler = |name: &str| backlog.workers().handle_raw(name, |_, _| Ok(())).start().map(drop);
    type Verb<'a> = &'a dyn Fn(&str) -> backlog::Result<()>;
    let verbs: [(&str, Verb<'_>); 9] = [
        ("kind", &kind),
        ("queue name", &queue),
        ("tag", &tag),
        ("metadata key", &key),
        ("queue name", &claim),
        ("queue name", &pause),
        ("queue name", &resume),
        ("queue name", &pool),
        ("kind", &handler),
    ];
    for (what, verb) in verbs {
        refused(verb(""), ErrorKind::Invalid, &[what, "empty", "at least one"]);
        for (bad, shown) in
            [("a\nb", "a\\nb"), ("\0", "\\0"), ("x\u{1b}[2J", "\\u{1b}"), ("tab\t", "tab\\t"), ("\u{85}", "\\u{85}")]
        {
            refused(verb(bad), ErrorKind::Invalid, &[what, "control character", shown]);
        }
        refused(verb(&text(NAME_BYTES_MAX.max(KEY_BYTES_MAX) + 1)), ErrorKind::TooLarge, &[what, "limit="]);
    }
    refused(backlog.enqueue_all([raw(1).unique("")]), ErrorKind::Invalid, &["unique key", "empty"]);
    for code in 0..=2 {
        let reserved = backlog.enqueue_raw("kind", vec![], Codec::Other(code));
        refused(reserved, ErrorKind::Invalid, &[&format!("codec={code}"), "from 3"]);
    }
    assert_eq!(backlog.counts().enqueued, 0, "what was refused left a trace");
    // Names of people who write in other scripts, or like slashes and dots, are just names.
    for name in ["queue/../../etc", "очередь", "队列", "…", "a b", "CON", "%00", "🦀"] {
        backlog.enqueue_all([raw(1).queue(name).unique(name)]).unwrap();
        assert_eq!(backlog.queue(name).claim().unwrap().unwrap().queue(), name);
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "a name became a path");
}
