//! Bytes as a program of verbs, maintenance and crashes.
#![cfg_attr(fuzzing, no_main)]

fn run(data: &[u8]) {
    let _ = backlog::testing::fuzzing::program(data);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// Replays the files that are given.
#[cfg(not(fuzzing))]
fn main() {
    for path in std::env::args_os().skip(1) {
        eprintln!("{}", path.display());
        run(&std::fs::read(path).expect("a file to replay"));
    }
}
