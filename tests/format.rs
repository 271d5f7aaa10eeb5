//! A stored directory of every released format opens, and holds exactly the jobs that were put into it.
//!
//! The directories stand under `tests/fixtures` as text: the files' rows of 32 bytes that are not all zero. What they
//! must show stands beside them, as the dump. A format once released never changes its meaning, so neither do these; a
//! new format gets a directory of its own, written by `cargo test --test format -- --ignored write`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use backlog::testing::{ManualClock, Parts, SeededRandom};
use backlog::{Backlog, Backoff, Codec, JobBuilder, Phase};

use system::{copy_all, home};

const ROW: usize = 32;
const LONG: Duration = Duration::from_secs(60);

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}"))
}

/// Every file as text: a line with its name and length, then its rows that are not zero.
fn to_text(dir: &Path, names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        writeln!(text, "file {name} {}", bytes.len()).unwrap();
        for (nth, row) in bytes.chunks(ROW).enumerate().filter(|(_, row)| row.iter().any(|byte| *byte != 0)) {
            write!(text, "{:x} ", nth * ROW).unwrap();
            let end = row.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            row[..end].iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
    }
    text
}

fn from_text(text: &str, dir: &Path) {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["file", name, length] => files.push((dir.join(name), vec![0; length.parse().unwrap()])),
            [offset, row] => {
                let at = usize::from_str_radix(offset, 16).unwrap();
                let file = &mut files.last_mut().unwrap().1;
                for nth in 0..row.len() / 2 {
                    file[at + nth] = u8::from_str_radix(&row[nth * 2..nth * 2 + 2], 16).unwrap();
                }
            }
            _ => panic!("{line}"),
        }
    }
    for (path, bytes) in files {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The dump, without the nonces of the openings, of which each opening adds one.
fn dump(write: impl FnOnce(&mut Vec<u8>) -> backlog::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().filter(|line| !line.starts_with("{\"cell\":2,")).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn a_stored_directory_of_format_1_opens_and_holds_exactly_its_jobs() {
    let home = home();
    let text = std::fs::read_to_string(fixture(1).join("directory.txt")).unwrap();
    let expected = std::fs::read_to_string(fixture(1).join("dump.jsonl")).unwrap();
    from_text(&text, &home.jobs());

    let look = Backlog::open_read_only(home.jobs()).unwrap();
    assert!(look.verify().unwrap().is_sound());
    assert_eq!(dump(|out| look.dump(out)), expected, "looked at from outside");
    let before = look.counts();

    let clock = Arc::new(ManualClock::new(START_MS + 60_000));
    // By this clock nothing that is scheduled is due, however long the test takes.
    let open = || {
        let parts = Parts { clock: clock.clone(), ..Parts::real(home.jobs()).unwrap() };
        Backlog::builder().open_parts(parts).unwrap()
    };
    let backlog = open();
    let report = backlog.recovery_report();
    assert!(!report.clean && !report.created);
    assert_eq!((report.requeued, report.suspects), (2, 0));
    assert_eq!(dump(|out| backlog.dump(out)), expected, "opened");
    assert_eq!(backlog.counts(), before);
    assert_eq!(backlog.paused(), ["paused"]);
    assert!(backlog.verify().unwrap().is_sound());

    // It is a living directory: what is ready can be worked, new ids go on, and it closes and opens again.
    let mut worked = 0;
    for queue in ["default", "mail"] {
        while let Some(lease) = backlog.queue(queue).claim().unwrap() {
            assert!(!lease.idempotency_key().is_empty());
            lease.ack().unwrap();
            worked += 1;
        }
    }
    assert_eq!(worked, before.total().ready - before.queues["paused"].ready);
    let id = backlog.enqueue_all([JobBuilder::raw("new", vec![1], Codec::Raw)]).unwrap()[0].id;
    assert!(id.0 > before.enqueued);
    backlog.close().unwrap();
    let again = open();
    assert!(again.recovery_report().clean);
    assert_eq!(again.counts().total().ready, before.queues["paused"].ready + 1);
}

const START_MS: u64 = 1_700_000_000_000;

fn json(n: u32) -> JobBuilder {
    let args = format!("{{\"n\": {n}, \"text\": \"größer als \\u0000 & <b>\"}}");
    JobBuilder::raw("letter", args.into_bytes(), Codec::Json)
}

/// Writes the directory of the present format: everything a job can be, segments turned and given up, a torn end.
#[test]
#[ignore = "writes the fixture of a new format"]
fn write_the_fixture_of_the_present_format() {
    let home = home();
    let clock = Arc::new(ManualClock::new(START_MS));
    let open = |seed| {
        let random = Arc::new(SeededRandom::new(seed));
        let parts = Parts { clock: clock.clone(), random, save_index: false, ..Parts::real(home.jobs()).unwrap() };
        Backlog::builder().segment_bytes(64 << 10).open_parts(parts).unwrap()
    };
    let backlog = open(1);
    let first_of = |queue: &str| backlog.queue(queue).claim().unwrap().unwrap();
    // States.
    backlog.enqueue_all([json(1).queue("mail").max_attempts(1)]).unwrap();
    first_of("mail").nack("the only attempt\nfailed").unwrap();
    backlog.enqueue_all([json(2).queue("mail")]).unwrap();
    first_of("mail").bury("buried by hand").unwrap();
    backlog.enqueue_all([json(3).queue("mail").backoff(Backoff::Fixed { delay: LONG * 60 })]).unwrap();
    first_of("mail").nack("tried once").unwrap();
    backlog.enqueue_all([json(4).queue("mail").delay(LONG * 1_000)]).unwrap();
    backlog.enqueue_all([json(5).queue("mail")]).unwrap();
    first_of("mail").release().unwrap();
    backlog.enqueue_raw("stranger", vec![0, 1, 2, 255], Codec::Raw).unwrap();
    let last = backlog.enqueue_all([json(6)]).unwrap()[0].id;
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle_raw("letter", move |_, cx| Ok(say.send(cx.id())?))
        .queues(["default"])
        .concurrency(1)
        .start()
        .unwrap();
    assert_eq!(hear.recv().unwrap(), last);
    workers.stop(LONG).unwrap();
    // Everything a job can carry.
    backlog
        .enqueue_all([json(7)
            .queue("mail")
            .priority(-3)
            .unique("one of its kind")
            .max_attempts(7)
            .backoff(Backoff::Exponential { base: Duration::from_secs(1), cap: LONG })
            .tag("red")
            .tag("größe")
            .metadata("trace", "t-1")
            .metadata("empty", "")])
        .unwrap();
    assert!(!backlog.enqueue_all([json(8).unique("one of its kind")]).unwrap()[0].is_new());
    backlog.enqueue_all([JobBuilder::raw("other codec", vec![9; 40], Codec::Other(9)).priority(i16::MAX)]).unwrap();
    backlog.enqueue_all([JobBuilder::raw("empty", vec![], Codec::Raw).priority(i16::MIN)]).unwrap();
    backlog.enqueue_all((10..15).map(|n| json(n).queue("paused"))).unwrap();
    backlog.pause("paused").unwrap();
    let gone = backlog.enqueue_all([json(20)]).unwrap()[0].id;
    backlog.cancel(gone).unwrap();
    // Ballast, so that segments turn, are given up and used again.
    for _ in 0..40 {
        let ballast = JobBuilder::raw("ballast", [[0; 3_900].as_slice(), &[1; 100]].concat(), Codec::Raw);
        backlog.enqueue_all([ballast.queue("ballast")]).unwrap();
        first_of("ballast").ack_with([json(30).queue("follow-ups")]).unwrap();
        first_of("follow-ups").ack().unwrap();
    }
    backlog.compact().unwrap();
    backlog.close().unwrap();
    // A second life, which ends in the middle.
    let backlog = open(2);
    backlog.enqueue_all((40..44).map(json)).unwrap();
    backlog.enqueue_all([json(45).queue("due").delay(Duration::from_secs(1))]).unwrap();
    clock.advance(Duration::from_secs(2));
    backlog.queue("due").claim_timeout(LONG).unwrap().unwrap().ack().unwrap();
    let held = backlog.queue("default").claim_many(2).unwrap();
    assert_eq!(held.len(), 2);
    backlog.enqueue_all([json(50).queue("mail")]).unwrap();
    // Two more commits, so that the state does not hang on the last frame.
    backlog.enqueue_all([json(51).queue("mail")]).unwrap();

    let copy = home.path().join("copy");
    copy_all(&home.jobs(), &copy);
    let look = Backlog::open_read_only(&copy).unwrap();
    assert_eq!(look.counts().total().parked, 1);
    assert!(look.list(&backlog::Filter::new().phase(Phase::InFlight)).unwrap().is_empty());
    let mut names = vec!["format".to_owned(), "lock".to_owned()];
    let mut log: Vec<_> =
        std::fs::read_dir(copy.join("log")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    log.sort();
    names.extend(log.iter().map(|name| format!("log/{}", name.display())));
    std::fs::create_dir_all(fixture(1)).unwrap();
    std::fs::write(fixture(1).join("directory.txt"), to_text(&copy, &names)).unwrap();
    std::fs::write(fixture(1).join("dump.jsonl"), dump(|out| look.dump(out))).unwrap();
    drop(held);
}
