//! The wall clock jumps: ten years forward, ten years back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use backlog::testing::{Clock, ManualClock, Parts};
use backlog::{Backlog, Phase, Receipt, Status};

use crate::system::home;
use crate::{LONG, raw, small};

const NOW_MS: u64 = 1_800_000_000_000;
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

fn opened(dir: &std::path::Path, wall_ms: u64) -> (Backlog, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(wall_ms));
    let parts = Parts { clock: clock.clone(), ..Parts::real(dir).unwrap() };
    (small().open_parts(parts).unwrap(), clock)
}

fn at(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

/// Upkeep has looked at the clock since: a job that is due with the next tick has become ready.
fn upkeep_looks(backlog: &Backlog, clock: &ManualClock) {
    backlog.enqueue_all([raw(0).queue("tick").delay(Duration::from_millis(2))]).unwrap();
    clock.advance(Duration::from_millis(2));
    backlog.queue("tick").claim_timeout(LONG).unwrap().unwrap().ack().unwrap();
}

fn phase(backlog: &Backlog, id: backlog::JobId) -> Phase {
    match backlog.inspect(id).unwrap() {
        Status::Live(job) => job.phase,
        other => panic!("job {id} is {other:?}"),
    }
}

#[test]
fn a_clock_ten_years_ahead_makes_due_what_it_says_is_due_and_nothing_else() {
    let home = home();
    let (backlog, clock) = opened(&home.jobs(), NOW_MS);
    let ten_years_ms = u64::try_from(TEN_YEARS.as_millis()).unwrap();
    let due = [1, 3_600_000, ten_years_ms].map(|after| raw(after).run_at(at(NOW_MS + after)));
    let not_due = raw(1).run_at(at(NOW_MS + ten_years_ms + 3_600_000)).queue("later");
    let due = backlog.enqueue_all(due).unwrap();
    let not_due = backlog.enqueue_all([not_due]).unwrap()[0].id;
    clock.set_wall_ms(NOW_MS + ten_years_ms);
    for one in &due {
        let lease = backlog.queue("default").claim_timeout(LONG).unwrap().unwrap();
        assert_eq!(lease.id(), one.id);
        lease.ack().unwrap();
    }
    // Never early by the clock that was read: it goes back, and what was decided stays, what was not waits.
    assert_eq!(phase(&backlog, not_due), Phase::Scheduled);
    clock.set_wall_ms(NOW_MS);
    upkeep_looks(&backlog, &clock);
    assert_eq!(phase(&backlog, not_due), Phase::Scheduled);
    assert!(backlog.queue("later").claim().unwrap().is_none());
    clock.set_wall_ms(NOW_MS + ten_years_ms + 3_600_000);
    assert_eq!(backlog.queue("later").claim_timeout(LONG).unwrap().unwrap().id(), not_due);
}

#[test]
fn a_clock_ten_years_behind_lets_scheduled_jobs_wait_and_the_others_run() {
    let home = home();
    let (backlog, clock) = opened(&home.jobs(), NOW_MS);
    let waits = backlog.enqueue_all([raw(1).delay(HOUR).queue("waits")]).unwrap()[0].id;
    let back_ms = NOW_MS - u64::try_from(TEN_YEARS.as_millis()).unwrap();
    clock.set_wall_ms(back_ms);
    let runs = backlog.enqueue_all([raw(2)]).unwrap()[0].id;
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    assert_eq!(lease.id(), runs);
    // A wait that is asked for now counts from now.
    lease.nack_in(HOUR, "later").unwrap();
    clock.advance(HOUR);
    let lease = backlog.queue("default").claim_timeout(LONG).unwrap().unwrap();
    assert_eq!((lease.id(), lease.attempt()), (runs, 2));
    lease.ack().unwrap();
    upkeep_looks(&backlog, &clock);
    assert_eq!(phase(&backlog, waits), Phase::Scheduled);
    // The next process, with the clock set right again.
    backlog.close().unwrap();
    let (backlog, _clock) = opened(&home.jobs(), NOW_MS + u64::try_from(HOUR.as_millis()).unwrap());
    assert_eq!(backlog.queue("waits").claim_timeout(LONG).unwrap().unwrap().id(), waits);
}

#[test]
fn a_lease_lasts_as_long_as_it_says_however_the_wall_clock_jumps() {
    let home = home();
    let (backlog, clock) = opened(&home.jobs(), NOW_MS);
    let ids = [1, 2].map(|n| backlog.enqueue_all([raw(n)]).unwrap()[0].id);
    let queue = backlog.queue("default").lease(HOUR);
    let (kept, lost) = (queue.claim().unwrap().unwrap(), queue.claim().unwrap().unwrap());
    for wall in [at(NOW_MS) + TEN_YEARS, at(NOW_MS) - TEN_YEARS] {
        clock.set_wall_ms(u64::try_from(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap());
        upkeep_looks(&backlog, &clock);
        assert!(!kept.is_cancelled() && !lost.is_cancelled());
        assert!(queue.claim().unwrap().is_none(), "a lease ran out by the wall clock");
    }
    assert_eq!(kept.ack().unwrap(), Receipt::Accepted);
    // An hour that really passes counts, whatever the wall clock says.
    let wall = clock.wall_ms();
    clock.advance(HOUR);
    clock.set_wall_ms(wall - 1_000);
    let again = queue.claim_timeout(LONG).unwrap().unwrap();
    assert_eq!((again.id(), again.attempt()), (ids[1], 2));
    assert!(lost.ack().unwrap().is_stale());
    again.ack().unwrap();
}

/// A wall clock that is set by hand, and counts how often it is asked; the monotonic one is the system's.
#[derive(Debug)]
struct Asked {
    wall: ManualClock,
    started: Instant,
    times: AtomicU64,
}

impl Clock for Asked {
    fn now(&self) -> SystemTime {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.wall.now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

#[test]
fn nothing_spins_while_the_clock_stands_ten_years_off() {
    let home = home();
    for wall_ms in [NOW_MS, NOW_MS + 315_360_000_000, NOW_MS - 315_360_000_000] {
        let clock = Arc::new(Asked { wall: ManualClock::new(NOW_MS), started: Instant::now(), times: 0.into() });
        let parts = Parts { clock: clock.clone(), ..Parts::real(home.jobs()).unwrap() };
        let backlog = small().open_parts(parts).unwrap();
        backlog.enqueue_all([raw(1).delay(HOUR).queue("never")]).unwrap();
        clock.wall.set_wall_ms(wall_ms);
        let before = clock.times.load(Ordering::SeqCst);
        let queue = backlog.queue("empty");
        assert!(queue.claim_timeout(Duration::from_millis(50)).unwrap().is_none());
        let asked = clock.times.load(Ordering::SeqCst) - before;
        println!("clock: wall={wall_ms} asked {asked} times while nothing happened");
        assert!(asked < 100, "wall={wall_ms}: the clock was asked {asked} times");
        backlog.close().unwrap();
    }
}
