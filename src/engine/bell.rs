//! Wakes a sleeping service, or everybody who waits for a kind of news.
//!
//! # Invariants
//! * News is counted: whoever read the count before looking cannot miss what came after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

#[derive(Debug, Default)]
struct News {
    rung: u64,
    sleepers: usize,
    wakers: Vec<Waker>,
}

/// A counted condition variable.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    news: Mutex<News>,
    bell: Condvar,
}

impl Bell {
    /// The count of news so far; pass it to [`wait`](Self::wait) after looking.
    pub(crate) fn heard(&self) -> u64 {
        self.news.lock().rung
    }

    pub(crate) fn ring(&self) {
        let mut news = self.news.lock();
        news.rung = news.rung.wrapping_add(planted!(LostWakeUp, u64::from(news.sleepers > 0), 1));
        if news.sleepers > 0 {
            self.bell.notify_all();
        }
        if news.wakers.is_empty() || planted!(BellForgetsTasks) {
            return;
        }
        let wakers = std::mem::take(&mut news.wakers);
        drop(news);
        for waker in wakers {
            // The caller's code: its panic must not end whoever rings. Its own executor reports it.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }

    /// Wakes this task at the next news; ask before looking.
    pub(crate) fn wake_next(&self, waker: &Waker) {
        let mut news = self.news.lock();
        if !news.wakers.iter().any(|other| other.will_wake(waker)) {
            news.wakers.push(waker.clone());
        }
    }

    /// Sleeps until there is news after `heard`, or for `at_most`. `false`: time is up.
    pub(crate) fn wait(&self, heard: u64, at_most: Option<Duration>) -> bool {
        let mut news = self.news.lock();
        news.sleepers += 1;
        while news.rung == heard {
            match at_most {
                None => self.bell.wait(&mut news),
                Some(rest) => {
                    if self.bell.wait_for(&mut news, rest).timed_out() {
                        break;
                    }
                }
            }
        }
        news.sleepers -= 1;
        news.rung != heard
    }
}
