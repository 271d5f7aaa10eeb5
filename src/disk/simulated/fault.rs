//! Which calls of the simulated disk fail, and how.

use std::io;

/// A kind of call, for counting and for aiming faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named for the call it stands for")]
#[non_exhaustive]
pub enum Call {
    Open,
    Create,
    Read,
    Write,
    SetLen,
    Len,
    SyncData,
    Rename,
    Remove,
    CreateDir,
    List,
    SyncDir,
    Lock,
}

/// What happens to a call instead of its work.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    for_good: bool,
    only: Vec<Call>,
}

#[derive(Debug, Clone, Copy)]
enum Effect {
    Kind(io::ErrorKind),
    Errno(i32),
    Short(usize),
    Interrupted,
}

/// What a call may do after the faults were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    Whole,
    AtMost(usize),
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    calls: Vec<(Call, u64)>,
    armed: Vec<(u64, Fault)>,
    just_interrupted: bool,
}

impl Fault {
    /// The call does nothing and fails with this kind of error.
    pub fn error(kind: io::ErrorKind) -> Self {
        Self::new(Effect::Kind(kind))
    }

    /// The call does nothing and fails with this error of the operating system.
    pub fn errno(code: i32) -> Self {
        Self::new(Effect::Errno(code))
    }

    /// EIO.
    pub fn eio() -> Self {
        Self::errno(5)
    }

    /// ENOSPC.
    pub fn enospc() -> Self {
        Self::errno(28)
    }

    /// A read or write moves at most `bytes`; other calls are not harmed.
    pub fn short(bytes: usize) -> Self {
        Self::new(Effect::Short(bytes))
    }

    /// EINTR on a read or write; other calls are not harmed (the system's wrappers continue them). For good: on
    /// every second call, so that continuing makes progress.
    pub fn interrupted() -> Self {
        Self::new(Effect::Interrupted)
    }

    /// From the chosen call on, every call fails so. Default = once.
    #[must_use]
    pub fn for_good(mut self) -> Self {
        self.for_good = true;
        self
    }

    /// Counts and fails only these kinds of calls. Default = all.
    #[must_use]
    pub fn on(mut self, calls: &[Call]) -> Self {
        self.only = calls.to_vec();
        self
    }

    fn new(effect: Effect) -> Self {
        Self { effect, for_good: false, only: Vec::new() }
    }

    fn harms(&self, call: Call) -> bool {
        self.only.is_empty() || self.only.contains(&call)
    }

    fn strike(&self, call: Call) -> io::Result<Leave> {
        let moves_bytes = matches!(call, Call::Read | Call::Write);
        match self.effect {
            Effect::Kind(kind) => Err(io::Error::new(kind, format!("injected fault: call={call:?}"))),
            Effect::Errno(code) => Err(io::Error::from_raw_os_error(code)),
            Effect::Interrupted if moves_bytes => Err(io::ErrorKind::Interrupted.into()),
            Effect::Short(bytes) if moves_bytes => Ok(Leave::AtMost(bytes)),
            Effect::Interrupted | Effect::Short(_) => Ok(Leave::Whole),
        }
    }
}

impl Faults {
    pub(super) fn arm(&mut self, k: u64, fault: Fault) {
        self.armed.push((k, fault));
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Calls so far of these kinds (none given: of all).
    pub(super) fn calls(&self, of: &[Call]) -> u64 {
        self.calls.iter().filter(|(call, _)| of.is_empty() || of.contains(call)).map(|(_, n)| n).sum()
    }

    pub(super) fn enter(&mut self, call: Call) -> io::Result<Leave> {
        match self.calls.iter_mut().find(|(known, _)| *known == call) {
            Some((_, n)) => *n += 1,
            None => self.calls.push((call, 1)),
        }
        let mut verdict = Ok(Leave::Whole);
        // Several of them must not interrupt a caller for ever between them.
        let just_interrupted = std::mem::take(&mut self.just_interrupted);
        self.armed.retain_mut(|(left, fault)| {
            let is_interruption = matches!(fault.effect, Effect::Interrupted);
            if !fault.harms(call) || (is_interruption && just_interrupted) {
                return true;
            }
            if *left > 0 {
                *left -= 1;
                return true;
            }
            if verdict.is_ok() {
                verdict = fault.strike(call);
                self.just_interrupted |= is_interruption;
            }
            *left = u64::from(is_interruption);
            fault.for_good
        });
        verdict
    }
}
