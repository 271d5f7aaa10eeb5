//! What the searched world is made of: frames in segments, an index with its ledger, recovery.
//!
//! A position is one byte: segment × 16 + slot. Slot 0 of a segment is its head frame with the trim
//! mark. Two jobs, 0 and 1, are the members of a group; its cell counts those still to finish; job 2
//! is the callback, enqueued in the frame that closes the group.

use std::fmt;

use crate::ids::Lsn;
use crate::index::{Meta, Verdict, trust};

pub(super) type Pos = u8;
pub(super) const SLOTS: u8 = 16;
pub(super) const CALLBACK: u8 = 2;
/// The key of the cell, behind those of the jobs.
pub(super) const CELL: u8 = 3;
pub(super) const KEYS: usize = 4;

pub(super) fn segment_of(pos: Pos) -> u8 {
    pos / SLOTS
}

pub(super) fn base(segment: u8) -> Pos {
    segment * SLOTS
}

/// A rule switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    RemovalWithoutDurability,
    MarkNotDurableBefore,
    MarkStagedBeforeTheDecision,
    OutOfOrder,
    NoDirectorySync,
    CellsNotCarried,
    StaleIndexTrusted,
    DisagreementIgnored,
    StraysIgnored,
    CarryUnchecked,
    CheckpointNotDurable,
    TrimMarkNotChecked,
    HaltIgnored,
    DirectoryNotSyncedAtOpen,
}

/// What open makes of the names it finds (rule 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// To the letter: from the oldest present, no number may be missing.
    ToTheLetter,
    /// What the trim mark covers is no part of the log, whatever is left of it; the rest to the letter.
    Explained,
    /// Nothing is looked for: shows what the alarm would have covered up.
    Unchecked,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) off: Option<Mutant>,
    pub(super) names: Names,
}

impl Rules {
    pub(super) fn lack(self, mutant: Mutant) -> bool {
        self.off == Some(mutant)
    }

    /// Only where that is the question: a mutant should be caught by what it does itself.
    pub(super) fn somebody_deletes_files(self) -> bool {
        self.off.is_none() || self.lack(Mutant::TrimMarkNotChecked)
    }
}

/// A promise seen broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    JobLost { job: u8 },
    AckUndone { job: u8 },
    JobFromNowhere { job: u8 },
    GroupDrifted { left: u8, found: u8 },
    MissingSegmentAlarm { missing: u8 },
    MissingSegmentUnnoticed,
    LogLostAlarm,
    IndexDoesNotFit,
    PlaceUnreadable { key: u8 },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobLost { job } => write!(f, "accepted job {job} is lost"),
            Self::AckUndone { job } => write!(f, "acked job {job} is back"),
            Self::JobFromNowhere { job } => write!(f, "job {job} was never enqueued"),
            Self::GroupDrifted { left, found } => write!(f, "the group waits for {left}, but its cell says {found}"),
            Self::MissingSegmentAlarm { missing } => {
                write!(f, "a healthy directory does not open: no segment {missing}")
            }
            Self::MissingSegmentUnnoticed => write!(f, "the oldest segment was deleted and nobody noticed"),
            Self::LogLostAlarm => write!(f, "a healthy directory does not open: the index is newer than the log"),
            Self::IndexDoesNotFit => write!(f, "replay does not fit the trusted index"),
            Self::PlaceUnreadable { key } => write!(f, "the index places key {key} where its record is not"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Frame {
    Head {
        trimmed: u8,
    },
    Mark {
        through: u8,
    },
    Enqueue {
        job: u8,
        opens: bool,
    },
    /// `left`: what the group's cell is set to; 0 removes it and enqueues the callback.
    Ack {
        job: u8,
        left: Option<u8>,
    },
    Rewrite {
        job: u8,
    },
    CarryJob {
        job: u8,
    },
    CarryCell {
        left: u8,
    },
}

/// What is true after some prefix of the operations: the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Truth {
    pub(super) jobs: [Status; 3],
    pub(super) left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Status {
    #[default]
    Unborn,
    Live,
    Done,
}

impl Truth {
    /// Looks at what was asked for, never at what a frame says about cells.
    pub(super) fn step(&mut self, frame: Frame) {
        match frame {
            Frame::Enqueue { job, opens } => {
                self.jobs[usize::from(job)] = Status::Live;
                if opens {
                    self.left = 2;
                }
            }
            Frame::Ack { job, .. } => {
                self.jobs[usize::from(job)] = Status::Done;
                if job != CALLBACK {
                    self.left -= 1;
                    if self.left == 0 {
                        self.jobs[usize::from(CALLBACK)] = Status::Live;
                    }
                }
            }
            _ => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Segment {
    pub(super) id: u8,
    /// The truth where it starts.
    pub(super) before: Truth,
    pub(super) frames: Vec<Frame>,
}

impl Segment {
    pub(super) fn end(&self) -> Pos {
        base(self.id) + u8::try_from(self.frames.len()).unwrap()
    }
}

/// The index and the engine's ledger of live records per segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// Where the newest record of each key lies; 0: there is none.
    pub(super) places: [Pos; KEYS],
    /// The value of the cell.
    pub(super) left: u8,
    pub(super) ledger: [u8; 16],
    /// Off in the mutant that forgets cells when it compacts.
    pub(super) counts_cells: bool,
}

pub(super) struct Mismatch;

impl State {
    pub(super) fn new(counts_cells: bool) -> Self {
        Self { places: [0; KEYS], left: 0, ledger: [0; 16], counts_cells }
    }

    fn set(&mut self, key: u8, place: Pos) {
        let slot = &mut self.places[usize::from(key)];
        let old = std::mem::replace(slot, place);
        if key == CELL && !self.counts_cells {
            return;
        }
        if old != 0 {
            let count = &mut self.ledger[usize::from(segment_of(old))];
            *count = count.saturating_sub(1);
        }
        if place != 0 {
            self.ledger[usize::from(segment_of(place))] += 1;
        }
    }

    /// Strict: the state holds everything before this frame. Lenient: replay began at the log's start,
    /// so what a frame ends may lie in a segment long removed, and a carried copy may come first.
    pub(super) fn apply(&mut self, at: Pos, frame: Frame, strict: bool) -> Result<(), Mismatch> {
        let known = |key: u8| if strict && self.places[usize::from(key)] == 0 { Err(Mismatch) } else { Ok(()) };
        match frame {
            Frame::Head { .. } | Frame::Mark { .. } => {}
            Frame::Enqueue { job, opens } => {
                self.set(job, at);
                if opens {
                    self.left = 2;
                    self.set(CELL, at);
                }
            }
            Frame::Ack { job, left } => {
                known(job)?;
                self.set(job, 0);
                if let Some(left) = left {
                    self.left = left;
                    self.set(CELL, if left == 0 { 0 } else { at });
                    if left == 0 {
                        self.set(CALLBACK, at);
                    }
                }
            }
            Frame::Rewrite { job } | Frame::CarryJob { job } => {
                known(job)?;
                self.set(job, at);
            }
            Frame::CarryCell { left } => {
                known(CELL)?;
                self.left = left;
                self.set(CELL, at);
            }
        }
        Ok(())
    }

    /// Keys whose newest record lies in this segment, in the order a walk meets them.
    pub(super) fn live_in(&self, segment: u8) -> Vec<u8> {
        let mut keys: Vec<u8> = (0..CELL + u8::from(self.counts_cells)).collect();
        keys.retain(|key| segment_of(self.places[usize::from(*key)]) == segment);
        keys.sort_by_key(|key| self.places[usize::from(*key)]);
        keys
    }

    pub(super) fn compare(&self, truth: Truth) -> Result<(), Violation> {
        for job in 0..CELL {
            let found = self.places[usize::from(job)] != 0;
            match truth.jobs[usize::from(job)] {
                Status::Live if !found => return Err(Violation::JobLost { job }),
                Status::Done if found => return Err(Violation::AckUndone { job }),
                Status::Unborn if found => return Err(Violation::JobFromNowhere { job }),
                _ => {}
            }
        }
        let found = if self.places[usize::from(CELL)] == 0 { 0 } else { self.left };
        if found == truth.left { Ok(()) } else { Err(Violation::GroupDrifted { left: truth.left, found }) }
    }

    /// Every place can be read and holds a record of its key.
    pub(super) fn readable(&self, chain: &[Segment]) -> Result<(), Violation> {
        for key in 0..CELL + u8::from(self.counts_cells) {
            let place = self.places[usize::from(key)];
            let frame = chain
                .iter()
                .find(|segment| segment.id == segment_of(place))
                .and_then(|segment| segment.frames.get(usize::from(place % SLOTS)));
            let holds = match frame {
                Some(Frame::Enqueue { job, opens }) => *job == key || (key == CELL && *opens),
                Some(Frame::Ack { left: Some(0), .. }) => key == CALLBACK,
                Some(Frame::Ack { left: Some(_), .. } | Frame::CarryCell { .. }) => key == CELL,
                Some(Frame::Rewrite { job } | Frame::CarryJob { job }) => *job == key,
                _ => false,
            };
            if place != 0 && !holds {
                return Err(Violation::PlaceUnreadable { key });
            }
        }
        Ok(())
    }
}

/// Index and ledger as they stood at `lsn`, as the store gives them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    pub(super) lsn: Pos,
    pub(super) state: State,
    /// Something in it is wrong and its digests do not show it.
    pub(super) lies: bool,
}

/// Rule 2 as the index has it, and without it.
pub(super) fn judge_index(lsn: Pos, log_start: Pos, log_end: Pos, rules: Rules) -> Verdict {
    let position = |pos: Pos| Lsn(u64::from(pos));
    let meta = Meta { log_id: 1, index_lsn: position(lsn), durable_lsn: position(lsn), engine: Vec::new() };
    match trust(Some(&meta), 1, position(log_start), position(log_end)) {
        Verdict::Rebuild(_) if rules.lack(Mutant::StaleIndexTrusted) => Verdict::Use,
        verdict => verdict,
    }
}

/// The newest trim mark that is left.
pub(super) fn trimmed(chain: &[Segment]) -> u8 {
    let mut marks = chain.iter().flat_map(|segment| &segment.frames).filter_map(|frame| match frame {
        Frame::Head { trimmed: through } | Frame::Mark { through } => Some(*through),
        _ => None,
    });
    marks.next_back().unwrap_or(0)
}

/// Rule 5: names without a hole, beginning no later than the trim mark allows.
pub(super) fn missing(chain: &[Segment], rules: Rules) -> Option<u8> {
    if rules.names == Names::Unchecked {
        return None;
    }
    let mut expected = chain[0].id;
    if !rules.lack(Mutant::TrimMarkNotChecked) {
        expected = expected.min(trimmed(chain) + 1);
    }
    for segment in chain {
        if segment.id != expected {
            return Some(expected);
        }
        expected += 1;
    }
    None
}

pub(super) fn truth_at_end(chain: &[Segment]) -> Truth {
    let last = chain.last().unwrap();
    let mut truth = last.before;
    last.frames.iter().for_each(|frame| truth.step(*frame));
    truth
}

pub(super) fn replay(chain: &[Segment], from: Pos, mut state: State, strict: bool) -> Result<State, Mismatch> {
    for segment in chain {
        for (at, frame) in (base(segment.id)..).zip(&segment.frames) {
            if at >= from {
                state.apply(at, *frame, strict)?;
            }
        }
    }
    Ok(state)
}

pub(super) fn rebuild(chain: &[Segment], counts_cells: bool) -> State {
    replay(chain, 0, State::new(counts_cells), false).unwrap_or_else(|_| unreachable!("lenient"))
}
