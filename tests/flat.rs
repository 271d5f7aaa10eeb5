//! What must not grow with the work that was done: files, bytes, memory, descriptors.
//!
//! * Jobs that are released, snoozed and nacked for ever. Other queues have reports of logs that grew without bound
//!   from such loops.
//! * Lives that open, do a little and end.
//!
//! `BACKLOG_SOAK_VERBS`, `BACKLOG_SOAK_VERBS_REAL` and `BACKLOG_REOPENS_REAL` say how much.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test says what it tried")]

#[path = "system/mod.rs"]
mod system;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backlog::testing::{ManualClock, Parts, SeededRandom, SimDisk};
use backlog::{Backlog, Codec, Filter, JobBuilder, JobId, Lease, Receipt};

use system::{budget, descriptors, files_below, home, resident_bytes};

/// Memory and descriptors belong to the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const LONG: Duration = Duration::from_secs(60);
const SEGMENT_BYTES: u32 = 64 << 10;

/// More than one job ever takes in the log: args, envelope, ten errors.
const JOB_BYTES_MAX: u64 = 2_000;

/// Segments the compactor may be behind: its thread gets its turn when the system likes. A full run fills hundreds.
const BEHIND: u64 = 24;

/// While it works: twice what lives, three segments, the two being emptied and filled, the three that stand ready.
fn bytes_at_work(jobs: u64) -> u64 {
    2 * jobs * JOB_BYTES_MAX + (8 + BEHIND) * u64::from(SEGMENT_BYTES) + 3 * 4096
}

/// After compaction (P10): the reserve stays.
fn bytes_at_rest(jobs: u64) -> u64 {
    2 * jobs * JOB_BYTES_MAX + 3 * u64::from(SEGMENT_BYTES) + 3 * 4096
}

/// Jobs that are claimed and given back, one way or the other.
struct Soak<'a> {
    backlog: Backlog,
    clock: Option<&'a ManualClock>,
    verbs: u64,
    attempts: BTreeMap<JobId, u64>,
}

impl Soak<'_> {
    fn begin(backlog: Backlog, clock: Option<&ManualClock>, jobs: u64) -> Soak<'_> {
        let job = |n: u64| {
            JobBuilder::raw("again", vec![7; 100 + usize::try_from(n % 400).unwrap()], Codec::Raw)
                .max_attempts(1_000_000)
        };
        let accepted = backlog.enqueue_all((0..jobs).map(job)).unwrap();
        Soak { backlog, clock, verbs: 0, attempts: accepted.iter().map(|one| (one.id, 0)).collect() }
    }

    /// Every job once: claimed, and given back.
    fn round(&mut self, nth: u64) {
        let mut back = 0;
        while back < self.attempts.len() {
            let lease = self.backlog.queue("default").claim_timeout(LONG).unwrap().expect("they all come back");
            let attempts = self.attempts.get_mut(&lease.id()).expect("no other job");
            assert_eq!(u64::from(lease.attempt()), *attempts + 1, "round={nth} job={}", lease.id());
            let way = (nth + lease.id().0) % 4;
            // Attempts number grants; a job that was not nacked gets its attempt back.
            *attempts += way % 2;
            assert_eq!(self.give_back(lease, way), Receipt::Accepted);
            self.verbs += 2;
            back += 1;
        }
        self.pass_time();
    }

    /// Never twice in a row without a nack: that would wait for a second.
    fn give_back(&self, lease: Lease, way: u64) -> Receipt {
        let later = Duration::from_millis(if self.clock.is_some() { 1_500 } else { 0 });
        match way {
            0 => lease.release(),
            2 => lease.snooze(later),
            _ => lease.nack_in(later, "no luck, as ever"),
        }
        .unwrap()
    }

    /// Moves the clock over everything that waits, and brings upkeep to look at it: a job that is due in 2 ms wakes it.
    fn pass_time(&mut self) {
        let Some(clock) = self.clock else { return };
        let ticks = self.backlog.queue("ticks");
        let tick = JobBuilder::raw("tick", vec![], Codec::Raw).queue("ticks").delay(Duration::from_millis(2));
        self.backlog.enqueue_all([tick]).unwrap();
        clock.advance(Duration::from_secs(2));
        assert_eq!(ticks.claim_timeout(LONG).unwrap().unwrap().ack().unwrap(), Receipt::Accepted);
        self.verbs += 3;
    }

    fn end(self) -> u64 {
        assert_eq!(self.backlog.counts().total().live(), self.attempts.len() as u64);
        assert!(self.backlog.verify().unwrap().is_sound());
        self.verbs
    }
}

#[test]
fn jobs_that_are_given_back_for_ever_take_no_more_disk_memory_or_descriptors() {
    const JOBS: u64 = 60;
    let _alone = ALONE.lock();
    let verbs = budget("BACKLOG_SOAK_VERBS", 12_000, 400_000);
    let (disk, clock) = (SimDisk::new(), Arc::new(ManualClock::new(1_700_000_000_000)));
    let random = Arc::new(SeededRandom::new(1));
    let parts = Parts { disk: Arc::new(disk.clone()), clock: clock.clone(), random, save_index: false };
    let backlog = Backlog::builder().segment_bytes(SEGMENT_BYTES).open_parts(parts).unwrap();
    let mut soak = Soak::begin(backlog.clone(), Some(&clock), JOBS);
    let (mut warm, mut used_max) = (None, 0);
    for nth in 0.. {
        soak.round(nth);
        // The simulated disk remembers every call until told not to.
        disk.forget_trace();
        used_max = used_max.max(disk.used());
        assert!(disk.used() <= bytes_at_work(JOBS + 1), "round={nth} used={} {:?}", disk.used(), disk.file_names());
        if soak.verbs >= verbs / 3 && warm.is_none() {
            warm = Some((resident_bytes(), descriptors()));
        }
        if soak.verbs >= verbs {
            break;
        }
    }
    let ((resident, open), (resident_now, open_now)) = (warm.unwrap(), (resident_bytes(), descriptors()));
    backlog.compact().unwrap();
    assert!(disk.used() <= bytes_at_rest(JOBS), "used={} {:?}", disk.used(), disk.file_names());
    // What every verb left behind would be some 30 MB in a full run at 100 bytes each.
    assert!(resident_now <= resident + (16 << 20), "memory grew: {resident} -> {resident_now}");
    assert!(open_now <= open, "descriptors grew: {open} -> {open_now}");
    let verbs = soak.end();
    println!(
        "soak: bytes on disk at most={used_max} resident={resident}->{resident_now} descriptors={open}->{open_now}"
    );
    println!("counted: soak verbs {verbs}");
    backlog.close().unwrap();
}

#[test]
fn jobs_that_are_given_back_for_ever_take_no_more_of_a_real_disk() {
    const JOBS: u64 = 20;
    let _alone = ALONE.lock();
    let verbs = budget("BACKLOG_SOAK_VERBS_REAL", 800, 20_000);
    let home = home();
    let backlog = Backlog::builder().segment_bytes(SEGMENT_BYTES).open(home.jobs()).unwrap();
    let mut soak = Soak::begin(backlog.clone(), None, JOBS);
    soak.round(0);
    let (open, mut bytes_max) = (descriptors(), 0);
    for nth in 1.. {
        soak.round(nth);
        let (_, bytes) = files_below(&home.jobs().join("log"));
        bytes_max = bytes_max.max(bytes);
        // A file that is being renamed from one end to the other may be seen twice.
        assert!(bytes <= bytes_at_work(JOBS) + u64::from(SEGMENT_BYTES), "round={nth} bytes={bytes}");
        if soak.verbs >= verbs {
            break;
        }
    }
    // A few segments are held open for reading, and the index.
    assert!(descriptors() <= open + 8, "descriptors grew: {open} -> {}", descriptors());
    println!("soak: a real disk: bytes at most={bytes_max} descriptors={open}->{}", descriptors());
    println!("counted: soak verbs on a real disk {}", soak.end());
    backlog.close().unwrap();
}

#[test]
fn lives_that_do_a_little_and_end_leave_a_real_directory_flat() {
    const KEPT: usize = 5;
    let _alone = ALONE.lock();
    let lives = budget("BACKLOG_REOPENS_REAL", 45, 600);
    let home = home();
    let options = || Backlog::builder().segment_bytes(SEGMENT_BYTES).lock_wait(LONG);
    let job = |life: u64| JobBuilder::raw("little", life.to_le_bytes().repeat(300), Codec::Raw);
    let (mut expected, mut closed): (Vec<JobId>, Option<[u64; 3]>) = (Vec::new(), None);
    let (mut unclean, mut grown) = (0, [0; 3]);
    for life in 0..lives {
        let backlog = options().open(home.jobs()).unwrap();
        let found: Vec<JobId> = backlog.list(&Filter::new()).unwrap().iter().map(|job| job.id).collect();
        assert_eq!(found, expected, "life={life}: {:?}", backlog.recovery_report());
        unclean += u64::from(!backlog.recovery_report().clean);
        // Some 20 KB that nobody needs any more soon after.
        expected.extend(backlog.enqueue_all((0..8).map(|_| job(life))).unwrap().iter().map(|one| one.id));
        while expected.len() > KEPT {
            let lease = backlog.queue("default").claim().unwrap().unwrap();
            assert_eq!(lease.id(), expected.remove(0));
            lease.ack().unwrap();
        }
        if life % 3 == 0 {
            // Its services end by themselves, and the lock goes with the last of them.
            drop(backlog);
            continue;
        }
        backlog.close().unwrap();
        let (files, bytes) = files_below(&home.jobs());
        let now = [files, bytes, descriptors() as u64];
        grown = std::array::from_fn(|nth| grown[nth].max(now[nth]));
        let first = *closed.get_or_insert(now);
        assert!(
            files <= first[0] + 10 && now[2] <= first[2],
            "life={life}: files, bytes, descriptors {first:?} -> {now:?}"
        );
        let index = files_below(&home.jobs().join("index")).1;
        assert!(bytes - index <= bytes_at_work(KEPT as u64 * 2), "life={life}: log={} index={index}", bytes - index);
        assert!(index <= 4 << 20, "life={life}: the index grows: {index}");
    }
    assert!(unclean > 0, "no life ended without a close");
    println!("reopen: a real directory: unclean={unclean} files, bytes, descriptors at most={grown:?}");
    println!("counted: reopen cycles on a real disk {lives}");
}
