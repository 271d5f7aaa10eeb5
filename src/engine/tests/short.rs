//! Short programs of a few kinds of steps, judged after each; with crashes among them.

use crate::disk::simulated::CrashMode;

use super::judged::{Judged, Step, Wait};
use super::lives::{Aftermath, IndexFate};
use super::world::World;

const SEEDS: u64 = 60;

/// Runs programs of this many steps, each from a seed that is told where it fails.
pub(super) fn judge(steps: usize, step: impl Fn(&mut Judged, &mut fastrand::Rng) -> Step) {
    for seed in 0..SEEDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut judged = Judged::on(World::new(seed));
        judged.open().unwrap_or_else(|stop| panic!("seed={seed}: {stop}"));
        for nth in 0..steps {
            judged.oracle.set_clock(judged.now_ms());
            let done = step(&mut judged, &mut rng).and_then(|()| judged.compare());
            done.unwrap_or_else(|stop| panic!("seed={seed} step={nth}: {stop}"));
        }
    }
}

pub(super) fn any_wait(rng: &mut fastrand::Rng) -> Wait {
    [Wait::Out, Wait::Written, Wait::Not][rng.usize(..3)]
}

/// The process dies, or the power goes, and the index may be gone.
pub(super) fn crash(judged: &mut Judged, rng: &mut fastrand::Rng) -> Step {
    let mode = [CrashMode::KeepAll, CrashMode::DropUnsynced][rng.usize(..2)];
    let index = if rng.bool() { IndexFate::AsItWas } else { IndexFate::Deleted };
    judged.crash(Aftermath { mode, nested: None, index })
}
