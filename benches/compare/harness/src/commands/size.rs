//! What lies on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Options, Prepared};

/// Bytes the files below the folder say they have, bytes the disk gave them, and which of these nothing is in yet.
pub(super) fn size(options: &Options, prepared: Prepared) -> Value {
    let (said, taken) = below(&options.dir);
    json!({ "file_bytes": said, "disk_bytes": taken, "prepared_bytes": prepared(&options.dir) })
}

fn below(dir: &Path) -> (u64, u64) {
    let entries = fs::read_dir(dir).expect("the folder is there");
    entries.flatten().fold((0, 0), |(said, taken), entry| {
        let Ok(meta) = entry.metadata() else { return (said, taken) };
        if meta.is_dir() {
            let (more, too) = below(&entry.path());
            (said + more, taken + too)
        } else {
            (said + meta.len(), taken + meta.blocks() * 512)
        }
    })
}
