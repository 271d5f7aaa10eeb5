//! Faults, room, power, locks and hands from outside.

use std::io::ErrorKind;

use super::{put, with_file};
use crate::disk::simulated::{Call, CrashMode, Fault, SimDisk};
use crate::disk::{Access, Disk};

#[test]
fn the_kth_call_fails_once_and_changes_nothing() {
    let (disk, file) = with_file(b"old");
    disk.fail_call(2, Fault::eio());
    file.len().unwrap();
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(file.write_at(b"bad", 0).unwrap_err().raw_os_error(), Some(5));
    assert_eq!((disk.read_file("log/a"), disk.ops()), (b"new".to_vec(), 1));
    file.write_all_at(b"yes", 0).unwrap();
}

#[test]
fn every_kind_of_call_can_fail() {
    let (disk, file) = with_file(b"old");
    let calls: [(Call, &dyn Fn() -> std::io::Result<()>); 13] = [
        (Call::Open, &|| disk.open("log/a", Access::Read).map(|_| ())),
        (Call::Create, &|| disk.open("log/b", Access::CreateNew).map(|_| ())),
        (Call::Read, &|| file.read_at(&mut [0], 0).map(|_| ())),
        (Call::Write, &|| file.write_at(&[0], 0).map(|_| ())),
        (Call::SetLen, &|| file.set_len(3)),
        (Call::Len, &|| file.len().map(|_| ())),
        (Call::SyncData, &|| file.sync_data()),
        (Call::Rename, &|| disk.rename("log/b", "log/c")),
        (Call::Remove, &|| disk.remove("log/c")),
        (Call::CreateDir, &|| disk.create_dir("d")),
        (Call::List, &|| disk.list("log").map(|_| ())),
        (Call::SyncDir, &|| disk.sync_dir("log")),
        (Call::Lock, &|| disk.try_lock("lock").map(|_| ())),
    ];
    for (n, (call, run)) in (0..).zip(&calls) {
        disk.fail_call(0, Fault::error(ErrorKind::PermissionDenied).on(&[*call]));
        let error = run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{call:?}");
        run().unwrap();
        assert_eq!(
            (disk.calls_of(&[*call]), disk.calls()),
            (2 + u64::from(*call == Call::Open), 3 + 2 * n),
            "{call:?}"
        );
    }
}

#[test]
fn a_fault_for_good_stays_until_it_is_cleared_and_spares_other_kinds() {
    let (disk, file) = with_file(b"old");
    disk.fail_call(1, Fault::enospc().on(&[Call::Write]).for_good());
    file.write_all_at(b"a", 0).unwrap();
    for _ in 0..3 {
        assert_eq!(file.write_at(b"b", 0).unwrap_err().kind(), ErrorKind::StorageFull);
        file.sync_data().unwrap();
    }
    disk.clear_faults();
    file.write_all_at(b"c", 0).unwrap();
}

#[test]
fn short_and_interrupted_reads_and_writes_are_continued() {
    for fault in [Fault::short(7).for_good(), Fault::interrupted(), Fault::interrupted().for_good()] {
        let (disk, file) = with_file(b"");
        disk.fail_call(0, fault.clone());
        let bytes: Vec<u8> = (0..100).collect();
        file.write_all_at(&bytes, 5).unwrap();
        let mut read = [0; 100];
        file.read_exact_at(&mut read, 5).unwrap();
        assert_eq!(read[..], bytes, "{fault:?}");
        file.sync_data().unwrap();
    }
    let (disk, file) = with_file(b"");
    disk.fail_call(0, Fault::short(7));
    assert_eq!(file.write_at(&[1; 100], 0).unwrap(), 7);
}

#[test]
fn a_full_disk_writes_what_fits_and_overwriting_always_fits() {
    let disk = SimDisk::new();
    disk.set_capacity(3 * 4096);
    let file = put(&disk, "a", &[0; 4096]);
    assert_eq!(disk.used(), 4096, "written zeros take room");
    file.set_len(1 << 20).unwrap();
    assert_eq!(disk.used(), 4096, "a hole does not");
    assert_eq!(file.write_at(&[1; 12000], 4096).unwrap(), 8192);
    assert_eq!(file.write_at(&[1; 1], 12288).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_all_at(&[2; 12288], 0).unwrap();
    disk.open("b", Access::CreateNew).unwrap();
    assert!(disk.open("b", Access::ReadWrite).unwrap().write_at(b"x", 0).is_err());
    disk.remove("a").unwrap();
    disk.open("b", Access::ReadWrite).unwrap().write_all_at(b"x", 0).unwrap();
    disk.set_capacity(None);
    disk.open("b", Access::ReadWrite).unwrap().write_all_at(&vec![1; 100_000], 0).unwrap();
}

#[test]
fn without_power_every_call_fails_and_nothing_changes() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.power_off();
    assert!(disk.is_off());
    assert!(file.write_at(b"bad", 0).is_err() && file.sync_data().is_err() && file.len().is_err());
    assert!(disk.open("log/a", Access::Read).is_err() && disk.sync_dir("log").is_err());
    assert!(disk.try_lock("lock").is_err() && disk.list("").is_err());
    assert_eq!(disk.ops(), 1);
    let image = disk.crash_image(1, CrashMode::DropUnsynced);
    assert_eq!((image.read_file("log/a"), image.is_off()), (b"old".to_vec(), false));
}

#[test]
fn power_goes_off_right_after_the_chosen_operation() {
    let (disk, file) = with_file(b"old");
    disk.stop_after(2);
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    assert!(file.write_at(b"bad", 0).is_err());
    assert_eq!(disk.ops(), 2);
    let other = disk.copy();
    other.stop_after(0);
    assert!(other.open("log/a", Access::Read).is_err());
}

#[test]
fn a_crash_image_starts_unlocked_and_whole() {
    let (disk, _file) = with_file(b"old");
    let _held = disk.try_lock("log/a").unwrap().unwrap();
    disk.fail_call(0, Fault::eio().for_good());
    disk.set_capacity(1);
    for image in [disk.crash_image(0, CrashMode::KeepAll), disk.copy()] {
        assert!(image.try_lock("log/a").unwrap().is_some());
        put(&image, "log/b", &[1; 10_000]);
        assert_eq!(disk.file_names(), ["log/a"], "and shares nothing");
    }
}

#[test]
fn damage_from_outside_is_durable_at_once() {
    let (disk, _file) = with_file(b"abc");
    disk.flip_bit("log/a", 1, 0);
    disk.overwrite("log/a", 5, b"x");
    disk.write_file("new/dir/b", b"b");
    for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
        let image = disk.crash_image(disk.ops(), mode);
        assert_eq!((image.read_file("log/a"), image.read_file("new/dir/b")), (b"acc\0\0x".to_vec(), b"b".to_vec()));
    }
    disk.truncate("log/a", 2);
    assert_eq!(disk.read_file("log/a"), b"ac");
    disk.delete_file("log/a");
    assert_eq!(disk.crash_image(disk.ops(), CrashMode::DropUnsynced).file_names(), ["new/dir/b"]);
    assert!(!disk.same_files(&disk.crash_image(0, CrashMode::KeepAll)));
}

#[test]
fn the_trace_tells_what_was_done() {
    let (disk, file) = with_file(b"");
    file.write_all_at(b"abc", 4).unwrap();
    disk.fail_call(0, Fault::eio());
    file.sync_data().unwrap_err();
    disk.rename("log/a", "log/b").unwrap();
    let told: Vec<String> = disk.trace().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["Write log/a [4, +3)", "SyncData \"log/a\" FAILED", "Rename log/a -> log/b"]);
    assert_eq!(disk.op(2).unwrap().to.as_deref(), Some("log/b"));
}
