//! Directories by path, for systems without descriptors of directories. A link is refused where it is seen.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Access;

#[derive(Debug)]
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !path.symlink_metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path.to_owned()))
    }

    pub(super) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        Self::open(path)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same face as on Unix")]
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub(super) fn sub(&self, name: &str) -> io::Result<Self> {
        Self::open(&self.0.join(name))
    }

    pub(super) fn create_sub(&self, name: &str) -> io::Result<Self> {
        Self::create(&self.0.join(name))
    }

    pub(super) fn open_file(&self, name: &str, access: Access) -> io::Result<File> {
        let path = self.0.join(name);
        let found = path.symlink_metadata();
        if found.is_ok_and(|found| !found.is_file()) && access != Access::CreateNew {
            return Err(crate::disk::path::not_a_file(name));
        }
        let (write, create) = (access != Access::Read, access == Access::CreateNew);
        OpenOptions::new().read(true).write(write).create_new(create).open(path)
    }

    pub(super) fn plain_files(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    pub(super) fn is_plain_file(&self, name: &str) -> io::Result<bool> {
        Ok(self.0.join(name).symlink_metadata()?.is_file())
    }

    pub(super) fn is_link(&self, name: &str) -> bool {
        self.0.join(name).symlink_metadata().is_ok_and(|found| found.is_symlink())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// Such systems keep names in the journal of the file system and have nothing to call.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same face as on Unix")]
    pub(super) fn sync_parent(&self) -> io::Result<()> {
        Ok(())
    }

    /// See [`sync_parent`](Self::sync_parent).
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same face as on Unix")]
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
