//! Leases taken by hand.

use std::time::Duration;

use backlog::{Backoff, Cancelled, Codec, ErrorKind, JobBuilder, Phase, Receipt, Requeued, Status};

use crate::{LONG, Letter, home, letter, live};

#[test]
fn an_acknowledged_job_never_comes_back() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("Ada")).unwrap().id;
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!((lease.id(), lease.attempt(), lease.max_attempts(), lease.queue()), (id, 1, 25, "default"));
    assert_eq!(lease.ack().unwrap(), Receipt::Accepted);
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
    drop(backlog);
    let backlog = home.open();
    assert!(backlog.queue("default").claim().unwrap().is_none());
    assert_eq!(backlog.inspect(id).unwrap(), Status::Finished);
}

#[test]
fn a_nack_keeps_the_error_and_waits_by_the_backoff_or_by_what_it_says() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let queue = backlog.queue("default");
    let id = backlog.job(&letter("x")).backoff(Backoff::Fixed { delay: LONG }).max_attempts(3).enqueue().unwrap().id;
    queue.claim().unwrap().unwrap().nack("no paper").unwrap();
    let job = live(&backlog, id);
    assert_eq!((job.phase, job.attempts, job.errors.as_slice()), (Phase::Scheduled, 1, &["no paper".to_owned()][..]));
    clock.advance(LONG);
    let lease = queue.claim_timeout(LONG).unwrap().unwrap();
    assert_eq!(lease.attempt(), 2);
    lease.nack_in(Duration::from_secs(5), "no ink").unwrap();
    clock.advance(Duration::from_secs(5));
    queue.claim_timeout(LONG).unwrap().unwrap().nack("no hope").unwrap();
    let job = live(&backlog, id);
    assert_eq!((job.phase, job.attempts, job.errors.len()), (Phase::Dead, 3, 3));
    assert_eq!(backlog.requeue(id).unwrap(), Requeued::Done);
    assert_eq!(queue.claim().unwrap().unwrap().attempt(), 1);
}

#[test]
fn release_and_snooze_spend_no_attempt_and_bury_ends_all_of_them() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    let queue = backlog.queue("default");
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    queue.claim().unwrap().unwrap().release().unwrap();
    let lease = queue.claim().unwrap().unwrap();
    assert_eq!(lease.attempt(), 1);
    lease.snooze(LONG).unwrap();
    assert_eq!((live(&backlog, id).phase, live(&backlog, id).attempts), (Phase::Scheduled, 0));
    clock.advance(LONG);
    queue.claim_timeout(LONG).unwrap().unwrap().bury("of no use").unwrap();
    let job = live(&backlog, id);
    assert_eq!((job.phase, job.reason.as_deref()), (Phase::Dead, Some("of no use")));
}

#[test]
fn follow_ups_come_with_the_ack_or_not_at_all() {
    let home = home();
    let backlog = home.open();
    backlog.enqueue(&letter("first")).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let bad = [JobBuilder::new(&letter("second")), JobBuilder::new(&letter("third")).queue("")];
    let error = lease.ack_with(bad).expect_err("an empty name");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(backlog.counts().enqueued, 1);
    let lease = error.into_lease();
    lease.ack_with([backlog.job(&letter("second")).queue("next")]).unwrap();
    let lease = backlog.queue("next").claim().unwrap().unwrap();
    assert_eq!(lease.args::<Letter>().unwrap(), letter("second"));
    lease.ack().unwrap();
    assert_eq!(backlog.counts().completed, 2);
}

#[test]
fn a_lease_that_ran_out_is_stale_for_ever() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    let old = backlog.queue("default").lease(Duration::from_millis(1)).claim().unwrap().unwrap();
    let new = backlog.queue("default").claim_timeout(LONG).unwrap().unwrap();
    assert_eq!((new.id(), new.attempt()), (id, 2));
    assert!(old.is_cancelled());
    assert!(old.extend(LONG).unwrap().is_stale());
    let Receipt::Stale(stale) = old.ack().unwrap() else { panic!("the job is somebody else's") };
    assert_eq!((stale.id, stale.attempt), (id, 1));
    assert!(!new.is_cancelled());
    new.ack().unwrap();
}

#[test]
fn an_extended_lease_lasts_from_now() {
    let home = home();
    let (backlog, clock) = home.open_with_clock();
    backlog.enqueue_many(&[letter("kept"), letter("lost")]).unwrap();
    let queue = backlog.queue("default");
    let (kept, lost) = (queue.claim().unwrap().unwrap(), queue.claim().unwrap().unwrap());
    clock.advance(Duration::from_secs(29));
    assert_eq!(kept.extend(Duration::from_secs(30)).unwrap(), Receipt::Accepted);
    clock.advance(Duration::from_secs(29));
    let again = queue.claim_timeout(LONG).unwrap().unwrap();
    assert_eq!(again.id(), lost.id());
    assert_eq!(kept.ack().unwrap(), Receipt::Accepted);
    assert!(lost.ack().unwrap().is_stale());
    again.ack().unwrap();
}

#[test]
fn a_dropped_lease_is_a_failed_attempt() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    drop(backlog.queue("default").claim().unwrap().unwrap());
    let job = live(&backlog, id);
    assert_eq!((job.phase, job.attempts), (Phase::Scheduled, 1));
    assert_eq!(job.errors, ["the lease was dropped without a verdict"]);
}

#[test]
fn a_lease_dropped_after_the_last_handle_gives_its_attempt_back() {
    let home = home();
    let backlog = home.open();
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    drop(backlog);
    drop(lease);
    let backlog = home.open();
    assert_eq!((live(&backlog, id).phase, live(&backlog, id).attempts), (Phase::Ready, 0));
    assert_eq!(backlog.recovery_report().requeued, 0);
}

#[test]
fn a_running_job_that_is_cancelled_may_still_be_acknowledged() {
    let home = home();
    let backlog = home.open();
    let ids: Vec<_> = (0..3).map(|n| backlog.enqueue(&letter(n.to_string())).unwrap().id).collect();
    let queue = backlog.queue("default");
    let (done, failed) = (queue.claim().unwrap().unwrap(), queue.claim().unwrap().unwrap());
    assert_eq!(backlog.cancel(ids[2]).unwrap(), Cancelled::Done);
    assert_eq!(backlog.cancel(ids[0]).unwrap(), Cancelled::Requested);
    assert_eq!(backlog.cancel(ids[1]).unwrap(), Cancelled::Requested);
    assert!(done.is_cancelled() && failed.is_cancelled());
    done.ack().unwrap();
    failed.nack("told to stop").unwrap();
    let counts = backlog.counts();
    assert_eq!((counts.completed, counts.cancelled, counts.total().live()), (1, 2, 0));
    assert_eq!(backlog.cancel(ids[0]).unwrap(), Cancelled::NotLive);
}

#[test]
fn waiting_for_a_job_ends_when_one_comes_and_when_the_time_is_up() {
    let home = home();
    let backlog = home.open();
    let queue = backlog.queue("default");
    assert!(queue.claim_timeout(Duration::ZERO).unwrap().is_none());
    assert!(queue.claim_timeout(Duration::from_millis(5)).unwrap().is_none());
    let waiter = std::thread::Builder::new()
        .spawn({
            let queue = queue.clone();
            move || queue.claim_timeout(LONG).unwrap().map(|lease| (lease.id(), lease.ack().unwrap()))
        })
        .unwrap();
    let id = backlog.enqueue(&letter("x")).unwrap().id;
    assert_eq!(waiter.join().unwrap(), Some((id, Receipt::Accepted)));
}

#[test]
fn best_first_is_by_priority_and_then_by_age() {
    let home = home();
    let backlog = home.open();
    for (to, priority) in [("c", 0), ("a", 9), ("d", 0), ("b", 9), ("e", -1)] {
        backlog.job(&letter(to)).priority(priority).enqueue().unwrap();
    }
    let leases = backlog.queue("default").claim_many(10).unwrap();
    let order: String = leases.iter().map(|lease| lease.args::<Letter>().unwrap().to).collect();
    assert_eq!(order, "abcde");
    for lease in leases {
        lease.ack().unwrap();
    }
}

#[test]
fn an_idempotency_key_is_the_same_for_every_attempt_and_for_no_other_job() {
    let home = home();
    let backlog = home.open();
    backlog.enqueue_many(&[letter("a"), letter("b")]).unwrap();
    let queue = backlog.queue("default");
    let (a, b) = (queue.claim().unwrap().unwrap(), queue.claim().unwrap().unwrap());
    let (first, other) = (a.idempotency_key().to_owned(), b.idempotency_key().to_owned());
    assert_ne!(first, other);
    a.release().unwrap();
    b.ack().unwrap();
    drop((queue, backlog));
    let backlog = home.open();
    let again = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!(again.idempotency_key(), first);
    again.ack().unwrap();
}

#[test]
fn args_that_do_not_parse_are_told_without_being_quoted() {
    let home = home();
    let backlog = home.open();
    backlog.enqueue_raw("mail", br#"{"to":["hush"]}"#.to_vec(), Codec::Json).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let error = lease.args::<Letter>().expect_err("not a text");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("expected a string") && !error.to_string().contains("hush"), "{error}");
    assert!(!format!("{lease:?}").contains("hush"));
    lease.bury("unreadable").unwrap();
}
