//! Looking at jobs, pausing queues.

use std::time::{Duration, SystemTime};

use backlog::{Backlog, Changed, Codec, ErrorKind, Filter, JobId, Phase, Status};

use crate::{home, letter, live};

#[test]
fn every_job_that_was_accepted_is_counted_once() {
    let home = home();
    let backlog = home.open();
    let letters: Vec<_> = (0..6).map(|n| letter(n.to_string())).collect();
    let ids: Vec<JobId> = backlog.enqueue_many(&letters).unwrap().iter().map(|accepted| accepted.id).collect();
    let queue = backlog.queue("default");
    queue.claim().unwrap().unwrap().ack().unwrap();
    queue.claim().unwrap().unwrap().bury("no").unwrap();
    queue.claim().unwrap().unwrap().nack("later").unwrap();
    let held = queue.claim().unwrap().unwrap();
    backlog.cancel(ids[4]).unwrap();
    let (counts, mine) = (backlog.counts(), queue.counts());
    assert_eq!((mine.ready, mine.scheduled, mine.in_flight, mine.dead), (1, 1, 1, 1));
    assert_eq!((counts.enqueued, counts.completed, counts.cancelled, counts.total().live()), (6, 1, 1, 4));
    assert_eq!(backlog.queue("never used").counts().live(), 0);
    held.ack().unwrap();
}

#[test]
fn a_listing_goes_page_by_page_through_what_was_asked_for() {
    let home = home();
    let backlog = home.open();
    for n in 0..25 {
        let queue = if n % 5 == 0 { "odd" } else { "even" };
        backlog.job(&letter(n.to_string())).queue(queue).enqueue().unwrap();
    }
    let mut filter = Filter::new().queue("even").phase(Phase::Ready).limit(7);
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let page = backlog.list(&filter).unwrap();
        sizes.push(page.len());
        let Some(last) = page.last() else { break };
        filter = filter.after(last.id);
        ids.extend(page.iter().map(|job| job.id));
    }
    assert_eq!(sizes, [7, 7, 6, 0]);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(backlog.list(&Filter::new().phase(Phase::Dead)).unwrap().is_empty());
}

#[test]
fn a_dump_is_one_json_object_for_each_job_and_each_cell() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("Ada")).unwrap().id;
    backlog.pause("slow").unwrap();
    let mut out = Vec::new();
    backlog.dump(&mut out).unwrap();
    let lines: Vec<serde_json::Value> = out
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let job = lines.iter().find(|line| line["job"] == id.0).unwrap();
    assert_eq!((&job["kind"], &job["args"]["to"]), (&"letter".into(), &"Ada".into()));
    assert!(lines.iter().any(|line| line.get("cell").is_some()));
}

#[test]
fn a_writer_that_refuses_a_dump_is_an_error_and_no_harm() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let home = home();
    let backlog = home.open();
    backlog.enqueue(&letter("x")).unwrap();
    assert_eq!(backlog.dump(Full).expect_err("no space").kind(), ErrorKind::Io);
    backlog.enqueue(&letter("y")).unwrap();
}

#[test]
fn a_paused_queue_takes_jobs_and_gives_none_until_it_is_resumed_over_restarts_too() {
    let home = home();
    let backlog = home.open();
    backlog.pause("default").unwrap();
    backlog.pause("default").unwrap();
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    assert!(backlog.queue("default").claim().unwrap().is_none());
    drop(backlog);
    let backlog = home.open();
    assert_eq!(backlog.paused(), ["default"]);
    assert!(backlog.queue("default").claim().unwrap().is_none());
    assert_eq!(live(&backlog, id).phase, Phase::Ready);
    backlog.resume("default").unwrap();
    assert!(backlog.paused().is_empty());
    backlog.queue("default").claim().unwrap().unwrap().ack().unwrap();
    assert_eq!(backlog.pause("").expect_err("no name").kind(), ErrorKind::Invalid);
}

#[test]
fn an_id_that_was_never_given_is_unknown() {
    let home = home();
    let backlog = home.open();
    assert_eq!(backlog.inspect(JobId(u64::MAX)).unwrap(), Status::Unknown);
}

#[test]
fn a_sound_directory_verifies_while_it_is_used_and_from_outside() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("Ada")).unwrap().id;
    // From beside its owner only what a later frame vouches for is seen.
    backlog.enqueue(&letter("Bob")).unwrap();
    assert!(backlog.verify().unwrap().is_sound());
    let look = Backlog::open_read_only(&home.path).unwrap();
    assert!(look.is_owned());
    assert!(look.verify().unwrap().is_sound());
    assert!(matches!(look.inspect(id).unwrap(), Status::Live(_)));
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    lease.ack().unwrap();
    backlog.close().unwrap();
    let look = Backlog::open_read_only(&home.path).unwrap();
    assert!(!look.is_owned());
    assert_eq!(look.inspect(id).unwrap(), Status::Finished);
    let mut out = Vec::new();
    look.dump(&mut out).unwrap();
    assert_eq!(look.list(&Filter::new()).unwrap().len(), 1);
    assert!(String::from_utf8(out).unwrap().contains("Bob"));
}

#[test]
fn a_listing_is_searched_by_kind_tag_error_and_time() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    backlog.job(&letter("first")).tag("vip").enqueue().unwrap();
    clock.advance(Duration::from_secs(60));
    let later = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.wall_ms());
    let failed = backlog.job(&letter("second")).priority(1).max_attempts(1).enqueue().unwrap().id;
    backlog.queue("default").claim().unwrap().unwrap().nack("timeout: no answer").unwrap();
    let parcel = backlog.enqueue_raw("parcel", b"{}".to_vec(), Codec::Json).unwrap().id;
    let found = |filter: Filter| backlog.list(&filter).unwrap().iter().map(|job| job.id.0).collect::<Vec<_>>();
    assert_eq!(found(Filter::new()).len(), 3);
    assert_eq!(found(Filter::new().kind("parcel")), [parcel.0]);
    assert_eq!(found(Filter::new().tag("vip").before(later)).len(), 1);
    assert_eq!(found(Filter::new().since(later)), [failed.0, parcel.0]);
    assert_eq!(found(Filter::new().error("timeout").phase(Phase::Dead)), [failed.0]);
    assert!(found(Filter::new().error("never said")).is_empty());
}

#[test]
fn a_waiting_job_is_moved_to_another_queue_priority_and_time_over_restarts_too() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let [first, second] = ["a", "b"].map(|text| backlog.enqueue(&letter(text)).unwrap().id);
    assert_eq!(backlog.move_to(second, "slow").unwrap(), Changed::Done);
    assert_eq!(backlog.set_priority(second, 7).unwrap(), Changed::Done);
    let hour = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.wall_ms() + 3_600_000);
    assert_eq!(backlog.reschedule(first, hour).unwrap(), Changed::Done);
    backlog.close().unwrap();
    let (backlog, clock) = home.open_with_clock();
    let job = live(&backlog, second);
    assert_eq!((job.queue.as_str(), job.priority, job.phase), ("slow", 7, Phase::Ready));
    let lease = backlog.queue("slow").claim().unwrap().unwrap();
    assert_eq!(backlog.move_to(second, "default").unwrap(), Changed::Refused(Phase::InFlight));
    lease.ack().unwrap();
    assert!(backlog.queue("default").claim().unwrap().is_none(), "its hour has not come");
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(backlog.queue("default").claim_timeout(crate::LONG).unwrap().unwrap().id(), first);
    assert_eq!(backlog.set_priority(second, 1).unwrap(), Changed::NotLive);
    assert!(backlog.move_to(first, "").is_err());
}
