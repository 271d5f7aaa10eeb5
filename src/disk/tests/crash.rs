//! What each kind of crash leaves of bytes and lengths.

use std::collections::BTreeSet;

use super::{put, with_file};
use crate::disk::simulated::{CrashMode, Fault, SimDisk};
use crate::disk::{Access, Disk};

const KEEP: CrashMode = CrashMode::KeepAll;
const DROP: CrashMode = CrashMode::DropUnsynced;
const STALE: CrashMode = CrashMode::StaleAfterFailedSync;

fn all_modes(seed: u64) -> [CrashMode; 8] {
    let (torn, subset, sizes) = (CrashMode::Torn { seed }, CrashMode::Subset { seed }, CrashMode::SizeKept { seed });
    [KEEP, DROP, torn, subset, sizes, CrashMode::Names { seed }, CrashMode::Revived { seed }, STALE]
}

fn now(disk: &SimDisk, mode: CrashMode) -> Vec<u8> {
    disk.crash_image(disk.ops(), mode).read_file("log/a")
}

/// The images of many seeds.
fn seen(disk: &SimDisk, mode: impl Fn(u64) -> CrashMode) -> BTreeSet<Vec<u8>> {
    (0..400).map(|seed| now(disk, mode(seed))).collect()
}

#[test]
fn a_killed_process_loses_nothing_it_wrote() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"newer", 0).unwrap();
    assert_eq!(now(&disk, KEEP), b"newer");
}

#[test]
fn what_a_killed_process_did_not_sync_the_next_power_cut_still_takes() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"new", 0).unwrap();
    put(&disk, "log/b", b"unsynced name");
    let killed = disk.crash_image(disk.ops(), KEEP);
    assert_eq!(killed.ops(), 0);
    assert_eq!(now(&killed, DROP), b"old");
    assert_eq!(killed.crash_image(0, DROP).file_names(), ["log/a"]);
    killed.open("log/a", Access::Read).unwrap().sync_data().unwrap();
    assert_eq!(now(&killed, DROP), b"new", "a later process can sync what an earlier one wrote");
}

#[test]
fn unsynced_bytes_and_lengths_are_gone_after_a_power_cut() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(b"newer", 0).unwrap();
    assert_eq!(now(&disk, DROP), b"new");
    file.set_len(1).unwrap();
    assert_eq!(now(&disk, DROP), b"new");
    file.sync_data().unwrap();
    assert_eq!(now(&disk, DROP), b"n");
}

#[test]
fn each_cut_sees_just_the_operations_before_it() {
    let (disk, file) = with_file(b"0");
    for n in b"12" {
        file.write_all_at(&[*n], 0).unwrap();
        file.sync_data().unwrap();
    }
    let at = |cut| disk.crash_image(cut, DROP).read_file("log/a");
    assert_eq!([at(0), at(1), at(2), at(3), at(4)], [b"0", b"0", b"1", b"1", b"2"]);
    assert_eq!(disk.read_file("log/a"), b"2", "an image changes nothing in its origin");
}

#[test]
fn a_sync_covers_its_own_file_alone() {
    let (disk, file) = with_file(b"old");
    disk.write_file("log/b", b"old");
    let other = disk.open("log/b", Access::ReadWrite).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    other.write_all_at(b"new", 0).unwrap();
    other.sync_data().unwrap();
    let image = disk.crash_image(disk.ops(), DROP);
    assert_eq!((image.read_file("log/a"), image.read_file("log/b")), (b"old".to_vec(), b"new".to_vec()));
}

#[test]
fn a_torn_image_is_a_prefix_of_the_writes_torn_at_a_sector() {
    let (disk, file) = with_file(&[0; 4096]);
    file.write_all_at(&[1; 1536], 100).unwrap();
    file.write_all_at(&[2; 1024], 2048).unwrap();
    let images = seen(&disk, |seed| CrashMode::Torn { seed });
    let expected: BTreeSet<Vec<u8>> = [(100, 0), (512, 0), (1024, 0), (1536, 0), (1636, 0), (1636, 512), (1636, 1024)]
        .into_iter()
        .map(|(first, second): (usize, usize)| {
            let mut bytes = vec![0; 4096];
            bytes[100..first].fill(1);
            bytes[2048..2048 + second].fill(2);
            bytes
        })
        .collect();
    assert_eq!(images, expected);
}

#[test]
fn a_torn_image_keeps_the_order_across_files_and_names() {
    let (disk, file) = with_file(b"0");
    file.write_all_at(b"1", 0).unwrap();
    put(&disk, "log/b", b"");
    let other = disk.open("log/b", Access::ReadWrite).unwrap();
    other.write_all_at(b"2", 0).unwrap();
    let images: BTreeSet<_> = (0..200)
        .map(|seed| {
            let image = disk.crash_image(disk.ops(), CrashMode::Torn { seed });
            let b = image.file_names().contains(&"log/b".into()).then(|| image.read_file("log/b"));
            (image.read_file("log/a"), b)
        })
        .collect();
    let stages = [(b"0", None), (b"1", None), (b"1", Some(&b""[..])), (b"1", Some(b"2"))];
    assert_eq!(images, stages.map(|(a, b)| (a.to_vec(), b.map(<[u8]>::to_vec))).into());
}

#[test]
fn a_subset_loses_any_write_but_a_sector_only_holds_versions_it_had() {
    let (disk, file) = with_file(&[b'0'; 1024]);
    file.write_all_at(b"1", 0).unwrap();
    file.write_all_at(b"2", 1).unwrap();
    file.write_all_at(b"3", 512).unwrap();
    let images = seen(&disk, |seed| CrashMode::Subset { seed });
    let heads: BTreeSet<_> = images.iter().map(|bytes| (bytes[..2].to_vec(), bytes[512])).collect();
    let expected = [b"00", b"10", b"12"].into_iter().flat_map(|head| [(head.to_vec(), b'0'), (head.to_vec(), b'3')]);
    assert_eq!(heads, expected.collect());
}

#[test]
fn a_subset_tears_a_write_in_its_middle() {
    let (disk, file) = with_file(&[0; 2048]);
    file.write_all_at(&[1; 2048], 0).unwrap();
    let images = seen(&disk, |seed| CrashMode::Subset { seed });
    assert_eq!(images.len(), 16, "every subset of four sectors");
}

#[test]
fn a_kept_size_shows_zeros_garbage_or_the_bytes_and_never_harms_a_durable_sector() {
    let (disk, file) = with_file(&[1; 700]);
    file.write_all_at(&[2; 1500], 700).unwrap();
    let images = seen(&disk, |seed| CrashMode::SizeKept { seed });
    assert!(images.iter().all(|bytes| bytes.len() == 2200 && bytes[..700].iter().all(|b| *b == 1)));
    let third: BTreeSet<_> = images.iter().map(|bytes| bytes[1024..1536].to_vec()).collect();
    assert!(third.contains(&vec![0; 512]) && third.contains(&vec![2; 512]) && third.len() > 10);
    let straddling: BTreeSet<_> = images.iter().map(|bytes| bytes[700..1024].to_vec()).collect();
    assert_eq!(straddling, [vec![0; 324], vec![2; 324]].into(), "old or new, since its sector held durable bytes");
}

#[test]
fn after_a_failed_sync_reads_show_what_no_later_sync_makes_durable() {
    let (disk, file) = with_file(&[0; 2048]);
    file.write_all_at(&[1; 512], 0).unwrap();
    disk.fail_call(0, Fault::eio());
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    file.write_all_at(&[2; 512], 1024).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[3; 512], 1536).unwrap();
    let bytes = |first, last| [[first; 512], [0; 512], [2; 512], [last; 512]].concat();
    assert_eq!(disk.read_file("log/a"), bytes(1, 3));
    assert_eq!(now(&disk, KEEP), bytes(1, 3));
    assert_eq!(now(&disk, STALE), bytes(0, 3), "only what the failed sync was to write is missing");
    assert_eq!(now(&disk, DROP), bytes(0, 0));
    let killed = disk.crash_image(disk.ops(), KEEP);
    killed.open("log/a", Access::ReadWrite).unwrap().sync_data().unwrap();
    assert_eq!(now(&killed, DROP), bytes(0, 3), "the next process cannot sync it either");
    assert_eq!(seen(&disk, |seed| CrashMode::Subset { seed }).len(), 4, "it may have reached the medium all the same");
}

#[test]
fn bytes_of_a_failed_sync_become_durable_when_written_and_synced_again() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"newer", 0).unwrap();
    disk.fail_call(0, Fault::eio());
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(now(&disk, DROP), b"old");
    file.write_all_at(b"newer", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(now(&disk, DROP), b"newer");
}

#[test]
fn a_settled_disk_is_the_same_after_every_crash() {
    let (disk, file) = with_file(b"0");
    file.write_all_at(&vec![5; 9000], 0).unwrap();
    file.sync_data().unwrap();
    put(&disk, "log/b", b"x");
    disk.rename("log/b", "log/c").unwrap();
    disk.sync_dir("log").unwrap();
    let mut replayer = disk.replayer();
    replayer.advance_to(disk.ops());
    assert!(replayer.is_settled());
    for mode in (0..20).flat_map(all_modes) {
        assert!(disk.crash_image(disk.ops(), mode).same_files(&disk), "{mode:?}");
    }
}

/// A replayer's images, images from scratch, and the model in plain words agree on random programs.
#[test]
fn replayer_and_single_images_agree_at_every_cut() {
    let mut images = 0;
    for seed in 0..40 {
        let disk = random_program(seed);
        let mut replayer = disk.replayer();
        loop {
            let cut = replayer.cut();
            for mode in all_modes(seed) {
                let image = replayer.image(mode);
                assert!(image.same_files(&disk.crash_image(cut, mode)), "seed={seed} cut={cut} {mode:?}");
                assert!(image.same_files(&image.crash_image(0, KEEP)), "seed={seed} cut={cut} {mode:?}");
                assert!(
                    mode == KEEP || image.same_files(&image.crash_image(0, DROP)),
                    "seed={seed} cut={cut} {mode:?}"
                );
                images += 1;
            }
            if !replayer.advance() {
                break;
            }
        }
        assert!(replayer.image(KEEP).same_files(&disk), "seed={seed}");
    }
    eprintln!("images={images}");
}

fn random_program(seed: u64) -> SimDisk {
    let (disk, mut rng) = (SimDisk::new(), fastrand::Rng::with_seed(seed));
    disk.create_dir("log").unwrap();
    for _ in 0..60 {
        let (a, b) = (format!("log/{}", rng.u8(..3)), format!("log/{}", rng.u8(..3)));
        let (what, offset, bytes) = (rng.u8(..10), rng.u64(..9000), vec![rng.u8(..); rng.usize(..3000)]);
        if what == 9 && rng.bool() {
            disk.fail_call(0, Fault::eio());
        }
        let _ = match what {
            0 | 1 => disk.open(&a, Access::CreateNew).map(|_| ()),
            2 => disk.rename(&a, &b),
            3 => disk.remove(&a),
            4 => disk.sync_dir(["", "log"][rng.usize(..2)]),
            5 => disk.open(&a, Access::ReadWrite).and_then(|file| file.set_len(offset)),
            8 | 9 => disk.open(&a, Access::Read).and_then(|file| file.sync_data()),
            _ => disk.open(&a, Access::ReadWrite).and_then(|file| file.write_all_at(&bytes, offset)),
        };
    }
    disk
}
