//! Memory while a damaged log is opened: bounded by the log, never by what a damaged length says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "system/mod.rs"]
mod system;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use backlog::testing::Parts;
use backlog::{Backlog, Codec, JobBuilder};
use peak_alloc::PeakAlloc;

use system::{home, segments};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SEGMENT_BYTES: u32 = 64 << 10;

/// One segment, nearly full, left without a close.
fn fill(dir: &Path) {
    let backlog = Backlog::builder().segment_bytes(SEGMENT_BYTES).open_parts(unsaved(dir)).unwrap();
    for nth in 0..150 {
        let args = vec![b'x'; nth * 4];
        let job = JobBuilder::raw("kind", args, Codec::Raw).queue(["a", "b"][nth % 2]).tag("tag");
        backlog.enqueue_all([job]).unwrap();
        if nth % 3 == 0 {
            backlog.queue("a").claim().unwrap().unwrap().ack().unwrap();
        }
    }
}

/// Real files, and no saved index: sled takes its memory whatever stands in the log.
fn unsaved(dir: &Path) -> Parts {
    Parts { save_index: false, ..Parts::real(dir).unwrap() }
}

/// The most memory that `act` had at a time beyond what stood before it, bytes.
fn peak_of(act: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    act();
    MEMORY.peak_usage().saturating_sub(before)
}

fn look(dir: &Path) -> usize {
    peak_of(|| {
        if let Ok(look) = Backlog::open_read_only(dir) {
            let _ = look.verify();
            let _ = look.dump(std::io::sink());
        }
    })
}

/// What a length may be taken for: the largest there are, and some that are no multiple of anything.
const WORDS: [u32; 6] = [u32::MAX, 0x7fff_ffff, 0x00ff_ffff, 0x00ff_ff03, u32::MAX - 7, 0xfd];

#[test]
fn no_damaged_length_costs_more_memory_than_twice_the_file() {
    let home = home();
    fill(&home.jobs());
    let file = segments(&home.jobs()).remove(0);
    let whole = fs::read(&file).unwrap();
    let mut damaged = OpenOptions::new().write(true).open(&file).unwrap();
    let mut put = |at: usize, bytes: &[u8]| {
        damaged.seek(SeekFrom::Start(at as u64)).unwrap();
        damaged.write_all(bytes).unwrap();
    };
    let sound = look(&home.jobs());
    let full = std::env::var("BACKLOG_EFFORT").is_ok_and(|effort| effort == "full");
    let (mut tried, mut most) = (0, 0);
    for (nth, at) in (0..whole.len() - 4).step_by(if full { 4 } else { 4 * 31 }).enumerate() {
        let words = if full { &WORDS[..] } else { &WORDS[nth % WORDS.len()..][..1] };
        for word in words {
            put(at, &word.to_le_bytes());
            let took = look(&home.jobs());
            assert!(took <= 2 * whole.len(), "offset={at} word={word:#x}: {took} bytes, sound {sound}");
            (tried, most) = (tried + 1, most.max(took));
        }
        put(at, &whole[at..at + 4]);
    }
    println!("counted: lengths damaged {tried}");
    println!("  peak bytes: sound log {sound}, at most {most}; file {}", whole.len());
}
