//! Directories by descriptor: a name is looked up in an open directory, and never through a link.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use crate::disk::Access;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(ALWAYS);
// NONBLOCK: a pipe in a file's place must not hang the open; plain files do not know it.
const ALWAYS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

#[derive(Debug)]
pub(super) struct Dir(File);

impl Dir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        open_dir(CWD, path)
    }

    pub(super) fn create(path: &Path) -> io::Result<Self> {
        create_dir(CWD, path)
    }

    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    pub(super) fn sub(&self, name: &str) -> io::Result<Self> {
        open_dir(&self.0, name)
    }

    pub(super) fn create_sub(&self, name: &str) -> io::Result<Self> {
        create_dir(&self.0, name)
    }

    pub(super) fn open_file(&self, name: &str, access: Access) -> io::Result<File> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let mode = Mode::RUSR | planted!(FilesOpenToAll, Mode::WUSR | Mode::ROTH, Mode::WUSR);
        let file = File::from(retry_on_intr(|| rustix::fs::openat(&self.0, name, flags | ALWAYS, mode))?);
        if access == Access::CreateNew {
            rustix::fs::fchmod(&file, mode)?;
        }
        Ok(file)
    }

    /// Names that are not UTF-8 are not ours.
    pub(super) fn plain_files(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let plain = match entry.file_type() {
                FileType::RegularFile => true,
                FileType::Unknown => self.is_plain_file(name)?,
                _ => false,
            };
            if plain {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn is_plain_file(&self, name: &str) -> io::Result<bool> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    pub(super) fn is_link(&self, name: &str) -> bool {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Makes the directory's own name durable. A parent that is another's, or no medium at all, is left alone.
    pub(super) fn sync_parent(&self) -> io::Result<()> {
        match open_dir(&self.0, "..").and_then(|parent| parent.sync()) {
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => Ok(()),
            synced => synced,
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

fn open_dir(parent: impl AsFd, name: impl Arg + Copy) -> io::Result<Dir> {
    Ok(Dir(File::from(retry_on_intr(|| rustix::fs::openat(parent.as_fd(), name, DIR, Mode::empty()))?)))
}

fn create_dir(parent: impl AsFd, name: impl Arg + Copy) -> io::Result<Dir> {
    let parent = parent.as_fd();
    rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
    let dir = match open_dir(parent, name) {
        // The umask took away the owner's own rights.
        Err(e) if Errno::from_io_error(&e) == Some(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open_dir(parent, name)?
        }
        opened => opened?,
    };
    rustix::fs::fchmod(&dir.0, Mode::RWXU)?;
    Ok(dir)
}
