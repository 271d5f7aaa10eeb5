//! The lives of a judged handle: open, close, kill, power cut, a crash inside the recovery, an index that lies.

use std::sync::Arc;

use crate::clock::Clock;
use crate::disk::simulated::CrashMode;
use crate::engine::ReadOnlyEngine;
use crate::error::ErrorKind;
use crate::index::{Lie, MemoryHandle};
use crate::testing::oracle::Fault;

use super::judged::{Judged, Step, Stop, broken};
use super::view::{scan_agrees, view_of};
use super::world::{Verbs, World, dump_of};

/// What happens between the end of one life and the beginning of the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aftermath {
    pub(super) mode: CrashMode,
    /// The recovery dies too: after this many of its operations (modulo their number), and how.
    pub(super) nested: Option<(usize, CrashMode)>,
    pub(super) index: IndexFate,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum IndexFate {
    AsItWas,
    Deleted,
    Lies(Lie),
}

impl Aftermath {
    pub(super) fn of(mode: CrashMode) -> Self {
        Self { mode, nested: None, index: IndexFate::AsItWas }
    }
}

pub(super) fn fault_of(mode: CrashMode) -> Fault {
    if mode == CrashMode::KeepAll { Fault::Process } else { Fault::Power }
}

/// The world as a crash right now leaves it, a save of the index that was under way included.
pub(super) fn image_of(world: &World, mode: CrashMode) -> World {
    World { memory: world.memory.fork(), ..world.crashed(mode) }
}

impl Judged {
    pub(super) fn open(&mut self) -> Step {
        self.engine = None;
        self.forget_leases();
        // Each process draws its own salts and nonces.
        self.world.seed = self.world.seed.wrapping_add(1);
        self.engine = Some(self.world.try_open()?);
        Ok(())
    }

    /// A clean close and the next open; `InUse` exactly while leases live.
    pub(super) fn close_and_open(&mut self) -> Step {
        let (closed, held) = (self.engine().close(), self.leases.iter().any(|lease| self.is_held(lease)));
        match closed {
            Err(refused) if refused.kind() == ErrorKind::InUse && held => return Ok(()),
            Ok(()) if held => return broken("closed while a lease lived"),
            closed => closed?,
        }
        self.all_durable();
        let unread = self.unread.values().any(|grant| self.oracle.holds(grant.id, grant.token));
        self.open()?;
        if !self.engine().report().clean {
            return broken("the open after a close was not clean");
        }
        let found = view_of(self.engine())?;
        // What was never handed out is interrupted, as by a kill.
        Ok(if unread { self.oracle.recovered(&found, Fault::Process)? } else { self.oracle.reopened(&found)? })
    }

    /// This process ends where it stands; the next one opens the same disk as it is.
    pub(super) fn reopen_after_kill(&mut self) -> Step {
        self.open()?;
        self.oracle.recovered(&view_of(self.engine())?, Fault::Process)?;
        Ok(scan_agrees(self.engine(), &self.oracle.view())?)
    }

    fn is_held(&self, lease: &crate::engine::Grant) -> bool {
        self.oracle.holds(lease.id, super::judged::token(lease))
    }

    /// This life ends as told; the next one must stand where the oracle allows.
    pub(super) fn crash(&mut self, after: Aftermath) -> Step {
        let mut image = image_of(&self.world, after.mode);
        self.engine = None;
        let mut fault = fault_of(after.mode);
        if let Some((at, mode)) = after.nested {
            drop(image.try_open()?);
            let ops = image.disk.ops();
            image = World { disk: image.disk.crash_image(at % (ops + 1), mode), ..image_of(&image, mode) };
            if fault_of(mode) == Fault::Power {
                fault = Fault::Power;
            }
        }
        match after.index {
            IndexFate::AsItWas => {}
            IndexFate::Deleted => image.memory = MemoryHandle::new(),
            IndexFate::Lies(lie) => self.lie(&mut image, lie)?,
        }
        self.world = image;
        self.open()?;
        self.oracle.recovered(&view_of(self.engine())?, fault)?;
        scan_agrees(self.engine(), &self.oracle.view())?;
        Ok(())
    }

    fn lie(&self, image: &mut World, lie: Lie) -> Step {
        let had_one = image.memory.has_checkpoint();
        image.memory.lie(lie);
        if lie == Lie::NewerThanLog && had_one {
            // The log lost what the index knew: that must be said, not served (rule 2).
            match (World { disk: image.disk.copy(), ..image.clone() }).try_open() {
                Ok(_) => return broken("the log had lost what the index knew to be durable, and was served"),
                Err(refused) if refused.kind() == ErrorKind::Corrupt => {}
                Err(other) => return Err(Stop::Failed(other)),
            }
            image.memory = MemoryHandle::new();
        }
        Ok(())
    }

    /// C11, and rule 23: with the index, without it, and read-only, the same is seen.
    pub(super) fn compare_without_index(&self) -> Step {
        let image = image_of(&self.world, CrashMode::KeepAll);
        let bare = World { disk: image.disk.copy(), memory: MemoryHandle::new(), ..image.clone() };
        let clock: Arc<dyn Clock> = image.clock.clone();
        let looked = dump_of(&ReadOnlyEngine::open(&(Arc::new(image.disk.clone()) as _), &clock)?);
        let (with, without) = (image.try_open()?.text(), bare.try_open()?.text());
        if with != without {
            return broken(format!("C11: with the index\n{with}without it\n{without}"));
        }
        if looked != with {
            return broken(format!("rule 23: looked at\n{looked}served\n{with}"));
        }
        Ok(())
    }
}
