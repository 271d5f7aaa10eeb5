//! `lanes`: the names behind lane numbers, and how many jobs of each phase a lane has.
//!
//! ```text
//! value: (name length varint | name | 6 counts varint) × up to 4      key: first lane / 4, u32 BE
//! ```
//!
//! # Invariants
//! * A lane keeps its number for the life of the index; numbers are dense from 0.
//! * Counts are kept by every change of a job and are saved as they were kept, so that a load can hold them against
//!   what it finds in the other trees.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::delta::Changes;
use super::super::keys::LaneId;
use super::super::varint::{self, Reader};
use crate::ids::Phase;

/// Lanes in one saved value: with names at their longest it stays below 4 KiB.
const CHUNK: usize = 4;

#[derive(Debug)]
struct Lane {
    name: Arc<str>,
    counts: [u64; 6],
    dirty: bool,
    /// It has a limit key: who grants wants to hear of its changes.
    keyed: bool,
    touched: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::index) struct Lanes {
    by_number: Vec<Lane>,
    by_name: HashMap<Arc<str>, LaneId>,
    dirty: Vec<LaneId>,
    touched: Vec<LaneId>,
    totals: [u64; 6],
    asked_last: u32,
}

/// A phase's place in counts.
pub(in crate::index) fn slot(phase: Phase) -> usize {
    usize::from(phase.code() - 1)
}

impl Lanes {
    pub(in crate::index) fn intern(&mut self, name: &str) -> LaneId {
        // Jobs of one queue come in a row.
        if self.name(LaneId(self.asked_last)) == Some(name) {
            return LaneId(self.asked_last);
        }
        if let Some(lane) = self.by_name.get(name) {
            self.asked_last = lane.0;
            return *lane;
        }
        // Four billion lane names do not fit the memory of the machines this runs on.
        let lane = LaneId(u32::try_from(self.by_number.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        self.by_number.push(Lane {
            keyed: name.contains('\0'),
            name: Arc::clone(&name),
            counts: [0; 6],
            dirty: true,
            touched: false,
        });
        self.by_name.insert(name, lane);
        self.dirty.push(lane);
        lane
    }

    pub(in crate::index) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(in crate::index) fn name(&self, lane: LaneId) -> Option<&str> {
        self.by_number.get(lane.0 as usize).map(|lane| &*lane.name)
    }

    pub(in crate::index) fn knows(&self, lane: LaneId) -> bool {
        (lane.0 as usize) < self.by_number.len()
    }

    pub(in crate::index) fn iter(&self) -> impl Iterator<Item = (LaneId, &str)> {
        (0..).map(LaneId).zip(self.by_number.iter().map(|lane| &*lane.name))
    }

    pub(in crate::index) fn counts(&self, lane: LaneId) -> [u64; 6] {
        self.by_number.get(lane.0 as usize).map_or([0; 6], |lane| lane.counts)
    }

    pub(in crate::index) fn totals(&self) -> [u64; 6] {
        self.totals
    }

    #[inline]
    fn change(&mut self, lane: LaneId, phase: Phase, change: impl Fn(&mut u64)) {
        if let Some(total) = self.totals.get_mut(slot(phase)) {
            change(total);
        }
        let Some(entry) = self.by_number.get_mut(lane.0 as usize) else { return };
        if let Some(count) = entry.counts.get_mut(slot(phase)) {
            change(count);
        }
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(lane);
        }
        if entry.keyed && !entry.touched {
            entry.touched = true;
            self.touched.push(lane);
        }
    }

    /// Lanes with a limit key whose counts have changed since the last call.
    pub(in crate::index) fn take_touched(&mut self) -> Vec<LaneId> {
        let touched = std::mem::take(&mut self.touched);
        for lane in &touched {
            if let Some(lane) = self.by_number.get_mut(lane.0 as usize) {
                lane.touched = false;
            }
        }
        touched
    }

    #[inline]
    pub(in crate::index) fn add(&mut self, lane: LaneId, phase: Phase) {
        self.change(lane, phase, |count| *count = count.wrapping_add(1));
    }

    #[inline]
    pub(in crate::index) fn sub(&mut self, lane: LaneId, phase: Phase) {
        self.change(lane, phase, |count| *count = count.wrapping_sub(1));
    }

    pub(in crate::index) fn ram_bytes(&self) -> usize {
        let names: usize = self.by_number.iter().map(|lane| lane.name.len() + 32).sum();
        names + self.by_number.capacity() * size_of::<Lane>() + self.by_name.capacity() * 32
    }

    pub(in crate::index) fn freeze(&mut self, whole: bool) -> Changes {
        let dirty = std::mem::take(&mut self.dirty);
        for lane in &dirty {
            if let Some(lane) = self.by_number.get_mut(lane.0 as usize) {
                lane.dirty = false;
            }
        }
        let chunks = self.by_number.len().div_ceil(CHUNK);
        let dirty_chunks: BTreeSet<usize> =
            if whole { (0..chunks).collect() } else { dirty.iter().map(|lane| lane.0 as usize / CHUNK).collect() };
        let mut changes = Changes::default();
        for at in dirty_chunks {
            let end = self.by_number.len().min((at + 1) * CHUNK);
            let key = u32::try_from(at).unwrap_or(u32::MAX);
            changes.put(Box::new(key.to_be_bytes()), pack(self.by_number.get(at * CHUNK..end).unwrap_or_default()));
        }
        changes
    }

    pub(in crate::index) fn load(values: impl Iterator<Item = (Box<[u8]>, Arc<[u8]>)>) -> Result<Self, String> {
        let mut lanes = Self::default();
        for (at, (key, bytes)) in values.enumerate() {
            let is_next = u32::try_from(at).is_ok_and(|at| *key == at.to_be_bytes());
            if !is_next || lanes.by_number.len() != at * CHUNK {
                return Err("lanes are not numbered in order".into());
            }
            let mut from = Reader::new(&bytes);
            while !from.is_empty() {
                let (name, counts) = unpack(&mut from).ok_or("a lane does not decode")?;
                if lanes.by_name.contains_key(name) {
                    return Err("a lane stands twice".into());
                }
                let lane = lanes.intern(name);
                for (count, total) in counts.iter().zip(&mut lanes.totals) {
                    *total = total.checked_add(*count).ok_or("a lane's counts are beyond the range")?;
                }
                if let Some(entry) = lanes.by_number.get_mut(lane.0 as usize) {
                    entry.counts = counts;
                    entry.dirty = false;
                }
            }
        }
        lanes.dirty.clear();
        Ok(lanes)
    }
}

fn pack(lanes: &[Lane]) -> Arc<[u8]> {
    let mut out = Vec::new();
    for lane in lanes {
        varint::put(&mut out, lane.name.len() as u64);
        out.extend_from_slice(lane.name.as_bytes());
        lane.counts.iter().for_each(|count| varint::put(&mut out, *count));
    }
    out.into()
}

fn unpack<'a>(from: &mut Reader<'a>) -> Option<(&'a str, [u64; 6])> {
    let len = from.usize()?;
    let name = std::str::from_utf8(from.bytes(len)?).ok()?;
    let mut counts = [0; 6];
    for count in &mut counts {
        *count = from.varint()?;
    }
    Some((name, counts))
}
