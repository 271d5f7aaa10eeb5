//! The folder `index` and its neighbours: what is opened, what is put aside.
//!
//! ```text
//! index/          the store in use
//! index.opening   stands while the store is being opened and read; found at a start, that opening did not end well
//! index.aside/    the last folder that could not be used, unread; at most one
//! index.new/      a store being written whole      index.old/   the one it replaces, for a moment
//! ```
//!
//! # Invariants
//! * Whatever is found here, `index` can be made usable by renaming and removing: nothing in these folders is the
//!   only copy of anything.
//! * Names are moved, never followed: a link in place of the folder is itself put aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of all files below `<root>/index`.
pub(super) fn bytes(root: &Path) -> u64 {
    fn below(path: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else { return 0 };
        let size = |entry: fs::DirEntry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        };
        entries.flatten().map(size).sum()
    }
    below(&root.join("index"))
}

/// Makes a folder for nobody else to look into; one that is there is fine.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| own(path)),
    }
}

/// The umask may have taken away the owner's own rights.
fn own(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    #[cfg(not(unix))]
    return path.symlink_metadata().map(drop);
}

/// The paths of one backlog's index.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(super) fn new_index(&self) -> PathBuf {
        self.root.join("index.new")
    }

    fn old_index(&self) -> PathBuf {
        self.root.join("index.old")
    }

    fn aside(&self) -> PathBuf {
        self.root.join("index.aside")
    }

    fn marker(&self) -> PathBuf {
        self.root.join("index.opening")
    }

    /// Before opening: an opening that did not end well puts its folder aside, a swap that was cut is undone.
    pub(super) fn tidy(&self, notes: &mut Vec<String>) -> io::Result<()> {
        remove_all(&self.new_index())?;
        if !exists(&self.index()) && exists(&self.old_index()) {
            fs::rename(self.old_index(), self.index())?;
        }
        remove_all(&self.old_index())?;
        if exists(&self.marker()) {
            self.put_aside("the last opening did not end", notes)?;
        } else if exists(&self.index()) && !fs::symlink_metadata(self.index())?.is_dir() {
            self.put_aside("it is no directory", notes)?;
        }
        Ok(())
    }

    /// From here until [`unmark`](Self::unmark) a death of the process speaks against the folder.
    pub(super) fn mark(&self) -> io::Result<()> {
        fs::File::create(self.marker()).map(drop)
    }

    pub(super) fn unmark(&self) -> io::Result<()> {
        match fs::remove_file(self.marker()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Moves `index` out of the way, unread; the one moved before is removed.
    pub(super) fn put_aside(&self, why: &str, notes: &mut Vec<String>) -> io::Result<()> {
        if exists(&self.index()) {
            remove_all(&self.aside())?;
            fs::rename(self.index(), self.aside())?;
            notes.push(format!("index moved to index.aside unread: {why}"));
        }
        Ok(())
    }

    /// `index.new` takes the place of `index`. Cut anywhere, [`tidy`](Self::tidy) finds one of both whole.
    pub(super) fn swap(&self) -> io::Result<()> {
        remove_all(&self.old_index())?;
        fs::rename(self.index(), self.old_index())?;
        fs::rename(self.new_index(), self.index())?;
        #[cfg(unix)]
        fs::File::open(&self.root)?.sync_all()?;
        remove_all(&self.old_index())
    }

    pub(super) fn discard_new(&self) -> io::Result<()> {
        remove_all(&self.new_index())
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}
