//! One verb for all jobs that match, as a program sees it: numbers, progress, one record, and crashes everywhere.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use backlog::testing::{CrashEverywhere, Scenario};
use backlog::{Backlog, Codec, ErrorKind, Failure, Filter, JobBuilder, JobId, Options, Phase};

fn letters(backlog: &Backlog, n: usize, bytes: usize) -> backlog::Result<Vec<JobId>> {
    let args = format!("{:?}", "x".repeat(bytes)).into_bytes();
    let jobs = (0..n).map(|_| JobBuilder::raw("letter", args.clone(), Codec::Json));
    Ok(backlog.enqueue_all(jobs)?.into_iter().map(|accepted| accepted.id).collect())
}

fn bury_all(backlog: &Backlog) -> backlog::Result<()> {
    loop {
        let leases = backlog.queue("default").claim_many(1_000)?;
        if leases.is_empty() {
            return Ok(());
        }
        for lease in leases {
            drop(lease.bury_async("the host is down"));
        }
    }
}

fn dead() -> Filter {
    Filter::new().phase(Phase::Dead)
}

#[test]
fn the_numbers_of_a_bulk_verb_its_progress_and_its_record_say_the_same() {
    let home = system::home();
    let backlog = Backlog::open(home.jobs()).unwrap();
    let n = system::effort("BACKLOG_BULK_JOBS", 3_000, 100_000);
    let jobs = usize::try_from(n).unwrap();
    letters(&backlog, jobs, 200).unwrap();
    bury_all(&backlog).unwrap();
    // The page of a filter is not for bulk verbs.
    let filter = dead().error("host is down").limit(1).after(JobId(5));
    assert_eq!(backlog.bulk(&filter).count().unwrap(), n);
    let mut told = Vec::new();
    let began = Instant::now();
    let done = backlog.bulk(&filter).by("ada").on_progress(|met, matched| told.push((met, matched))).requeue().unwrap();
    println!("requeued: jobs={n} frames={} took={:?}", told.len(), began.elapsed());
    assert_eq!((done.changed, done.total()), (n, n));
    assert!(told.len() >= jobs / 1_000 && told.is_sorted() && told.last() == Some(&(n, n)), "{told:?}");
    assert_eq!(backlog.counts().total().ready, n);
    let records = backlog.audit(10).unwrap();
    assert_eq!((records.len(), records[0].number, records[0].bulk), (1, done.audit, Some(done)));
    assert_eq!((records[0].who.as_str(), records[0].at <= SystemTime::now()), ("ada", true));
    assert_eq!(records[0].what, r#"requeue: jobs with error="host is down" state=dead"#);
    backlog.close().unwrap();
    let look = Backlog::open_read_only(home.jobs()).unwrap();
    assert_eq!(look.audit(10).unwrap(), records);
}

#[test]
fn every_bulk_verb_of_the_public_face_does_what_its_name_says() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = Backlog::open(dir.path().join("jobs")).unwrap();
    let ids = letters(&backlog, 5, 10).unwrap();
    let mail = Filter::new().kind("letter");
    assert_eq!(backlog.bulk(&mail).move_to("slow").unwrap().changed, 5);
    assert_eq!(backlog.bulk(&mail).move_to("slow").unwrap().refused, 5, "they stand so already");
    assert_eq!(backlog.bulk(&mail).set_priority(3).unwrap().changed, 5);
    let later = SystemTime::now() + Duration::from_secs(3_600);
    assert_eq!(backlog.bulk(&mail).reschedule(later).unwrap().changed, 5);
    let page = backlog.list(&mail).unwrap();
    assert!(page.iter().all(|job| (job.queue.as_str(), job.priority, job.phase) == ("slow", 3, Phase::Scheduled)));
    assert_eq!(page.iter().map(|job| job.id).collect::<Vec<_>>(), ids);
    assert_eq!(backlog.bulk(&mail.clone().tag("none")).cancel().unwrap().total(), 0);
    assert_eq!(backlog.bulk(&mail).cancel().unwrap().changed, 5);
    assert_eq!((backlog.counts().total().live(), backlog.audit(99).unwrap().len()), (0, 6));
}

#[test]
fn a_bulk_verb_with_a_text_that_is_none_is_refused_and_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = Backlog::open(dir.path().join("jobs")).unwrap();
    let kind = |refused: backlog::Result<_>| refused.unwrap_err().kind();
    assert_eq!(kind(backlog.bulk(&Filter::new()).move_to("")), ErrorKind::Invalid);
    assert_eq!(kind(backlog.bulk(&Filter::new()).by("a\nb").cancel()), ErrorKind::Invalid);
    assert_eq!(kind(backlog.bulk(&Filter::new().error("x".repeat(3_000))).cancel()), ErrorKind::TooLarge);
    assert!(backlog.audit(9).unwrap().is_empty());
}

/// Forty dead jobs are requeued, some in a commit, while others come.
fn requeue_all(scenario: &Scenario) -> Result<(), Failure> {
    let (dead_now, done) = (Cell::new(false), Cell::new(false));
    scenario.run(|backlog| {
        letters(backlog, 40, 300)?;
        bury_all(backlog)?;
        // What it waits for is behind the burials: they are on disk too.
        let other = || backlog.enqueue_raw("other", b"1".to_vec(), Codec::Json);
        other()?;
        dead_now.set(true);
        let add = |_, _| assert!(other().is_ok());
        backlog.bulk(&dead()).by("ada").on_progress(add).requeue()?;
        done.set(true);
        Ok(())
    })?;
    scenario.finish(|backlog| {
        // Whatever is left of it goes on by itself.
        for _ in 0..20 {
            scenario.advance(Duration::from_secs(1))?;
        }
        let (records, dead) = (backlog.audit(9)?, backlog.counts().total().dead);
        match (&records[..], dead_now.get()) {
            ([], _) if done.get() => Err(Failure::new("it was acknowledged, and nobody knows of it")),
            ([], true) if dead != 40 => Err(Failure::new(format!("dead={dead} without a record"))),
            ([], _) => Ok(()),
            ([record], true) => match record.bulk.map(|bulk| (bulk.changed, bulk.total())) {
                Some((40, 40)) if dead == 0 => Ok(()),
                other => Err(Failure::new(format!("dead={dead} record={other:?}"))),
            },
            _ => Err(Failure::new(format!("records={records:?}"))),
        }
    })
}

#[test]
fn a_bulk_verb_is_finished_once_wherever_it_crashes_and_its_going_on_too() {
    let again = system::effort("BACKLOG_EVERYWHERE_AGAIN", 2, 30);
    let hunt = CrashEverywhere::new().options(Options::new().segment_bytes(64 << 10)).again(again);
    let tried = hunt.find(requeue_all).unwrap_or_else(|found| panic!("{found}"));
    println!("{tried}");
    println!("counted: crash images of bulk verbs in a user's scenario {}", tried.images);
}
