//! Puts frames into the log's staging buffer: room first, then positions, then the books.
//!
//! # Invariants
//! * Room is found before anything is decided, so a refused verb leaves no trace (rule 10).
//! * The first frame of every segment holds the totals as they stand before what follows.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Lsn, Place, SegmentId};
use crate::job::{self, Record};
use crate::log::{Body, Class, Draft, Room, frame_bytes_max, frame_len};

use super::Core;
use super::commit::Ticket;
use super::settings::Drive;
use super::state::{Life, Marks, State};
use super::watch::call_all;

/// Staged bytes beyond which the stager pushes for itself.
const PUSH_BYTES: usize = 8 << 20;

/// A frame that holds the totals is never longer.
const HEAD_BYTES_MAX: usize = 512;

/// One record to be staged.
pub(super) struct Entry {
    pub(super) kind: u8,
    pub(super) id: u64,
    pub(super) body: Body,
}

impl Entry {
    pub(super) fn new(id: u64, record: &Record<'_>) -> Self {
        let (kind, bytes) = job::encode(record);
        Self { kind, id, body: Body::new(bytes) }
    }

    pub(super) fn job(id: u64, bytes: Vec<u8>) -> Self {
        Self { kind: job::kind::JOB, id, body: Body::new(bytes) }
    }
}

/// Length of a frame that holds these records.
pub(super) fn entries_len<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> usize {
    frame_len(entries.into_iter().map(|entry| entry.body.bytes().len()))
}

/// How one try under the lock ended.
pub(super) enum Try<T> {
    Done(T),
    /// Come back when the segment maker has made room for this class.
    NoRoom(Class),
    /// Come back when this is reached.
    After(Ticket),
}

/// What was known of the segment maker before there was no room.
#[derive(Clone, Copy)]
pub(super) struct RoomSeen {
    heard: u64,
    made: SegmentId,
}

impl Core {
    pub(super) fn marks(&self) -> Marks {
        // Durable first: written is never behind it.
        let durable = self.log.durable();
        Marks { written: self.log.written(), durable }
    }

    /// Refuses verbs on a poisoned or closed handle.
    pub(super) fn check_life(&self, state: &State) -> Result<()> {
        if let Some(cause) = self.log.poisoned() {
            return Err(cause);
        }
        match state.life {
            _ if planted!(ClosedHandleServes) => Ok(()),
            Life::Open => Ok(()),
            Life::Closed => Err(Error::new(ErrorKind::Closed, "the backlog is closed; open the directory again")),
        }
    }

    /// Runs `step` under the engine lock until it is done; waits for room or a position outside the lock.
    pub(super) fn attempt<T>(&self, mut step: impl FnMut(&mut State) -> Result<Try<T>>) -> Result<T> {
        loop {
            let seen = self.room_seen();
            let (tried, called) = {
                let mut state = self.state.lock();
                self.check_life(&state)?;
                let tried = step(&mut state)?;
                let called = self.pass_on(&mut state);
                ((tried, state.stage.staged_bytes()), called)
            };
            call_all(&called);
            match tried {
                (Try::Done(value), staged) => {
                    if staged > PUSH_BYTES {
                        self.push()?;
                    } else if staged > 0 {
                        self.desk.note_staged();
                    }
                    return Ok(value);
                }
                (Try::NoRoom(class), _) => self.wait_room(class, seen)?,
                (Try::After(ticket), _) => self.wait(ticket)?,
            }
        }
    }

    /// Refuses what no segment can hold in one frame, with the totals in front of it.
    pub(super) fn check_frame(&self, bytes: usize) -> Result<()> {
        let max = frame_bytes_max(self.identity.segment_bytes).saturating_sub(HEAD_BYTES_MAX);
        if bytes > max {
            return Err(Error::too_large(format!(
                "{bytes} bytes in one commit, headers included: the limit is {max}; split the call"
            )));
        }
        Ok(())
    }

    /// Makes sure the next frame of `bytes` fits where the stage stands; turns to the next segment if need be.
    pub(super) fn make_room(&self, state: &mut State, bytes: usize, class: Class) -> bool {
        if self.leaves_too_little(state, 0, bytes, class) {
            return false;
        }
        match state.stage.room(bytes, HEAD_BYTES_MAX, class) {
            Room::Here => true,
            Room::Wait => false,
            Room::NextSegment => {
                state.stage.rotate();
                self.make.ring();
                self.compact.ring();
                let head = Entry::new(0, &Record::Totals(state.books.totals));
                planted!(TotalsMissingAtTheHead, Lsn(0), self.put(state, 0, &[head], |_, _| {}));
                true
            }
        }
    }

    /// Stages one frame; [`make_room`](Self::make_room) said that it fits. Gives the frame's end.
    pub(super) fn put(&self, state: &mut State, flags: u8, entries: &[Entry], placed: impl FnMut(usize, Place)) -> Lsn {
        self.put_refs(state, flags, entries, placed)
    }

    /// [`put`](Self::put) for entries that lie apart.
    pub(super) fn put_refs<'a>(
        &self,
        state: &mut State,
        flags: u8,
        entries: impl IntoIterator<Item = &'a Entry>,
        placed: impl FnMut(usize, Place),
    ) -> Lsn {
        let drafts: Vec<Draft<'_>> =
            entries.into_iter().map(|entry| Draft { kind: entry.kind, id: entry.id, body: &entry.body }).collect();
        planted!(
            BatchNotAtomic,
            state.stage.append_apart(&drafts, self.log.durable(), placed),
            state.stage.append(flags, &drafts, self.log.durable(), placed).end
        )
    }

    /// Stages one frame with one record and gives its place and the frame's end.
    pub(super) fn put_one(&self, state: &mut State, entry: Entry) -> (Place, Lsn) {
        let mut at = Place { lsn: Lsn(0), len: 0 };
        let end = self.put(state, 0, &[entry], |_, place| at = place);
        (at, end)
    }

    /// Waits until the segment maker has news. `Full` or the maker's own error if it has failed.
    pub(super) fn wait_room(&self, class: Class, seen: RoomSeen) -> Result<()> {
        match self.drive {
            Drive::Inline => self.make_for(class),
            Drive::Threads => {
                self.make.ring();
                self.room.wait(seen.heard, None);
                let failure = self.make_failure.lock().clone();
                failure.map_or(Ok(()), |failure| self.wait_for_freed(class, seen.made, failure))
            }
        }
    }

    pub(super) fn room_seen(&self) -> RoomSeen {
        RoomSeen { heard: self.room.heard(), made: self.log.ready_through() }
    }

    pub(super) fn wake_room(&self) {
        self.room.ring();
    }
}
