//! Opening and closing.

use std::time::Duration;

use backlog::{Backlog, ErrorKind, Options, Phase};

use crate::{home, letter, live};

#[test]
fn one_handle_owns_a_directory_and_the_others_are_told_who() {
    let home = home();
    let backlog = home.open();
    let error = Backlog::builder().lock_wait(Duration::ZERO).open(&home.path).expect_err("owned");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().contains(&format!("pid={}", std::process::id())), "{error}");
    backlog.enqueue(&letter("still served")).unwrap();
}

#[test]
fn close_waits_for_no_lease_but_says_that_one_lives() {
    let home = home();
    let backlog = home.open();
    backlog.enqueue(&letter("x")).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!(backlog.clone().close().expect_err("a lease lives").kind(), ErrorKind::InUse);
    lease.ack().unwrap();
    let other = backlog.clone();
    backlog.close().unwrap();
    assert_eq!(other.enqueue(&letter("y")).expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(other.queue("default").claim().expect_err("closed").kind(), ErrorKind::Closed);
    let report = home.open().recovery_report().clone();
    assert!(report.clean && !report.created && report.bytes_cut == 0);
}

#[test]
fn a_handle_that_is_only_dropped_loses_nothing() {
    let home = home();
    let backlog = home.open();
    assert!(backlog.recovery_report().created);
    let ids = [backlog.enqueue(&letter("a")).unwrap().id, backlog.enqueue(&letter("b")).unwrap().id];
    drop(backlog);
    let backlog = home.open();
    assert!(ids.into_iter().all(|id| live(&backlog, id).phase == Phase::Ready));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let home = home();
    let refused = |options: Options, word: &str| {
        let error = options.open(&home.path).expect_err(word);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(Backlog::builder().lease(Duration::ZERO), "lease=0");
    refused(Backlog::builder().lease(Options::LEASE_MAX + Duration::from_secs(1)), "lease=");
    refused(Backlog::builder().checkpoint_bytes(0), "checkpoint_bytes=0");
    refused(Backlog::builder().segment_bytes(4096), "segment_bytes=4096");
    assert_eq!(Backlog::open("").expect_err("no path").kind(), ErrorKind::Invalid);
}

#[test]
fn a_missing_directory_is_made_only_if_that_is_wanted() {
    let home = home();
    let error = Backlog::builder().create(false).open(&home.path).expect_err("nothing there");
    assert!(error.to_string().contains("jobs"), "{error}");
    assert!(!home.path.exists());
    Backlog::open_read_only(&home.path).expect_err("nothing there");
    assert!(!home.path.exists());
    drop(Backlog::open(home.path.join("deep").join("er")).unwrap());
}

#[test]
fn what_is_no_directory_of_ours_is_refused_and_left_as_it_is() {
    let home = home();
    std::fs::write(&home.path, "precious").unwrap();
    let error = Backlog::open(&home.path).expect_err("a file");
    assert!(error.to_string().contains("jobs"), "{error}");
    assert_eq!(std::fs::read(&home.path).unwrap(), b"precious");
    #[cfg(unix)]
    {
        let (target, link) = (home.path.with_extension("real"), home.path.with_extension("link"));
        std::fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        Backlog::open(&link).expect_err("a link");
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
    }
}
