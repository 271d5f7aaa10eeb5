//! From a directory to the books: look, believe the saved index or not, replay, make the tail true.
//!
//! # Invariants
//! * Looking comes first and changes nothing; the first change is the repair of the tail (rule 4).
//! * A saved index only shortens the replay. Whatever is wrong with it, the log alone gives the same books (P9).
//! * What the log itself shows as missing or damaged is an error, never a shorter log; but for records of which
//!   a later note says that they were found damaged and superseded (rule 15).

use std::time::Duration;

use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Place, SegmentId};
use crate::index::{Index, Keeper, Snapshot, Verdict, trust};
use crate::job::{self, DecodeError, Record};
use crate::log::{Frame, Identity, RecordView, Survey};

use super::books::{Books, Filed};
use super::checkpoint::EngineWords;
use super::damage::is_noted;

/// What opening a directory found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether the directory was new.
    pub created: bool,
    /// Whether the last owner had closed it.
    pub clean: bool,
    /// Segments in the log.
    pub segments: u64,
    /// Records replayed.
    pub records: u64,
    /// Bytes of a torn tail that nobody had vouched for, cut off.
    pub bytes_cut: u64,
    /// Jobs that were running when the last owner died: ready again, or dead after their last attempt.
    pub requeued: u64,
    /// Of them, poison pills: the process died again while such a job ran alone. Dead now.
    pub convicted: u64,
    /// Jobs that were in flight at two crashes or more and are ready: each runs first, alone.
    pub suspects: u64,
    /// How the index came to be.
    pub index: IndexOrigin,
    /// What was done to the index's folder, in words.
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// How the index came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexOrigin {
    /// Nothing was saved and nothing had to be read.
    #[default]
    Fresh,
    /// The saved one, and the log behind it.
    Trusted,
    /// From the whole log; why.
    Rebuilt(String),
}

/// The books, and how they came to be.
pub(super) struct Recovered {
    pub(super) books: Books,
    pub(super) origin: IndexOrigin,
    pub(super) records: u64,
    /// Where the checkpoint stands that the books were read from.
    pub(super) checkpoint: Lsn,
}

/// Brings the books to the log's end, with the saved index if it can be believed.
pub(super) fn recover(survey: &mut Survey, identity: &Identity, keeper: &Keeper) -> Result<Recovered> {
    let (snapshot, mut reason) = match keeper.load() {
        Ok(snapshot) => (snapshot, "no checkpoint".to_owned()),
        Err(refused) => (None, refused.to_string()),
    };
    match trust(snapshot.as_ref().map(Snapshot::meta), identity.log_id, survey.start(), survey.end()) {
        Verdict::LogLost => {
            if let Some(snapshot) = &snapshot {
                // Says where the log ends.
                survey.vouch(snapshot.meta().durable_lsn)?;
            }
            return Err(Error::new(
                ErrorKind::Corrupt,
                "corrupt: the log ends before bytes that the index knows were durable; \
                 keep a copy of the directory, then restore it from a backup",
            ));
        }
        Verdict::Rebuild(why) if snapshot.is_some() => reason = why,
        Verdict::Rebuild(_) => {}
        Verdict::Use => match from_snapshot(snapshot, survey, identity) {
            Ok(recovered) => return Ok(recovered),
            Err(why) => reason = why.to_string(),
        },
    }
    let origin = if survey.is_fresh() { IndexOrigin::Fresh } else { IndexOrigin::Rebuilt(reason) };
    let books = Books::fresh(identity.segment_bytes);
    replay(survey, books, survey.start(), origin, Lsn(0))
}

fn from_snapshot(snapshot: Option<Snapshot>, survey: &mut Survey, identity: &Identity) -> Result<Recovered> {
    let refused = |why: String| Error::new(ErrorKind::Corrupt, why);
    let snapshot = snapshot.ok_or_else(|| refused("no checkpoint".to_owned()))?;
    let meta = snapshot.meta().clone();
    let words = EngineWords::decode(&meta.engine, identity.segment_bytes)
        .ok_or_else(|| refused("the checkpoint's engine words cannot be read".to_owned()))?;
    let index = Index::load(snapshot).map_err(|e| refused(e.to_string()))?;
    let jobs_and_cells = index.len() + index.all_cells().count() as u64;
    if words.ledger.records() != jobs_and_cells && !planted!(LedgerNotHeldAgainstIndex) {
        return Err(refused(format!("ledger={} and index={jobs_and_cells} disagree", words.ledger.records())));
    }
    survey.vouch(meta.durable_lsn)?;
    let books = Books::new(index, words.ledger, words.totals, words.suspects);
    replay(survey, books, meta.index_lsn, IndexOrigin::Trusted, meta.index_lsn)
}

fn replay(survey: &Survey, mut books: Books, from: Lsn, origin: IndexOrigin, checkpoint: Lsn) -> Result<Recovered> {
    let records = bring_forward(survey, &mut books, from)?;
    if let Some(id) = books.owed().next()
        && !planted!(OwedForgotten)
    {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "corrupt: the log speaks of job {id} but holds no record of it; restore the directory from a backup"
            ),
        ));
    }
    Ok(Recovered { books, origin, records, checkpoint })
}

/// Brings the books from a position to the log's end; gives the count of records. Damage is an error, but for records
/// of which a later note says that they are superseded (rule 15).
pub(super) fn bring_forward(survey: &Survey, books: &mut Books, from: Lsn) -> Result<u64> {
    if survey.is_fresh() {
        return Ok(0);
    }
    let (mut records, mut holes) = (0, Vec::new());
    let walked = survey.walk_past_damage(from, &mut |frame, damage| {
        records += match damage {
            None => take_in(books, frame)?,
            Some(damage) => take_in_damaged(books, frame, &damage, &mut holes)?,
        };
        Ok(())
    });
    if let Err(stopped) = walked {
        // No note can be read any more: of several places the first is told.
        return Err(holes.into_iter().next().map_or(stopped, |(_, first)| first));
    }
    survey.walk_passed(from, &mut |frame, damage| {
        let unsound = frame.records().filter(|record| !record.is_sound());
        holes.extend(unsound.filter_map(|record| Some((record.place, damage.clone()?))));
        Ok(())
    })?;
    holes.sort_unstable_by_key(|(place, _)| place.lsn);
    let unnoted = holes.into_iter().find(|(place, _)| !is_noted(&books.index, *place));
    unnoted.map_or(Ok(records), |(_, damage)| Err(damage))
}

/// One frame into the books; gives the count of its records.
fn take_in(books: &mut Books, frame: &Frame<'_>) -> Result<u64> {
    let mut records = 0;
    for record in frame.records() {
        records += 1;
        take_in_one(books, &record)?;
    }
    Ok(records)
}

fn take_in_one(books: &mut Books, record: &RecordView<'_>) -> Result<()> {
    let unreadable = |e: DecodeError| unreadable(record.place.lsn, e);
    if record.kind == job::kind::JOB {
        let peek = job::peek(record.body).map_err(unreadable)?;
        books.job(JobId(record.id), record.place, &Filed::of_peek(&peek))
    } else {
        let decoded = job::decode(record.kind, record.body).map_err(unreadable)?;
        books.replay(record.id, &decoded, record.place)
    }
}

/// The same of a frame with a damaged body. A job or a cell may be passed over, if a note about it follows.
fn take_in_damaged(
    books: &mut Books,
    frame: &Frame<'_>,
    damage: &Error,
    holes: &mut Vec<(Place, Error)>,
) -> Result<u64> {
    let mut records = 0;
    for record in frame.records() {
        records += 1;
        if record.is_sound() {
            take_in_one(books, &record)?;
            continue;
        }
        match record.kind {
            job::kind::JOB => books.unreadable(JobId(record.id))?,
            job::kind::CELL => {}
            _ => return Err(damage.clone()),
        }
        holes.push((record.place, damage.clone()));
    }
    Ok(records)
}

fn unreadable(lsn: Lsn, why: DecodeError) -> Error {
    let kind = match why {
        DecodeError::Malformed { .. } => ErrorKind::Corrupt,
        _ => ErrorKind::NewerFormat,
    };
    Error::new(kind, format!("the record at lsn={lsn} cannot be read: {why}; open the directory with a newer release"))
}

/// The directory's identity: read, or made for a directory that holds nothing yet.
pub(super) fn identify(
    disk: &dyn Disk,
    random: &dyn crate::random::Random,
    segment_bytes: u32,
    create: bool,
) -> Result<(Identity, bool)> {
    if let Some(identity) = Identity::read(disk)? {
        return Ok((identity, false));
    }
    let refused = no_format(disk);
    if !create || refused.kind() == ErrorKind::Corrupt {
        return Err(refused);
    }
    Ok((Identity::create(disk, random, segment_bytes)?, true))
}

/// A directory without the file `format`: damaged if there are segments, else no backlog.
pub(super) fn no_format(disk: &dyn Disk) -> Error {
    let segments = disk.list("log").unwrap_or_default();
    if segments.iter().any(|name| name.contains(".seg")) {
        return Error::new(
            ErrorKind::Corrupt,
            format!("corrupt: {} is missing but there are segments; restore it from a backup", disk.display("format")),
        );
    }
    Error::invalid(format!("{} is no backlog: it holds no file `format`", disk.display("")))
}

/// Tells the survey which segments were given up: leftovers of them are no part of the log, whatever they hold by
/// now, and anything missing beyond them is damage (rule 5). The newest segment's totals say it.
pub(super) fn leave_out_trimmed(survey: &mut Survey) -> Result<()> {
    if survey.is_fresh() {
        return Ok(());
    }
    let mut through = 0;
    survey.walk_past_damage(survey.newest_start(), &mut |frame, _| {
        for record in frame.records().filter(|record| record.kind == job::kind::TOTALS && record.is_sound()) {
            if let Ok(Record::Totals(totals)) = job::decode(record.kind, record.body) {
                through = planted!(TrimmedNotLeftOut, 0, totals.trimmed_through);
            }
        }
        Ok(())
    })?;
    survey.trimmed_through(SegmentId(through))
}
