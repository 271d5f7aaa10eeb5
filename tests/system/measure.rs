//! What a process and a directory take, as the system tells it.

use std::io;
use std::path::Path;

/// Bytes of memory of this process that are resident; 0 where the system does not say.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Files below a directory, and their bytes.
pub(crate) fn files_below(dir: &Path) -> (u64, u64) {
    count(dir).expect("a directory that can be read")
}

fn count(dir: &Path) -> io::Result<(u64, u64)> {
    let mut found = (0, 0);
    for entry in std::fs::read_dir(dir)?.flatten() {
        // Gone meanwhile: the services are at work.
        let Ok(meta) = entry.metadata() else { continue };
        let (files, bytes) = if meta.is_dir() { count(&entry.path()).unwrap_or_default() } else { (1, meta.len()) };
        found = (found.0 + files, found.1 + bytes);
    }
    Ok(found)
}
