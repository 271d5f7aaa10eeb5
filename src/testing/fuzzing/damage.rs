//! A small real directory, damaged as the bytes say, and opened.
//!
//! Allowed are: reported, the same, or less by an unvouched tail. Never a panic, never a hang; and as long as no
//! checksum was mended, never a job that was not put in.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::clock::{Clock, ManualClock};
use crate::disk::Disk;
use crate::disk::simulated::SimDisk;
use crate::engine::{Durability, Engine, LeaseKind, NewJob, ReadOnlyEngine, Settle};
use crate::error::ErrorKind;
use crate::job::{Codec, ErrorCause};
use crate::log::{Identity, Survey, fuzzed};

use super::world::World;
use super::{Bytes, SEGMENT_BYTES};

/// Bytes in front of the frames of a segment, and where its salt stands there.
const HEADER_BYTES: usize = 4096;
const SALT_AT: usize = 64;

fn args(n: u32) -> Vec<u8> {
    format!("job {n} {}", "x".repeat((n as usize * 97) % 900)).into_bytes()
}

/// A directory that ended in the middle of work.
fn template() -> &'static SimDisk {
    static TEMPLATE: OnceLock<SimDisk> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let world = World::new();
        let engine = world.open(false).unwrap();
        work(&engine).unwrap();
        engine.compact_all().unwrap();
        more(&engine).unwrap();
        world.disk.copy()
    })
}

fn add(engine: &Engine, n: u32, more: impl FnOnce(&mut NewJob)) -> crate::error::Result<()> {
    let mut job = NewJob::new("fuzz", Codec::Raw, args(n));
    more(&mut job);
    let (_, ticket) = engine.enqueue(vec![job], Durability::Sync)?;
    engine.wait(ticket)
}

fn end_one(engine: &Engine, how: &Settle) -> crate::error::Result<()> {
    for grant in engine.claim(&[], 1, LeaseKind::Pool)? {
        if let Some(ticket) = engine.settle(&grant, how.clone())? {
            engine.wait(ticket)?;
        }
    }
    Ok(())
}

fn ack() -> Settle {
    Settle::Ack { follow_ups: Vec::new(), cells: Vec::new() }
}

fn nack() -> Settle {
    Settle::Nack { error: "no luck".into(), cause: ErrorCause::Failed, retry_after: None, duration: None }
}

fn work(engine: &Engine) -> crate::error::Result<()> {
    for n in 0..300 {
        add(engine, n, |job| {
            job.priority = i16::try_from(n % 3).unwrap_or(0);
            job.unique = (n % 7 == 0).then(|| format!("key {n}"));
        })?;
        if n % 5 != 0 {
            end_one(engine, &ack())?;
        }
    }
    engine.wait(engine.pause("paused")?)
}

fn more(engine: &Engine) -> crate::error::Result<()> {
    for n in 300..320 {
        add(engine, n, |job| {
            if n % 4 == 0 {
                job.queue = "paused".into();
            }
        })?;
        match n % 5 {
            0 => end_one(engine, &nack())?,
            1 => end_one(engine, &Settle::Bury("enough".into()))?,
            2 => end_one(engine, &Settle::Release)?,
            _ => end_one(engine, &ack())?,
        }
    }
    engine.claim(&[], 2, LeaseKind::Pool).map(drop)
}

/// Salt and frames of each segment of the template.
pub(super) fn segments() -> Vec<(u64, Vec<u8>)> {
    let disk = template();
    let names = disk.file_names().into_iter().filter(|name| is_segment(name));
    let bytes = names.map(|name| disk.read_file(&name));
    bytes.map(|bytes| (salt_of(&bytes), bytes[HEADER_BYTES..].to_vec())).collect()
}

fn salt_of(segment: &[u8]) -> u64 {
    u64::from_le_bytes(segment[SALT_AT..SALT_AT + 8].try_into().unwrap())
}

fn is_segment(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "seg")
}

/// Kind and body of records of the template, not two of one kind and length.
pub(super) fn record_bodies() -> Vec<Vec<u8>> {
    let disk: Arc<dyn Disk> = Arc::new(template().copy());
    let identity = Identity::read(&*disk).unwrap().unwrap();
    let mut found: BTreeSet<(u8, usize, Vec<u8>)> = BTreeSet::new();
    let survey = Survey::look(&disk, &identity).unwrap();
    survey
        .walk(survey.start(), &mut |frame| {
            for record in frame.records() {
                let kept = found.iter().any(|(kind, len, _)| (*kind, *len) == (record.kind, record.body.len()));
                if !kept {
                    found.insert((record.kind, record.body.len(), record.body.to_vec()));
                }
            }
            Ok(())
        })
        .unwrap();
    found.into_iter().map(|(kind, _, body)| [&[kind], &body[..]].concat()).collect()
}

/// Opens the template after what the bytes did to it. Whether it opened.
pub fn log(data: &[u8]) -> bool {
    let disk = template().copy();
    let mut bytes = Bytes::new(data);
    let mut mended = false;
    while !bytes.is_empty() {
        mended |= spoil(&disk, &mut bytes);
    }
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_700_000_100_000));
    let beside: Arc<dyn Disk> = Arc::new(disk.copy());
    if let Ok(look) = ReadOnlyEngine::open(&beside, &clock) {
        use crate::engine::Source as _;
        let _ = look.list(None, None, None, 1_000, &|_| true);
        let _ = look.verify();
    }
    let world = World::on(disk);
    match world.open(false) {
        Ok(engine) => {
            serve(&engine, mended);
            true
        }
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            false
        }
    }
}

/// Works everything there is, as far as it goes.
fn serve(engine: &Engine, mended: bool) {
    let _ = engine.verify();
    let known: BTreeSet<Vec<u8>> = (0..320).map(args).collect();
    for round in 0..1_000 {
        let Ok(grants) = engine.claim(&[], 1, LeaseKind::Pool) else { return };
        let Some(grant) = grants.first() else { break };
        assert!(mended || known.contains(&grant.args), "a job that nobody put in");
        let how = if round % 9 == 0 { Settle::Bury("enough".into()) } else { ack() };
        match engine.settle(grant, how) {
            Ok(Some(ticket)) => drop(engine.wait(ticket)),
            Ok(None) => {}
            Err(refused) => {
                assert!(mended || refused.kind() != ErrorKind::Invalid, "{refused}");
                return;
            }
        }
    }
    assert!(mended || engine.check_books().is_ok(), "{:?}", engine.check_books());
    let _ = engine.compact_all();
    let _ = engine.close();
}

/// One act of damage. Whether checksums were mended.
fn spoil(disk: &SimDisk, bytes: &mut Bytes<'_>) -> bool {
    let what = bytes.u8();
    let names = disk.file_names();
    let Some(name) = names.get(usize::from(bytes.u8()) % names.len().max(1)) else { return false };
    let length = disk.read_file(name).len() as u64;
    // Most of what there is stands near the beginning.
    let at = u64::from(bytes.u16()) % length.max(1);
    match what % 8 {
        0 | 1 if length > 0 => disk.flip_bit(name, at, what >> 5),
        2 => {
            let n = usize::from(bytes.u8() % 64);
            disk.overwrite(name, at, bytes.take(n));
        }
        3 => disk.truncate(name, at),
        4 => disk.delete_file(name),
        5 => {
            // What stands elsewhere: older frames, another segment.
            let other = &names[usize::from(bytes.u8()) % names.len()];
            let from = disk.read_file(other);
            let start = usize::from(bytes.u16()) % from.len().max(1) / 8 * 8;
            let piece = &from[start..from.len().min(start + 512)];
            disk.overwrite(name, at / 8 * 8, piece);
        }
        6 if is_segment(name) => {
            let mut content = disk.read_file(name);
            let mended = content.len() == SEGMENT_BYTES as usize && fuzzed::mend_segment(&mut content).is_some();
            disk.overwrite(name, 0, &content);
            return mended;
        }
        7 => disk.write_file(&format!("log/{:016x}.seg", u64::from(bytes.u8() % 16)), &vec![what; 1 << 16]),
        _ => {}
    }
    false
}

/// To begin with: one act of each kind.
pub fn log_seeds() -> Vec<Vec<u8>> {
    let flip_and_mend = |at: u16| [&[0, 2][..], &at.to_le_bytes(), &[6, 2, 0, 0]].concat();
    let mut seeds: Vec<Vec<u8>> = (0..8).map(|what| vec![what, 2, 0x40, 0x11, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]).collect();
    seeds.extend((0x1000..0x1400).step_by(37).map(flip_and_mend));
    seeds.push(Vec::new());
    seeds
}
