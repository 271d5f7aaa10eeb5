//! Gives frames their positions: lives under the engine's lock, holds what is not yet pushed.
//!
//! # Invariants
//! * Positions are given once, without a gap: what [`Stage::take`] hands out begins where the last one ended.
//! * A chunk lies in one segment; one that seals is the last of its segment.
//! * No I/O, and no wait.
//!
//! Never here: writing (`commit`), who may append when (`engine`).

use std::sync::Arc;

use crate::ids::{Lsn, Place, SegmentId};
use crate::sync::Mutex;

use super::chain::Chain;
use super::commit::Marks;
use super::frame::{self, Draft, Flags, SEAL_BYTES, Seed};
use super::segment::{Geometry, HEADER_BYTES};

/// Prepared segments that only closing records may use: so a job can always be ended on a full disk.
pub(crate) const RESERVE: u64 = 2;

/// The longest frame that fits a fresh segment of this length.
pub(crate) fn frame_bytes_max(segment_bytes: u32) -> usize {
    (segment_bytes as usize).saturating_sub(HEADER_BYTES + SEAL_BYTES)
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// New work.
    Ordinary,
    /// What brings accepted work to its end: may use the reserve, but for its last segment.
    Closing,
    /// Accepted work that goes on and takes more room than before: the same, of which the engine has it leave more.
    Growing,
    /// The end of what runs, for which every lease keeps room: may use all of it.
    Ending,
    /// Compaction, which frees what it writes: may use all of it. Else closing records take the room without which
    /// nothing can be freed any more.
    Carrying,
}

/// Where a frame would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Fits the current segment.
    Here,
    /// Call [`Stage::rotate`] first.
    NextSegment,
    /// No prepared segment for this class: wait for the segment maker.
    Wait,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) start: Lsn,
    pub(crate) end: Lsn,
}

/// Consecutive bytes of one segment, to be written.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(super) start: Lsn,
    pub(super) bytes: Vec<u8>,
    /// Ends with the segment's seal.
    pub(super) seals: bool,
}

/// Spent buffers on their way back from push to stage.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    const KEPT: usize = 3;
    const BYTES_MAX: usize = 4 << 20;

    fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < Self::KEPT && buffer.capacity() <= Self::BYTES_MAX {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

/// What the log and its stage share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) chain: Chain,
    pub(super) marks: Marks,
    pub(super) buffers: Buffers,
}

/// The end of the log as the engine sees it: positions given, bytes not yet pushed.
#[derive(Debug)]
pub(crate) struct Stage {
    shared: Arc<Shared>,
    geometry: Geometry,
    segment: SegmentId,
    seed: Seed,
    tail: Lsn,
    /// Nothing but its seal goes into the current segment any more.
    leaves: bool,
    /// The chunk that grows, if any.
    open: Option<Chunk>,
    /// Chunks that are complete: their segments are sealed.
    full: Vec<Chunk>,
}

impl Stage {
    pub(super) fn new(shared: Arc<Shared>, geometry: Geometry, tail: Lsn, seed: Seed, leaves: bool) -> Self {
        let segment = geometry.segment_of(tail);
        Self { shared, geometry, segment, seed, tail, leaves, open: None, full: Vec::new() }
    }

    /// Where the next frame starts.
    pub(crate) fn tail(&self) -> Lsn {
        self.tail
    }

    /// Where a frame of `frame_bytes` would go. If the segment must change, `head_bytes` go in front of it there.
    /// A frame beyond [`frame_bytes_max`] never fits; the engine refuses it before it asks.
    ///
    /// New work is refused also where it would fit the current segment, if that leaves less than the reserve: on a full
    /// disk the current segment may be the reserve, and is needed to end what was accepted.
    pub(crate) fn room(&self, frame_bytes: usize, head_bytes: usize, class: Class) -> Room {
        let prepared = self.prepared();
        let kept = match class {
            Class::Ordinary => RESERVE,
            Class::Closing | Class::Growing => planted!(ClosingTakesTheLast, 0, RESERVE - 1),
            Class::Ending | Class::Carrying => 0,
        };
        if prepared < kept && !planted!(EnqueueTakesReserve) {
            return Room::Wait;
        }
        if self.fits(frame_bytes) {
            return Room::Here;
        }
        let fits_fresh = frame_bytes.saturating_add(head_bytes) <= frame_bytes_max(self.geometry.segment_bytes());
        debug_assert!(fits_fresh, "a frame of {frame_bytes} + {head_bytes} bytes fits no segment");
        if fits_fresh && prepared > kept { Room::NextSegment } else { Room::Wait }
    }

    /// Prepared segments behind the current one, count.
    pub(crate) fn prepared(&self) -> u64 {
        self.shared.chain.ready_through().0.saturating_sub(self.segment.0)
    }

    /// What frames may still take of the current segment, bytes.
    pub(crate) fn rest(&self) -> u64 {
        if self.leaves && !planted!(LeftTailWrittenOn) {
            return 0;
        }
        self.geometry.room(self.tail).saturating_sub(planted!(SealRoomForgotten, 0, SEAL_BYTES as u64))
    }

    fn fits(&self, frame_bytes: usize) -> bool {
        frame_bytes as u64 <= self.rest()
    }

    /// Stages the seal of the current segment and goes on in the next one. Only after [`Room::NextSegment`].
    pub(crate) fn rotate(&mut self) {
        let next = self.shared.chain.stage_next();
        let (segment, seed) = next.expect("`room` saw a prepared segment, and the last one is never taken away");
        let durable = self.shared.marks.durable();
        if !planted!(SealMissing) {
            self.encode(Flags::SEAL, &[], durable, |_, _| {});
        }
        if let Some(mut chunk) = self.open.take() {
            chunk.seals = true;
            self.full.push(chunk);
        }
        self.segment = segment;
        self.seed = seed;
        self.leaves = false;
        self.tail = self.geometry.first_frame(segment);
    }

    /// Appends one frame. It fits, because [`Stage::room`] said so. `placed` hears of each draft's place, in order.
    pub(crate) fn append(
        &mut self,
        flags: u8,
        drafts: &[Draft<'_>],
        durable: Lsn,
        placed: impl FnMut(usize, Place),
    ) -> Appended {
        let length = frame::frame_len(drafts.iter().map(|draft| draft.body.bytes().len()));
        assert!(self.fits(length), "room for {length} bytes was not asked for");
        assert!(flags == Flags::CLOSED || !drafts.is_empty(), "only a closed frame may be empty");
        self.encode(flags, drafts, durable, placed)
    }

    /// What [`append`](Self::append) must never do: a frame for every record.
    #[cfg(test)]
    pub(crate) fn append_apart(
        &mut self,
        drafts: &[Draft<'_>],
        durable: Lsn,
        mut placed: impl FnMut(usize, Place),
    ) -> Lsn {
        let apart = |(nth, draft)| self.append(0, std::slice::from_ref(draft), durable, |_, place| placed(nth, place));
        drafts.iter().enumerate().map(apart).last().map_or(durable, |last| last.end)
    }

    fn encode(&mut self, flags: u8, drafts: &[Draft<'_>], durable: Lsn, placed: impl FnMut(usize, Place)) -> Appended {
        let start = self.tail;
        let durable = planted!(DurableFieldTooHigh, start, durable.min(start));
        let chunk = self.open.get_or_insert_with(|| Chunk { start, bytes: self.shared.buffers.take(), seals: false });
        let length = frame::encode(&mut chunk.bytes, &self.seed, (start, durable), flags, drafts, placed);
        self.tail = Lsn(start.0 + length as u64);
        Appended { start, end: self.tail }
    }

    /// What push must write, in order; the stage starts empty again.
    pub(crate) fn take(&mut self) -> Vec<Chunk> {
        let mut chunks = std::mem::take(&mut self.full);
        chunks.extend(self.open.take());
        chunks
    }

    pub(crate) fn staged_bytes(&self) -> usize {
        self.full.iter().chain(&self.open).map(|chunk| chunk.bytes.len()).sum()
    }
}
