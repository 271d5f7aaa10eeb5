//! Threads for peers that are asked for work instead of calling a handler themselves.

use std::thread;
use std::time::Duration;

/// How long a worker rests when its peer had nothing and cannot be waited on.
const REST: Duration = Duration::from_millis(1);

/// Starts `workers` threads. Each makes its own `step`, which claims, handles and settles one job or says `false`.
pub fn poll<S>(workers: usize, make: impl Fn(usize) -> S)
where
    S: FnMut() -> bool + Send + 'static,
{
    for worker in 0..workers {
        let mut step = make(worker);
        thread::spawn(move || {
            loop {
                if !step() {
                    thread::sleep(REST);
                }
            }
        });
    }
}
