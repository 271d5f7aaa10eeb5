//! What of a folder is only made ready: spare or half made segments, segments nothing was written into, and the rest of the last one.
//!
//! Read from the files, since a folder is measured as a crash left it. A segment that was used before and is ready again
//! has old frames in it and counts as in use: too much rather than too little.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The header block of a segment, as in the description of the format.
const HEADER_BYTES: usize = 4096;

pub(crate) fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir.join("jobs/log")) else { return 0 };
    let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let named =
        |file: &&PathBuf, what: fn(&str) -> bool| file.file_name().and_then(|name| name.to_str()).is_some_and(what);
    let spare = |name: &str| name.starts_with("spare-") || name == "next.tmp";
    let spares: u64 = files.iter().filter(|file| named(file, spare)).map(on_disk).sum();
    let mut segments: Vec<_> = files.iter().filter(|file| named(file, |name| name.ends_with(".seg"))).collect();
    // Their names are numbers of one length: the order of the log.
    segments.sort();
    let mut ahead = 0;
    for segment in segments.iter().rev() {
        let written = written(segment);
        ahead += on_disk(segment).saturating_sub(written.unwrap_or(0));
        if written.is_some() {
            break;
        }
    }
    spares + ahead
}

fn on_disk(file: impl AsRef<Path>) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.blocks() * 512)
}

/// Up to where there is anything but zeros; `None`: nothing behind the header.
fn written(segment: &Path) -> Option<u64> {
    let mut bytes = Vec::new();
    File::open(segment).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a segment can be read");
    let last = bytes.iter().rposition(|&byte| byte != 0)?;
    (last >= HEADER_BYTES).then_some(last as u64 + 1)
}
