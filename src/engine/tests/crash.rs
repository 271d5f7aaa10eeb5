//! A crash at every I/O operation of random programs, in every mode, and a crash inside the recovery too.
//!
//! What each image must open as: the state after the last operation that was acknowledged before the cut, or after
//! the one under way (P3). `BACKLOG_CRASH_SEEDS` and `BACKLOG_CRASH_FIRST_SEED` choose the programs.

use crate::disk::simulated::{CrashMode, SimDisk};

use super::program::Program;
use super::world::{World, dump_of};
use crate::testing::effort::{budget, counted, spread};

/// A moment between two operations of a program.
struct Point {
    ops: usize,
    saves: usize,
    /// What an open in this moment serves.
    state: String,
    done: &'static str,
}

fn world_on(world: &World, disk: SimDisk, saves: usize) -> World {
    World { disk, memory: world.memory.as_of(saves), ..world.cut_nothing() }
}

/// Opens an image; the state it serves, or why it did not open.
fn served(world: &World) -> Result<String, String> {
    match world.try_open() {
        Ok(engine) => {
            let books = engine.check_books();
            books.map(|()| dump_of(&*engine))
        }
        Err(refused) => Err(refused.to_string()),
    }
}

fn record(seed: u64, steps: usize) -> (World, Vec<Point>) {
    let mut program = Program::new(seed);
    let mut points = Vec::new();
    let mut done = "open";
    for _ in 0..=steps {
        let (ops, saves) = (program.world.disk.ops(), program.world.memory.saves());
        let image = world_on(&program.world, program.world.disk.crash_image(ops, CrashMode::KeepAll), saves);
        let state = served(&image).unwrap_or_else(|why| panic!("seed={seed} after {done}: {why}"));
        points.push(Point { ops, saves, state, done });
        done = program.step();
    }
    (program.world.clone(), points)
}

#[derive(Default)]
struct Tally {
    images: u64,
    nested: u64,
}

fn crash_everywhere(seed: u64, steps: usize, tally: &mut Tally) {
    let (world, points) = record(seed, steps);
    let mut replayer = world.disk.replayer();
    for pair in points.windows(2) {
        let [before, after] = pair else { continue };
        for cut in before.ops..after.ops {
            replayer.advance_to(cut);
            for (nth, mode) in CrashMode::all(seed ^ cut as u64).into_iter().enumerate() {
                let replay = format!("seed={seed} steps={steps} cut={cut} mode={mode:?} during={}", after.done);
                let image = world_on(&world, replayer.image(mode), before.saves);
                check(&image, before, after, &replay);
                tally.images += 1;
                // Inside the recovery, at one operation of each image: all of them over the run.
                if (cut + nth) % 4 == 0 {
                    let ops = image.disk.ops();
                    if ops > 0 {
                        let at = cut % (ops + 1);
                        let inner_mode = CrashMode::all(seed ^ at as u64)[nth];
                        let inner = world_on(&image, image.disk.crash_image(at, inner_mode), image.memory.saves());
                        check(&inner, before, after, &format!("{replay} inner={at} mode={inner_mode:?}"));
                        tally.nested += 1;
                    }
                }
            }
        }
    }
}

fn check(image: &World, before: &Point, after: &Point, replay: &str) {
    let state = served(image).unwrap_or_else(|why| panic!("{replay}: did not open: {why}"));
    assert!(
        state == before.state || state == after.state,
        "{replay}: neither before nor after\n-- before\n{}-- after\n{}-- found\n{state}",
        before.state,
        after.state
    );
}

#[test]
fn p3_a_crash_at_every_operation_leaves_the_state_before_or_after_it() {
    let seeds = budget("BACKLOG_CRASH_SEEDS", 12, 700);
    let first = budget("BACKLOG_CRASH_FIRST_SEED", 1, 1);
    let tallies = spread(first..first + seeds, |seeds| {
        let mut tally = Tally::default();
        for seed in seeds {
            crash_everywhere(seed, 60, &mut tally);
        }
        tally
    });
    counted("crash images", tallies.iter().map(|tally| tally.images).sum());
    counted("crash images inside recovery", tallies.iter().map(|tally| tally.nested).sum());
}
