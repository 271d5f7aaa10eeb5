//! The store on disk: sled 0.34.7, kept at arm's length.
//!
//! sled is quick with few packed values and is believed in nothing: it may lose values, refuse to open, panic, hang,
//! and grow without end. So it runs on the keeper's thread, its folder is put aside when it misbehaves, and a folder
//! that outgrew its content is written anew beside and swapped.
//!
//! # Invariants
//! * Values stay below 4 KiB (bigger ones would go to files that sled never syncs), transactions at 500 of them.
//! * After a flush the file is synced here too, since sled's own flush does not wait for the medium.
//! * While sled opens or is read for the first time, `index.opening` stands.
//!
//! Never here: the steps of a checkpoint ([`super::versions`]), deadlines ([`super::keeper`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sled::transaction::ConflictableTransactionError;

use super::delta::{Delta, Meta, Snapshot, Tree};
use super::folder::{self, Folder};
use super::store::{Loaded, Saved, Store, StoreError};
use super::versions::{Shelf, Versions, Write};

/// sled's page cache. Values are read once, at the start, and not again.
const CACHE_BYTES: u64 = 8 << 20;
const META: &str = "meta";
const META_KEY: &[u8] = b"checkpoint";
/// Between two tries for the lock of a store that was dropped a moment ago.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct SledStore {
    folder: Folder,
    lock_wait: Duration,
    abandoned: Arc<AtomicBool>,
    shelf: Option<SledShelf>,
    versions: Versions,
}

impl SledStore {
    pub(super) fn new(root: &Path, lock_wait: Duration, abandoned: Arc<AtomicBool>) -> Self {
        Self { folder: Folder::new(root), lock_wait, abandoned, shelf: None, versions: Versions::default() }
    }

    fn read(&mut self) -> Result<Option<Snapshot>, StoreError> {
        let mut opened = SledShelf::open(&self.folder.index(), self.lock_wait)?;
        let (versions, snapshot) = Versions::load(&mut opened)?;
        self.shelf = Some(opened);
        self.versions = versions;
        Ok(snapshot)
    }

    /// Whoever gave this store up may have put another in its place: nothing may be renamed any more.
    fn still_wanted(&self) -> Result<(), StoreError> {
        if self.abandoned.load(Ordering::SeqCst) { Err(StoreError("given up".into())) } else { Ok(()) }
    }

    fn save_whole(&mut self, delta: &Delta, meta: &Meta) -> Result<u64, StoreError> {
        self.folder.discard_new().map_err(|e| failed("cannot remove index.new", &e))?;
        let mut opened = SledShelf::open(&self.folder.new_index(), self.lock_wait)?;
        let mut versions = Versions::after(self.versions.number());
        let number = versions.save(&mut opened, delta, meta)?;
        drop(opened);
        self.shelf = None;
        self.still_wanted()?;
        self.folder.swap().map_err(|e| failed("cannot swap index.new", &e))?;
        self.folder.mark().map_err(|e| failed("cannot create index.opening", &e))?;
        self.shelf = Some(SledShelf::open(&self.folder.index(), self.lock_wait)?);
        self.folder.unmark().map_err(|e| failed("cannot remove index.opening", &e))?;
        self.versions = versions;
        Ok(number)
    }
}

impl Store for SledStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut notes = Vec::new();
        self.folder.tidy(&mut notes).map_err(|e| failed("cannot tidy the index's folder", &e))?;
        planted!(OpeningUnmarked, (), self.folder.mark().map_err(|e| failed("cannot create index.opening", &e))?);
        let snapshot = match self.read() {
            Ok(snapshot) => snapshot,
            Err(why) if planted!(BadFolderKept) => return Err(why),
            Err(why) => {
                self.shelf = None;
                self.still_wanted()?;
                let aside = self.folder.put_aside(&why.0, &mut notes);
                aside.map_err(|e| failed("cannot move the index aside", &e))?;
                self.read()?
            }
        };
        self.still_wanted()?;
        self.folder.unmark().map_err(|e| failed("cannot remove index.opening", &e))?;
        Ok(Loaded { snapshot, notes })
    }

    fn save(&mut self, delta: &Delta, meta: &Meta) -> Result<Saved, StoreError> {
        let number = match &mut self.shelf {
            Some(open) if !delta.whole || self.versions.is_empty() => self.versions.save(open, delta, meta)?,
            _ => self.save_whole(delta, meta)?,
        };
        let file_bytes = match &self.shelf {
            Some(open) => open.db.size_on_disk().map_err(|e| sled_failed("cannot tell its size", &e))?,
            None => 0,
        };
        Ok(Saved::new(number, self.versions.content_bytes(), file_bytes))
    }
}

struct SledShelf {
    db: sled::Db,
    /// In the order of [`Tree::ALL`].
    trees: Vec<sled::Tree>,
    meta: sled::Tree,
    path: PathBuf,
}

impl SledShelf {
    fn open(path: &Path, lock_wait: Duration) -> Result<Self, StoreError> {
        folder::make(path).map_err(|e| failed("cannot make its folder", &e))?;
        let db = open_patiently(path, lock_wait)?;
        let tree = |name: &str| db.open_tree(name).map_err(|e| sled_failed("cannot open a tree", &e));
        let trees = Tree::ALL.into_iter().map(|of| tree(of.name())).collect::<Result<_, _>>()?;
        let meta = tree(META)?;
        Ok(Self { db, trees, meta, path: path.to_owned() })
    }

    fn tree(&self, tree: Tree) -> Result<&sled::Tree, StoreError> {
        self.trees.get(tree as usize).ok_or_else(|| StoreError("no such tree".into()))
    }
}

fn open_patiently(path: &Path, lock_wait: Duration) -> Result<sled::Db, StoreError> {
    let never = crossbeam_channel::never::<()>();
    let mut waited = Duration::ZERO;
    loop {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match config.open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(e)) if e.to_string().contains("could not acquire lock") => {
                if waited >= lock_wait {
                    return Err(StoreError(format!("its lock was held for more than {lock_wait:?}")));
                }
                // Times out, always.
                let _ = never.recv_timeout(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            Err(e) => return Err(sled_failed("cannot open it", &e)),
        }
    }
}

impl Shelf for SledShelf {
    fn read(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for entry in self.tree(tree)? {
            let (key, value) = entry.map_err(|e| sled_failed("cannot read it", &e))?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn write(&mut self, tree: Tree, batch: Vec<Write>) -> Result<(), StoreError> {
        self.tree(tree)?
            .transaction(|tree| {
                for (key, value) in &batch {
                    match value {
                        Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
                        None => tree.remove(key.as_slice())?,
                    };
                }
                Ok::<(), ConflictableTransactionError<()>>(())
            })
            .map_err(|e| StoreError(format!("cannot write it: {e:?}")))
    }

    fn meta(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let meta = self.meta.get(META_KEY).map_err(|e| sled_failed("cannot read it", &e))?;
        Ok(meta.map(|meta| meta.to_vec()))
    }

    fn set_meta(&mut self, meta: Vec<u8>) -> Result<(), StoreError> {
        self.meta.insert(META_KEY, meta).map_err(|e| sled_failed("cannot write it", &e))?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.db.flush().map_err(|e| sled_failed("cannot flush it", &e))?;
        let file = fs::OpenOptions::new().write(true).open(self.path.join("db"));
        file.and_then(|file| file.sync_data()).map_err(|e| failed("cannot sync it", &e))
    }
}

fn failed(what: &str, e: &io::Error) -> StoreError {
    StoreError(format!("{what}: {e}"))
}

fn sled_failed(what: &str, e: &sled::Error) -> StoreError {
    StoreError(format!("{what}: sled says: {e}"))
}

/// Saves on the folder below `root`, calling `watch` after every step, when all of it is on the medium.
#[cfg(test)]
pub(super) fn save_watched(root: &Path, delta: &Delta, meta: &Meta, watch: &mut dyn FnMut()) {
    struct Watched<'a>(SledShelf, &'a mut dyn FnMut());
    impl Shelf for Watched<'_> {
        fn read(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
            self.0.read(tree, visit)
        }
        fn write(&mut self, tree: Tree, batch: Vec<Write>) -> Result<(), StoreError> {
            self.0.write(tree, batch)?;
            self.flush()
        }
        fn meta(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.meta()
        }
        fn set_meta(&mut self, meta: Vec<u8>) -> Result<(), StoreError> {
            self.0.set_meta(meta)?;
            self.flush()
        }
        fn flush(&mut self) -> Result<(), StoreError> {
            self.0.flush()?;
            (self.1)();
            Ok(())
        }
    }
    let folder = Folder::new(root);
    let shelf = SledShelf::open(&folder.index(), Duration::from_secs(2)).unwrap();
    let mut watched = Watched(shelf, watch);
    let mut versions = Versions::load(&mut watched).unwrap().0;
    versions.save(&mut watched, delta, meta).unwrap();
}
