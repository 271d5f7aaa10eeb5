//! The compactor: copies what lives out of the oldest segment, and lets the segment go.
//!
//! [`super::planner`] decides, this carries out one step at a time.
//!
//! # Invariants
//! * What is carried is the job as it stands now, and only if its newest record is still the one that was read
//!   (rule 9).
//! * After a failed removal, or ledgers that disagree, compaction stops for the run: the log may grow, nothing is lost.
//! * Damage met does not stop it: what the index says lives in the segment is read record by record, see `salvage`.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Place, SegmentId, Token};
use crate::index::Entry as Standing;
use crate::job::{self, Cause, CellRecord, Record};
use crate::log::{Class, Fate, Flags, RESERVE};

use super::Core;
use super::books::{Filed, as_it_stands};
use super::commit::Ticket;
use super::damage::READ_TRIES;
use super::planner::{self, Checkpoint, Live, Mark, Step, View, Walk};
use super::settings::Durability;
use super::staging::{Entry, Try, entries_len};
use super::state::State;

/// Log bytes looked through in one step.
const STRIDE_BYTES: u64 = 256 << 10;
/// What stands where a job or a cell must stand and is neither.
const NO_RECORD: &str = "no record of a job or a cell that can be read";
/// With no record staged for this long the log counts as settled (P10).
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Where the compactor stands.
#[derive(Debug)]
pub(crate) struct Compactor {
    oldest: SegmentId,
    /// The next frame to look at in the oldest segment.
    cursor: Lsn,
    walk: Walk,
    strays: u64,
    /// Something in the oldest segment cannot be read.
    damage: Option<Error>,
    /// Reads that the disk refused in a row.
    refused: usize,
    mark: Mark,
    halted: Option<Error>,
    asked_through: Option<SegmentId>,
    settled_through: Option<SegmentId>,
    full_through: Option<SegmentId>,
    /// Where the tail stood when full mode last counted a round, without what compaction wrote.
    full_tail: Lsn,
    /// The staged tail as the compactor left it, and since when nobody else moved it.
    tail: Lsn,
    quiet_since: Duration,
}

impl Compactor {
    pub(super) fn new(oldest: SegmentId, cursor: Lsn, trimmed_through: u64, end: Lsn) -> Self {
        Self {
            oldest,
            cursor,
            walk: Walk::Underway,
            strays: 0,
            damage: None,
            refused: 0,
            mark: Mark { through: SegmentId(trimmed_through), end },
            halted: None,
            asked_through: None,
            settled_through: None,
            full_through: None,
            full_tail: Lsn(0),
            tail: Lsn(0),
            quiet_since: Duration::ZERO,
        }
    }

    fn turn_to(&mut self, oldest: SegmentId, cursor: Lsn) {
        self.oldest = oldest;
        self.cursor = cursor;
        self.walk = Walk::Underway;
        self.strays = 0;
        self.damage = None;
        self.refused = 0;
    }

    pub(super) fn damage(&self) -> Option<Error> {
        self.damage.clone()
    }

    pub(super) fn strays(&self) -> u64 {
        self.strays
    }

    pub(super) fn found_strays(&mut self, strays: u64) {
        self.strays += strays;
    }

    pub(super) fn walked(&mut self, walk: Walk, to: Lsn) {
        self.walk = walk;
        self.cursor = to;
    }

    /// Whether nobody but the compactor has staged anything for a while.
    fn is_settled(&self) -> bool {
        self.settled_through.is_some()
    }
}

/// A live record of the oldest segment, read and to be copied.
#[derive(Clone)]
pub(super) enum Load {
    Job { id: JobId, envelope: Box<job::Envelope>, args: Vec<u8> },
    Cell { namespace: u8, key: Vec<u8>, value: Vec<u8>, until: Option<crate::ids::Millis> },
}

pub(super) struct Parcel {
    pub(super) from: Place,
    pub(super) load: Load,
}

/// A parcel made ready outside the lock, with what must still hold when it is staged.
struct Stamped {
    parcel: usize,
    standing: Option<(Standing, Option<Token>)>,
    entry: Entry,
    filed: Option<Box<job::Envelope>>,
}

impl Core {
    /// The compactor's life.
    pub(crate) fn compactor(&self) {
        loop {
            // Before looking whether to stop: the ring that says so is not to be missed.
            let heard = self.compact.heard();
            if self.stopping() {
                return;
            }
            if self.checkpoint_due() {
                // A failure is told by the keeper from now on; service goes on without an index.
                let _ = self.checkpoint();
            }
            match self.compact_step() {
                Ok(true) => {}
                Ok(false) => {
                    // Settled: sleeps until upkeep sees the log move, or a segment is full.
                    let settled = self.compactor.lock().is_settled();
                    self.compact.wait(heard, (!settled).then_some(SETTLED_AFTER));
                }
                Err(full) if full.kind() == ErrorKind::Full => {
                    self.compact.wait(heard, Some(SETTLED_AFTER));
                }
                // Poisoned or closed: the end of this service. Everything else has halted compaction itself.
                Err(_) => return,
            }
        }
    }

    /// One step. `false`: nothing to do for now.
    pub(crate) fn compact_step(&self) -> Result<bool> {
        let mut compactor = self.compactor.lock();
        let view = self.view(&mut compactor)?;
        let step = planner::plan(&view);
        let done = match step {
            Step::Sleep => {
                self.trim_surplus(&compactor);
                return Ok(false);
            }
            Step::Carry(_) => match self.carry_some(&mut compactor, &view) {
                // Somebody runs a job whose record is damaged: its end comes first.
                Ok(false) => return Ok(false),
                carried => carried.map(drop),
            },
            Step::Checkpoint => {
                // Without a store the next view says so, and compaction goes on without waiting (rule 2).
                let _ = self.checkpoint();
                Ok(())
            }
            Step::Mark(segment) => self.stage_mark(&mut compactor, segment),
            Step::WaitDurable(lsn) => self.wait(Ticket { lsn, level: Durability::Sync }),
            Step::Remove { segment, recycle } => self.remove(&mut compactor, segment, recycle),
            Step::Disagree(segment) => Err(Error::new(
                ErrorKind::Corrupt,
                format!("ledger and index disagree about {}; reopen to rebuild the index", self.log.file_name(segment)),
            )),
        };
        compactor.tail = self.state.lock().stage.tail();
        match done {
            Ok(()) => Ok(true),
            Err(cause) => match cause.kind() {
                // The handle's end, or a full disk, which passes: nothing is wrong with the log.
                ErrorKind::Poisoned | ErrorKind::Unknown | ErrorKind::Closed | ErrorKind::Full => Err(cause),
                _ => {
                    compactor.halted = Some(cause);
                    Ok(false)
                }
            },
        }
    }

    /// Compacts everything that is in the log now. Gives up with the reason if compaction has stopped.
    pub(crate) fn compact_all(&self) -> Result<()> {
        let through = self.log.segment_of(self.state.lock().stage.tail());
        self.compactor.lock().asked_through = Some(SegmentId(through.0.saturating_sub(1)));
        while self.compact_step()? {}
        let mut compactor = self.compactor.lock();
        compactor.asked_through = None;
        compactor.halted.clone().map_or(Ok(()), Err)
    }

    fn view(&self, compactor: &mut Compactor) -> Result<View> {
        let now = self.clock.monotonic();
        let full = self.is_full();
        let state = self.state.lock();
        self.check_life(&state)?;
        let tail = state.stage.tail();
        let current = self.log.segment_of(tail);
        if tail != compactor.tail {
            compactor.tail = tail;
            compactor.quiet_since = now;
            compactor.settled_through = None;
        } else if compactor.settled_through.is_none()
            && now.saturating_sub(compactor.quiet_since) >= SETTLED_AFTER
            && !planted!(NeverSettles)
        {
            compactor.settled_through = Some(current);
        }
        let others = Lsn(tail.0.saturating_sub(planted!(CarriedCountsAsClosing, 0, state.carried_bytes)));
        self.count_full_rounds(compactor, full, tail, others);
        let chain_segments = current.0.saturating_sub(compactor.oldest.0) + 1;
        let living = state.books.ledger.living(compactor.oldest);
        Ok(View {
            oldest: compactor.oldest,
            oldest_end: self.log.first_frame(SegmentId(compactor.oldest.0 + 1)),
            chain_segments,
            prepared_segments: self.log.segment_files().saturating_sub(chain_segments),
            prepared_wanted: if compactor.is_settled() { RESERVE } else { self.goal(&state) },
            segment_bytes: u64::from(self.log.segment_bytes()),
            tail,
            durable: self.log.durable(),
            ledger: Live { records: living.records, bytes: living.bytes },
            walk: compactor.walk,
            live_bytes: state.books.ledger.bytes(),
            mark: compactor.mark,
            checkpoint: match self.checkpoint_position(&state) {
                None => Checkpoint::Unavailable,
                Some(lsn) => Checkpoint::Saved(lsn),
            },
            halted: compactor.halted.is_some(),
            asked_through: compactor.asked_through,
            settled_through: compactor.settled_through,
            full_through: compactor.full_through,
            oldest_fits: compactor.cursor > self.log.first_frame(compactor.oldest) || self.oldest_fits(&state),
        })
    }

    /// Full mode compacts one round of the chain, and one more for every sixteenth of a segment of closing records.
    /// What compaction writes itself (`others` is the tail without it) counts for nothing: it would go round for ever.
    fn count_full_rounds(&self, compactor: &mut Compactor, full: bool, tail: Lsn, others: Lsn) {
        let sixteenth = u64::from(self.log.segment_bytes()) / 16;
        if !full {
            compactor.full_through = None;
        } else if compactor.full_through.is_none() || others.0.saturating_sub(compactor.full_tail.0) >= sixteenth {
            compactor.full_through = Some(self.log.segment_of(tail));
            compactor.full_tail = others;
        }
    }

    /// Settled: what the maker prepared beyond the reserve is given back to the disk.
    fn trim_surplus(&self, compactor: &Compactor) {
        if compactor.is_settled() && compactor.full_through.is_none() && !planted!(SurplusKept) {
            // A file that cannot be removed is tried again at the next settling.
            let _ = self.log.drop_surplus(RESERVE);
        }
    }

    fn stage_mark(&self, compactor: &mut Compactor, segment: SegmentId) -> Result<()> {
        let end = self.attempt(|state| {
            let mut totals = state.books.totals;
            totals.trimmed_through = segment.0;
            let entry = Entry::new(0, &Record::Totals(totals));
            let before = state.stage.tail();
            if !self.make_room(state, entries_len([&entry]), Class::Carrying) {
                return Ok(Try::NoRoom(Class::Carrying));
            }
            let (_, end) = self.put_one(state, entry);
            state.carried_bytes += end.0.saturating_sub(before.0);
            planted!(TrimMarkNotKept, (), state.books.totals = totals);
            Ok(Try::Done(end))
        })?;
        compactor.mark = Mark { through: segment, end };
        Ok(())
    }

    fn remove(&self, compactor: &mut Compactor, segment: SegmentId, recycle: bool) -> Result<()> {
        let (from, to) = (self.log.first_frame(segment), self.log.first_frame(SegmentId(segment.0 + 1)));
        let fate = match recycle {
            _ if self.has_notes(from, to) && !planted!(DamagedSegmentRecycled) => Fate::Damaged,
            true => Fate::Spare,
            false => Fate::Gone,
        };
        self.log.remove_oldest(segment, fate)?;
        let next = SegmentId(segment.0 + 1);
        compactor.turn_to(next, self.log.first_frame(next));
        self.make.ring();
        Ok(())
    }

    /// Looks through the next stretch of the oldest segment and carries what lives there. `false`: not now.
    fn carry_some(&self, compactor: &mut Compactor, view: &View) -> Result<bool> {
        if compactor.damage.is_none() {
            match self.carry_stretch(compactor, view) {
                Err(refused) if refused.kind() == ErrorKind::Io && compactor.refused < READ_TRIES => {
                    compactor.refused += 1;
                    return Ok(true);
                }
                Err(damage)
                    if matches!(damage.kind(), ErrorKind::Corrupt | ErrorKind::Io)
                        && !planted!(DamageStopsCompaction) =>
                {
                    compactor.damage = Some(damage);
                }
                carried => {
                    compactor.refused = 0;
                    return carried.map(|()| true);
                }
            }
        }
        self.salvage(compactor, view)
    }

    fn carry_stretch(&self, compactor: &mut Compactor, view: &View) -> Result<()> {
        if self.log.written() < view.oldest_end {
            self.push()?;
        }
        let to = Lsn(compactor.cursor.0.saturating_add(STRIDE_BYTES)).min(view.oldest_end);
        let mut reached = to;
        let mut parcels = Vec::new();
        self.log.walk(compactor.cursor, to, &mut |frame| {
            reached = if frame.flags & Flags::SEAL == 0 { frame.end } else { view.oldest_end };
            let mut wanted = Vec::new();
            {
                let state = self.state.lock();
                for record in frame.records() {
                    wanted.push(lives(&state, &record).map_err(|what| self.log.damaged(record.place, what))?);
                }
            }
            for (record, live) in frame.records().zip(wanted) {
                if live {
                    parcels.push(Parcel {
                        from: record.place,
                        load: unpack(record.kind, record.id, record.body)
                            .map_err(|what| self.log.damaged(record.place, what))?,
                    });
                }
            }
            Ok(())
        })?;
        if view.ledger == Live::default() {
            compactor.strays += parcels.len() as u64;
        } else {
            planted!(CarriesNothing, (), self.carry(parcels)?);
        }
        compactor.cursor = reached.max(to).min(view.oldest_end);
        if compactor.cursor >= view.oldest_end {
            let at = self.state.lock().stage.tail();
            compactor.walk = Walk::Complete { at, strays: compactor.strays };
        }
        Ok(())
    }

    /// Copies the parcels to the tail; what moved in between is stamped anew, what is gone is dropped.
    pub(super) fn carry(&self, mut parcels: Vec<Parcel>) -> Result<()> {
        let frame_bytes_max = self.scaled.batch_bytes_max / 16;
        while !parcels.is_empty() {
            let mut stamped = self.stamp(&parcels);
            // To the end of the segment first: a carrier that leaves ends free needs more room than it frees.
            let rest = usize::try_from(self.state.lock().stage.rest()).unwrap_or(usize::MAX);
            let fits =
                match first_within(&stamped, frame_bytes_max.min(planted!(CarriedFramesLeaveEnds, usize::MAX, rest))) {
                    0 => first_within(&stamped, frame_bytes_max).max(1),
                    fits => fits,
                };
            stamped.truncate(fits);
            let looked_at = stamped.last().map_or(parcels.len(), |last| last.parcel + 1);
            self.stage_carried(&parcels, &stamped)?;
            // A record whose place has not changed could not be staged as it was stamped: once more.
            let state = self.state.lock();
            let mut at = 0;
            parcels.retain(|parcel| {
                at += 1;
                at > looked_at || still_at(&state, parcel)
            });
        }
        Ok(())
    }

    fn stamp(&self, parcels: &[Parcel]) -> Vec<Stamped> {
        let mut stamped = Vec::new();
        for (at, parcel) in parcels.iter().enumerate() {
            match &parcel.load {
                Load::Job { id, envelope, args } => {
                    let mut envelope = envelope.clone();
                    let standing = {
                        let state = self.state.lock();
                        let Some(entry) = state.books.index.get(*id).filter(|entry| entry.place == parcel.from) else {
                            continue;
                        };
                        let lease = state.leases.get(id);
                        let since = lease.map_or(envelope.created_at, |lease| lease.since);
                        planted!(CarriedNotAsItStands, (), as_it_stands(&state.books.index, *id, &mut envelope, since));
                        (entry, lease.map(|lease| lease.token))
                    };
                    let body = job::encode_job(&envelope, Cause::Carried, None, args);
                    stamped.push(Stamped {
                        parcel: at,
                        standing: Some(standing),
                        entry: Entry::job(id.0, body),
                        filed: Some(envelope),
                    });
                }
                Load::Cell { .. } => {
                    let entry = Entry::new(0, &Record::Cell(parcel.load.cell()));
                    stamped.push(Stamped { parcel: at, standing: None, entry, filed: None });
                }
            }
        }
        stamped
    }

    /// Stages those of the stamped that still stand as they did, in one frame.
    fn stage_carried(&self, parcels: &[Parcel], stamped: &[Stamped]) -> Result<()> {
        let bytes = entries_len(stamped.iter().map(|item| &item.entry));
        self.attempt(|state| {
            let before = state.stage.tail();
            if !self.make_room(state, bytes, Class::Carrying) {
                return Ok(Try::NoRoom(Class::Carrying));
            }
            let standing: Vec<&Stamped> = stamped
                .iter()
                .filter(|item| parcels.get(item.parcel).is_some_and(|parcel| item.still_stands(state, parcel)))
                .collect();
            if standing.is_empty() {
                return Ok(Try::Done(()));
            }
            let mut places = Vec::with_capacity(standing.len());
            let entries = standing.iter().map(|item| &item.entry);
            let end = self.put_refs(state, 0, entries, |_, place| places.push(place));
            state.carried_bytes += end.0.saturating_sub(before.0);
            for (item, place) in standing.into_iter().zip(places) {
                let Some(parcel) = parcels.get(item.parcel) else { continue };
                match (&parcel.load, &item.filed) {
                    (Load::Job { id, .. }, Some(envelope)) => {
                        let filed = Filed::of(Cause::Carried, None, envelope);
                        state.books.job(*id, place, &filed).inspect_err(|e| self.log.poison(e))?;
                    }
                    _ => self.file_cell(state, &parcel.load.cell(), place)?,
                }
            }
            Ok(Try::Done(()))
        })
    }
}

/// How many of the first fit a frame of so many bytes.
fn first_within(stamped: &[Stamped], bytes_max: usize) -> usize {
    let mut bytes = 0usize;
    let within = stamped.iter().take_while(|item| {
        bytes = bytes.saturating_add(entries_len([&item.entry]));
        bytes <= bytes_max
    });
    within.count()
}

impl Load {
    pub(super) fn of_cell(cell: &CellRecord<'_>) -> Self {
        Self::Cell {
            namespace: cell.namespace,
            key: cell.key.to_vec(),
            value: cell.value.unwrap_or_default().to_vec(),
            until: cell.until,
        }
    }

    fn cell(&self) -> CellRecord<'_> {
        match self {
            Load::Cell { namespace, key, value, until } => {
                CellRecord { namespace: *namespace, key, value: Some(value), until: *until, carried: true }
            }
            Load::Job { .. } => CellRecord { namespace: 0, key: &[], value: None, until: None, carried: true },
        }
    }
}

impl Stamped {
    fn still_stands(&self, state: &State, parcel: &Parcel) -> bool {
        match (&parcel.load, self.standing) {
            _ if planted!(CarrierDoesNotLookAgain) => true,
            (Load::Job { id, .. }, Some((entry, token))) => {
                state.books.index.get(*id) == Some(entry) && state.leases.get(id).map(|lease| lease.token) == token
            }
            _ => still_at(state, parcel),
        }
    }
}

fn still_at(state: &State, parcel: &Parcel) -> bool {
    let now = match &parcel.load {
        Load::Job { id, .. } => state.books.index.get(*id).map(|entry| entry.place),
        Load::Cell { namespace, key, .. } => state.books.index.cell_place(*namespace, key),
    };
    now == Some(parcel.from)
}

/// Whether the index says that this record is the newest of its job or cell.
fn lives(state: &State, record: &crate::log::RecordView<'_>) -> std::result::Result<bool, &'static str> {
    Ok(match record.kind {
        job::kind::JOB => state.books.index.get(JobId(record.id)).is_some_and(|entry| entry.place == record.place),
        job::kind::CELL if planted!(CellNotCarried) => false,
        job::kind::CELL => match job::decode(record.kind, record.body) {
            Ok(Record::Cell(cell)) => state.books.index.cell_place(cell.namespace, cell.key) == Some(record.place),
            _ => return Err(NO_RECORD),
        },
        _ => false,
    })
}

pub(super) fn unpack(kind: u8, id: u64, body: &[u8]) -> std::result::Result<Load, &'static str> {
    match job::decode(kind, body) {
        Ok(Record::Job(job)) => {
            Ok(Load::Job { id: JobId(id), envelope: Box::new(job.envelope), args: job.args.into_owned() })
        }
        Ok(Record::Cell(cell)) => Ok(Load::of_cell(&cell)),
        _ => Err(NO_RECORD),
    }
}

#[cfg(test)]
#[path = "tests/late.rs"]
mod late;
