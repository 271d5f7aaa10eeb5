//! What the order of the calls must be. The frames are read here anew, from the drawing in the documentation, so that
//! the library does not vouch for itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::trace::Call;

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) acknowledged: usize,
    pub(crate) segments: usize,
    pub(crate) rotations: usize,
    writes: usize,
    syncs: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledgements={} all after their sync; new segments={} rotations={} all after theirs; writes={} syncs={}",
            self.acknowledged, self.segments, self.rotations, self.writes, self.syncs
        )
    }
}

const HEADER_BYTES: u64 = 4096;
const KIND_JOB: u8 = 3;
const KIND_ENDED: u8 = 5;

/// A write of frames into a segment.
struct Write<'a> {
    call: &'a Call,
    path: &'a str,
    /// (kind, id) of its records.
    records: Vec<(u8, u64)>,
}

pub(crate) fn check(calls: &[Call]) -> Result<Found, String> {
    let writes: Vec<Write<'_>> = calls.iter().filter_map(frames).collect();
    let syncs: Vec<&Call> = calls.iter().filter(|call| is_sync(call) && call.returned == 0).collect();
    let mut found = Found { writes: writes.len(), syncs: syncs.len(), ..Found::default() };

    // The first record of a job, and of an end, is the one that was acknowledged; later ones are copies.
    let mut first: HashMap<(u8, u64), &Write<'_>> = HashMap::new();
    for write in &writes {
        for record in &write.records {
            first.entry(*record).or_insert(write);
        }
    }
    for call in calls.iter().filter(|call| call.name == "write") {
        for (kind, id) in call.texts.first().map(|text| said(text)).unwrap_or_default() {
            let write = first.get(&(kind, id)).ok_or(format!("job {id} was acknowledged and never written"))?;
            if !synced_between(&syncs, write.path, write.call.ended, call.began) {
                return Err(format!(
                    "job {id} (record kind {kind}) was acknowledged in line {} of the trace, but {} was not synced since \
                     line {}",
                    call.began, write.path, write.call.ended
                ));
            }
            found.acknowledged += 1;
        }
    }
    names(calls, &writes, &syncs, &mut found)?;
    seals(&writes, &syncs, &mut found)?;
    Ok(found)
}

/// A new segment: its content is synced before the rename, its name before the first frame.
fn names(calls: &[Call], writes: &[Write<'_>], syncs: &[&Call], found: &mut Found) -> Result<(), String> {
    for (from, to, call) in calls.iter().filter_map(renamed).filter(|(_, to, _)| is_segment(to)) {
        let filled = calls.iter().filter(|c| c.name == "pwrite64" && c.paths.first() == Some(&from));
        let filled = filled.map(|c| c.ended).filter(|ended| *ended < call.began).max().unwrap_or(0);
        if !synced_between(syncs, &from, filled, call.began) {
            return Err(format!("{to} got its name in line {} before its content was synced", call.began));
        }
        let folder = to.rsplit_once('/').map_or("", |(folder, _)| folder);
        let first = writes.iter().find(|write| write.path == to && write.call.began > call.ended);
        if let Some(first) = first
            && !synced_between(syncs, folder, call.ended, first.call.began)
        {
            return Err(format!("{to} got a frame in line {} before its name was synced", first.call.began));
        }
        found.segments += 1;
    }
    Ok(())
}

/// Only the newest segment may have a tail.
fn seals(writes: &[Write<'_>], syncs: &[&Call], found: &mut Found) -> Result<(), String> {
    let mut chain: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for write in writes {
        let ends = chain.entry(write.path).or_insert((write.call.began, write.call.ended));
        ends.1 = ends.1.max(write.call.ended);
    }
    for pair in chain.iter().collect::<Vec<_>>().windows(2) {
        let ((before, (_, last)), (after, (first, _))) = (pair[0], pair[1]);
        if !synced_between(syncs, before, *last, *first) {
            return Err(format!("{after} got its first frame in line {first} before {before} was synced"));
        }
        found.rotations += 1;
    }
    Ok(())
}

fn synced_between(syncs: &[&Call], path: &str, after: usize, before: usize) -> bool {
    syncs.iter().any(|sync| sync.began > after && sync.ended < before && sync.paths.first().is_some_and(|p| p == path))
}

fn is_sync(call: &Call) -> bool {
    call.name == "fdatasync" || call.name == "fsync"
}

fn is_segment(path: &str) -> bool {
    path.ends_with(".seg") && path.contains("/log/")
}

fn renamed(call: &Call) -> Option<(String, String, &Call)> {
    let [from, to] = &call.texts[..] else { return None };
    if !call.name.starts_with("rename") || call.returned != 0 {
        return None;
    }
    let full = |nth: usize, name: &[u8]| {
        let name = String::from_utf8_lossy(name).into_owned();
        call.paths.get(nth).map_or(name.clone(), |dir| format!("{dir}/{name}"))
    };
    Some((full(0, from), full(1, to), call))
}

/// A write of frames, not of a header block or of the zeros before it.
fn frames(call: &Call) -> Option<Write<'_>> {
    let (path, data) = (call.paths.first()?, call.texts.first()?);
    // pwrite64(fd<path>, data, length, offset)
    let offset = *call.numbers.last()?;
    if call.name != "pwrite64" || !is_segment(path) || offset < HEADER_BYTES || call.returned < 0 {
        return None;
    }
    let data = &data[..usize::try_from(call.returned).ok()?.min(data.len())];
    let records = records(data);
    (!data.is_empty() && data.iter().any(|byte| *byte != 0)).then_some(Write { call, path, records })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Kind and id of every record of the frames that lie one behind the other.
fn records(mut bytes: &[u8]) -> Vec<(u8, u64)> {
    let mut found = Vec::new();
    while let (Some(length), Some(count)) = (u32_at(bytes, 4), u32_at(bytes, 8)) {
        let mut at = 32;
        for _ in 0..count {
            let Some(word) = u32_at(bytes, at + 4) else { break };
            let Some(id) = bytes.get(at + 8..at + 16).and_then(|id| id.try_into().ok()) else { break };
            found.push((word.to_le_bytes()[0], u64::from_le_bytes(id)));
            at += 16 + ((word >> 8) as usize).next_multiple_of(8);
        }
        match bytes.get((length as usize).max(32)..) {
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    found
}

/// What the child says it was acknowledged: as kind and id of the record.
fn said(text: &[u8]) -> Vec<(u8, u64)> {
    let text = String::from_utf8_lossy(text);
    let told = |line: &str| {
        let (what, id) = line.split_once('@')?.1.split_once(' ')?;
        let kind = match what {
            "job" => KIND_JOB,
            "end" => KIND_ENDED,
            _ => return None,
        };
        Some((kind, id.parse().ok()?))
    };
    text.lines().filter_map(told).collect()
}
