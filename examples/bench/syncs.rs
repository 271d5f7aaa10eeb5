//! Counts the syncs of a backlog: a real disk with a counter before it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backlog::Backlog;
use backlog::testing::{Access, Disk, DiskFile, Lock, Parts};

use crate::common::{Outcome, Work, enqueue_rate};

type Syncs = Arc<AtomicU64>;

/// Syncs of files and directories per job, while 64 threads enqueue one by one.
pub(crate) fn per_job(dir: &Path, works: &[Work], spell: Duration) -> Outcome<f64> {
    let syncs = Syncs::default();
    let mut parts = Parts::real(dir)?;
    parts.disk = Arc::new(Counted { disk: parts.disk, syncs: syncs.clone() });
    let backlog = Backlog::builder().open_parts(parts)?;
    enqueue_rate(&backlog, works, 64, spell)?;
    let (syncs_before, jobs_before) = (syncs.load(Ordering::SeqCst), backlog.counts().enqueued);
    enqueue_rate(&backlog, works, 64, spell)?;
    let jobs = backlog.counts().enqueued - jobs_before;
    let syncs = syncs.load(Ordering::SeqCst) - syncs_before;
    backlog.close()?;
    Ok(syncs as f64 / jobs as f64)
}

#[derive(Debug)]
struct Counted {
    disk: Arc<dyn Disk>,
    syncs: Syncs,
}

impl Disk for Counted {
    fn root(&self) -> Option<&Path> {
        self.disk.root()
    }

    fn display(&self, path: &str) -> String {
        self.disk.display(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, access)?;
        Ok(Arc::new(CountedFile { file, syncs: self.syncs.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.disk.sync_dir(dir)
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.try_lock(path)
    }
}

struct CountedFile {
    file: Arc<dyn DiskFile>,
    syncs: Syncs,
}

impl fmt::Debug for CountedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl DiskFile for CountedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
