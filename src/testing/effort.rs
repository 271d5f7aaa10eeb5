//! How much the test lanes try.
//!
//! A lane has two budgets: a quick one for every `cargo test`, and a full one for `BACKLOG_EFFORT=full`. A variable of
//! its own overrides both. What was tried is printed as lines of `counted: WHAT NUMBER`, which `.ci/run` adds up.

use std::ops::Range;

/// How much of something a lane tries: `variable` if it is set, else by the effort asked for.
pub(crate) fn budget(variable: &str, quick: u64, full: u64) -> u64 {
    let own = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    own.unwrap_or(if is_full() { full } else { quick })
}

/// Whether the long budgets are asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("BACKLOG_EFFORT").is_ok_and(|effort| effort == "full")
}

/// Splits a range of seeds over the cores: each piece on a thread of its own, results in order.
pub(crate) fn spread<T: Send>(seeds: Range<u64>, work: impl Fn(Range<u64>) -> T + Sync) -> Vec<T> {
    let threads = if is_full() { std::thread::available_parallelism().map_or(1, usize::from) as u64 } else { 1 };
    let piece = (seeds.end.saturating_sub(seeds.start)).div_ceil(threads).max(1);
    let pieces: Vec<Range<u64>> =
        seeds.clone().step_by(piece as usize).map(|from| from..(from + piece).min(seeds.end)).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = pieces.into_iter().map(|piece| scope.spawn(|| work(piece))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What was tried, for whoever adds it up.
pub(crate) fn counted(what: &str, number: u64) {
    println!("counted: {what} {number}");
}
