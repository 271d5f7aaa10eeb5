//! Decides what the compactor does next, as one pure function over plain data.
//!
//! The compactor thread fills in a [`View`] under the engine lock, asks [`plan`], executes the one
//! [`Step`] and asks again; the explicit-state search in `tests/planner_search.rs` does the same with
//! a model of the world and a crash after every step.
//!
//! # Invariants
//! * Only the oldest segment is ever carried or removed, and never the one the staged tail is in.
//! * [`Step::Remove`] comes only after both ledgers agreed, in this run, that nothing is left, and when
//!   the moment of that agreement and the trim mark are durable.
//! * No spinning: with no new records, every wish is used up after at most one round of the chain.
//!
//! Never here: I/O, locks, what a record means, how records are carried (`engine::compact`).
//!
//! What the executor owes the planner:
//! * the carrier compares each record's newest place with the one it read, under the lock, before it
//!   stages (rule 9), and carries cells like jobs;
//! * [`Step::Remove`] has returned only when the directory is synced; an error there, damage met by the
//!   carrier, or [`Step::Disagree`] set `halted` for the rest of the run. *(Else a second directory sync
//!   succeeds without the lost first name, and N is back while N + 1 is gone.)*
//! * the directory is synced at every open, before the first removal: a process killed between the rename
//!   and the sync leaves the same hazard to the next one;
//! * a checkpoint is saved only when its LSN is durable.

use crate::ids::{Lsn, SegmentId};

/// Prepared segments that stand ready for closing records and for the carrier, count.
pub(crate) const RESERVE_SEGMENTS: u64 = crate::log::RESERVE;

/// All the planner looks at. Everything about "the oldest" is reset when `oldest` moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// The chain's first segment.
    pub(crate) oldest: SegmentId,
    /// The first frame position of the segment behind it.
    pub(crate) oldest_end: Lsn,
    /// Segments from the oldest to the one of the staged tail, both counted.
    pub(crate) chain_segments: u64,
    /// Prepared segments and spares, count.
    pub(crate) prepared_segments: u64,
    /// How many of those the maker wants to have; with fewer, a removed file is kept as a spare.
    pub(crate) prepared_wanted: u64,
    pub(crate) segment_bytes: u64,
    /// Where the next staged frame starts.
    pub(crate) tail: Lsn,
    pub(crate) durable: Lsn,
    /// First ledger: what the engine counts as live in the oldest segment, staged state.
    pub(crate) ledger: Live,
    /// Second ledger: what the index said of the records in the oldest segment.
    pub(crate) walk: Walk,
    /// Carried size of every live job and cell.
    pub(crate) live_bytes: u64,
    /// The newest staged trim mark. After an open: what the log said, ending at the recovered end.
    pub(crate) mark: Mark,
    pub(crate) checkpoint: Checkpoint,
    /// Compaction has stopped for this run; see the executor's duties.
    pub(crate) halted: bool,
    /// `compact()` was called: everything through this segment is to go.
    pub(crate) asked_through: Option<SegmentId>,
    /// Nobody but the compactor staged a record for 1 s; the tail's segment when that second was over.
    pub(crate) settled_through: Option<SegmentId>,
    /// Full mode: the tail's segment when it began, moved on to the tail's segment of the moment
    /// whenever closing records have filled another sixteenth of a segment.
    pub(crate) full_through: Option<SegmentId>,
    /// What lives in the oldest segment fits what is prepared; or some of it is carried already.
    pub(crate) oldest_fits: bool,
}

/// What lives in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Live {
    /// Jobs and cells whose newest record lies there, count.
    pub(crate) records: u64,
    /// Their size there: headers and padding included.
    pub(crate) bytes: u64,
}

/// The carrier's way through the oldest segment: it looks every record up in the index, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Walk {
    /// Not at the end of the segment yet, or not begun.
    Underway,
    /// Every record was looked up and the live ones carried.
    Complete {
        /// The staged tail when the last one was done.
        at: Lsn,
        /// Records the index called live when the ledger had none left; not carried.
        strays: u64,
    },
}

/// A staged `Totals` record that says which segments may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// The newest segment given up; 0 when none ever was.
    pub(crate) through: SegmentId,
    /// Durable when this position is.
    pub(crate) end: Lsn,
}

/// What the saving side of the index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Checkpoint {
    /// No index works in this run.
    Unavailable,
    /// The LSN of the last one saved; 0 when none was.
    Saved(Lsn),
    /// Another one is being made; the LSN of the last one saved.
    #[cfg_attr(not(test), expect(dead_code, reason = "the compactor makes its checkpoints itself, and waits"))]
    Saving(Lsn),
}

/// One thing to do; afterwards the planner is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Nothing to do until something in the view changes.
    Sleep,
    /// Look up the next records of the oldest segment and carry those that live.
    Carry(SegmentId),
    /// Ask for a checkpoint at the staged tail; do not wait for it here.
    Checkpoint,
    /// Stage a `Totals` record with this `trimmed_through`.
    Mark(SegmentId),
    /// Have this position synced; asked again when it is.
    WaitDurable(Lsn),
    /// Take the oldest segment's file out of the chain, then sync the directory.
    Remove {
        segment: SegmentId,
        /// Keep the file as a spare instead of unlinking it.
        recycle: bool,
    },
    /// The ledgers disagree about this segment: stop compacting, give up the saved index, rebuild.
    Disagree(SegmentId),
}

/// What the compactor does next.
pub(crate) fn plan(view: &View) -> Step {
    // Stops: going on after a failed directory sync, or with a ledger known to be wrong.
    if view.halted && !planted!(HaltedGoesOn) {
        return Step::Sleep;
    }
    // Stops: the segment under the staged tail goes, and with it frames not yet written.
    if view.tail < view.oldest_end && !planted!(TailSegmentGivenUp) {
        return Step::Sleep;
    }
    if !(is_begun(view) || is_wanted(view)) {
        return Step::Sleep;
    }
    match view.walk {
        // Stops: a carrier that runs out of room half way, and with it everything that frees some.
        Walk::Underway if view.full_through.is_some() && !view.oldest_fits => Step::Sleep,
        Walk::Underway => Step::Carry(view.oldest),
        Walk::Complete { at, strays } => give_up_oldest(view, at, strays),
    }
}

/// Every record of the oldest segment was looked up; the conditions of its removal, in order.
fn give_up_oldest(view: &View, decided_at: Lsn, strays: u64) -> Step {
    // Stops: a hole in the saved index is believed and the only copy of a job deleted (rule 3).
    if (strays > 0 || view.ledger != Live::default()) && !planted!(LedgersNotCompared) {
        return Step::Disagree(view.oldest);
    }
    // Spares: a rebuild at the next open, because the saved index ends before the log starts (rule 2).
    match view.checkpoint {
        _ if planted!(CheckpointNotAwaited) => {}
        Checkpoint::Saved(lsn) if lsn < view.oldest_end && view.full_through.is_none() => return Step::Checkpoint,
        Checkpoint::Saving(lsn) if lsn < view.oldest_end && view.full_through.is_none() => return Step::Sleep,
        _ => {}
    }
    // Stops: a removed segment looks like a lost one, or a lost one like a removed one (rule 5).
    if view.mark.through < view.oldest && !planted!(NoTrimMark) {
        return Step::Mark(view.oldest);
    }
    // Stops: two staged acks empty a segment, it goes, power goes, both jobs are gone
    // unacknowledged (rule 1); or the removal outlives the mark that explains it.
    let needed = planted!(RemovalBeforeAcksDurable, view.mark.end, decided_at.max(view.mark.end));
    if view.durable < needed && !planted!(RemovalBeforeCopySynced) {
        return Step::WaitDurable(needed);
    }
    let recycle = view.full_through.is_some() || view.prepared_segments < view.prepared_wanted;
    Step::Remove { segment: view.oldest, recycle }
}

/// The mark is staged, perhaps by the run before: finishing costs nothing.
fn is_begun(view: &View) -> bool {
    view.mark.through >= view.oldest
}

fn is_wanted(view: &View) -> bool {
    is_asked(view) || is_settling(view) || is_bloated(view) || is_free_win(view) || is_worth_it_when_full(view)
}

fn is_asked(view: &View) -> bool {
    view.asked_through.is_some_and(|through| view.oldest <= through)
}

/// Stops: an idle log that keeps more than P10 allows. The reserve counts as log bytes there.
///
/// Once round the chain at most (`settled_through`), so a bound that the overhead of tiny segments
/// puts out of reach cannot make an idle process copy for ever.
fn is_settling(view: &View) -> bool {
    let files = view.chain_segments.saturating_add(RESERVE_SEGMENTS);
    view.settled_through.is_some_and(|through| view.oldest <= through) && exceeds(view, files, (2, 1), 3)
}

/// Stops: one old job pins the log under load. Half of what lies between is garbage by then, so a
/// byte reclaimed costs at most about a byte copied.
fn is_bloated(view: &View) -> bool {
    exceeds(view, view.chain_segments, (2, 1), 3) && !planted!(NeverBloated)
}

/// Nothing to copy. Not for the price of a checkpoint, though: the bounds above pay that when needed.
fn is_free_win(view: &View) -> bool {
    view.ledger.records == 0
        && match view.checkpoint {
            Checkpoint::Unavailable => true,
            Checkpoint::Saved(lsn) | Checkpoint::Saving(lsn) => lsn >= view.oldest_end,
        }
}

/// Full mode: space comes before copying (rule 10).
///
/// The first two sleep once the live records lie densely: what frames, heads and seals take is less
/// than a quarter, so neither can spin. The third copies solid segments too; it is needed when little
/// garbage is spread thin over a long log, and is bounded by what closing records have used up.
fn is_worth_it_when_full(view: &View) -> bool {
    let Some(through) = view.full_through else { return false };
    // Stops: `Full` lasting although the oldest segment would give back a quarter and more.
    let frees_well = view.ledger.bytes <= view.segment_bytes / 4 * 3;
    // Stops: the same, when what is dead lies behind a solid oldest segment.
    let garbage_behind = exceeds(view, view.chain_segments, (5, 4), 2);
    // Stops: an accepted job that can no longer be acked because the reserve is used up (P11).
    let reserve_touched = view.prepared_segments < RESERVE_SEGMENTS && view.oldest <= through;
    frees_well || garbage_behind || reserve_touched
}

/// Stops: crash after crash leaves a segment with little in it, faster than they are compacted.
pub(crate) fn may_leave_tail(chain_segments: u64, live_bytes: u64, segment_bytes: u64) -> bool {
    let files = chain_segments.saturating_add(1);
    !more_than(files, segment_bytes, live_bytes, (2, 1), 3) || planted!(EveryTailIsLeft)
}

fn exceeds(view: &View, segments: u64, of_live: (u64, u64), slack_segments: u64) -> bool {
    more_than(segments, view.segment_bytes, view.live_bytes, of_live, slack_segments)
}

/// Whether so many segments are more than (numerator / denominator) × live + slack.
fn more_than(
    segments: u64,
    segment_bytes: u64,
    live_bytes: u64,
    (numerator, denominator): (u64, u64),
    slack_segments: u64,
) -> bool {
    let allowed = (live_bytes / denominator)
        .saturating_mul(numerator)
        .saturating_add(segment_bytes.saturating_mul(slack_segments));
    segments.saturating_mul(segment_bytes) > allowed
}

#[cfg(all(test, not(backlog_shuttle)))]
#[path = "tests/planner_search.rs"]
mod search;
