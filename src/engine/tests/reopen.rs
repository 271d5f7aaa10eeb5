//! Opening and ending again and again: what a program leaves that does little and starts often.
//!
//! Each life does next to nothing and ends closed, killed or without power, now and then in the middle of its own
//! recovery. The state is judged after each; what lies on the disk must not grow with the number of lives, ids and
//! epochs must rise and no faster than they may. `BACKLOG_REOPENS` says how many lives, `BACKLOG_REOPEN_SEED` which.

use std::time::Duration;

use crate::disk::simulated::CrashMode;
use crate::engine::{Durability, LeaseKind, Settle};
use crate::ids::JobId;
use crate::job::namespace;
use crate::limits::ID_CEILING_STEP;
use crate::log::RESERVE;
use crate::testing::effort::{budget, counted};

use super::judged::{Judged, Step, Wait, broken};
use super::lives::{Aftermath, IndexFate};
use super::world::{SEGMENT_BYTES, World, job, nack};

/// Jobs alive at a time, about.
const JOBS_MAX: usize = 8;

/// Steps the compactor gets in one life: few, since such lives are short.
const COMPACT_STEPS: u32 = 6;

struct Lives {
    judged: Judged,
    rng: fastrand::Rng,
    serial: u32,
    opens: u64,
    unclean: u64,
    epoch: u64,
    used_max: u64,
}

impl Lives {
    fn begin(seed: u64) -> Step<Self> {
        let mut judged = Judged::on(World::new(seed));
        judged.open()?;
        let rng = fastrand::Rng::with_seed(seed);
        Ok(Self { judged, rng, serial: 0, opens: 1, unclean: 0, epoch: 1, used_max: 0 })
    }

    /// What one life does: most often nothing.
    fn live(&mut self) -> Step {
        for _ in 0..self.rng.u32(..3) {
            self.act()?;
        }
        // More than the reserve: a crash then leaves the tail as it is and goes on in the next segment.
        while self.rng.u8(..4) > 0 && self.judged.engine().make_step()? {}
        for _ in 0..self.rng.u32(..COMPACT_STEPS) {
            self.judged.engine().compact_step()?;
        }
        Ok(())
    }

    fn act(&mut self) -> Step {
        let alive: Vec<JobId> = self.judged.oracle.view().jobs.keys().copied().collect();
        match self.rng.u8(..8) {
            _ if alive.len() > JOBS_MAX => self.judged.cancel(alive[self.rng.usize(..alive.len())], Wait::Out),
            0..=2 => {
                self.serial += 1;
                let level = if self.rng.bool() { Durability::Sync } else { Durability::Buffered };
                let mut new = job(&format!("{}:{}", self.serial, "x".repeat(self.rng.usize(..600))));
                new.unique = self.rng.bool().then(|| format!("key {}", self.rng.u8(..12)));
                self.judged.enqueue(vec![new], level, Wait::Out)
            }
            3 | 4 => self.judged.claim(&[], 1 + self.rng.usize(..2), LeaseKind::Pool).map(drop),
            5 | 6 => self.settle(),
            _ => {
                self.judged.world.clock.advance(Duration::from_millis(self.rng.u64(..40_000)));
                self.judged.oracle.set_clock(self.judged.now_ms());
                self.judged.promote()
            }
        }
    }

    fn settle(&mut self) -> Step {
        let Some(lease) = self.judged.leases.pop() else { return Ok(()) };
        let how = match self.rng.u8(..5) {
            0 | 1 => Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() },
            2 => Settle::Release,
            3 => Settle::Snooze(Duration::from_millis(10)),
            _ => nack("no luck"),
        };
        self.judged.settle(&lease, how, Wait::Out)
    }

    /// The end of this life and the beginning of the next.
    fn turn(&mut self) -> Step {
        let mut recoveries = 1;
        match self.rng.u8(..8) {
            0..=2 => {
                while let Some(lease) = self.judged.leases.pop() {
                    self.judged.settle(&lease, Settle::Release, Wait::Out)?;
                }
                self.judged.close_and_open()?;
            }
            3 | 4 => self.judged.reopen_after_kill()?,
            _ => {
                let after = self.aftermath();
                recoveries += u64::from(after.nested.is_some());
                self.judged.crash(after)?;
            }
        }
        self.opens += recoveries;
        let totals = self.judged.engine().state.lock().books.totals;
        self.unclean += if self.judged.engine().report().clean { 0 } else { recoveries };
        if totals.epoch <= self.epoch || totals.epoch > self.epoch + recoveries {
            return broken(format!("epoch {} after {} and {recoveries} recoveries", totals.epoch, self.epoch));
        }
        self.epoch = totals.epoch;
        self.judged.world.disk.forget_trace();
        self.is_flat()
    }

    fn aftermath(&mut self) -> Aftermath {
        let mode = self.mode();
        Aftermath {
            mode,
            nested: (self.rng.u8(..4) == 0).then(|| (self.rng.usize(..200), self.mode())),
            index: if self.rng.u8(..8) == 0 { IndexFate::Deleted } else { IndexFate::AsItWas },
        }
    }

    fn mode(&mut self) -> CrashMode {
        let seed = self.rng.u64(..);
        match self.rng.u8(..6) {
            0 => CrashMode::DropUnsynced,
            1 => CrashMode::Torn { seed },
            2 => CrashMode::Subset { seed },
            3 => CrashMode::SizeKept { seed },
            4 => CrashMode::Names { seed },
            _ => CrashMode::Revived { seed },
        }
    }

    /// The number of lives shows neither in the files, nor in the cells, nor in the ids beyond what each open takes.
    fn is_flat(&mut self) -> Step {
        let (engine, disk) = (self.judged.engine(), &self.judged.world.disk);
        // Bloated from 2 × live + 3 segments on; what is being emptied and filled then, and what stands prepared.
        let segments = 3 + 2 + RESERVE + 1;
        let bound = 2 * engine.live_bytes() + segments * u64::from(SEGMENT_BYTES) + 3 * 4096;
        self.used_max = self.used_max.max(disk.used());
        if disk.used() > bound {
            return broken(format!("the directory grows: used={} bound={bound} {:?}", disk.used(), disk.file_names()));
        }
        let jobs = self.judged.oracle.view().jobs.len();
        let state = engine.state.lock();
        let epochs = state.books.index.cells(namespace::EPOCH).count();
        if epochs > jobs + 1 {
            return broken(format!("{epochs} openings are remembered for {jobs} jobs"));
        }
        let (ceiling, enqueued) = (state.books.totals.id_ceiling, u64::from(self.serial));
        // Each open that could not know what was given out takes a step of ids; nobody else does.
        if ceiling > 1 + enqueued + (self.unclean + 1) * ID_CEILING_STEP {
            return broken(format!("ids run away: ceiling={ceiling} unclean opens={}", self.unclean));
        }
        Ok(())
    }
}

fn run(seed: u64, lives: u64) -> Result<Lives, String> {
    let mut all = Lives::begin(seed).map_err(|stop| stop.to_string())?;
    for life in 0..lives {
        let lived = all.live().and_then(|()| all.turn());
        lived.map_err(|stop| format!("{stop}\nreplay: BACKLOG_REOPEN_SEED={seed} BACKLOG_REOPENS={}", life + 1))?;
    }
    Ok(all)
}

#[test]
fn lives_that_do_next_to_nothing_leave_the_state_right_and_the_directory_flat_however_many_they_are() {
    let lives = budget("BACKLOG_REOPENS", 3_000, 100_000);
    let all = run(budget("BACKLOG_REOPEN_SEED", 1, 1), lives).unwrap_or_else(|why| panic!("{why}"));
    let ceiling = all.judged.engine().state.lock().books.totals.id_ceiling;
    println!(
        "reopen: opens={} unclean={} jobs={} epoch={} id ceiling={ceiling} bytes at most={}",
        all.opens, all.unclean, all.serial, all.epoch, all.used_max
    );
    counted("reopen cycles", lives);
    assert!(lives < 10_000 || ceiling > u64::from(u32::MAX), "ids never left 32 bits");
}
