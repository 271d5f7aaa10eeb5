//! What a path inside a backlog's directory may look like, for both twins.
//!
//! # Invariants
//! * A checked path names something below the directory on every system: no `..`, no drive, no separator but `/`.

use std::io;

/// The path, if each part is a plain ASCII name.
pub(super) fn checked(path: &str) -> io::Result<&str> {
    if path.split('/').all(is_plain) { Ok(path) } else { Err(refused(path)) }
}

/// Like [`checked`], and `""`, the backlog's directory itself.
pub(super) fn checked_dir(path: &str) -> io::Result<&str> {
    if path.is_empty() { Ok(path) } else { checked(path) }
}

/// Directory and last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Both names in one directory: the only rename that one `sync_dir` makes durable.
pub(super) fn checked_rename(from: &str, to: &str) -> io::Result<()> {
    if split(checked(from)?).0 == split(checked(to)?).0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("rename across directories: from={from} to={to}")))
}

pub(super) fn not_a_file(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a plain file: {path}"))
}

fn is_plain(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
}

fn refused(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a path inside the backlog's directory: {path:?}"))
}
