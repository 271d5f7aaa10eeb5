//! What the tests of whole processes share: directories on a real disk, and this test binary run anew as a child.

#![allow(dead_code, unused_imports, reason = "each test uses its part")]

mod measure;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub(crate) use measure::{files_below, resident_bytes};

/// A directory beside the build, so on a real disk. It goes when the test ends, and stays where it failed.
pub(crate) struct Home {
    dir: Option<TempDir>,
    path: PathBuf,
}

pub(crate) fn home() -> Home {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().to_owned();
    Home { dir: Some(dir), path }
}

impl Home {
    /// Where the backlog lies. Not there yet.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.path.join("jobs")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("kept for a look: {}", dir.keep().display());
        }
    }
}

/// Marks the lines a child says; the test harness writes others.
const MARK: char = '@';

/// One line to the parent, with the system when this returns. Without a parent there is nothing left to do.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(format!("{MARK}{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// This binary, to run one ignored test of it and nothing else.
pub(crate) fn anew(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}

/// A running child and what it says.
pub(crate) struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(test: &str, environment: &[(&str, &dyn AsRef<OsStr>)]) -> Self {
        let mut command = anew(test);
        for (name, value) in environment {
            command.env(name, value.as_ref());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it says; `None` behind the last. A line that was cut by its death does not count.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            self.out.read_line(&mut line).unwrap();
            if line.is_empty() {
                return None;
            }
            if let (Some(at), true) = (line.find(MARK), line.ends_with('\n')) {
                return Some(line[at + 1..line.len() - 1].to_owned());
            }
        }
    }

    /// Waits for this very line.
    pub(crate) fn hear_that(&mut self, wanted: &str) {
        let heard = self.hear();
        assert_eq!(heard.as_deref(), Some(wanted));
    }

    /// SIGKILL, or its like.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits until it is gone; whether it ended well.
    pub(crate) fn end(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed: nobody else would end it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number from the environment, for budgets and seeds.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// How much of something a lane tries: as the variable says, else by `BACKLOG_EFFORT`.
pub(crate) fn effort(variable: &str, quick: u64, full: u64) -> u64 {
    let asked = std::env::var("BACKLOG_EFFORT").is_ok_and(|effort| effort == "full");
    number(variable, if asked { full } else { quick })
}

/// Copies a directory with all below it.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Paths of the log's segments, oldest first.
pub(crate) fn segments(jobs: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(jobs.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    found.sort();
    found
}

/// The number in a segment's name.
pub(crate) fn segment_number(path: &Path) -> u64 {
    u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap()
}

/// How much of something a lane tries: as the variable says, else by the effort asked for.
pub(crate) fn budget(variable: &str, quick: u64, full: u64) -> u64 {
    let effort = std::env::var("BACKLOG_EFFORT").is_ok_and(|effort| effort == "full");
    number(variable, if effort { full } else { quick })
}

/// Open descriptors of this process; 0 where the system does not say.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
