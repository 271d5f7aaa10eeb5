//! Hands from outside: damage and bookkeeping that no process did. Durable at once, and part of the trace.

use super::SimDisk;
use super::content::{Content, SECTOR};
use super::medium::Op;

impl SimDisk {
    /// Inverts bit `bit` (0 to 7) of the byte at `offset`. All of the file is durable afterwards.
    ///
    /// # Panics
    /// If the file is missing or shorter.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) {
        self.tamper(path, |content| {
            let mut byte = [0];
            assert_eq!(content.read(&mut byte, offset), 1, "no byte to flip: path={path} offset={offset}");
            content.write_slice(offset, &[byte[0] ^ (1 << bit)]);
        });
    }

    /// Puts `bytes` at `offset`, extending the file if it ends before. All of the file is durable afterwards.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn overwrite(&self, path: &str, offset: u64, bytes: &[u8]) {
        self.tamper(path, |content| content.write_slice(offset, bytes));
    }

    /// Cuts the file to `len`, or extends it with a hole. All of the file is durable afterwards.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn truncate(&self, path: &str, len: u64) {
        self.tamper(path, |content| content.set_len(len));
    }

    /// The sector around `offset` does not read any more: every read that touches it fails with `EIO`, on this disk but
    /// not on its images. Writing it again mends it.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn break_sector(&self, path: &str, offset: u64) {
        let mut state = self.state.lock();
        let found = state.medium.file(path).map(|(ino, _)| ino);
        let ino = found.unwrap_or_else(|| panic!("no such file on the simulated disk: {path}"));
        state.broken.insert((ino, offset / SECTOR));
    }

    /// Puts a file there, with its directories, in place of what stood there.
    pub fn write_file(&self, path: &str, bytes: &[u8]) {
        let mut content = Content::default();
        content.write_slice(0, bytes);
        self.place(path, Some(content));
    }

    /// Takes a file away.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn delete_file(&self, path: &str) {
        self.content_of(path);
        self.place(path, None);
    }

    /// All bytes of a file, as reads show them.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn read_file(&self, path: &str) -> Vec<u8> {
        self.content_of(path).to_vec()
    }

    /// Paths of all plain files, sorted.
    pub fn file_names(&self) -> Vec<String> {
        self.state.lock().medium.files().map(|(path, _)| path.to_string()).collect()
    }

    /// Whether both show the same files with the same bytes.
    pub fn same_files(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.state.lock().medium.clone(), other.state.lock().medium.clone());
        ours.files().map(|(path, _)| path).eq(theirs.files().map(|(path, _)| path))
            && ours.files().zip(theirs.files()).all(|((_, a), (_, b))| a.same_bytes(b))
    }

    fn tamper(&self, path: &str, how: impl FnOnce(&mut Content)) {
        let mut content = self.content_of(path);
        how(&mut content);
        self.place(path, Some(content));
    }

    fn content_of(&self, path: &str) -> Content {
        let state = self.state.lock();
        let found = state.medium.file(path).map(|(_, inode)| inode.cached.clone());
        found.unwrap_or_else(|| panic!("no such file on the simulated disk: {path}"))
    }

    fn place(&self, path: &str, content: Option<Content>) {
        let mut state = self.state.lock();
        let ino = state.medium.file(path).map_or_else(|| state.medium.next_ino(), |(ino, _)| ino);
        state.record(Op::Tamper { path: path.into(), ino, content });
    }
}
