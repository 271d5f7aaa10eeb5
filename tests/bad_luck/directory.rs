//! The directory is not what it should be: owned, not writable, a link, of a newer release, foreign.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use backlog::{Backlog, ErrorKind};

use crate::system::{Process, anew, copy_all, home, say, segments};
use crate::{all_there, raw, refused, small, with_jobs};

const DIR: &str = "BACKLOG_BAD_LUCK_DIR";
const NOBODY: u32 = 65_534;

/// Opens a directory in a process of its own, says how it went, and holds it.
#[test]
#[ignore = "other tests run it, in a process of its own"]
fn child_that_opens() {
    let Ok(dir) = std::env::var(DIR) else { return };
    match small().lock_wait(Duration::ZERO).open(Path::new(&dir)) {
        Ok(backlog) => {
            backlog.enqueue_all([raw(0)]).unwrap();
            say("opened");
            loop {
                std::thread::park();
            }
        }
        Err(e) => say(&format!("{:?} {e}", e.kind())),
    }
}

#[test]
fn a_second_process_is_told_who_owns_the_directory_and_may_have_it_afterwards() {
    let home = home();
    let mut owner = Process::start("directory::child_that_opens", &[(DIR, &home.jobs())]);
    owner.hear_that("opened");
    let pid = format!("pid={}", owner.pid());
    let jobs = home.jobs().display().to_string();
    refused(small().lock_wait(Duration::ZERO).open(home.jobs()), ErrorKind::InUse, &[&pid, &jobs, "close the other"]);
    // Looking is not owning.
    let look = Backlog::open_read_only(home.jobs()).unwrap();
    assert!(look.is_owned() && look.verify().unwrap().is_sound());
    owner.kill();
    assert!(!owner.end());
    let backlog = small().open(home.jobs()).unwrap();
    assert_eq!(backlog.counts().total().ready, 1);
}

#[test]
fn a_directory_that_cannot_be_written_is_said_to_be_so() {
    let home = home();
    // Nobody may write below a plain file, not even root.
    let file = home.path().join("file");
    fs::write(&file, "precious").unwrap();
    refused(Backlog::open(file.join("jobs")), ErrorKind::Io, &[&file.display().to_string(), "ot a directory"]);
    refused(Backlog::open(&file), ErrorKind::Io, &[&file.display().to_string(), "not a directory"]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");

    let ids = with_jobs(&home.jobs(), 3);
    let closed = home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    for dir in [&closed, &home.jobs()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
    }
    fs::set_permissions(home.jobs().join("lock"), fs::Permissions::from_mode(0o444)).unwrap();
    for dir in [closed.join("jobs"), closed, home.jobs()] {
        let said = open_as_somebody_who_may_not(home.path(), &dir);
        let Some(said) = said else {
            println!("SKIPPED: root may write anywhere, and cannot run this binary as nobody");
            break;
        };
        assert!(said.starts_with("Io ") && said.contains("Permission denied"), "{said}");
        assert!(said.contains(&dir.display().to_string()), "{said}");
    }
    fs::set_permissions(home.jobs(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(home.jobs().join("lock"), fs::Permissions::from_mode(0o600)).unwrap();
    all_there(&home.jobs(), &ids);
}

/// `None`: nobody here may not.
fn open_as_somebody_who_may_not(home: &Path, dir: &Path) -> Option<String> {
    let mut command = anew("directory::child_that_opens");
    command.env(DIR, dir);
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        command.uid(NOBODY);
    }
    let ran = command.output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    text.lines().find_map(|line| line.split_once('@')).map(|(_, said)| said.to_owned())
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_nothing_is_changed() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 3);
    give_to_nobody(home.path());
    let segment = segments(&home.jobs())[0].clone();
    for file in [segment, home.jobs().join("format"), home.jobs().join("lock")] {
        let before = fs::metadata(&file).unwrap().permissions();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        let Some(said) = open_as_somebody_who_may_not(home.path(), &home.jobs()) else {
            println!("SKIPPED: root may read anything, and cannot run this binary as nobody");
            return;
        };
        assert!(said.starts_with("Io ") && said.contains("Permission denied"), "{said}");
        assert!(said.contains(&file.display().to_string()), "{said}");
        fs::set_permissions(&file, before).unwrap();
    }
    all_there(&home.jobs(), &ids);
}

/// As root may read anything, the directory becomes somebody else's.
fn give_to_nobody(dir: &Path) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir, Some(NOBODY), None).unwrap();
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                give_to_nobody(&entry.path());
            } else {
                std::os::unix::fs::chown(entry.path(), Some(NOBODY), None).unwrap();
            }
        }
    }
}

#[test]
fn what_is_made_is_its_owners_alone_whatever_the_umask() {
    for umask in ["000", "077", "777"] {
        let home = home();
        let ran = std::process::Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" --exact directory::child_that_works --ignored")])
            .arg(std::env::current_exe().unwrap())
            .env(DIR, home.jobs())
            .output()
            .unwrap();
        assert!(ran.status.success(), "umask={umask}: {}", String::from_utf8_lossy(&ran.stdout));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.jobs()), 0o700, "umask={umask}");
        for name in ["log", "index"] {
            assert_eq!(mode(&home.jobs().join(name)), 0o700, "umask={umask} {name}");
        }
        for path in segments(&home.jobs()).iter().chain(&[home.jobs().join("format"), home.jobs().join("lock")]) {
            assert_eq!(mode(path), 0o600, "umask={umask} {}", path.display());
        }
    }
}

/// A whole life in a directory of its own.
#[test]
#[ignore = "another test runs it, with a umask of its own"]
fn child_that_works() {
    let Ok(dir) = std::env::var(DIR) else { return };
    all_there(Path::new(&dir), &with_jobs(Path::new(&dir), 3));
}

#[test]
fn what_a_newer_release_wrote_is_left_alone() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 3);
    let format = home.jobs().join("format");
    let before = fs::read(&format).unwrap();
    let with_version = |version: u32, min_reader: u32| {
        let mut bytes = before.clone();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[12..16].copy_from_slice(&min_reader.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        fs::write(&format, bytes).unwrap();
    };
    with_version(7, 7);
    let files = snapshot(&home.jobs());
    let says = [&*format.display().to_string(), "format 7", "update the program"];
    refused(small().open(home.jobs()), ErrorKind::NewerFormat, &says);
    refused(Backlog::open_read_only(home.jobs()), ErrorKind::NewerFormat, &says);
    assert_eq!(snapshot(&home.jobs()), files, "something was changed");
    // A newer one that says this release may read it.
    with_version(7, 1);
    all_there(&home.jobs(), &ids);
}

/// Every file and its bytes; the note in the lock does not count.
fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(snapshot(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if name != "lock" {
            found.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_link_in_place_of_the_directory_or_of_anything_in_it_is_not_followed() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 3);
    let link = home.path().join("link");
    symlink(home.jobs(), &link).unwrap();
    refused(Backlog::open(&link), ErrorKind::Io, &[&link.display().to_string(), "symbolic link", "name the directory"]);
    refused(Backlog::open_read_only(&link), ErrorKind::Io, &["symbolic link"]);

    let segment = segments(&home.jobs())[0].strip_prefix(home.jobs()).unwrap().display().to_string();
    for inside in ["log", "format", "lock", &segment] {
        println!("a link in place of {inside}");
        let (copy, target) = (home.path().join("copy"), home.path().join("elsewhere"));
        copy_all(&home.jobs(), &copy);
        fs::rename(copy.join(inside), &target).unwrap();
        symlink(&target, copy.join(inside)).unwrap();
        let segments = inside.ends_with(".seg");
        let kind = if segments { ErrorKind::Corrupt } else { ErrorKind::Io };
        let shown = copy.join(inside).display().to_string();
        refused(small().open(&copy), kind, &[&shown, "symbolic link", "not followed"]);
        if inside != "lock" {
            refused(Backlog::open_read_only(&copy), kind, &[&shown, "symbolic link", "not followed"]);
        }
        // Taken away again, everything is as it was: the target was not touched.
        fs::remove_file(copy.join(inside)).unwrap();
        fs::rename(&target, copy.join(inside)).unwrap();
        all_there(&copy, &ids);
        fs::remove_dir_all(&copy).unwrap();
    }
    // The index is only a help: a link there is not followed either, and costs nothing but the help.
    let target = home.path().join("elsewhere");
    fs::create_dir(&target).unwrap();
    fs::remove_dir_all(home.jobs().join("index")).unwrap();
    symlink(&target, home.jobs().join("index")).unwrap();
    all_there(&home.jobs(), &ids);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "the link of the index was followed");
}

#[test]
fn a_directory_in_place_of_a_file_is_named() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 2);
    for name in ["lock", "format"] {
        let copy = home.path().join("copy");
        copy_all(&home.jobs(), &copy);
        fs::remove_file(copy.join(name)).unwrap();
        fs::create_dir(copy.join(name)).unwrap();
        refused(small().open(&copy), ErrorKind::Io, &[&copy.join(name).display().to_string()]);
        fs::remove_dir_all(&copy).unwrap();
    }
    all_there(&home.jobs(), &ids);
}

#[test]
fn what_is_not_ours_in_the_directory_is_left_alone() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 2);
    for name in ["notes.txt", "log/notes.txt", "log/0000000000000001.seg.bak", "log/1.seg"] {
        fs::write(home.jobs().join(name), name).unwrap();
    }
    all_there(&home.jobs(), &ids);
    for name in ["notes.txt", "log/notes.txt", "log/0000000000000001.seg.bak", "log/1.seg"] {
        assert_eq!(fs::read(home.jobs().join(name)).unwrap(), name.as_bytes());
    }
}

#[test]
fn what_was_left_half_made_does_not_stop_the_next_open() {
    let home = home();
    let ids = with_jobs(&home.jobs(), 2);
    fs::write(home.jobs().join("format.tmp"), "half").unwrap();
    fs::write(home.jobs().join("log/next.tmp"), "half").unwrap();
    fs::write(home.jobs().join("log/spare-7"), "half").unwrap();
    fs::write(home.jobs().join("index.opening"), "").unwrap();
    all_there(&home.jobs(), &ids);
    // And in a directory that was only just begun.
    let begun = home.path().join("begun");
    fs::create_dir(&begun).unwrap();
    fs::write(begun.join("format.tmp"), "half").unwrap();
    let ids = with_jobs(&begun, 2);
    all_there(&begun, &ids);
}
