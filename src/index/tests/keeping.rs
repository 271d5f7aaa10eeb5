//! Whatever the store does, the keeper answers.

use std::time::Duration;

use super::saving::{Program, saved_program};
use crate::index::{Index, Keeper, Lie, MemoryHandle, Patience};

fn hurried() -> Patience {
    Patience { base: Duration::from_millis(500), ..Patience::default() }
}

#[test]
fn a_store_that_fails_panics_or_hangs_is_gone_for_the_run() {
    for lie in [Lie::Fails, Lie::Panics, Lie::Hangs] {
        for threaded in [false, true] {
            for at_load in [false, true] {
                let (mut program, handle) = saved_program();
                let keep = |handle: &MemoryHandle| {
                    if threaded { Keeper::memory_on_thread(handle, hurried()) } else { Keeper::memory(handle) }
                };
                let keeper = keep(&handle);
                if at_load {
                    handle.lie(lie);
                    assert!(keeper.load().is_err());
                } else {
                    assert!(keeper.load().unwrap().is_some());
                    handle.lie(lie);
                }
                program.run(10);
                let meta = program.meta();
                assert!(keeper.save(program.index.freeze(), meta.clone()).is_err());
                let gone = keeper.gone().unwrap().to_string();
                assert!(gone.contains("index failed: "), "{gone}");
                assert_eq!(keeper.save(program.index.freeze(), meta).unwrap_err().to_string(), gone, "at once");
                assert_eq!(handle.saves(), 3);
                handle.release();
                keeper.close();
                // The next run finds what stood before.
                let keeper = keep(&handle);
                assert!(Index::load_with_leaves(keeper.load().unwrap().unwrap(), 6).is_ok());
                keeper.close();
            }
        }
    }
}

#[test]
fn a_store_that_hangs_is_not_waited_for_longer_than_the_deadline() {
    let (_, handle) = saved_program();
    handle.lie(Lie::Hangs);
    let keeper = Keeper::memory_on_thread(&handle, hurried());
    let (send, answer) = std::sync::mpsc::channel();
    // Left behind if it never comes back.
    std::thread::spawn(move || send.send(keeper.load().is_err()));
    assert!(answer.recv_timeout(Duration::from_secs(20)).expect("it is waited for"));
    handle.release();
}

#[test]
fn a_store_that_failed_is_let_go_at_once() {
    let (mut program, handle) = saved_program();
    let keeper = Keeper::memory(&handle);
    keeper.load().unwrap();
    assert_eq!(handle.owners(), 2);
    handle.lie(Lie::Fails);
    let meta = program.meta();
    assert!(keeper.save(program.index.freeze(), meta).is_err());
    assert_eq!(handle.owners(), 1, "its lock would be held, and it could still write");
}

#[test]
fn a_thread_keeps_as_well_as_none() {
    let handle = MemoryHandle::new();
    let mut program = Program::new(9, 250);
    for save in 1..6 {
        let keeper = Keeper::memory_on_thread(&handle, Patience::default());
        let snapshot = keeper.load().unwrap();
        assert_eq!(snapshot.map_or(0, |snapshot| snapshot.number()), save - 1);
        program.run(50);
        let meta = program.meta();
        assert_eq!(keeper.save(program.index.freeze_whole(), meta).unwrap().number, save);
        keeper.close();
        assert!(keeper.gone().is_some() && keeper.load().is_err());
    }
}

#[test]
fn no_store_is_no_trouble() {
    let keeper = Keeper::absent();
    assert!(keeper.load().is_err() && keeper.gone().is_some() && !keeper.wants_whole());
    keeper.close();
}

#[test]
fn a_bigger_index_is_given_more_time() {
    let patience = Patience::default();
    assert_eq!(patience.deadline(0), Duration::from_secs(10));
    assert_eq!(patience.deadline(3_500_000_000), Duration::from_millis(13_500));
    assert!(patience.deadline(u64::MAX) > Duration::from_secs(1 << 30));
}
