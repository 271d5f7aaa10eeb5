//! What both twins promise alike; each test runs on each of them.

use std::io::ErrorKind;

use super::put;
use crate::disk::real::RealDisk;
use crate::disk::simulated::SimDisk;
use crate::disk::{Access, Disk};

fn on_both(test: impl Fn(&dyn Disk)) {
    test(&SimDisk::new());
    let dir = tempfile::tempdir().unwrap();
    test(&RealDisk::open(dir.path(), false).unwrap());
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

#[test]
fn a_created_file_reads_back_what_was_written() {
    on_both(|disk| {
        let file = disk.open("a.seg", Access::CreateNew).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        let mut bytes = [9; 8];
        disk.open("a.seg", Access::Read).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0hello");
    });
}

#[test]
fn reads_are_short_at_the_end_and_empty_beyond_it() {
    on_both(|disk| {
        let file = put(disk, "a", &[7; 5000]);
        let mut bytes = [0; 100];
        assert_eq!(file.read_at(&mut bytes, 4950).unwrap(), 50);
        assert_eq!(file.read_at(&mut bytes, 5000).unwrap(), 0);
        assert_eq!(file.read_at(&mut bytes, 1 << 40).unwrap(), 0);
        assert_eq!(kind(file.read_exact_at(&mut bytes, 4950)), Some(ErrorKind::UnexpectedEof));
    });
}

#[test]
fn create_new_refuses_what_is_there_and_open_what_is_not() {
    on_both(|disk| {
        put(disk, "a", b"kept");
        assert_eq!(kind(disk.open("a", Access::CreateNew)), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(disk.open("b", Access::Read)), Some(ErrorKind::NotFound));
        assert_eq!(kind(disk.open("b", Access::ReadWrite)), Some(ErrorKind::NotFound));
        assert_eq!(kind(disk.open("log/b", Access::CreateNew)), Some(ErrorKind::NotFound));
        assert_eq!(disk.open("a", Access::Read).unwrap().len().unwrap(), 4);
    });
}

#[test]
fn a_file_opened_to_read_cannot_be_written() {
    on_both(|disk| {
        put(disk, "a", b"kept");
        let file = disk.open("a", Access::Read).unwrap();
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
        assert_eq!(file.len().unwrap(), 4);
    });
}

#[test]
fn a_cut_file_extended_again_reads_zeros() {
    on_both(|disk| {
        let file = put(disk, "a", &[7; 9000]);
        file.set_len(10).unwrap();
        file.set_len(9000).unwrap();
        let mut bytes = vec![1; 9000];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[..10].iter().all(|b| *b == 7) && bytes[10..].iter().all(|b| *b == 0));
    });
}

#[test]
fn lists_hold_plain_files_of_one_directory_sorted() {
    on_both(|disk| {
        disk.create_dir("").unwrap();
        disk.create_dir("log").unwrap();
        disk.create_dir("log").unwrap();
        for path in ["log/b", "log/a", "log.x", "lock"] {
            put(disk, path, b"");
        }
        assert_eq!(disk.list("").unwrap(), ["lock", "log.x"]);
        assert_eq!(disk.list("log").unwrap(), ["a", "b"]);
        assert_eq!(kind(disk.list("index")), Some(ErrorKind::NotFound));
        assert_eq!(kind(disk.list("lock")), Some(ErrorKind::NotADirectory));
        disk.sync_dir("").unwrap();
        disk.sync_dir("log").unwrap();
        assert_eq!(kind(disk.sync_dir("index")), Some(ErrorKind::NotFound));
    });
}

#[test]
fn directories_need_a_parent_and_a_free_name() {
    on_both(|disk| {
        put(disk, "a", b"");
        assert_eq!(kind(disk.create_dir("a")), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(disk.create_dir("x/y")), Some(ErrorKind::NotFound));
        disk.create_dir("d").unwrap();
        assert_eq!(kind(disk.open("d", Access::Read)), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(disk.open("d", Access::ReadWrite)), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(disk.remove("d")), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(disk.rename("d", "e")), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(disk.rename("a", "d")), Some(ErrorKind::InvalidInput));
    });
}

#[test]
fn a_rename_replaces_its_target_and_open_files_follow() {
    on_both(|disk| {
        let old = put(disk, "b", b"old");
        let file = put(disk, "a", b"new");
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.list("").unwrap(), ["b"]);
        file.write_all_at(b"N", 0).unwrap();
        let mut bytes = [0; 3];
        disk.open("b", Access::Read).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"New");
        old.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"old");
        disk.rename("b", "b").unwrap();
        assert_eq!(kind(disk.rename("a", "b")), Some(ErrorKind::NotFound));
        assert_eq!(disk.list("").unwrap(), ["b"]);
    });
}

#[test]
fn a_removed_file_stays_readable_while_it_is_open() {
    on_both(|disk| {
        let file = put(disk, "a", b"abc");
        disk.remove("a").unwrap();
        assert_eq!(kind(disk.remove("a")), Some(ErrorKind::NotFound));
        let again = put(disk, "a", b"xyz");
        let mut bytes = [0; 3];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"abc");
        again.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"xyz");
    });
}

#[test]
fn one_lock_at_a_time_and_dropping_it_frees_it() {
    on_both(|disk| {
        let held = disk.try_lock("lock").unwrap().unwrap();
        assert!(disk.try_lock("lock").unwrap().is_none());
        drop(held);
        assert!(disk.try_lock("lock").unwrap().is_some());
    });
}

#[test]
fn who_holds_the_lock_can_be_read_and_a_refused_taker_does_not_erase_it() {
    on_both(|disk| {
        let held = disk.try_lock("lock").unwrap().unwrap();
        held.note("pid 4711, a long note").unwrap();
        held.note("pid 12").unwrap();
        assert!(disk.try_lock("lock").unwrap().is_none());
        let file = disk.open("lock", Access::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, b"pid 12");
        drop(held);
        drop(disk.try_lock("lock").unwrap().unwrap());
        assert_eq!(file.len().unwrap(), 6, "taking the lock does not cut the file either");
    });
}

#[test]
fn no_path_escapes_the_directory() {
    let hostile =
        ["..", "../a", "a/../../b", "/etc/passwd", "log/", "/", ".", "a//b", "a\\b", "C:a", "a\0b", "log/..", "ä"];
    on_both(|disk| {
        disk.create_dir("log").unwrap();
        put(disk, "a", b"");
        for path in hostile {
            let refused = Some(ErrorKind::InvalidInput);
            assert_eq!(kind(disk.open(path, Access::CreateNew)), refused, "{path}");
            assert_eq!(kind(disk.open(path, Access::Read)), refused, "{path}");
            assert_eq!(kind(disk.create_dir(path)), refused, "{path}");
            assert_eq!(kind(disk.list(path)), refused, "{path}");
            assert_eq!(kind(disk.sync_dir(path)), refused, "{path}");
            assert_eq!(kind(disk.remove(path)), refused, "{path}");
            assert_eq!(kind(disk.rename("a", path)), refused, "{path}");
            assert_eq!(kind(disk.rename(path, "a")), refused, "{path}");
            assert_eq!(kind(disk.try_lock(path)), refused, "{path}");
        }
        assert_eq!(kind(disk.open("", Access::Read)), Some(ErrorKind::InvalidInput));
        assert_eq!(kind(disk.rename("a", "log/a")), Some(ErrorKind::InvalidInput), "one directory at a time");
    });
}

/// The same random calls on both twins end in the same files.
#[test]
fn random_programs_leave_both_twins_with_the_same_files() {
    for seed in 0..60 {
        let (sim, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
        let real = RealDisk::open(dir.path(), false).unwrap();
        let mut rng = fastrand::Rng::with_seed(seed);
        for step in 0..80 {
            let (a, b) = (format!("f{}", rng.u8(..4)), format!("f{}", rng.u8(..4)));
            let (what, offset, len) = (rng.u8(..7), rng.u64(..20_000), rng.usize(..9_000));
            let fill = rng.u8(..3);
            let run = |disk: &dyn Disk| -> Result<Vec<u8>, ErrorKind> {
                let done = (|| match what {
                    0 => disk.open(&a, Access::CreateNew).map(|_| Vec::new()),
                    1 => disk.rename(&a, &b).map(|()| Vec::new()),
                    2 => disk.remove(&a).map(|()| Vec::new()),
                    3 => disk.open(&a, Access::ReadWrite)?.set_len(offset).map(|()| Vec::new()),
                    4 => {
                        let mut bytes = vec![0; len];
                        let n = disk.open(&a, Access::Read)?.read_at(&mut bytes, offset)?;
                        bytes.truncate(n);
                        Ok(bytes)
                    }
                    _ => disk.open(&a, Access::ReadWrite)?.write_all_at(&vec![fill; len], offset).map(|()| Vec::new()),
                })();
                done.map_err(|e| e.kind())
            };
            assert_eq!(run(&sim), run(&real), "seed={seed} step={step} what={what} {a} {b} {offset} {len}");
        }
        let shown = real.list("").unwrap();
        assert_eq!(sim.file_names(), shown, "seed={seed}");
        for name in shown {
            assert_eq!(sim.read_file(&name), std::fs::read(dir.path().join(&name)).unwrap(), "seed={seed} {name}");
        }
    }
}
