//! Opening a directory and serving its admin socket: the roof of floor 4.
//!
//! # Invariants
//! * A socket that cannot be served never fails the open; [`Backlog::admin_socket`] says why.

use std::path::Path;

use crate::error::Result;
use crate::queue::{Backlog, Options};

impl Options {
    /// Opens the directory, or creates it. See [`Backlog::open`] for what may fail; also `Invalid`: a setting is out
    /// of range.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Backlog> {
        let admin = self.serves_admin();
        let backlog = self.open_alone(path.as_ref())?;
        #[cfg(unix)]
        if admin && let Some(root) = backlog.root() {
            backlog.note_admin(super::server::start(&backlog, root));
        }
        #[cfg(not(unix))]
        if admin {
            let _ = backlog.root();
            backlog.note_admin(Err(super::client::unserved()));
        }
        Ok(backlog)
    }
}

impl Backlog {
    /// Opens the directory at `path` with every default: creates it if it is not there (and the directories
    /// above it), or recovers what the last owner left. Jobs that were running then are ready again.
    ///
    /// # Errors
    /// `InUse`: another process holds it (after waiting 30 s). `NewerFormat`, `Corrupt`: nothing was changed.
    /// `Io`: the system refused; the message names the file. `Invalid`: not a backlog's directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }
}
