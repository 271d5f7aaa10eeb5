//! What a program wants to hear of: its functions, called for every event on a thread of their own.
//!
//! # Invariants
//! * No hook runs on a thread of the pool, so a slow one holds up no job; its panic ends nothing.
//! * What a pool's threads have seen reach the disk is told to its hooks before the pool's stop returns, if they keep up.
//!
//! Never here: what an event is (`engine::events`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::handlers::panicked;
use crate::engine::{Event, Events};
use crate::error::{Error, Result};
use crate::queue::seam::JobStore;
use crate::sync::Builder;

/// Events that wait for the hooks of a pool at most, count.
pub(super) const BUFFERED: usize = 16_384;

type Hook = Box<dyn Fn(&Event) + Send>;

/// The hooks of a pool to be.
#[derive(Default)]
pub(super) struct Hooks(Vec<Hook>);

impl Hooks {
    pub(super) fn add(&mut self, hook: impl Fn(&Event) + Send + 'static) {
        self.0.push(Box::new(hook));
    }

    /// Listens from now on; nobody does if there are none.
    pub(super) fn listen(self, store: &dyn JobStore) -> Option<Listener> {
        (!self.0.is_empty()).then(|| Listener { events: Arc::new(store.events(BUFFERED)), hooks: self })
    }
}

/// Hooks that listen.
pub(super) struct Listener {
    events: Arc<Events>,
    hooks: Hooks,
}

impl Listener {
    fn call(&self, event: &Event) {
        for hook in &self.hooks.0 {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(event))) {
                drop(panicked(panic));
            }
        }
    }

    /// Calls the hooks for what has been told.
    pub(super) fn call_pending(&self) {
        while let Some(event) = self.events.try_recv() {
            self.call(&event);
        }
    }

    /// Calls them on a thread of their own until it is told to stop.
    pub(super) fn start(self) -> Result<Running> {
        let (stop, told) = bounded::<()>(0);
        let (say, done) = bounded::<()>(0);
        let events = Arc::clone(&self.events);
        let life = move || {
            self.live(&told);
            drop(say);
        };
        let thread = Builder::new().name("backlog-hooks".to_owned()).spawn(life);
        thread.map_err(|e| Error::io("cannot start the thread of the hooks", e))?;
        Ok(Running { stop, done, events })
    }

    fn live(&self, told: &Receiver<()>) {
        while let Some(event) = self.events.recv_unless(told) {
            self.call(&event);
        }
        self.call_pending();
    }
}

/// Hooks on their thread. Dropping it tells them to stop.
pub(super) struct Running {
    stop: Sender<()>,
    done: Receiver<()>,
    events: Arc<Events>,
}

impl Running {
    pub(super) fn missed(&self) -> u64 {
        self.events.missed()
    }

    /// Stops when all that was told has been heard; waits at most this long.
    pub(super) fn stop(self, grace: Duration) {
        drop(self.stop);
        // Nothing is ever said: it ends when the thread does. Who is not done in time goes on alone.
        let _ = self.done.recv_timeout(grace);
    }
}
