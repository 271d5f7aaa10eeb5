//! Entries of running pools, with threads.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{daily, ms, utc};
use crate::clock::ManualClock;
use crate::cron::CronSet;
use crate::disk::simulated::SimDisk;
use crate::ids::Millis;
use crate::queue::{Options, Parts};
use crate::random::SeededRandom;

const LONG: Duration = Duration::from_secs(30);

#[test]
fn two_pools_with_threads_fire_each_night_once_and_none_when_they_have_stopped() {
    let clock = Arc::new(ManualClock::new(ms("2026-03-27T12:00Z").0));
    let parts = Parts {
        disk: Arc::new(SimDisk::new()),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(3)),
        save_index: false,
    };
    let backlog = Options::new().segment_bytes(256 << 10).open_parts(parts).unwrap();
    let (say, hear) = channel();
    let start = || {
        let say = say.clone();
        let tick = move |args: &[u8], _: crate::worker::Context| {
            let args = String::from_utf8(args.to_vec())?;
            Ok(say.send(args.split(' ').nth(1).unwrap().parse::<u64>()?)?)
        };
        let set = CronSet::new("s").entry(daily("nightly"));
        backlog.workers().handle_raw("tick", tick).concurrency(1).cron(set).start().unwrap()
    };
    let pools = [start(), start()];
    for night in ["2026-03-28T03:30:00Z", "2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"] {
        clock.set_wall_ms(ms(night).0);
        assert_eq!(utc(Millis(hear.recv_timeout(LONG).unwrap())), night);
    }
    for pool in pools {
        pool.stop(LONG).unwrap();
    }
    assert!(!backlog.cron().entries().unwrap()[0].declared);
    clock.set_wall_ms(ms("2026-03-31T12:00Z").0);
    backlog.serve().unwrap();
    // A start makes up for what it missed before it returns.
    let pool = start();
    assert_eq!(utc(Millis(hear.recv_timeout(LONG).unwrap())), "2026-03-31T02:30:00Z");
    pool.stop(LONG).unwrap();
    assert!(hear.try_recv().is_err(), "nothing twice");
    backlog.close().unwrap();
}
