//! The death of a simulated process at a chosen moment: the call under way never returns.
//!
//! A moment stands before and after each changing operation, and wherever the program itself names one. At the chosen
//! one power goes off and the thread unwinds, without a message; whoever catches that is unwound again by his next
//! call. While a thread unwinds already, calls fail instead.
//!
//! # Invariants
//! * The same calls in the same order have the same moments. So calls of another thread than the one that lit the fuse
//!   fail, and are remembered.

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, ThreadId};

use super::{SimDisk, State};

/// What a dying process unwinds with.
pub(crate) struct Died;

/// A place where a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Operations that are done.
    pub(crate) ops: usize,
    pub(crate) kind: MomentKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentKind {
    /// The next operation is about to be made.
    Before,
    /// The last one is made, its call has not returned.
    After,
    /// The program said so.
    Named,
}

#[derive(Debug)]
pub(super) struct Fuse {
    left: u64,
    moments: Vec<Moment>,
    thread: ThreadId,
    strangers: bool,
    over: bool,
}

/// What a fuse has seen.
#[derive(Debug)]
pub(crate) struct Burnt {
    pub(crate) moments: Vec<Moment>,
    /// The process died.
    pub(crate) died: bool,
    /// Another thread touched the disk.
    pub(crate) strangers: bool,
}

impl SimDisk {
    /// From now on moments are counted; at the `k`-th (0 = the next) the process dies.
    pub(crate) fn light(&self, k: u64) {
        let fuse = Fuse { left: k, moments: Vec::new(), thread: thread::current().id(), strangers: false, over: false };
        self.state.lock().fuse = Some(fuse);
    }

    /// A moment of the program's own.
    pub(crate) fn moment(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive()?;
        state.burn(MomentKind::Named);
        Ok(())
    }

    /// Unwinds a process that has died.
    pub(crate) fn must_live(&self) {
        // On another thread, or after the end, there is nobody to unwind.
        let _ = self.state.lock().lives();
    }

    /// The process is over, dead or not: whatever it left behind reaches nothing.
    pub(crate) fn put_out(&self) -> Burnt {
        let mut state = self.state.lock();
        let died = state.off;
        state.off = true;
        let (moments, strangers) = match &mut state.fuse {
            Some(fuse) => {
                fuse.over = true;
                (std::mem::take(&mut fuse.moments), fuse.strangers)
            }
            None => (Vec::new(), false),
        };
        Burnt { moments, died, strangers }
    }
}

impl State {
    pub(super) fn burn(&mut self, kind: MomentKind) {
        let ops = self.trace.len();
        let Some(fuse) = self.fuse.as_mut().filter(|_| !self.off) else { return };
        fuse.moments.push(Moment { ops, kind });
        if fuse.left > 0 {
            fuse.left -= 1;
            return;
        }
        self.off = true;
        die();
    }

    /// Whether this thread may go on.
    pub(super) fn lives(&mut self) -> io::Result<()> {
        let Some(fuse) = self.fuse.as_mut() else { return Ok(()) };
        if fuse.thread != thread::current().id() {
            fuse.strangers |= !fuse.over;
            return Err(io::Error::other("another thread than the scenario's touches the simulated disk"));
        }
        if self.off && !fuse.over {
            die();
        }
        Ok(())
    }
}

fn die() {
    if !thread::panicking() {
        resume_unwind(Box::new(Died));
    }
}
