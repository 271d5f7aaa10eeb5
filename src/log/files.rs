//! Calls through the disk's door as this floor makes them: interrupted ones are continued, errors name the file.
//!
//! # Invariants
//! * A failed sync of a directory is an error of its own: never read as a full disk.
//!
//! Never here: what the files hold.

use std::io;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, ErrorKind, Result};

/// Repeats a call as long as a signal interrupts it.
pub(super) fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// No space, or none that this user may have.
pub(super) fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error of a call that needs space: `Full` if there is none.
pub(super) fn allocation_failed(what: impl std::fmt::Display, e: io::Error) -> Error {
    if is_full(&e) {
        // What to do stands before the system's own words.
        let what = format!("{what} (free space on its disk; accepted jobs can be ended meanwhile)");
        return Error::io(what, e).with_kind(ErrorKind::Full);
    }
    Error::io(what, e)
}

pub(super) fn sync_data(file: &Arc<dyn DiskFile>) -> io::Result<()> {
    match again(|| file.sync_data()) {
        Err(_) if planted!(SyncErrorIgnored) => Ok(()),
        Err(_) if planted!(SyncRetried) => again(|| file.sync_data()),
        synced => synced,
    }
}

pub(super) fn sync_dir(disk: &dyn Disk, dir: &str) -> Result<()> {
    let what = || format!("cannot sync the directory {}", disk.display(dir));
    let told = |e| planted!(DirSyncTakenForFull, allocation_failed(what(), e), Error::io(what(), e));
    again(|| disk.sync_dir(dir)).map_err(told)
}

pub(super) fn open(disk: &dyn Disk, path: &str, access: Access) -> Result<Arc<dyn DiskFile>> {
    again(|| disk.open(path, access)).map_err(|e| Error::io(format!("cannot open {}", disk.display(path)), e))
}

/// A new file; one left over from an earlier try goes first.
pub(super) fn create_afresh(disk: &dyn Disk, path: &str) -> io::Result<Arc<dyn DiskFile>> {
    match again(|| disk.open(path, Access::CreateNew)) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            again(|| disk.remove(path))?;
            again(|| disk.open(path, Access::CreateNew))
        }
        opened => opened,
    }
}

/// Gone before is fine.
pub(super) fn remove(disk: &dyn Disk, path: &str) -> Result<()> {
    match again(|| disk.remove(path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", disk.display(path)), e))
        }
        _ => Ok(()),
    }
}

/// Writes zeros over `from..to`, a piece at a time.
pub(super) fn write_zeros(file: &Arc<dyn DiskFile>, from: u64, to: u64) -> io::Result<()> {
    const PIECE: usize = 512 << 10;
    let zeros = vec![0; super::bytes::to_usize(to.saturating_sub(from)).min(PIECE)];
    let mut at = from;
    while at < to {
        let n = super::bytes::to_usize(to - at).min(PIECE);
        file.write_all_at(zeros.get(..n).unwrap_or(&zeros), at)?;
        at += n as u64;
    }
    Ok(())
}
