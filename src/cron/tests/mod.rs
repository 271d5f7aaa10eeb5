//! Promises of periodic jobs, on the simulated disk with a clock that is moved.

mod clocks;
mod crash;
mod full;
mod policies;
mod pools;
mod random;
mod sets;
mod texts;
mod times;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{CronEntry, CronSet, Declared, Firing, Times};
use crate::clock::ManualClock;
use crate::disk::simulated::{CrashMode, SimDisk};
use crate::ids::Millis;
use crate::job::Codec;
use crate::queue::{Backlog, JobBuilder, Options};
use crate::random::SeededRandom;

/// The moment that a text such as `2026-03-29T02:30[Europe/Berlin]` or `2026-03-29T00:30Z` means.
fn ms(text: &str) -> Millis {
    let zoned = text.parse::<jiff::Zoned>().map(|zoned| zoned.timestamp());
    let at: Timestamp = zoned.or_else(|_| text.parse()).unwrap_or_else(|e| panic!("{text}: {e}"));
    Millis(u64::try_from(at.as_millisecond()).unwrap())
}

fn utc(at: Millis) -> String {
    Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap().to_string()
}

/// A job that says when it was due, and the last time before.
fn tick(firing: &Firing) -> JobBuilder {
    let args = format!("{} {} {:?}", firing.entry(), firing.at.0, firing.previous.map(|at| at.0));
    JobBuilder::raw("tick", args.into_bytes(), Codec::Raw)
}

fn daily(name: &str) -> CronEntry {
    CronEntry::cron(name, "30 4 * * *", "Europe/Berlin", tick)
}

fn minutely(name: &str) -> CronEntry {
    CronEntry::every(name, Duration::from_secs(60), tick)
}

/// A directory that processes come and go in.
struct World {
    disk: SimDisk,
    clock: Arc<ManualClock>,
}

impl World {
    fn at(start: &str) -> Self {
        Self { disk: SimDisk::new(), clock: Arc::new(ManualClock::new(ms(start).0)) }
    }

    fn open(&self) -> Backlog {
        let options = Options::new().segment_bytes(256 << 10).lock_wait(Duration::ZERO);
        options.open_inline(Arc::new(self.disk.clone()), self.clock.clone(), Arc::new(SeededRandom::new(7))).unwrap()
    }

    /// What a power cut leaves.
    fn next(self) -> Self {
        Self { disk: self.disk.crash_image(self.disk.ops(), CrashMode::DropUnsynced), clock: self.clock }
    }

    fn set_to(&self, text: &str) {
        self.clock.set_wall_ms(ms(text).0);
    }

    fn minutes(&self, n: u64) {
        self.clock.advance(Duration::from_secs(60 * n));
    }
}

fn declare(backlog: &Backlog, set: CronSet) -> Arc<Declared> {
    backlog.declare_cron(vec![set]).unwrap().remove(0)
}

/// Takes every job that is ready: the entries that made them, and the moments they were due.
fn take(backlog: &Backlog) -> Vec<(String, Millis)> {
    let mut taken = Vec::new();
    while let Some(lease) = backlog.queue("default").claim().unwrap() {
        let args = String::from_utf8(lease.payload().to_vec()).unwrap();
        let mut words = args.split(' ');
        taken.push((words.next().unwrap().to_owned(), Millis(words.next().unwrap().parse().unwrap())));
        lease.ack().unwrap();
    }
    taken
}

fn moments(backlog: &Backlog) -> Vec<String> {
    take(backlog).into_iter().map(|(_, at)| utc(at)).collect()
}

fn info(backlog: &Backlog, entry: &str) -> super::CronInfo {
    backlog.cron().entries().unwrap().into_iter().find(|known| known.entry == entry).unwrap()
}

fn cron(text: &str, zone: &str) -> Times {
    Times::cron(text, zone).unwrap()
}
