//! What a program wants to hear of: its functions, called for every event on a thread of their own, and its alarms.
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

use super::alarms::{Alarm, Alert, Armed};
use super::handlers::panicked;
use crate::engine::{Event, Events, Heard};
use crate::error::{Error, Result};
use crate::queue::seam::JobStore;
use crate::sync::Builder;

/// Events that wait for the hooks of a pool at most, count.
pub(super) const BUFFERED: usize = 16_384;

type Hook = Box<dyn Fn(&Event) + Send>;

/// The hooks and alarms of a pool to be.
#[derive(Default)]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    alarms: Vec<Armed>,
}

impl Hooks {
    pub(super) fn add(&mut self, hook: impl Fn(&Event) + Send + 'static) {
        self.hooks.push(Box::new(hook));
    }

    pub(super) fn arm(&mut self, alarm: Alarm, tell: impl Fn(&Alert) + Send + 'static) {
        self.alarms.push(Armed::new(alarm, tell));
    }

    /// Listens from now on; nobody does if there are none.
    pub(super) fn listen(self, store: &Arc<dyn JobStore>) -> Option<Listener> {
        let wanted = !self.hooks.is_empty() || !self.alarms.is_empty();
        wanted.then(|| Listener { events: Arc::new(store.events(BUFFERED)), store: Arc::clone(store), hooks: self })
    }
}

/// Hooks that listen.
pub(super) struct Listener {
    events: Arc<Events>,
    store: Arc<dyn JobStore>,
    hooks: Hooks,
}

/// The program's code: its panic ends nothing here.
fn guarded(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        drop(panicked(panic));
    }
}

impl Listener {
    fn call(&mut self, event: &Event) {
        for hook in &self.hooks.hooks {
            guarded(|| hook(event));
        }
        for alarm in &mut self.hooks.alarms {
            if let Some(alert) = alarm.hear(event) {
                guarded(|| alarm.tell(&alert));
            }
        }
    }

    /// Looks where time alone raises an alarm. Gives how long until the next look.
    fn look(&mut self) -> Option<Duration> {
        for alarm in &mut self.hooks.alarms {
            if let Some(alert) = alarm.look(&*self.store) {
                guarded(|| alarm.tell(&alert));
            }
        }
        let next = self.hooks.alarms.iter().filter_map(Armed::next_look).min()?;
        Some(next.saturating_sub(self.store.clock().monotonic()))
    }

    /// Calls the hooks for what has been told, and looks at the time.
    pub(super) fn call_pending(&mut self) {
        while let Some(event) = self.events.try_recv() {
            self.call(&event);
        }
        self.look();
    }

    /// Calls them on a thread of their own until it is told to stop.
    pub(super) fn start(mut self) -> Result<Running> {
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

    fn live(&mut self, told: &Receiver<()>) {
        loop {
            let wait = self.look();
            match self.events.recv_unless(told, wait) {
                Heard::Event(event) => self.call(&event),
                Heard::Nothing => {}
                Heard::End => break,
            }
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
