//! Opening a directory: lock, recover, tell the log that it was opened, serve.
//!
//! # Invariants
//! * Nothing is served before the opening frames are durable.
//! * One owner per directory, so every job in flight is an orphan: ready again at once, no timers.
//! * A crash anywhere in here changes nothing that the next open finds, but that some orphans are home already.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{Disk, Lock};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Millis, Place, Token};
use crate::index::{Keeper, Patience};
use crate::job::{CellRecord, Envelope, Event, Opened, Record, State as JobState, Step, namespace};
use crate::limits::{ID_CEILING_STEP, Scaled};
use crate::log::{Class, Identity, Survey};
use crate::sync::{AtomicBool, Mutex, MutexGuard};

use super::bell::Bell;
use super::claim::open_job;
use super::commit::Desk;
use super::compact::Compactor;
use super::groups::{self, Groups, step_of};
use super::history::History;
use super::planner;
use super::recover::{self, RecoveryReport};
use super::settings::{Doors, Drive, IndexChoice, Settings};
use super::settle::Change;
use super::staging::{Entry, entries_len};
use super::state::{Epoch, Life, State, Unreached};
use super::stream::Stream;
use super::suspects::{Turns, token_alone};
use super::watch::Watchers;
use super::{Core, Engine};

/// How often a held lock is asked for again.
const LOCK_ASKED_EVERY: Duration = Duration::from_millis(20);
/// How long to wait for a handle of this very process.
const OWN_HANDLE_WAIT: Duration = Duration::from_secs(3);

impl Engine {
    /// Opens or creates the directory behind the doors.
    pub(crate) fn open(doors: Doors, settings: Settings) -> Result<Self> {
        settings.check()?;
        let started = doors.clock.monotonic();
        let disk = Arc::clone(&doors.disk);
        let lock = take_lock(&doors, settings.lock_wait)?;
        // Best effort: the note only names the owner to those who wait.
        let _ = lock.note(&format!("pid={} state=open\n", std::process::id()));
        let (identity, created) = recover::identify(&*disk, &*doors.random, settings.segment_bytes, settings.create)?;
        let mut survey = Survey::look(&disk, &identity)?;
        recover::leave_out_trimmed(&mut survey)?;
        let keeper = keeper(&doors);
        let recovered = recover::recover(&mut survey, &identity, &keeper)?;
        let report = RecoveryReport {
            created,
            clean: survey.clean() || survey.is_fresh(),
            segments: survey.segments(),
            records: recovered.records,
            index: recovered.origin.clone(),
            notes: keeper.notes(),
            ..RecoveryReport::default()
        };
        let mut core = assemble(doors, settings, identity, survey, keeper, recovered, report, lock)?;
        core.begin()?;
        core.report.took = core.clock.monotonic().saturating_sub(started);
        let engine = Self::start(core)?;
        engine.unpark_sealed()?;
        Ok(engine)
    }
}

fn keeper(doors: &Doors) -> Keeper {
    match (&doors.index, doors.disk.root()) {
        (IndexChoice::Sled, Some(root)) => Keeper::sled(root, Patience::default()),
        (IndexChoice::Memory(handle), _) => Keeper::memory(handle),
        (IndexChoice::Sled | IndexChoice::None, _) => Keeper::absent(),
    }
}

#[expect(clippy::too_many_arguments, reason = "the one place where all parts of a handle meet")]
fn assemble(
    doors: Doors,
    settings: Settings,
    identity: Identity,
    survey: Survey,
    keeper: Keeper,
    recovered: recover::Recovered,
    mut report: RecoveryReport,
    lock: Box<dyn Lock>,
) -> Result<Core> {
    let books = recovered.books;
    let epoch = books.totals.epoch + 1;
    let first_id = if report.clean || planted!(IdCeilingNotUsed) {
        books.totals.next_id.max(1)
    } else {
        books.totals.id_ceiling.max(1)
    };
    let may_leave = planner::may_leave_tail(survey.segments(), books.ledger.bytes(), u64::from(identity.segment_bytes));
    let (log, stage, repaired) = survey.repair(Arc::clone(&doors.random), epoch, may_leave)?;
    report.bytes_cut = repaired.bytes_cut;
    let paused = text_keys(&books.index, namespace::PAUSE);
    let paused_kinds = text_keys(&books.index, namespace::PAUSE_KIND);
    let epochs = epochs_of(&books.index);
    let compactor =
        Compactor::new(log.oldest(), log.first_frame(log.oldest()), books.totals.trimmed_through, log.durable());
    let state = State {
        stage,
        next_id: first_id,
        ceiling: 0,
        raised: None,
        unreached: Unreached::default(),
        next_counter: 1,
        paused,
        paused_kinds,
        leases: HashMap::new(),
        unread: VecDeque::new(),
        epochs,
        deadlines: BTreeMap::new(),
        carried_bytes: 0,
        life: Life::Open,
        alarm: Millis(u64::MAX),
        upkeep_tail: Lsn(0),
        checkpoint: recovered.checkpoint,
        lines: super::lines::Lines::default(),
        turns: Turns::default(),
        groups: Groups::of(&books.index)?,
        dead_looked_at: (Millis(0), JobId(0)),
        next_audit: super::audit::first_free(&books.index),
        bulks: super::bulk::Bulks::default(),
        watchers: Watchers::default(),
        history: History::default(),
        books,
    };
    Ok(Core {
        scaled: Scaled::for_segment(identity.segment_bytes),
        disk: doors.disk,
        clock: doors.clock,
        random: doors.random,
        drive: doors.drive,
        settings,
        identity,
        log,
        state: Mutex::new(state),
        desk: Desk::default(),
        stream: Stream::default(),
        keeper: Mutex::new(keeper),
        compactor: Mutex::new(compactor),
        report,
        lock: Mutex::new(Some(lock)),
        threads: Mutex::new(Vec::new()),
        stopping: AtomicBool::new(false),
        poison_noted: AtomicBool::new(false),
        make_failure: Mutex::new(None),
        full: AtomicBool::new(false),
        work: Bell::default(),
        room: Bell::default(),
        make: Bell::default(),
        compact: Bell::default(),
        upkeep: Bell::default(),
        beside: crate::sync::OnceLock::default(),
        #[cfg(feature = "cron")]
        timed: crate::sync::OnceLock::default(),
    })
}

pub(super) fn text_keys(index: &crate::index::Index, namespace: u8) -> BTreeSet<String> {
    index.cells(namespace).map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
}

pub(super) fn epochs_of(index: &crate::index::Index) -> BTreeMap<u64, Epoch> {
    let read =
        |key: &[u8], value: Option<&[u8]>| Some((u64::from_be_bytes(key.try_into().ok()?), Epoch::from_bytes(value?)?));
    index.cells(namespace::EPOCH).filter_map(|(key, cell)| read(key, cell.value)).collect()
}

/// Waits for the directory's lock and says who holds it.
fn take_lock(doors: &Doors, wait: Duration) -> Result<Box<dyn Lock>> {
    let disk = &*doors.disk;
    disk.create_dir("").map_err(|e| Error::io(format!("cannot use the directory {}", disk.display("")), e))?;
    let started = doors.clock.monotonic();
    let until = started.saturating_add(wait);
    let bell = Bell::default();
    loop {
        let taken = disk
            .try_lock("lock")
            .map_err(|e| Error::io(format!("cannot lock {}; is the directory writable?", disk.display("lock")), e))?;
        if let Some(lock) = taken {
            return Ok(lock);
        }
        let owner = owner(disk);
        let ours = owner.starts_with(&format!("pid={} ", std::process::id()));
        let until = if ours && owner.contains("poisoned") {
            // It goes only when its last handler has returned (rule 14).
            started
        } else if ours && owner.contains("open") {
            // Most likely a mistake; but the last handle may be on its way out on another thread.
            until.min(started.saturating_add(OWN_HANDLE_WAIT))
        } else {
            until
        };
        if doors.drive == Drive::Inline || doors.clock.monotonic() >= until {
            return Err(Error::new(
                ErrorKind::InUse,
                format!(
                    "the directory {} is in use ({}); one process owns a directory, close the other handle first",
                    disk.display(""),
                    if owner.is_empty() { "owner unknown" } else { owner.trim() }
                ),
            ));
        }
        bell.wait(bell.heard(), Some(LOCK_ASKED_EVERY));
    }
}

fn owner(disk: &dyn Disk) -> String {
    let mut text = vec![0; 128];
    let read = disk.open("lock", crate::disk::Access::Read).and_then(|file| file.read_at(&mut text, 0));
    text.truncate(read.unwrap_or(0));
    String::from_utf8_lossy(&text).into_owned()
}

/// A job whose run ended with its process, and what becomes of it.
struct Orphan {
    id: JobId,
    group: Option<u64>,
    step: Option<Step>,
    change: Change,
    /// A poison pill.
    convicted: bool,
}

impl Core {
    /// Stages and syncs the opening frames: a new epoch, and every orphan's way home.
    fn begin(&mut self) -> Result<()> {
        self.stage_opening()?;
        let orphans = self.state.lock().books.index.in_flight_all().map(|(id, flight)| (id, flight.token)).collect();
        planted!(OrphansLeftInFlight, drop::<Vec<_>>(orphans), self.bring_home(orphans)?);
        let end = self.seen_so_far().lsn;
        while self.log.durable() < end && !planted!(OpeningNotSynced) {
            self.commit_step()?;
        }
        let mut state = self.state.lock();
        state.ceiling = state.books.totals.id_ceiling;
        if self.settings.suspects_alone {
            self.report.suspects = state.line_up_suspects() as u64;
        }
        Ok(())
    }

    fn stage_opening(&self) -> Result<()> {
        let nonce = planted!(NonceReused, 7, self.random.u128()?).to_be_bytes();
        let at = self.clock.now_ms();
        let mut state = self.state.lock();
        let first_id = state.next_id;
        let mut totals = state.books.totals;
        totals.epoch += planted!(EpochReused, u64::from(totals.epoch == 0), 1);
        totals.id_ceiling = first_id.saturating_add(ID_CEILING_STEP);
        let epoch = Epoch { nonce, gap_from: totals.next_id };
        planted!(OpeningForgetsNextId, (), totals.next_id = first_id);
        let opened = Opened { epoch: totals.epoch, nonce, first_id, at };
        let mut cells = vec![(first_id, Some(epoch.to_bytes()))];
        cells.extend(epochs_without_jobs(&state, first_id).into_iter().map(|first| (first, None)));
        let keys: Vec<[u8; 8]> = cells.iter().map(|(first, _)| first.to_be_bytes()).collect();
        let records: Vec<CellRecord<'_>> =
            cells.iter().zip(&keys).map(|((_, value), key)| epoch_cell(key, value.as_deref())).collect();
        let mut entries = vec![Entry::new(0, &Record::Totals(totals)), Entry::new(0, &Record::Opened(opened))];
        let fixed = entries.len();
        entries.extend(records.iter().map(|cell| Entry::new(0, &Record::Cell(cell.clone()))));
        drop(state);
        state = self.room_now(entries_len(&entries))?;
        let mut places: Vec<Place> = Vec::with_capacity(entries.len());
        self.put(&mut state, 0, &entries, |_, place| places.push(place));
        state.books.totals = totals;
        for (cell, place) in records.iter().zip(places.iter().skip(fixed)) {
            self.file_cell(&mut state, cell, *place)?;
        }
        for (first, value) in &cells {
            match value.as_deref().and_then(Epoch::from_bytes) {
                Some(epoch) => state.epochs.insert(*first, epoch),
                None => state.epochs.remove(first),
            };
        }
        Ok(())
    }

    /// Every job in flight belongs to a process that is gone (rules 12 and 20 are in the transition function).
    fn bring_home(&mut self, orphans: Vec<(JobId, Token)>) -> Result<()> {
        let frame_bytes_max = self.scaled.batch_bytes_max / 8;
        let mut batch: Vec<Orphan> = Vec::new();
        let mut bytes = 0;
        for (id, token) in orphans {
            match self.orphan(id, token) {
                Ok(Some(orphan)) => {
                    self.report.requeued += 1;
                    self.report.convicted += u64::from(orphan.convicted);
                    bytes += entries_len([&orphan.change.entry(id)]);
                    batch.push(orphan);
                }
                Ok(None) => {}
                // A sector the disk does not give back must not keep the directory shut.
                Err(damage) if matches!(damage.kind(), ErrorKind::Corrupt | ErrorKind::Io) => {
                    self.put_aside(id, token, &damage)?;
                }
                Err(other) => return Err(other),
            }
            if bytes >= frame_bytes_max {
                self.stage_home(&std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.stage_home(&batch)
    }

    fn orphan(&self, id: JobId, token: Token) -> Result<Option<Orphan>> {
        let (entry, alone) = {
            let state = self.state.lock();
            let Some(entry) = state.books.index.get(id) else { return Ok(None) };
            (
                entry,
                self.settings.suspects_alone
                    && (planted!(ConvictedInCompany) || token_alone(&state.books) == Some(token)),
            )
        };
        let raw = self.read_patiently(entry.place, id.0)?;
        let (mut envelope, args): (Envelope, Vec<u8>) =
            open_job(&raw).map_err(|what| self.log.damaged(entry.place, what))?;
        if planted!(CancelWishLostAtCrash) {
            envelope.cancel_requested = false;
        }
        envelope.state = JobState::InFlight { token, since: envelope.created_at };
        let convicted = alone && envelope.is_suspect() && !envelope.cancel_requested;
        let change = self.change_of(&envelope, &Event::Interrupted { now: self.clock.now_ms(), alone }, &args)?;
        let (group, step) = (envelope.group, step_of(&envelope, &change));
        Ok(Some(Orphan { id, group, step, change, convicted }))
    }

    fn stage_home(&self, batch: &[Orphan]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> = batch.iter().map(|orphan| orphan.change.entry(orphan.id)).collect();
        let changed = || batch.iter().filter(|orphan| orphan.step.is_some());
        let room: usize = {
            let state = self.state.lock();
            changed().map(|orphan| groups::room_of(&state, orphan.id, orphan.group)).sum()
        };
        let mut state = self.room_now(entries_len(&entries) + room)?;
        for orphan in changed() {
            Self::note_member(&mut state, orphan.id, orphan.group, orphan.step);
        }
        let company = self.company(&mut state, &[], &[]);
        let mut places: Vec<Place> = Vec::with_capacity(entries.len());
        self.put_refs(&mut state, 0, entries.iter().chain(company.entries()), |_, place| places.push(place));
        let beside = places.split_off(batch.len());
        for (orphan, place) in batch.iter().zip(places) {
            self.book_change(&mut state, orphan.id, &orphan.change, place)?;
        }
        self.file_company(&mut state, &company, beside)
    }

    /// Room for a frame before the services run: makes segments itself, on a full disk from what it frees.
    fn room_now(&self, bytes: usize) -> Result<MutexGuard<'_, State>> {
        let mut class = planted!(OpenFreesNothing, Class::Carrying, Class::Growing);
        loop {
            let mut state = self.state.lock();
            if self.make_room(&mut state, bytes, class) {
                return Ok(state);
            }
            drop(state);
            match self.make_for(class) {
                // Whatever is left: what was accepted must come back.
                Err(full) if full.kind() == ErrorKind::Full && class == Class::Growing => class = Class::Carrying,
                made => made?,
            }
        }
    }
}

fn epoch_cell<'a>(key: &'a [u8; 8], value: Option<&'a [u8]>) -> CellRecord<'a> {
    CellRecord { namespace: namespace::EPOCH, key, value, until: None, carried: false }
}

/// Epochs of which no job lives any more: nobody will ask for their nonce again.
fn epochs_without_jobs(state: &State, first_id: u64) -> Vec<u64> {
    let firsts: Vec<u64> = state.epochs.keys().copied().collect();
    let ends = firsts.iter().skip(1).copied().chain([first_id]);
    firsts
        .iter()
        .zip(ends)
        .filter(|(first, end)| {
            **first != first_id
                && state
                    .books
                    .index
                    .first_id_at_or_after(JobId(**first))
                    .is_none_or(|id| planted!(EpochsPruned) || id.0 >= *end)
        })
        .map(|(first, _)| *first)
        .collect()
}
