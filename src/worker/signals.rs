//! The one door to signals. Unix only; elsewhere a program stops its workers itself.

use crate::error::Result;

/// Watches for SIGTERM and SIGINT until it is dropped.
pub(super) struct Watch {
    #[cfg(unix)]
    inner: unix::Inner,
}

/// Calls `on_signal` for each SIGTERM and SIGINT, on a thread of its own, instead of what they did before.
pub(super) fn watch(on_signal: impl Fn() + Send + 'static) -> Result<Watch> {
    #[cfg(unix)]
    {
        Ok(Watch { inner: unix::watch(on_signal)? })
    }
    #[cfg(not(unix))]
    {
        let _ = on_signal;
        Err(crate::error::Error::invalid("signals are not watched on this system; stop the workers with stop()"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        #[cfg(unix)]
        self.inner.close();
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{Builder, JoinHandle};

    use parking_lot::Mutex;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::{Handle, Signals};

    use crate::error::{Error, Result};

    /// Once a signal is hooked its default never comes back by itself. While nobody watches, this flag makes the hook
    /// do what the default does, so that a program that hangs after its workers ended can still be ended.
    static UNWATCHED: Mutex<Option<Unwatched>> = Mutex::new(None);

    struct Unwatched {
        flag: Arc<AtomicBool>,
        watches: usize,
    }

    pub(super) struct Inner {
        handle: Handle,
        thread: Option<JoinHandle<()>>,
    }

    pub(super) fn watch(on_signal: impl Fn() + Send + 'static) -> Result<Inner> {
        let failed = |e: io::Error| Error::io("cannot watch for SIGTERM and SIGINT", e);
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
        let handle = signals.handle();
        enter().map_err(failed)?;
        let run = move || signals.forever().for_each(|_| on_signal());
        match Builder::new().name("backlog-signals".to_owned()).spawn(run) {
            Ok(thread) => Ok(Inner { handle, thread: Some(thread) }),
            Err(e) => {
                handle.close();
                leave();
                Err(failed(e))
            }
        }
    }

    impl Inner {
        pub(super) fn close(&mut self) {
            leave();
            self.handle.close();
            if let Some(thread) = self.thread.take() {
                // It only ever runs our own callback.
                let _ = thread.join();
            }
        }
    }

    fn enter() -> io::Result<()> {
        let mut unwatched = UNWATCHED.lock();
        if let Some(known) = &mut *unwatched {
            known.watches += 1;
            known.flag.store(false, Ordering::SeqCst);
            return Ok(());
        }
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_default(signal, Arc::clone(&flag))?;
        }
        *unwatched = Some(Unwatched { flag, watches: 1 });
        Ok(())
    }

    fn leave() {
        if let Some(known) = &mut *UNWATCHED.lock() {
            known.watches -= 1;
            known.flag.store(known.watches == 0, Ordering::SeqCst);
        }
    }
}
