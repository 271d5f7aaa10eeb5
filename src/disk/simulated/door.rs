//! The simulated disk behind the crate's door to files.
//!
//! # Invariants
//! * Every call asks for faults first; a call that fails changes nothing and leaves no operation in the trace,
//!   except a failed sync, which forgets.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::content::{Bytes, PAGE};
use super::fault::{Call, Leave};
use super::medium::{Ino, Node, Op};
use super::{SimDisk, State};
use crate::disk::path::{checked, checked_dir, checked_rename, not_a_file, split};
use crate::disk::{Access, Disk, DiskFile, Lock};

/// Files beyond this would be a mistake of the test, bytes.
const FILE_BYTES_MAX: u64 = 1 << 36;

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    ino: Ino,
    path: Arc<str>,
    writable: bool,
}

#[derive(Debug)]
struct SimLock(SimFile);

impl Disk for SimDisk {
    fn root(&self) -> Option<&Path> {
        None
    }

    fn display(&self, path: &str) -> String {
        format!("simulated:{path}")
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        checked_dir(path)?;
        let mut state = self.state.lock();
        state.enter(Call::CreateDir)?;
        match state.medium.names.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            None => {
                state.parent(path)?;
                state.record(Op::CreateDir { path: path.into() });
                Ok(())
            }
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        checked_dir(dir)?;
        let mut state = self.state.lock();
        state.enter(Call::List)?;
        state.dir(dir)?;
        let files = state.medium.files().map(|(path, _)| split(path));
        Ok(files.filter(|(parent, _)| *parent == dir).map(|(_, name)| name.to_owned()).collect())
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        checked(path)?;
        let mut state = self.state.lock();
        let creates = access == Access::CreateNew;
        state.enter(if creates { Call::Create } else { Call::Open })?;
        let ino = match state.medium.names.get(path).copied() {
            Some(_) if creates => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(Node::File(ino)) => ino,
            Some(Node::Dir) => return Err(not_a_file(path)),
            None if creates => state.create(path)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile::new(self, &mut state, ino, path, access != Access::Read)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        checked_rename(from, to)?;
        let mut state = self.state.lock();
        state.enter(Call::Rename)?;
        state.must_be_file(from)?;
        if state.medium.names.get(to) == Some(&Node::Dir) {
            return Err(not_a_file(to));
        }
        if from != to {
            state.record(Op::Rename { from: from.into(), to: to.into() });
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        checked(path)?;
        let mut state = self.state.lock();
        state.enter(Call::Remove)?;
        state.must_be_file(path)?;
        state.record(Op::Remove { path: path.into() });
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        checked_dir(dir)?;
        let mut state = self.state.lock();
        state.alive()?;
        let verdict = state.enter(Call::SyncDir);
        state.dir(dir)?;
        state.record(Op::SyncDir { dir: dir.into(), ok: verdict.is_ok() });
        verdict.map(|_| ())
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Lock>>> {
        checked(path)?;
        let mut state = self.state.lock();
        state.enter(Call::Lock)?;
        let ino = match state.medium.names.get(path).copied() {
            Some(Node::File(ino)) => ino,
            Some(Node::Dir) => return Err(not_a_file(path)),
            None => state.create(path)?,
        };
        if !state.locked.insert(ino) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock(SimFile::new(self, &mut state, ino, path, true)))))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if let Some(handles) = state.open.get_mut(&self.ino) {
            *handles -= 1;
        }
        if state.open.get(&self.ino) == Some(&0) {
            state.open.remove(&self.ino);
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let most = state.enter(Call::Read)?.of(buf.len());
        state.readable(self.ino, offset, most)?;
        Ok(state.content(self.ino).read(&mut buf[..most], offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let most = state.enter(Call::Write)?.of(buf.len());
        self.check_writable(offset.saturating_add(most as u64))?;
        let fitting = state.fitting(self.ino, offset, most);
        if most > 0 && fitting == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        if fitting > 0 {
            state.mend(self.ino, offset, fitting);
            let bytes = Bytes::of(&buf[..fitting]);
            state.record(Op::Write { path: self.path.clone(), ino: self.ino, offset, bytes });
        }
        Ok(fitting)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.alive()?;
        let verdict = state.enter(Call::SyncData);
        state.record(Op::SyncData { path: self.path.clone(), ino: self.ino, ok: verdict.is_ok() });
        verdict.map(|_| ())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.enter(Call::Len)?;
        Ok(state.content(self.ino).len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.enter(Call::SetLen)?;
        self.check_writable(len)?;
        state.record(Op::SetLen { path: self.path.clone(), ino: self.ino, len });
        Ok(())
    }
}

impl SimFile {
    fn new(disk: &SimDisk, state: &mut State, ino: Ino, path: &str, writable: bool) -> Self {
        *state.open.entry(ino).or_default() += 1;
        Self { disk: disk.clone(), ino, path: path.into(), writable }
    }

    fn check_writable(&self, end: u64) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("opened to read only: {}", self.path)));
        }
        if end > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }
}

impl Lock for SimLock {
    fn note(&self, text: &str) -> io::Result<()> {
        let file: &dyn DiskFile = &self.0;
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.disk.state.lock().locked.remove(&self.0.ino);
    }
}

impl Leave {
    fn of(self, len: usize) -> usize {
        match self {
            Self::Whole => len,
            Self::AtMost(most) => most.min(len),
        }
    }
}

impl State {
    fn dir(&self, dir: &str) -> io::Result<()> {
        match self.medium.names.get(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn parent(&self, path: &str) -> io::Result<()> {
        self.dir(split(path).0)
    }

    fn must_be_file(&self, path: &str) -> io::Result<()> {
        match self.medium.names.get(path) {
            Some(Node::File(_)) => Ok(()),
            Some(Node::Dir) => Err(not_a_file(path)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &str) -> io::Result<Ino> {
        self.parent(path)?;
        let ino = self.medium.next_ino();
        self.record(Op::Create { path: path.into(), ino });
        Ok(ino)
    }

    /// How much of a write finds room.
    fn fitting(&self, ino: Ino, offset: u64, len: usize) -> usize {
        let Some(capacity) = self.capacity else { return len };
        let free = (capacity / PAGE as u64).saturating_sub(self.allocated_pages());
        self.content(ino).fitting(offset, len, free)
    }
}
