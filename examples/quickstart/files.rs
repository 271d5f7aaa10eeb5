//! Finding files, and hashing one.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What was found in a file. Length and time tell whether two looks saw the same file.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) sha256: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) modified_ns: Option<u128>,
    pub(crate) error: Option<String>,
}

impl Found {
    pub(crate) fn unreadable(e: &io::Error) -> Self {
        Self { sha256: None, bytes: 0, modified_ns: None, error: Some(e.kind().to_string()) }
    }

    /// Whether the file itself is another now, or can be read only at one of the two times.
    pub(crate) fn is_of_another_time(&self, other: &Self) -> bool {
        (self.bytes, self.modified_ns) != (other.bytes, other.modified_ns)
    }
}

pub(crate) fn hash(path: &Path) -> io::Result<Found> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let mut hasher = Sha256::new();
    let mut buffer = [0; 16 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(buffer.get(..n).unwrap_or_default());
                bytes += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let modified = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(Found {
        sha256: Some(format!("{:x}", hasher.finalize())),
        bytes,
        modified_ns: modified.map(|since| since.as_nanos()),
        error: None,
    })
}

/// This checkout, and the sources of cargo's registry.
pub(crate) fn default_roots() -> io::Result<Vec<PathBuf>> {
    let checkout = env::var_os("CARGO_MANIFEST_DIR").map_or_else(env::current_dir, |dir| Ok(dir.into()))?;
    let home = || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(home()?).join(".cargo")));
    let sources = cargo.map(|cargo| cargo.join("registry").join("src"));
    Ok([Some(checkout), sources].into_iter().flatten().filter(|root| root.is_dir()).collect())
}

/// Plain files below the roots, in order; and how many names had to be left out.
///
/// Links are not followed; `target` and `.git` are others' business and change while we look.
pub(crate) fn below(roots: &[PathBuf]) -> (Vec<String>, usize) {
    let (mut found, mut left_out) = (Vec::new(), 0);
    let mut dirs = roots.to_vec();
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            left_out += 1;
            continue;
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if kind.is_dir() => {
                    if entry.file_name() != "target" && entry.file_name() != ".git" {
                        dirs.push(entry.path());
                    }
                }
                // A job's args are JSON, so its path must be text.
                Ok((kind, entry)) if kind.is_file() => match entry.path().into_os_string().into_string() {
                    Ok(path) => found.push(path),
                    Err(_) => left_out += 1,
                },
                Ok(_) => {}
                Err(_) => left_out += 1,
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    (found, left_out)
}
