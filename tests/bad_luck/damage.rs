//! Bytes that were durable do not read back, or files are gone.

use std::fs;
use std::path::{Path, PathBuf};

use backlog::{Backlog, Codec, ErrorKind, JobBuilder, JobId, Phase, Status};

use crate::system::{copy_all, home, segments};
use crate::{refused, small};

/// Args that are found again in the file.
fn args(n: usize) -> Vec<u8> {
    format!("the args of job number {n:06}, {}", "x".repeat(900)).into_bytes()
}

/// Three segments and a bit of ready jobs, closed.
fn long(dir: &Path) -> Vec<JobId> {
    let backlog = small().open(dir).unwrap();
    let ids = (0..210).map(|n| backlog.enqueue_all([JobBuilder::raw("kind", args(n), Codec::Raw)]).unwrap()[0].id);
    let ids = ids.collect();
    backlog.close().unwrap();
    ids
}

/// Where the args of job `n` lie.
fn find(dir: &Path, n: usize) -> (PathBuf, usize) {
    let wanted = args(n);
    for path in segments(dir) {
        let bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(wanted.len()).position(|window| window == wanted) {
            return (path, at);
        }
    }
    panic!("job {n} is in no segment");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_job_whose_record_is_damaged_is_put_aside_by_name_and_the_others_are_served() {
    let home = home();
    let ids = long(&home.jobs());
    let (path, at) = find(&home.jobs(), 5);
    flip(&path, at + 40);
    // The index was saved at the close: nothing reads the record before somebody needs it.
    let backlog = small().open(home.jobs()).unwrap();
    let report = backlog.verify().unwrap();
    assert!(!report.is_sound());
    let file = path.display().to_string();
    assert!(report.damage.iter().any(|damage| damage.contains(&file) && damage.contains("offset=")), "{report:?}");
    let mut served = 0;
    while let Some(lease) = backlog.queue("default").claim().unwrap() {
        assert_ne!(lease.id(), ids[5]);
        served += 1;
        lease.ack().unwrap();
    }
    assert_eq!(served, ids.len() - 1);
    assert_eq!(backlog.counts().total().dead, 1);
    let text = match backlog.inspect(ids[5]) {
        Ok(Status::Live(job)) => {
            assert_eq!(job.phase, Phase::Dead);
            job.reason.unwrap()
        }
        Ok(other) => panic!("the damaged job is {other:?}"),
        Err(e) => e.to_string(),
    };
    assert!(text.contains(&file) && text.contains("offset="), "{text}");
}

#[test]
fn damage_that_the_log_needs_is_reported_with_file_and_offset_and_nothing_is_changed() {
    let home = home();
    let ids = long(&home.jobs());
    fs::remove_dir_all(home.jobs().join("index")).unwrap();
    for n in [0, 60, 150, 209] {
        let copy = home.path().join("copy");
        copy_all(&home.jobs(), &copy);
        let (path, at) = find(&copy, n);
        flip(&path, at);
        let damaged: Vec<Vec<u8>> = segments(&copy).iter().map(|path| fs::read(path).unwrap()).collect();
        let file = path.display().to_string();
        refused(small().open(&copy), ErrorKind::Corrupt, &[&file, "offset=", "backup"]);
        refused(Backlog::open_read_only(&copy), ErrorKind::Corrupt, &[&file, "offset="]);
        let now: Vec<Vec<u8>> = segments(&copy).iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(damaged == now, "a damaged log was changed");
        flip(&path, at);
        assert_eq!(small().open(&copy).unwrap().counts().total().ready, ids.len() as u64);
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn a_segment_that_is_missing_cut_or_foreign_is_reported_by_name() {
    let home = home();
    let ids = long(&home.jobs());
    let other = home.path().join("other");
    long(&other);
    for with_index in [true, false] {
        if !with_index {
            fs::remove_dir_all(home.jobs().join("index")).unwrap();
        }
        for (nth, path) in segments(&home.jobs()).iter().enumerate().take(3) {
            let name = path.file_name().unwrap();
            let copy = home.path().join("copy");
            let file = copy.join("log").join(name);
            let shown = file.display().to_string();
            let cases: [(&str, &dyn Fn()); 4] = [
                ("missing", &|| fs::remove_file(&file).unwrap()),
                ("cut", &|| fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(9_000).unwrap()),
                ("foreign", &|| assert!(fs::copy(other.join("log").join(name), &file).unwrap() > 0)),
                ("empty", &|| fs::write(&file, "").unwrap()),
            ];
            for (what, spoil) in cases {
                copy_all(&home.jobs(), &copy);
                spoil();
                println!("segment {nth} {what}, with index: {with_index}");
                refused(small().open(&copy), ErrorKind::Corrupt, &[&shown, "backup"]);
                fs::remove_dir_all(&copy).unwrap();
            }
        }
    }
    assert_eq!(small().open(home.jobs()).unwrap().counts().total().ready, ids.len() as u64);
}

#[test]
fn a_missing_or_damaged_format_file_is_not_made_anew() {
    let home = home();
    let ids = long(&home.jobs());
    let format = home.jobs().join("format");
    let before = fs::read(&format).unwrap();
    let shown = format.display().to_string();
    for spoiled in [&before[..30], b"", &[0; 64][..], &[&before[..20], &[9; 44][..]].concat()] {
        fs::write(&format, spoiled).unwrap();
        refused(small().open(home.jobs()), ErrorKind::Corrupt, &[&shown]);
        refused(Backlog::open_read_only(home.jobs()), ErrorKind::Corrupt, &[&shown]);
    }
    fs::remove_file(&format).unwrap();
    refused(small().open(home.jobs()), ErrorKind::Corrupt, &[&shown, "backup"]);
    fs::write(&format, before).unwrap();
    assert_eq!(small().open(home.jobs()).unwrap().counts().total().ready, ids.len() as u64);
}

#[test]
fn whatever_becomes_of_the_index_the_same_state_is_served() {
    let home = home();
    let ids = long(&home.jobs());
    let index = home.jobs().join("index");
    let files: Vec<PathBuf> =
        fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    let copy = home.path().join("copy");
    let mut cases = 0;
    let mut serves = |what: String, spoil: &dyn Fn(&Path)| {
        copy_all(&home.jobs(), &copy);
        spoil(&copy.join("index"));
        // At the latest the second start serves.
        let opened = small().open(&copy).or_else(|_| small().open(&copy)).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(opened.counts().total().ready, ids.len() as u64, "{what}");
        let lease = opened.queue("default").claim().unwrap().unwrap();
        assert_eq!((lease.id(), lease.payload()), (ids[0], &args(0)[..]), "{what}");
        drop(lease);
        opened.close().unwrap();
        fs::remove_dir_all(&copy).unwrap();
        cases += 1;
    };
    serves("deleted".into(), &|index| fs::remove_dir_all(index).unwrap());
    serves("a file".into(), &|index| {
        fs::remove_dir_all(index).unwrap();
        fs::write(index, "not a folder").unwrap();
    });
    serves("empty".into(), &|index| {
        fs::remove_dir_all(index).unwrap();
        fs::create_dir(index).unwrap();
    });
    for name in &names {
        serves(format!("{} gone", name.display()), &|index| fs::remove_file(index.join(name)).unwrap());
        serves(format!("{} emptied", name.display()), &|index| fs::write(index.join(name), "").unwrap());
        for seed in 0..6 {
            serves(format!("{} garbled, seed={seed}", name.display()), &|index| {
                let path = index.join(name);
                let mut bytes = fs::read(&path).unwrap();
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..=bytes.len() / 5_000 {
                    if !bytes.is_empty() {
                        let at = rng.usize(..bytes.len());
                        bytes[at] ^= 1 << rng.u8(..8);
                    }
                }
                fs::write(&path, bytes).unwrap();
            });
        }
    }
    println!("bad luck: states of the index tried={cases}, the same state served by all");
}
