//! What the floors above serve beside the handle, for as long as it is open.
//!
//! # Invariants
//! * It is told of the end before the directory's lock is given back: what lies in the directory is still its own.

use std::sync::Arc;

use super::Core;

/// Something that serves for as long as the handle is open. It must not hold the handle.
pub(crate) trait Beside: Send + Sync {
    /// The handle closes. Called once or more, from any thread; does not wait for clients.
    fn end(&self);
}

impl Core {
    /// Tells `service` when the handle closes. The first one given stays.
    pub(crate) fn keep_beside(&self, service: Arc<dyn Beside>) {
        self.beside.get_or_init(|| service);
        if self.stopping() {
            self.end_beside();
        }
    }

    pub(super) fn end_beside(&self) {
        if let Some(service) = self.beside.get() {
            service.end();
        }
    }

    /// Where the directory lies, if it lies in the file system.
    pub(crate) fn root(&self) -> Option<&std::path::Path> {
        self.disk.root()
    }
}
