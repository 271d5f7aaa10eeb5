//! Looking at a directory while its owner works, rotates and recycles segments: what is found is sound, and the owner
//! is not disturbed.
#![allow(clippy::print_stdout, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
#![allow(clippy::struct_excessive_bools, clippy::single_match_else, reason = "a test says what it tried")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::sync::atomic::{AtomicBool, Ordering};

use backlog::{Backlog, Codec, Filter, JobBuilder};

use system::{home, number, segment_number, segments};

/// Lets the owner rest, also when the test fails.
struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn verify_and_readers_find_no_damage_beside_an_owner_that_recycles_segments() {
    let looks = number("BACKLOG_LOOKS", 150);
    let home = home();
    let backlog = Backlog::builder().segment_bytes(64 << 10).checkpoint_bytes(256 << 10).open(home.jobs()).unwrap();
    let over = AtomicBool::new(false);
    let job = |n: usize| JobBuilder::raw("busy", vec![7; 100 + n * 37 % 1_000], Codec::Raw);
    // Some that stay: the compactor carries them on and on.
    let old: Vec<_> = (0..100).map(|n| backlog.enqueue_all([job(n).queue("old")]).unwrap()[0].id).collect();
    // Two more commits, so that every one of them is vouched for.
    (0..2).for_each(|n| drop(backlog.enqueue_all([job(n)]).unwrap()));
    std::thread::scope(|scope| {
        let _end = EndOf(&over);
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                backlog.enqueue_all((0..20).map(job)).unwrap();
                for lease in backlog.queue("default").claim_many(20).unwrap() {
                    assert!(!lease.ack().unwrap().is_stale());
                }
            }
        });
        let mut done = 0;
        // So many looks at least, and until enough segments were given up under them.
        while done < looks || segment_number(&segments(&home.jobs())[0]) <= 6 {
            done += 1;
            let report = backlog.verify().unwrap_or_else(|e| panic!("verify: {e}"));
            assert!(report.is_sound(), "{report:?}");
            let look = Backlog::open_read_only(home.jobs()).unwrap_or_else(|e| panic!("open_read_only: {e}"));
            assert!(look.is_owned());
            assert_eq!(look.counts().queues["old"].ready, 100);
            let report = look.verify().unwrap_or_else(|e| panic!("verify of a reader: {e}"));
            assert!(report.is_sound(), "{report:?}");
            // These read jobs one by one, and the owner may have carried one away since.
            let listed = look.list(&Filter::new().queue("old")).unwrap_or_else(|e| panic!("list: {e}"));
            assert!(listed.iter().map(|job| job.id).eq(old.iter().copied()), "{listed:?}");
            let mut text = Vec::new();
            look.dump(&mut text).unwrap_or_else(|e| panic!("dump: {e}"));
            let dumped = String::from_utf8(text).unwrap().matches("\"queue\":\"old\"").count();
            assert_eq!(dumped, 100);
        }
        println!("beside: looks={done}");
    });
    let passed = segment_number(&segments(&home.jobs())[0]);
    println!("beside: segments given up meanwhile={passed}");
    assert!(passed > 5, "too little happened to mean anything");
    assert_eq!(backlog.counts().queues["old"].ready, 100);
    backlog.close().unwrap();
}

#[test]
fn a_reader_sees_every_job_beside_an_owner_that_has_just_given_up_segments_and_rests() {
    let home = home();
    let backlog = Backlog::builder().segment_bytes(64 << 10).open(home.jobs()).unwrap();
    let job = |n: usize| JobBuilder::raw("busy", vec![7; 3_000], Codec::Raw).priority((n % 3) as i16);
    let old: Vec<_> = (0..10).map(|n| backlog.enqueue_all([job(n).queue("old")]).unwrap()[0].id).collect();
    let mut given_up = 0;
    for round in 0..30 {
        for n in 0..=round % 7 {
            backlog.enqueue_all((0..15).map(|_| job(n))).unwrap();
            for lease in backlog.queue("default").claim_many(15).unwrap() {
                assert!(!lease.ack().unwrap().is_stale());
            }
        }
        backlog.compact().unwrap();
        given_up = segment_number(&segments(&home.jobs())[0]) - 1;
        // Nothing more is written: what the reader needs to know must be there already.
        let look = Backlog::open_read_only(home.jobs()).unwrap_or_else(|e| panic!("round={round}: {e}"));
        let seen: Vec<_> = look.list(&Filter::new().queue("old")).unwrap().iter().map(|job| job.id).collect();
        assert_eq!(seen, old, "round={round}");
    }
    println!("beside: segments given up before a look={given_up}");
    assert!(given_up > 10);
}
