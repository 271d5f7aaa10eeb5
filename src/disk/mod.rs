//! The one door to files.
//!
//! Paths are relative to the backlog's directory, with `/` between parts; they are made by this crate, never
//! from a caller's text. Two twins stand behind the door: [`real`] and, for tests, [`simulated`].
//!
//! # Invariants
//! * `sync_data` is the only call that makes a file's bytes durable, `sync_dir` the only one for names.
//! * Files are created with mode 0600 and directories with 0700, whatever the umask; links are not followed.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

mod path;
pub(crate) mod real;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod simulated;
#[cfg(all(test, not(backlog_shuttle)))]
mod tests;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Must exist; reads only.
    Read,
    /// Must exist; reads and writes.
    ReadWrite,
    /// Must not exist; reads and writes.
    CreateNew,
}

/// A directory on some medium.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The directory itself, if it lies in the file system.
    fn root(&self) -> Option<&Path>;
    /// A name for messages: where the file `path` lies.
    fn display(&self, path: &str) -> String;
    /// Makes one directory; one that is already there is fine. `""` is the backlog's directory itself.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Names of the plain files in a directory, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Opens or creates a file.
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file, replacing what stands at `to`; both names lie in one directory.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Takes the exclusive lock on the file `path`, created if missing; `None`: somebody else has it.
    /// Held until the guard goes.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Lock>>>;
}

/// A held lock. `note` stays readable by others while it is held (who holds it).
pub trait Lock: Send + Sync + fmt::Debug {
    /// Writes who holds the lock into the file.
    fn note(&self, text: &str) -> io::Result<()>;
}

/// An open file. Reads and writes may be short and may be interrupted, as the system's are.
#[allow(clippy::len_without_is_empty, reason = "asking costs a call, and nobody asks that")]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads at `offset`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the bytes (and the length) durable. After an error nothing is known of the unsynced bytes.
    fn sync_data(&self) -> io::Result<()>;
    /// The length, bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts or extends with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

impl dyn DiskFile {
    /// Reads all of `buf`; `UnexpectedEof` if the file ends before. Interrupted and short reads are continued.
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = buf.get_mut(n..).ok_or(io::ErrorKind::InvalidData)?;
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes all of `buf`. Interrupted and short writes are continued.
    pub fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buf = buf.get(n..).ok_or(io::ErrorKind::InvalidData)?;
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
