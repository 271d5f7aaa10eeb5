//! What signals do. One test: signals are the whole process's.
#![cfg(unix)]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::Builder;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

use super::twin::Twin;
use super::{Add, LONG, workers};
use crate::ids::Phase;

const ARGS: &str = r#"{"n":1}"#;

#[test]
fn a_signal_lets_runs_finish_and_a_second_one_gives_the_rest_back_at_once() {
    for second in [false, true] {
        let store = Twin::new();
        let (say, hear) = channel();
        let (tell, told) = crossbeam_channel::bounded::<()>(0);
        let pool = workers(&store)
            .handle(move |_: Add, cx| {
                say.send(cx)?;
                Ok(told.recv()?)
            })
            .concurrency(1)
            .grace(100 * LONG)
            .start()
            .unwrap();
        let id = store.add("add", ARGS);
        let cx = hear.recv().unwrap();
        let next = store.add("add", ARGS);
        let (seen, watch) = (Arc::clone(&pool.pool), pool.watch_signals().unwrap());
        raise(SIGTERM).unwrap();
        if second {
            raise(SIGINT).unwrap();
        }
        // Both have come before anybody looks.
        let sent = 1 + u32::from(second);
        assert_eq!(seen.watch(Some(LONG), |state| state.signals == sent, |state| state.signals), sent);
        let (end, ended) = channel();
        Builder::new().spawn(move || end.send(pool.run_watched(watch))).unwrap();
        if second {
            let stopped = ended.recv_timeout(LONG).expect("it does not wait for the grace").unwrap();
            assert_eq!(stopped.still_running, 1);
            let job = store.job(id);
            assert_eq!((job.state.phase(), job.attempts), (Phase::Ready, 0));
            tell.send(()).unwrap();
        } else {
            seen.watch(None, |state| state.stopping, |_| ());
            assert!(!cx.is_cancelled());
            tell.send(()).unwrap();
            assert_eq!(ended.recv_timeout(LONG).expect("it does not wait for the grace").unwrap().still_running, 0);
            assert_eq!(store.change(|held| held.ended.clone()), [id]);
        }
        assert_eq!(store.job(next).state.phase(), Phase::Ready);
    }
}
