//! The fuzz targets on a stable toolchain: seeds made by the code itself, and variations of them.
//!
//! `BACKLOG_FUZZ_RUNS` says how many variations of each target, `BACKLOG_FUZZ_SEED` which. What fuzzing found once, or
//! what reaches code that no seed reaches, stands in `fuzz/found/TARGET.hex`, one input a line, and is replayed.
//!
//! Real fuzzing: `cargo test --test fuzz_corpus -- --ignored` writes the seeds to `fuzz/corpus/`, then
//! `cargo +nightly fuzz run log`.
#![allow(clippy::match_wild_err_arm, reason = "the panic was shown already")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::path::Path;

use backlog::testing::fuzzing;

use system::{budget, number};

const TARGETS: [&str; 4] = ["frames", "records", "log", "program"];

/// Changes a seed a little, as a fuzzer would.
fn vary(seed: &[u8], other: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.u32(1..6) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 => bytes.insert(at, rng.u8(..)),
            3 => bytes.truncate(at),
            4 => {
                let from = rng.usize(..=other.len());
                let piece = &other[from..other.len().min(from + rng.usize(..64))];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

/// Runs the seeds and variations of them; gives how many, and how many came through.
fn replay(target: &str, quick: u64, full: u64, run: impl Fn(&[u8]) -> bool) {
    let runs = budget("BACKLOG_FUZZ_RUNS", quick, full);
    let (seeds, made) = (seeds(target), made(target).len());
    let first_seed = number("BACKLOG_FUZZ_SEED", 1);
    let (mut ran, mut came_through) = (0_u64, 0_u64);
    let mut one = |what: &str, bytes: &[u8]| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(bytes)));
        ran += 1;
        match outcome {
            Ok(through) => came_through += u64::from(through),
            Err(_) => panic!("target={target} {what}: {bytes:?}"),
        }
    };
    for (nth, seed) in seeds.iter().enumerate() {
        one(&format!("seed {nth}"), seed);
    }
    for nth in first_seed..first_seed + runs {
        let mut rng = fastrand::Rng::with_seed(nth);
        // Most of what was found is short and broken: mostly what the code made is varied.
        let most = if rng.u8(..4) == 0 { seeds.len() } else { made };
        let (seed, other) = (&seeds[rng.usize(..most)], &seeds[rng.usize(..seeds.len())]);
        one(&format!("BACKLOG_FUZZ_SEED={nth} BACKLOG_FUZZ_RUNS=1"), &vary(seed, other, &mut rng));
    }
    println!("fuzz: target={target} seeds={} runs={ran} read or opened={came_through}", seeds.len());
    println!("counted: fuzz executions {ran}");
    assert!(came_through > 0, "nothing came through: the seeds are stale");
}

/// A line of hex digits each; `#` begins a remark.
fn found(target: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/found/{target}.hex"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty());
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    lines.map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

/// What each target begins with: made by the code itself, and found before.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = made(target);
    seeds.extend(found(target));
    seeds
}

fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frames" => {
            let mut seeds = fuzzing::frame_seeds();
            let mending = seeds.iter().map(|seed| [&[1], &seed[1..]].concat()).collect::<Vec<_>>();
            seeds.extend(mending);
            seeds
        }
        "records" => fuzzing::record_seeds(),
        "log" => fuzzing::log_seeds(),
        "program" => fuzzing::program_seeds(),
        other => panic!("no such target: {other}"),
    }
}

#[test]
#[ignore = "for fuzzing: writes the seeds to fuzz/corpus"]
fn write_the_seeds() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (nth, seed) in seeds(target).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{nth}")), seed).unwrap();
        }
    }
}

#[test]
fn any_bytes_as_frames() {
    replay("frames", 2_000, 60_000, |bytes| fuzzing::frames(bytes).0 > 0);
}

#[test]
fn any_bytes_as_records() {
    replay("records", 20_000, 450_000, fuzzing::records);
}

#[test]
fn any_damage_to_a_directory() {
    replay("log", 500, 12_000, fuzzing::log);
}

#[test]
fn any_program_of_verbs_and_crashes() {
    replay("program", 400, 2_000, |bytes| fuzzing::program(bytes) > 0);
}
