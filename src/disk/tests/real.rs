//! What only the file system can show.
#![cfg(unix)]

use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::portable;
use crate::disk::real::RealDisk;
use crate::disk::{Access, Disk};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_link_in_place_of_the_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    std::fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    for path in [link.clone(), link.join("")] {
        for create in [false, true] {
            let refused = RealDisk::open(&path, create).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(refused.to_string().contains("link is a symbolic link"), "{refused}");
        }
    }
    RealDisk::open(&link.join("below"), true).unwrap();
    assert!(target.join("below").is_dir(), "links above the directory are the user's own business");
}

#[test]
fn a_plain_file_in_place_of_the_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"kept").unwrap();
    for create in [false, true] {
        let refused = RealDisk::open(&file, create).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotADirectory);
        assert!(refused.to_string().contains("file is not a directory"), "{refused}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn a_missing_directory_is_made_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/jobs");
    assert_eq!(RealDisk::open(&path, false).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!dir.path().join("data").exists());
    let disk = RealDisk::open(&path, true).unwrap();
    assert_eq!(disk.root(), Some(&*path));
    assert_eq!(disk.display("log/a"), path.join("log/a").display().to_string());
    assert_eq!(mode(&path), 0o700);
    RealDisk::open(&path, true).unwrap();
}

#[test]
fn a_relative_directory_is_remembered_absolutely() {
    let disk = RealDisk::open(Path::new("."), false).unwrap();
    assert_eq!(disk.root().unwrap(), std::env::current_dir().unwrap());
}

#[test]
fn links_and_pipes_inside_are_neither_followed_nor_listed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(&dir.path().join("jobs"), true).unwrap();
    let (root, outside) = (dir.path().join("jobs"), dir.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), b"secret").unwrap();
    symlink(outside.join("secret"), root.join("a")).unwrap();
    symlink(outside.join("nowhere"), root.join("dangling")).unwrap();
    symlink(&outside, root.join("log")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    for path in ["a", "dangling", "pipe"] {
        for access in [Access::Read, Access::ReadWrite] {
            assert_eq!(disk.open(path, access).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
        }
        assert_eq!(disk.open(path, Access::CreateNew).unwrap_err().kind(), ErrorKind::AlreadyExists, "{path}");
        assert!(disk.try_lock(path).is_err(), "{path}");
        assert!(disk.remove(path).is_err() && disk.rename(path, "b").is_err(), "{path}");
    }
    assert!(disk.open("log/secret", Access::Read).is_err());
    assert!(disk.list("log").is_err() && disk.sync_dir("log").is_err() && disk.create_dir("log").is_err());
    assert!(disk.list("").unwrap().is_empty());
    assert!(!outside.join("nowhere").exists());
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
}

#[test]
fn the_directory_stays_the_one_that_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(&dir.path().join("jobs"), true).unwrap();
    std::fs::rename(dir.path().join("jobs"), dir.path().join("moved")).unwrap();
    symlink("/", dir.path().join("jobs")).unwrap();
    disk.open("a", Access::CreateNew).unwrap();
    assert!(dir.path().join("moved/a").exists());
}

/// A umask belongs to the whole process, so a child has it.
#[test]
fn modes_are_private_whatever_the_umask() {
    const CHILD: &str = "BACKLOG_TEST_MODES_IN";
    if let Some(path) = std::env::var_os(CHILD) {
        let disk = RealDisk::open(Path::new(&path), true).unwrap();
        disk.create_dir("log").unwrap();
        disk.open("log/a", Access::CreateNew).unwrap();
        disk.try_lock("lock").unwrap().unwrap().note("me").unwrap();
        return;
    }
    for umask in ["000", "022", "077", "777"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs");
        let child = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" --exact \"$1\"")])
            .arg(std::env::current_exe().unwrap())
            .arg("disk::tests::real::modes_are_private_whatever_the_umask")
            .env(CHILD, &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "umask={umask} {}", String::from_utf8_lossy(&child.stdout));
        for (name, wanted) in [("", 0o700), ("log", 0o700), ("log/a", 0o600), ("lock", 0o600)] {
            assert_eq!(mode(&path.join(name)), wanted, "umask={umask} name={name:?}");
        }
    }
}

#[test]
fn a_lock_excludes_other_processes_and_goes_with_them() {
    const CHILD: &str = "BACKLOG_TEST_LOCK_IN";
    if let Some(path) = std::env::var_os(CHILD) {
        let disk = RealDisk::open(Path::new(&path), false).unwrap();
        let free = disk.try_lock("lock").unwrap();
        let answer = if free.is_some() { 10 } else { 11 };
        std::mem::forget(free);
        std::process::exit(answer);
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(dir.path(), false).unwrap();
    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::tests::real::a_lock_excludes_other_processes_and_goes_with_them"])
            .env(CHILD, dir.path())
            .output()
            .unwrap()
            .status
            .code()
    };
    let held = disk.try_lock("lock").unwrap().unwrap();
    assert_eq!(child(), Some(11));
    drop(held);
    assert_eq!(child(), Some(10), "the child dies holding it");
    assert!(disk.try_lock("lock").unwrap().is_some());
}

/// The directory of other systems runs on Unix too, so that it is compiled and tried where we work.
#[test]
fn the_portable_directory_does_the_same_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let root = portable::Dir::create(&dir.path().join("jobs")).unwrap();
    let log = root.create_sub("log").unwrap();
    log.open_file("a", Access::CreateNew).unwrap();
    assert_eq!(log.open_file("a", Access::CreateNew).unwrap_err().kind(), ErrorKind::AlreadyExists);
    log.rename("a", "b").unwrap();
    symlink("b", dir.path().join("jobs/log/link")).unwrap();
    symlink("log", dir.path().join("jobs/other")).unwrap();
    assert_eq!(root.again().unwrap().sub("log").unwrap().plain_files().unwrap(), ["b"]);
    assert!(log.is_plain_file("b").unwrap() && !log.is_plain_file("link").unwrap());
    assert!(log.is_link("link") && !log.is_link("b") && root.is_link("other") && !root.is_link("none"));
    assert_eq!(log.open_file("link", Access::Read).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(root.sub("other").unwrap_err().kind(), ErrorKind::NotADirectory);
    log.sync().and_then(|()| log.sync_parent()).unwrap();
    log.remove("b").unwrap();
    assert!(log.plain_files().unwrap().is_empty());
}
