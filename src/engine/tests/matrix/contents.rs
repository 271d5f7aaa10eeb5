//! Sectors lost or exchanged, files cut short, and whatever may stand behind the last frame.

use std::sync::Arc;

use crate::disk::simulated::SimDisk;
use crate::index::MemoryHandle;

use super::anatomy::{Expected, LENGTH, Template, offset, path};
use super::bits::{closed, killed, long, long_closed};
use super::judge::Depth;
use super::spread::{Tally, spread, stride};

const SECTOR: u64 = 512;

fn templates() -> [&'static Template; 4] {
    [killed(), closed(), long(), long_closed()]
}

#[derive(Debug, Clone, Copy)]
enum Fill {
    Zeros,
    Ones,
    Random,
    /// What stood there in the n-th copy from the end.
    Older(usize),
}

const FILLS: [Fill; 5] = [Fill::Zeros, Fill::Ones, Fill::Random, Fill::Older(0), Fill::Older(1)];

fn fill(template: &Template, file: &str, sector: u64, fill: Fill) -> Option<Vec<u8>> {
    let at = (sector * SECTOR) as usize;
    Some(match fill {
        Fill::Zeros => vec![0; SECTOR as usize],
        Fill::Ones => vec![0xff; SECTOR as usize],
        Fill::Random => {
            let mut rng = fastrand::Rng::with_seed(sector);
            (0..SECTOR).map(|_| rng.u8(..)).collect()
        }
        Fill::Older(nth) => template.copies.iter().rev().nth(nth)?.get(file)?[at..at + SECTOR as usize].to_vec(),
    })
}

#[test]
fn any_damaged_sector_is_reported_or_harmless_or_ends_an_unvouched_tail() {
    let mut cases = Vec::new();
    for template in templates() {
        for segment in template.oldest()..=template.last_segment() {
            for sector in 0..LENGTH / SECTOR {
                cases.extend(FILLS.map(|fill| (template, segment, sector, fill)));
            }
        }
    }
    // A tail ends in one or two sectors of each file: those are tried always.
    let step = stride(23, 1) as u64;
    let in_tail = |(template, segment, sector, _): (&Template, u64, u64, Fill)| {
        segment == template.last_segment() && sector == offset(template.end) / SECTOR
    };
    let numbers = (0..cases.len() as u64).filter(|case| case % step == 0 || in_tail(cases[*case as usize]));
    let tally = spread("a sector", numbers, |case| {
        let (template, segment, sector, how) = cases[case as usize];
        let (file, disk) = (path(segment), template.disk.copy());
        let mut now = disk.read_file(&file);
        let at = (sector * SECTOR) as usize;
        let piece = fill(template, &file, sector, how).unwrap_or_else(|| now[at..at + SECTOR as usize].to_vec());
        now[at..at + SECTOR as usize].copy_from_slice(&piece);
        disk.overwrite(&file, at as u64, &piece);
        let described = |why| format!("{}, segment {segment}, sector {sector}, {how:?}: {why}", template.name);
        template.judge(disk, &template.expect_content(segment, &now), Depth::Looked).map_err(described)
    });
    tally.tell("sectors damaged");
    assert!(tally.reported > 0 && tally.dropped > 0 && tally.identical > 0);
}

#[test]
fn a_segment_cut_at_any_byte_is_reported() {
    let template = killed();
    let last = template.last_segment();
    let cut = |template: &Template, segment: u64, len: u64, expected: &Expected, depth| {
        let disk = template.disk.copy();
        disk.truncate(&path(segment), len);
        template.judge(disk, expected, depth)
    };
    let mut tally = spread("a cut", (0..LENGTH).step_by(stride(97, 1)), |len| {
        let expected = Expected::Reported(vec![path(last)], Some(len..len + 1));
        cut(template, last, len, &expected, if len % 16 == 0 { Depth::Looked } else { Depth::Opened })
    });
    assert_eq!(tally.reported, tally.all());
    for template in [long(), long_closed()] {
        for segment in template.oldest()..=template.last_segment() + 1 {
            for len in [0, 1, 63, 4095, 4096, 4097, 20_000, LENGTH - 512, LENGTH - 1] {
                let expected = if segment > template.last_segment() {
                    Expected::State(template.end)
                } else {
                    Expected::Reported(vec![path(segment)], Some(len..len + 1))
                };
                let judged = cut(template, segment, len, &expected, Depth::Looked);
                tally.add(judged.unwrap_or_else(|why| panic!("{} cut to {len}: {why}", path(segment))));
            }
        }
    }
    tally.tell("truncations");
}

/// What the next life would write first: its opening frame, which nobody has been told of if it is torn.
fn next_frame(template: &Template) -> Vec<u8> {
    let disk = template.disk.copy();
    drop(template.world(disk.clone(), MemoryHandle::new()).open());
    let bytes = disk.read_file(&path(template.last_segment()));
    let start = offset(template.end) as usize;
    let length = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap()) as usize;
    let whole = &bytes[start..start + length];
    let kept = whole.iter().rposition(|byte| *byte != 0).unwrap();
    // Without its last byte that is not zero it is torn, whatever stands behind.
    whole[..kept].to_vec()
}

type Tail = (String, Arc<dyn Fn(&SimDisk) + Send + Sync>);

fn tails(template: &'static Template) -> Vec<Tail> {
    let (file, end) = (path(template.last_segment()), offset(template.end));
    let room = (LENGTH - end) as usize;
    let mut rng = fastrand::Rng::with_seed(end);
    let now = template.disk.read_file(&file);
    let mut pieces: Vec<(String, Vec<u8>)> = vec![
        ("zeros".into(), vec![0; room]),
        ("ones".into(), vec![0xff; room]),
        ("garbage".into(), (0..room).map(|_| rng.u8(..)).collect()),
    ];
    for frame in template.frames.iter().rev().step_by(7).take(20) {
        let bytes = now[frame.bytes.start as usize..frame.bytes.end as usize].to_vec();
        pieces.push((format!("the frame of lsn={} again", frame.lsn), bytes));
    }
    // The same place in the lives of other segments, as a recycled file shows it.
    for (nth, copy) in template.copies.iter().enumerate() {
        let others = copy.iter().filter(|(name, _)| name.ends_with(".seg") && **name != file);
        pieces.extend(others.map(|(name, bytes)| (format!("{name} of copy {nth}"), bytes[end as usize..].to_vec())));
    }
    let next = next_frame(template);
    pieces.extend((1..=next.len()).map(|len| (format!("{len} bytes of the next frame"), next[..len].to_vec())));
    let mut tails: Vec<Tail> = Vec::new();
    for (what, mut bytes) in pieces {
        bytes.truncate(room);
        let file = file.clone();
        tails.push((what, Arc::new(move |disk: &SimDisk| disk.overwrite(&file, end, &bytes))));
    }
    for more in [1_u64, 8, 512, 4_096, LENGTH] {
        for byte in [0_u8, 0xa5] {
            let (file, bytes) = (file.clone(), vec![byte; more as usize]);
            let longer = move |disk: &SimDisk| disk.overwrite(&file, LENGTH, &bytes);
            tails.push((format!("{more} bytes behind the file's end"), Arc::new(longer)));
        }
    }
    tails
}

#[test]
fn whatever_stands_behind_the_last_frame_is_not_taken_for_one() {
    let mut tally = Tally::default();
    for template in templates() {
        let tails = tails(template);
        tally = tally.and(spread(template.name, 0..tails.len() as u64, |case| {
            let (what, put) = &tails[case as usize];
            let disk = template.disk.copy();
            put(&disk);
            let judged = template.judge(disk, &Expected::State(template.end), Depth::Looked);
            judged.map_err(|why| format!("{what}: {why}"))
        }));
    }
    tally.tell("tails extended");
}
