//! Random programs, engine against oracle: C1–C12 and C15 after each step.
//!
//! Each seed switches some kinds of operation off, so that the others go deeper. More programs with
//! `BACKLOG_MODEL_PROGRAMS`; a failure prints the line that replays it.

use crate::disk::simulated::CrashMode;
use crate::error::ErrorKind;
use crate::testing::oracle::JobView;

use super::judged::{Judged, Step, Stop, broken};
use super::world::World;
use crate::testing::effort::{budget, counted, spread};

/// A random program under way.
pub(super) struct Program {
    pub(super) judged: Judged,
    pub(super) rng: fastrand::Rng,
    /// Kinds of operation this seed leaves out.
    pub(super) without: u64,
    pub(super) args_max: usize,
    /// Looks at everything after each step; looking pushes, so some seeds look seldom.
    looks_always: bool,
    /// A fault is armed.
    pub(super) armed: bool,
    pub(super) serial: u32,
    pub(super) trail: Vec<String>,
}

impl Program {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = World::new(seed << 20);
        let without = rng.u64(..) & rng.u64(..);
        let args_max = [8, 300, 3_900][rng.usize(..3)];
        let looks_always = rng.u8(..4) != 0;
        let judged = Judged::on(world);
        Self { judged, rng, without, args_max, looks_always, armed: false, serial: 0, trail: Vec::new() }
    }

    pub(super) fn start(&mut self) -> Step {
        self.judged.open()
    }

    pub(super) fn step(&mut self) -> Step {
        let mut kind = self.rng.u32(..super::actions::KINDS);
        if kind > 5 && self.without & (1 << kind) != 0 {
            kind = self.rng.u32(..6);
        }
        self.judged.oracle.set_clock(self.judged.now_ms());
        match self.perform(kind) {
            Ok(()) => self.after(),
            Err(Stop::Failed(why)) if self.armed => {
                self.trail.push(format!("  refused: {:?}", why.kind()));
                self.after_refusal(why.kind())
            }
            Err(other) => Err(other),
        }
    }

    fn after(&mut self) -> Step {
        if self.armed {
            if self.judged.engine().poisoned().is_some() {
                return self.after_refusal(ErrorKind::Poisoned);
            }
            if self.rng.u8(..4) == 0 {
                self.disarm();
            }
        }
        if !self.armed && (self.looks_always || self.rng.u8(..8) == 0) {
            self.judged.compare()?;
        }
        Ok(())
    }

    fn disarm(&mut self) {
        self.judged.world.disk.clear_faults();
        self.armed = false;
        self.note("faults end");
    }

    /// An error under a fault: harmless, or the handle is poisoned and acknowledges nothing any more.
    fn after_refusal(&mut self, kind: ErrorKind) -> Step {
        if self.judged.engine.is_none() {
            // The open itself failed.
            let mode = self.mode();
            return self.crash(mode);
        }
        if self.judged.engine().poisoned().is_some() {
            self.judged.refuses_everything()?;
            let modes = [CrashMode::KeepAll, CrashMode::DropUnsynced, CrashMode::StaleAfterFailedSync];
            let mode = if self.rng.bool() { modes[self.rng.usize(..3)] } else { self.mode() };
            return self.crash(mode);
        }
        if !matches!(kind, ErrorKind::Io | ErrorKind::Full | ErrorKind::Closed | ErrorKind::Corrupt) {
            return broken(format!("{kind:?} without poison"));
        }
        self.disarm();
        if kind == ErrorKind::Closed || self.judged.is_closed() {
            return self.crash(CrashMode::KeepAll);
        }
        self.judged.compare()
    }
}

/// The jobs as they should stand, for whoever reads a failure.
fn shown(judged: &Judged) -> String {
    let view = judged.oracle.view();
    let jobs = view.jobs.iter().map(|(id, job)| {
        let JobView { queue, priority, phase, run_at, attempts, max_attempts, crashes, unique, .. } = job;
        format!("\n{id} {queue} {priority} {phase} {run_at:?} {attempts}/{max_attempts} crashes={crashes} {unique:?}")
    });
    jobs.collect()
}

fn run(seed: u64, steps: u64, trail: &mut Vec<String>) -> Step<u64> {
    let mut program = Program::new(seed);
    program.start()?;
    for done in 0..steps {
        if let Err(stop) = program.step() {
            *trail = program.trail;
            trail.push(shown(&program.judged));
            trail.push(format!("  step={done}"));
            return Err(stop);
        }
    }
    program.finish()?;
    Ok(steps)
}

#[test]
fn c1_to_c12_and_c15_hold_after_every_step_of_random_programs() {
    let first = budget("BACKLOG_MODEL_FIRST_SEED", 1, 1);
    let programs = budget("BACKLOG_MODEL_PROGRAMS", 2_000, 200_000);
    let each = budget("BACKLOG_MODEL_STEPS", 60, 40);
    let steps = spread(first..first + programs, |seeds| seeds.map(|seed| run_or_tell(seed, each)).sum::<u64>());
    counted("random programs", programs);
    counted("steps of random programs", steps.into_iter().sum());
}

/// Runs one program; a failure prints the line that replays it.
fn run_or_tell(seed: u64, steps: u64) -> u64 {
    let mut trail = Vec::new();
    match run(seed, steps, &mut trail) {
        Ok(done) => done,
        Err(stop) => panic!(
            "{}\n{stop}\nreplay: BACKLOG_MODEL_FIRST_SEED={seed} BACKLOG_MODEL_PROGRAMS=1 BACKLOG_MODEL_STEPS={steps} cargo test --lib random_programs",
            trail.join(", ")
        ),
    }
}
