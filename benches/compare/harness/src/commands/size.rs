//! What lies on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::Options;

/// Bytes the files below the folder say they have, and bytes the disk gave them.
pub(super) fn size(options: &Options) -> Value {
    let (said, taken) = below(&options.dir);
    json!({ "file_bytes": said, "disk_bytes": taken })
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
