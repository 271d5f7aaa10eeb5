//! The scheduled twins: shuttle's locks in the shape of `parking_lot`'s.
//!
//! # Invariants
//! * A wait with a time never ends by itself, so that a lost wake-up shows as a deadlock; unless the schedule lets time
//!   pass ([`let_time_pass`]): then it may end at once, and the clock moves on by that much.
//! * A panic poisons nothing, as with `parking_lot`.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::rand::RngCore;
use shuttle::sync;

type Passing = Box<dyn Fn(Duration)>;

thread_local! {
    // All threads of a schedule run on one thread of the system.
    static PASSING: RefCell<Option<Passing>> = const { RefCell::new(None) };
}

/// From now on waits with a time may run out, and `pass` is told of each that did. `None`: they never do.
pub(crate) fn let_time_pass(pass: Option<Passing>) {
    PASSING.with(|passing| *passing.borrow_mut() = pass);
}

/// Whether a wait of this length runs out.
fn runs_out(after: Duration) -> bool {
    let may = PASSING.with(|passing| passing.borrow().is_some());
    let does = may && shuttle::rand::thread_rng().next_u32().is_multiple_of(2);
    if does {
        PASSING.with(|passing| passing.borrow().iter().for_each(|pass| pass(after)));
    }
    does
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T: ?Sized>(sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
    /// Away while the thread waits.
    held: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: self, held: Some(self.take()) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(held) => Some(MutexGuard { lock: self, held: Some(held) }),
            Err(sync::TryLockError::Poisoned(e)) => Some(MutexGuard { lock: self, held: Some(e.into_inner()) }),
            Err(sync::TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Runs `outside` while the lock is not held.
    pub(crate) fn unlocked<U>(guard: &mut Self, outside: impl FnOnce() -> U) -> U {
        guard.held = None;
        let out = outside();
        guard.held = Some(guard.lock.take());
        out
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("held, but for waits")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("held, but for waits")
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect("held, but for waits");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, at_most: Duration) -> WaitTimeoutResult {
        if runs_out(at_most) {
            // What is told meanwhile reaches nobody: the time was up first.
            MutexGuard::unlocked(guard, || {});
            return WaitTimeoutResult(true);
        }
        self.wait(guard);
        WaitTimeoutResult(false)
    }

    pub(crate) fn wait_while<T>(&self, guard: &mut MutexGuard<'_, T>, mut so: impl FnMut(&mut T) -> bool) {
        while so(&mut *guard) {
            self.wait(guard);
        }
    }

    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut so: impl FnMut(&mut T) -> bool,
        at_most: Duration,
    ) -> WaitTimeoutResult {
        while so(&mut *guard) {
            if self.wait_for(guard, at_most).timed_out() {
                return WaitTimeoutResult(so(&mut *guard));
            }
        }
        WaitTimeoutResult(false)
    }
}

/// A cell that is written once; looking at it is a step of its own.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    cell: std::sync::OnceLock<T>,
    step: sync::atomic::AtomicBool,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { cell: std::sync::OnceLock::new(), step: sync::atomic::AtomicBool::new(false) }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.step.load(Ordering::SeqCst);
        self.cell.get()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.step.load(Ordering::SeqCst);
        self.cell.get_or_init(make)
    }
}
