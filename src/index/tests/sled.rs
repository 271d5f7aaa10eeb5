//! sled at arm's length (rule 24): real folders, real kills, real garbage.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tempfile::TempDir;

use super::saving::Program;
use super::shadow::dump;
use crate::ids::{JobId, Lsn, Place};
use crate::index::sled::SledStore;
use crate::index::store::Store;
use crate::index::{Index, Keeper, Key, Meta, Patience, Snapshot};

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn patience() -> Patience {
    Patience { lock: Duration::from_secs(2), ..Patience::default() }
}

fn store(root: &Path) -> SledStore {
    SledStore::new(root, Duration::from_secs(2), Arc::new(AtomicBool::new(false)))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

type Seen = Option<Result<(Meta, Vec<String>), String>>;

/// What the folder holds, told apart: nothing, something refused, or an index; and the keeper's notes.
fn read(root: &Path) -> (Seen, Vec<String>) {
    let keeper = Keeper::sled(root, patience());
    let snapshot = keeper.load().unwrap();
    let read = snapshot.map(|snapshot| {
        let meta = snapshot.meta().clone();
        Index::load(snapshot).map(|index| (meta, dump(&index))).map_err(|e| e.to_string())
    });
    let notes = keeper.notes();
    keeper.close();
    (read, notes)
}

#[test]
fn a_folder_holds_what_was_saved_across_reopens() {
    let dir = dir();
    let mut program = Program::new(1, 250);
    for save in 1..8 {
        let keeper = Keeper::sled(dir.path(), patience());
        let snapshot = keeper.load().unwrap();
        assert_eq!(snapshot.as_ref().map_or(0, Snapshot::number), save - 1);
        if let Some(snapshot) = snapshot {
            assert_eq!(keeper.notes(), [""; 0]);
            let index = Index::load(snapshot).unwrap();
            assert_eq!(dump(&index), dump(&program.index));
            program.index = index;
        }
        program.run(300);
        // From time to time everything: a new folder takes the place of the old one.
        let delta = if save % 3 == 0 { program.index.freeze_whole() } else { program.index.freeze() };
        let meta = program.meta();
        assert_eq!(keeper.save(delta, meta.clone()).unwrap().number, save);
        keeper.close();
        assert_eq!(read(dir.path()).0, Some(Ok((meta, dump(&program.index)))));
    }
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["index"]);
}

#[test]
fn a_folder_copied_after_any_step_of_a_save_holds_the_old_checkpoint_or_the_new_one() {
    let (live, copies) = (dir(), dir());
    let mut program = Program::new(2, 8);
    let mut old = None;
    let mut tried = 0;
    for save in 0..3 {
        program.run(250);
        let (delta, meta) = (program.index.freeze(), program.meta());
        let new = Some(Ok((meta.clone(), dump(&program.index))));
        let mut taken = 0;
        crate::index::sled::save_watched(live.path(), &delta, &meta, &mut || {
            copy(live.path(), &copies.path().join(format!("{save}-{taken}")));
            taken += 1;
        });
        let mut switched = false;
        for at in 0..taken {
            let copy = copies.path().join(format!("{save}-{at}"));
            let (seen, notes) = read(&copy);
            assert_eq!(notes, [""; 0]);
            assert!(seen == old || seen == new, "step={at} of {taken}");
            assert!(!switched || seen == new, "the switch is for good");
            switched = seen == new;
            assert_eq!(read(&copy).0, seen, "looking again shows the same");
            tried += 1;
        }
        assert!(switched);
        old = new;
    }
    eprintln!("copies={tried}");
    assert!(tried > 20);
}

/// Not a test of its own: the child that the next one kills.
#[test]
fn child_that_saves_until_it_is_killed() {
    let Some(root) = std::env::var_os("BACKLOG_INDEX_CHILD") else { return };
    let keeper = Keeper::sled(Path::new(&root), patience());
    let mut index = match keeper.load().unwrap() {
        Some(snapshot) => Index::load(snapshot).unwrap(),
        None => Index::new(),
    };
    let lane = index.lane("child");
    let mut rng = fastrand::Rng::new();
    let mut next = index.jobs_from(JobId(0)).last().map_or(0, |job| job.0.0 + 1);
    loop {
        for _ in 0..rng.u32(..30_000) {
            let place = Place { lsn: Lsn(next * 8), len: 40 + (next % 200) as u32 };
            index.insert(JobId(next), place, false, Key::Ready { lane, priority: 0 }).unwrap();
            next += 1;
        }
        for pick in index.pick_ready(lane, rng.usize(..20_000), &|_| true) {
            index.remove(pick.id, &Key::Ready { lane, priority: 0 }).unwrap();
        }
        let at = Lsn(next);
        let meta = Meta { log_id: 1, index_lsn: at, durable_lsn: at, engine: index.len().to_le_bytes().to_vec() };
        println!("saving");
        keeper.save(index.freeze(), meta).unwrap();
        println!("saved {next}");
    }
}

#[test]
fn a_process_killed_while_it_saves_leaves_a_whole_checkpoint() {
    let dir = dir();
    let mut rng = fastrand::Rng::with_seed(11);
    let never = crossbeam_channel::never::<()>();
    let kills = 12;
    let mut saved = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "index::tests::sled::child_that_saves_until_it_is_killed", "--nocapture"])
            .env("BACKLOG_INDEX_CHILD", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut saves_to_see = rng.u32(1..6);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, next)) = line.split_once("saved ") {
                saved = next.parse().unwrap();
                saves_to_see -= 1;
            } else if line.ends_with("saving") && saves_to_see == 1 {
                let _ = never.recv_timeout(Duration::from_micros(rng.u64(..30_000)));
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let keeper = Keeper::sled(dir.path(), patience());
        let snapshot = keeper.load().unwrap().unwrap_or_else(|| panic!("kill={kill}: {:?}", keeper.notes()));
        let meta = snapshot.meta().clone();
        let index = Index::load(snapshot).unwrap();
        assert!(meta.index_lsn.0 >= saved, "kill={kill}: a finished save stays");
        assert_eq!(meta.engine, index.len().to_le_bytes());
        keeper.close();
    }
    eprintln!("kills={kills}");
}

fn filled(root: &Path) -> (Meta, Vec<String>) {
    let mut program = Program::new(4, 250);
    let keeper = Keeper::sled(root, patience());
    keeper.load().unwrap();
    for _ in 0..3 {
        program.run(1500);
        let meta = program.meta();
        keeper.save(program.index.freeze(), meta).unwrap();
    }
    keeper.close();
    read(root).0.unwrap().unwrap()
}

#[test]
fn a_deleted_folder_is_an_index_that_was_never_saved() {
    let dir = dir();
    filled(dir.path());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert_eq!(read(dir.path()), (None, vec![]));
}

#[test]
fn a_garbled_folder_costs_a_rebuild_and_nothing_else() {
    let (good, work) = (dir(), dir());
    let expected = filled(good.path());
    let mut rng = fastrand::Rng::with_seed(8);
    let (mut refused, mut lost, mut harmless) = (0, 0, 0);
    for trial in 0..60 {
        let root = work.path().join(trial.to_string());
        copy(&good.path().join("index"), &root.join("index"));
        let file = root.join("index").join(["db", "db", "db", "conf"][trial % 4]);
        let mut bytes = fs::read(&file).unwrap();
        match trial % 5 {
            0 => bytes.truncate(rng.usize(..bytes.len())),
            1 => bytes.clear(),
            2 => {
                let at = rng.usize(..bytes.len());
                let end = bytes.len().min(at + 4096);
                bytes[at..end].iter_mut().for_each(|byte| *byte = rng.u8(..));
            }
            3 => (0..50).for_each(|_| *rng.choice(&mut bytes).unwrap() ^= 1 << rng.u8(..8)),
            _ => bytes.iter_mut().for_each(|byte| *byte = 0),
        }
        fs::write(&file, bytes).unwrap();
        let keeper = Keeper::sled(&root, Patience { base: Duration::from_secs(5), ..patience() });
        match keeper.load() {
            Ok(Some(snapshot)) => {
                let meta = snapshot.meta().clone();
                match Index::load(snapshot) {
                    Ok(index) => {
                        // An older checkpoint, whole, is sled's right; this one it has in full or not at all.
                        assert!(meta != expected.0 || dump(&index) == expected.1, "trial={trial}");
                        harmless += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            Ok(None) | Err(_) => lost += 1,
        }
        keeper.close();
        // At the latest the second start works: it can save, and the third finds it.
        let keeper = Keeper::sled(&root, patience());
        let saves = keeper.load().is_ok() && {
            let mut index = Index::new();
            index.lane("fresh");
            let meta = Meta { log_id: 1, index_lsn: Lsn(1), durable_lsn: Lsn(1), engine: vec![] };
            keeper.save(index.freeze(), meta).is_ok()
        };
        keeper.close();
        assert!(saves, "trial={trial}: {:?}", keeper.gone());
        assert!(matches!(read(&root).0, Some(Ok(_))), "trial={trial}");
    }
    eprintln!("refused={refused} lost={lost} harmless={harmless}");
}

#[test]
fn an_opening_that_did_not_end_puts_the_folder_aside_unread() {
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    filled(dir.path());
    for round in 0..2 {
        fs::write(path("index.opening"), "").unwrap();
        fs::write(path("index").join("trace"), round.to_string()).unwrap();
        let (seen, notes) = read(dir.path());
        assert_eq!(seen, None);
        assert_eq!(notes, ["index moved to index.aside unread: the last opening did not end"]);
        assert_eq!(fs::read_to_string(path("index.aside").join("trace")).unwrap(), round.to_string(), "one is kept");
        assert!(!path("index.opening").exists());
    }
}

#[test]
fn while_sled_opens_its_mark_stands() {
    let dir = dir();
    filled(dir.path());
    let marker = dir.path().join("index.opening");
    let held = sled::Config::new().path(dir.path().join("index")).open().unwrap();
    let keeper = Keeper::sled(dir.path(), patience());
    let snapshot = std::thread::scope(|scope| {
        let load = scope.spawn(|| keeper.load());
        // A process killed from here on is remembered.
        while !marker.exists() {
            assert!(!load.is_finished(), "it never stood");
            std::thread::yield_now();
        }
        drop(held);
        load.join().unwrap().unwrap()
    });
    assert!(snapshot.is_some(), "{:?}", keeper.notes());
    assert!(!marker.exists());
    keeper.close();
}

#[test]
fn a_lock_held_too_long_puts_the_folder_aside() {
    let dir = dir();
    filled(dir.path());
    let held = sled::Config::new().path(dir.path().join("index")).open().unwrap();
    let keeper = Keeper::sled(dir.path(), Patience { lock: Duration::from_millis(60), ..Patience::default() });
    assert!(keeper.load().unwrap().is_none());
    assert!(keeper.notes()[0].contains("its lock was held for more than 60ms"), "{:?}", keeper.notes());
    keeper.close();
    drop(held);
}

#[test]
fn what_lies_in_place_of_the_folder_is_put_aside() {
    let (dir, elsewhere) = (dir(), dir());
    fs::write(dir.path().join("index"), "a file").unwrap();
    assert_eq!(read(dir.path()).0, None);
    assert_eq!(fs::read_to_string(dir.path().join("index.aside")).unwrap(), "a file");
    #[cfg(unix)]
    {
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("index")).unwrap();
        assert_eq!(read(dir.path()).0, None);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "links are not followed");
    }
}

#[test]
fn a_swap_cut_anywhere_leaves_one_of_both_folders() {
    let dir = dir();
    let expected = filled(dir.path());
    let path = |name: &str| dir.path().join(name);
    // Before the first rename.
    copy(&path("index"), &path("index.new"));
    assert_eq!(read(dir.path()).0, Some(Ok(expected.clone())));
    // Between the two.
    fs::rename(path("index"), path("index.old")).unwrap();
    copy(&path("index.old"), &path("index.new"));
    assert_eq!(read(dir.path()).0, Some(Ok(expected.clone())));
    // Before the old one was removed.
    copy(&path("index"), &path("index.old"));
    assert_eq!(read(dir.path()), (Some(Ok(expected)), vec![]));
    assert!(!path("index.old").exists() && !path("index.new").exists());
}

#[test]
fn a_file_that_outgrew_its_content_is_written_anew() {
    let dir = dir();
    let mut store = store(dir.path());
    store.load().unwrap();
    let mut index = Index::new();
    let lane = index.lane("");
    let key = Key::Ready { lane, priority: 0 };
    let mut rng = fastrand::Rng::with_seed(3);
    for id in 0..300_000 {
        index.insert(JobId(id), Place { lsn: Lsn(id * 64), len: rng.u32(20..400) }, false, key).unwrap();
    }
    let mut lsn = 1 << 40;
    let mut count = 0;
    let mut wants_whole = false;
    while !wants_whole {
        // Every leaf changes a little each time.
        (0..300_000).step_by(200).for_each(|id| {
            lsn += 64;
            index.relocate(JobId(id), Place { lsn: Lsn(lsn), len: 50 }).unwrap();
        });
        let meta = Meta { log_id: 1, index_lsn: Lsn(lsn), durable_lsn: Lsn(lsn), engine: vec![] };
        let saved = store.save(&index.freeze(), &meta).unwrap();
        (wants_whole, count) = (saved.wants_whole, count + 1);
        eprintln!("save={count} content={} file={}", saved.content_bytes, saved.file_bytes);
        assert!(count < 200, "it never outgrew its content");
        if count == 40 {
            // sled reuses its space here; a drained index shows the growth.
            (0..300_000).for_each(|id| assert!(index.remove(JobId(id), &key).is_ok()));
            let saved = store.save(&index.freeze(), &meta).unwrap();
            eprintln!("drained content={} file={}", saved.content_bytes, saved.file_bytes);
            break;
        }
    }
    let meta = Meta { log_id: 1, index_lsn: Lsn(lsn), durable_lsn: Lsn(lsn), engine: vec![] };
    let saved = store.save(&index.freeze_whole(), &meta).unwrap();
    eprintln!("anew content={} file={}", saved.content_bytes, saved.file_bytes);
    assert!(!saved.wants_whole);
    drop(store);
    let (seen, notes) = read(dir.path());
    assert_eq!(seen, Some(Ok((meta, dump(&index)))));
    assert_eq!(notes, [""; 0]);
}
