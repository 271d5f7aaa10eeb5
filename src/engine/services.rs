//! Where the engine's threads start, and the life of the engine's services.
//!
//! # Invariants
//! * Every service sleeps on a bell and looks at `stopping` after each wake.
//! * A dropped handle stops the services without waiting for them; the directory's lock goes with the last of them.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::sync::Builder;

use super::Core;
use super::settings::Drive;

/// An opened directory with its services. Dropping it stops them; [`Core::close`] ends in order.
#[derive(Debug)]
pub(crate) struct Engine {
    core: Arc<Core>,
}

impl Deref for Engine {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.core.stop();
    }
}

impl Engine {
    pub(super) fn start(core: Core) -> Result<Self> {
        let engine = Self { core: Arc::new(core) };
        if engine.core.drive == Drive::Threads {
            engine.core.make_first();
            engine.spawn("backlog-committer", |core| core.committer())?;
            // Read before anybody can ask for room or for the end: no ring of theirs is missed.
            let heard = engine.core.make.heard();
            engine.spawn("backlog-maker", move |core| core.maker(heard))?;
            engine.spawn("backlog-compactor", |core| core.compactor())?;
        }
        Ok(engine)
    }

    /// Runs a service on a thread of its own, for as long as the handle lives.
    pub(crate) fn spawn(&self, name: &str, life: impl FnOnce(Arc<Core>) + Send + 'static) -> Result<()> {
        let core = Arc::clone(&self.core);
        let handle = Builder::new()
            .name(name.to_owned())
            .spawn(move || life(core))
            .map_err(|e| Error::io(format!("cannot start the thread {name}"), e))?;
        self.core.threads.lock().push(handle);
        Ok(())
    }
}

impl Core {
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Tells every service to end; does not wait.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.state.lock().life = super::state::Life::Closed;
        self.end_beside();
        self.call_all_watchers();
        self.note_owner("closing");
        self.desk.stop();
        for bell in [&self.make, &self.compact, &self.upkeep, &self.work, &self.room] {
            planted!(StopForgetsSleepers, (), bell.ring());
        }
    }

    /// Waits until every service has ended.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A service that panicked has already poisoned or abandoned its part; there is nothing to add.
            drop(thread.join());
        }
    }

    /// Who holds the lock, for those who wait for it. A note that cannot be written costs only their message.
    pub(super) fn note_owner(&self, life: &str) {
        if let Some(lock) = &*self.lock.lock() {
            let _ = lock.note(&format!("pid={} state={life}\n", std::process::id()));
        }
    }
}
