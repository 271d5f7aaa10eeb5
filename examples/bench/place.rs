//! Where it is measured: a fresh folder, on a disk that is named, gone at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::Outcome;
use crate::measure::files_below;

/// Longer than any work that is left over takes.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Place {
    dir: TempDir,
    /// What the disk is formatted with, if the system says.
    pub(crate) file_system: Option<String>,
}

impl Place {
    /// Below `dir`; if none is given beside the build, which is seldom in memory as the temporary folder may be, else
    /// in the current directory.
    pub(crate) fn new(dir: Option<&Path>) -> Outcome<Self> {
        let fresh = |dir: &Path| {
            let made = tempfile::Builder::new().prefix("backlog-bench-").tempdir_in(dir);
            made.map_err(|e| format!("cannot make a folder in {}: {e}", dir.display()))
        };
        let dir = match dir {
            Some(dir) => fresh(&std::path::absolute(dir)?)?,
            None => beside_the_build()
                .and_then(|dir| fresh(&dir).ok())
                .map_or_else(|| fresh(&std::env::current_dir()?).map_err(Into::into), Outcome::Ok)?,
        };
        leave_nothing(dir.path());
        let file_system = file_system(dir.path());
        crate::tell(&format!("measures in {}", dir.path().display()));
        if file_system.as_deref().is_some_and(|name| matches!(name, "tmpfs" | "ramfs")) {
            crate::tell("that is memory and no disk, its syncs cost nothing; give a better one with --dir");
        }
        Ok(Self { dir, file_system })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn beside_the_build() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_owned())
}

/// The folder goes at Ctrl-C too.
#[cfg(unix)]
fn leave_nothing(dir: &Path) {
    let dir = dir.to_owned();
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) {
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Again if a thread or a child made a file meanwhile.
                let _ = std::fs::remove_dir_all(&dir).or_else(|_| std::fs::remove_dir_all(&dir));
                std::process::exit(128 + signal);
            }
        });
    }
}

#[cfg(not(unix))]
fn leave_nothing(_: &Path) {}

/// The type of the mount whose path is the longest above `dir`.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let above = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mount = left.split(' ').nth(4)?;
        dir.starts_with(mount).then_some((mount.len(), right.split(' ').next()?))
    });
    // Of two at one place the later one covers the other.
    above.max_by_key(|(length, _)| *length).map(|(_, name)| name.to_owned())
}

/// Bytes of the files below `dir` once nothing has changed for so long: the threads beside the work rest.
pub(crate) fn bytes_at_rest(dir: &Path, quiet: Duration) -> Outcome<u64> {
    const LOOK: Duration = Duration::from_millis(50);
    let started = Instant::now();
    let (mut bytes, mut since) = (files_below(dir).1, Instant::now());
    while since.elapsed() < quiet {
        if started.elapsed() > PATIENCE {
            return Err(format!("{} does not come to rest: bytes={bytes}", dir.display()).into());
        }
        std::thread::sleep(LOOK);
        let now = files_below(dir).1;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    Ok(bytes)
}
