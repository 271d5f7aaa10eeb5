//! A directory of the file system.
//!
//! # Invariants
//! * On Unix every name is looked up from the open directory, part by part, and no part may be a link: nothing
//!   outside the directory is reached, even if somebody renames or relinks it meanwhile.
//! * What is created is readable by its owner alone: directories 0700, files 0600, whatever the umask.
//! * A file that somebody else may have locked is never cut.
//!
//! Here is the only place that knows systems apart; elsewhere than on Unix links are refused by looking first.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::path::{checked, checked_dir, checked_rename, not_a_file, split};
use super::{Access, Disk, DiskFile, Lock};

#[cfg_attr(not(unix), path = "real/portable.rs")]
#[cfg_attr(unix, path = "real/unix.rs")]
mod sys;

/// A directory of the file system behind the crate's door to files.
#[derive(Debug)]
pub(crate) struct RealDisk {
    root: PathBuf,
    dir: sys::Dir,
}

#[derive(Debug)]
struct RealFile(File);

/// The lock is the open file itself: it goes when the file is closed, also by the death of the process.
#[derive(Debug)]
struct RealLock(RealFile);

impl RealDisk {
    /// Opens the directory `path`; with `create`, makes it (and the directories above it) durably if it is not
    /// there. A symbolic link or anything else that is no directory is refused.
    pub(crate) fn open(path: &Path, create: bool) -> io::Result<Self> {
        // Without a trailing slash, which would follow a link.
        let root: PathBuf = std::path::absolute(path)?.components().collect();
        let dir = match sys::Dir::open(&root) {
            Err(e) if create && e.kind() == io::ErrorKind::NotFound => create_root(&root)?,
            opened => opened.map_err(|e| explained(&root, e))?,
        };
        if create {
            // Also if it was there: whoever made it may have died before its name was durable.
            dir.sync_parent()?;
        }
        Ok(Self { root, dir })
    }

    /// The directory that holds `path`, and the last name.
    fn holder<'a>(&self, path: &'a str) -> io::Result<(sys::Dir, &'a str)> {
        let (dir, name) = split(checked(path)?);
        Ok((self.dir(dir)?, name))
    }

    fn dir(&self, dir: &str) -> io::Result<sys::Dir> {
        checked_dir(dir)?;
        let sub = |dir: sys::Dir, part| dir.sub(part).map_err(|e| if dir.is_link(part) { a_link(part) } else { e });
        dir.split('/').filter(|part| !part.is_empty()).try_fold(self.dir.again()?, sub)
    }

    fn open_plain(&self, path: &str, access: Access) -> io::Result<File> {
        let (dir, name) = self.holder(path)?;
        match dir.open_file(name, access) {
            Ok(file) if !file.metadata()?.is_file() => Err(not_a_file(path)),
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists && matches!(dir.is_plain_file(name), Ok(false)) => {
                Err(no_plain_file(&dir, path))
            }
            opened => opened,
        }
    }
}

impl Disk for RealDisk {
    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn display(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        let (dir, name) = self.holder(path)?;
        match dir.create_sub(name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => dir.sub(name).map(|_| ()).map_err(|_| e),
            created => created.map(|_| ()),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = self.dir(dir)?.plain_files()?;
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(self.open_plain(path, access)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        checked_rename(from, to)?;
        let (dir, name) = self.holder(from)?;
        for path in [from, to] {
            match dir.is_plain_file(split(path).1) {
                Ok(false) => return Err(no_plain_file(&dir, path)),
                Err(e) if path == from || e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        dir.rename(name, split(to).1)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.holder(path)?;
        if !dir.is_plain_file(name)? {
            return Err(no_plain_file(&dir, path));
        }
        dir.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.dir(dir)?.sync()
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Lock>>> {
        let file = match self.open_plain(path, Access::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => match self.open_plain(path, Access::CreateNew) {
                // Somebody else created it just now.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.open_plain(path, Access::ReadWrite)?,
                created => created?,
            },
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(RealLock(RealFile(file))))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.0, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset);
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(&self.0, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(&self.0, buf, offset);
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

impl Lock for RealLock {
    fn note(&self, text: &str) -> io::Result<()> {
        let file: &dyn DiskFile = &self.0;
        // In this order a reader meets an old note or a mixed one, never a missing one.
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }
}

/// Makes the directory, those above it that are missing, and all their names durable.
fn create_root(root: &Path) -> io::Result<sys::Dir> {
    let missing: Vec<&Path> = root.ancestors().take_while(|dir| dir.symlink_metadata().is_err()).collect();
    if let Some(parent) = root.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let dir = match sys::Dir::create(root) {
        // Somebody else created it just now.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => sys::Dir::open(root),
        created => created,
    }
    .map_err(|e| explained(root, e))?;
    for made in missing.into_iter().skip(1) {
        sys::Dir::open(made)?.sync_parent()?;
    }
    Ok(dir)
}

fn a_link(path: &str) -> io::Error {
    let text = format!("{path} is a symbolic link: links are not followed, put what it points to in its place");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What stands there instead of a file, in the directory that holds it.
fn no_plain_file(dir: &sys::Dir, path: &str) -> io::Error {
    if dir.is_link(split(path).1) { a_link(path) } else { not_a_file(path) }
}

/// Says what stands there instead of a directory.
fn explained(root: &Path, error: io::Error) -> io::Error {
    let Ok(found) = root.symlink_metadata().map(|found| found.file_type()) else { return error };
    let shown = root.display();
    if found.is_symlink() {
        let text = format!("{shown} is a symbolic link: links are not followed, name the directory it points to");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    } else if found.is_dir() {
        error
    } else {
        io::Error::new(io::ErrorKind::NotADirectory, format!("{shown} is not a directory: name another path"))
    }
}
