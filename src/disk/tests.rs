//! Tests of the twins behind the door to files.

mod conformance;
mod crash;
mod faults;
mod names;
#[cfg(unix)]
#[path = "real/portable.rs"]
mod portable;
mod real;

use super::simulated::SimDisk;
use super::{Access, Disk, DiskFile};

/// Writes a file and syncs its bytes, not its name.
fn put(disk: &dyn Disk, path: &str, bytes: &[u8]) -> std::sync::Arc<dyn DiskFile> {
    let file = disk.open(path, Access::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    file
}

/// A disk that holds `log/a` with these bytes, all of it durable.
fn with_file(bytes: &[u8]) -> (SimDisk, std::sync::Arc<dyn DiskFile>) {
    let disk = SimDisk::new();
    disk.write_file("log/a", bytes);
    disk.forget_trace();
    let file = disk.open("log/a", Access::ReadWrite).unwrap();
    (disk, file)
}
