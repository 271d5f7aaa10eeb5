//! What was asked for on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::common::Outcome;

pub(crate) const HELP: &str = "\
How fast a backlog is on your disk, beside what the disk itself can do.

cargo run --release --example bench -- [--json] [--dir D] [--jobs N] [--deep]

  --json    print one JSON object (rates in jobs/s, times in ms, sizes in bytes) instead of the table
  --dir D   measure in a fresh folder below D, on the disk you want to know about
            [default: beside the build, else the current directory]
  --jobs N  jobs of one turn of the figures that run jobs, 1000 to 10000000 [default: 50000]
  --deep    also ten million jobs: some minutes more
  --help    print this

Takes a minute or two and some 2 GB of the disk, with --deep 10 GB; the folder is removed at the end.";

const JOBS_DEFAULT: usize = 50_000;
const JOBS: std::ops::RangeInclusive<usize> = 1_000..=10_000_000;

#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    Bench(Args),
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) json: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) jobs: usize,
    pub(crate) deep: bool,
}

pub(crate) fn parse(words: Vec<OsString>) -> Outcome<Asked> {
    let mut args = Args { json: false, dir: None, jobs: JOBS_DEFAULT, deep: false };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--json") => args.json = true,
            Some("--deep") => args.deep = true,
            Some("--dir") => args.dir = Some(dir(words.next())?),
            Some("--jobs") => args.jobs = jobs(words.next())?,
            Some("--help" | "-h") => return Ok(Asked::Help),
            _ => return Err(format!("{} is not known here; see --help", word.display()).into()),
        }
    }
    Ok(Asked::Bench(args))
}

fn dir(word: Option<OsString>) -> Outcome<PathBuf> {
    let dir = PathBuf::from(word.ok_or("--dir needs a directory behind it")?);
    if !dir.is_dir() {
        return Err(format!("--dir {}: there is no such directory", dir.display()).into());
    }
    Ok(dir)
}

fn jobs(word: Option<OsString>) -> Outcome<usize> {
    let word = word.ok_or("--jobs needs a number behind it")?;
    match word.to_str().and_then(|text| text.parse().ok()) {
        Some(jobs) if JOBS.contains(&jobs) => Ok(jobs),
        _ => Err(format!("--jobs {}: give a number from {} to {}", word.display(), JOBS.start(), JOBS.end()).into()),
    }
}
