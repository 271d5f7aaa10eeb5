//! What a power cut leaves of names.

use std::collections::BTreeSet;

use super::put;
use crate::disk::Disk;
use crate::disk::simulated::{CrashMode, Fault, SimDisk};

const DROP: CrashMode = CrashMode::DropUnsynced;

/// `log/old`, durable; the trace begins behind it.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.write_file("log/old", b"old");
    disk.forget_trace();
    disk
}

fn left(disk: &SimDisk, mode: CrashMode) -> Vec<String> {
    disk.crash_image(disk.ops(), mode).file_names()
}

fn possible(disk: &SimDisk) -> BTreeSet<Vec<String>> {
    (0..200).map(|seed| left(disk, CrashMode::Names { seed })).collect()
}

fn sets<const N: usize>(sets: [&[&str]; N]) -> BTreeSet<Vec<String>> {
    sets.iter().map(|names| names.iter().map(|name| format!("log/{name}")).collect()).collect()
}

#[test]
fn a_synced_file_without_a_synced_directory_is_gone() {
    let disk = disk();
    put(&disk, "log/new", b"synced bytes");
    assert_eq!(left(&disk, DROP), ["log/old"]);
    disk.sync_dir("").unwrap();
    assert_eq!(left(&disk, DROP), ["log/old"], "only its own directory keeps it");
    disk.sync_dir("log").unwrap();
    assert_eq!(disk.crash_image(disk.ops(), DROP).read_file("log/new"), b"synced bytes");
}

#[test]
fn a_synced_name_does_not_make_a_byte_durable() {
    let disk = disk();
    let file = put(&disk, "log/new", b"");
    file.write_all_at(b"bytes", 0).unwrap();
    disk.sync_dir("log").unwrap();
    assert_eq!(disk.crash_image(disk.ops(), DROP).read_file("log/new"), b"");
}

#[test]
fn unsynced_renames_and_removals_revert() {
    let disk = disk();
    disk.rename("log/old", "log/new").unwrap();
    assert_eq!(left(&disk, DROP), ["log/old"]);
    disk.sync_dir("log").unwrap();
    assert_eq!(left(&disk, DROP), ["log/new"]);
    disk.remove("log/new").unwrap();
    assert_eq!(disk.crash_image(disk.ops(), DROP).read_file("log/new"), b"old");
    disk.sync_dir("log").unwrap();
    assert!(left(&disk, DROP).is_empty());
}

#[test]
fn an_unsynced_directory_takes_its_files_along() {
    let disk = SimDisk::new();
    disk.create_dir("log").unwrap();
    put(&disk, "log/a", b"");
    disk.sync_dir("log").unwrap();
    let image = disk.crash_image(disk.ops(), DROP);
    assert!(image.file_names().is_empty() && image.list("log").is_err());
    disk.sync_dir("").unwrap();
    assert_eq!(left(&disk, DROP), ["log/a"]);
}

#[test]
fn each_unsynced_name_is_kept_or_lost_on_its_own() {
    let disk = disk();
    put(&disk, "log/new", b"");
    disk.remove("log/old").unwrap();
    assert_eq!(possible(&disk), sets([&[], &["new"], &["old"], &["new", "old"]]));
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let disk = disk();
    put(&disk, "log/tmp", b"");
    disk.sync_dir("log").unwrap();
    disk.rename("log/tmp", "log/old").unwrap();
    assert_eq!(possible(&disk), sets([&["old"], &["old", "tmp"]]));
}

#[test]
fn a_failed_directory_sync_leaves_names_unsynced_until_a_later_one() {
    let disk = disk();
    put(&disk, "log/new", b"");
    disk.fail_call(0, Fault::eio());
    disk.sync_dir("log").unwrap_err();
    assert_eq!(left(&disk, DROP), ["log/old"]);
    disk.sync_dir("log").unwrap();
    assert_eq!(left(&disk, DROP), ["log/new", "log/old"]);
}

#[test]
fn a_revived_file_may_hold_zeros_or_another_files_bytes() {
    let disk = disk();
    disk.write_file("log/other", b"XYZ?");
    disk.remove("log/old").unwrap();
    let images: BTreeSet<_> = (0..200)
        .map(|seed| disk.crash_image(disk.ops(), CrashMode::Revived { seed }))
        .map(|image| (image.read_file("log/other"), image.file_names().len() == 2, image))
        .map(|(other, back, image)| (other, back.then(|| image.read_file("log/old"))))
        .collect();
    let revived = [None, Some(b"old"), Some(b"XYZ"), Some(b"\0\0\0")];
    assert_eq!(images, revived.map(|old| (b"XYZ?".to_vec(), old.map(|old| old.to_vec()))).into());
}
