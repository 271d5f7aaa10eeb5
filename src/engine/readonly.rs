//! Looking at a directory from outside: no lock, no write, no saved index (rule 23).
//!
//! # Invariants
//! * Reads the log alone: to the end of its valid frames if nobody owns the directory, else to the vouched position.
//! * A job that was in flight in a directory nobody owns is shown as the next open would have it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn, Millis, Phase, SegmentId};
use crate::job::{self, Ended, Envelope, Event, Next, Record, Removes};
use crate::keys::Keys;
use crate::log::{self, Frame, Identity, Survey};
use crate::sync::Mutex;

use super::Core;
use super::books::{Books, as_it_stands, key_of};
use super::claim::open_job;
use super::look::{Counts, JobInfo, Source, Status, cell_in, cell_keys, cell_keys_in, some_ids};
use super::open::{epochs_of, text_keys};
use super::recover;
use super::state::in_a_gap;
use super::suspects::token_alone;

/// What a check of the whole log found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Segments read.
    pub segments: u64,
    /// Frames whose checksums fit.
    pub frames: u64,
    /// Records whose checksums fit.
    pub records: u64,
    /// Bytes of the frames read.
    pub bytes: u64,
    /// What does not read back: file, offset and what is wrong there.
    pub damage: Vec<String>,
}

impl VerifyReport {
    /// Whether everything reads back.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

fn verify(disk: &Arc<dyn Disk>, identity: &Identity, known: (SegmentId, Lsn)) -> Result<VerifyReport> {
    let found = log::verify(disk, identity, Some(known))?;
    Ok(VerifyReport {
        segments: found.segments,
        frames: found.frames,
        records: found.records,
        bytes: found.bytes,
        damage: found
            .damage
            .iter()
            .map(|damage| format!("file={} offset={}: {}", damage.file, damage.offset, damage.what))
            .collect(),
    })
}

impl Core {
    /// Reads the whole log and checks every checksum.
    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        self.wait(self.seen_so_far())?;
        verify(&self.disk, &self.identity, (self.log.oldest(), self.log.durable()))
    }
}

/// How often a reader beside a busy owner starts over.
const TRIES: usize = 5;

/// A directory seen from outside, as it stood when somebody last had to look.
///
/// Beside a busy owner a record may be gone before it is read: then the log is read anew, and everything shown from
/// there on is of that later moment.
pub(crate) struct ReadOnlyEngine {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    keys: Keys,
    look: Mutex<Arc<Look>>,
}

/// A directory as it stood at one moment.
struct Look {
    identity: Identity,
    survey: Survey,
    books: Books,
    /// Jobs that the next open would bring home, as they would stand.
    orphans: HashMap<JobId, Envelope>,
    owned: bool,
}

impl ReadOnlyEngine {
    /// Reads the log. Nothing is changed, whoever owns the directory.
    pub(crate) fn open(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Self> {
        let look = Mutex::new(Arc::new(Look::at(disk, clock)?));
        Ok(Self { disk: Arc::clone(disk), clock: Arc::clone(clock), keys: Keys::default(), look })
    }

    /// With these to open texts of sealed jobs.
    pub(crate) fn with_keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    fn look(&self) -> Arc<Look> {
        Arc::clone(&self.look.lock())
    }

    /// Reads from the look there is; if its owner has given up what is read, from a new one.
    fn reading<T>(&self, read: impl Fn(&Look) -> Result<T>) -> Result<T> {
        let mut look = self.look();
        let mut answer = read(&look);
        for _ in 1..TRIES {
            if !matches!(&answer, Err(e) if e.kind() == ErrorKind::Invalid && look.owned) {
                break;
            }
            look = Arc::new(Look::at(&self.disk, &self.clock)?);
            *self.look.lock() = Arc::clone(&look);
            answer = read(&look);
        }
        answer
    }

    /// Whether some process has the directory open.
    pub(crate) fn is_owned(&self) -> bool {
        self.look().owned
    }

    /// What is known of an id.
    pub(crate) fn inspect(&self, id: JobId) -> Result<Status> {
        if let Some((envelope, _)) = self.job(id)? {
            return Ok(Status::Live(Box::new(JobInfo::new(id, &envelope, &self.keys))));
        }
        let look = self.look();
        Ok(if id.0 >= look.books.totals.next_id {
            Status::Unknown
        } else if in_a_gap(&epochs_of(&look.books.index), id) {
            Status::Lost
        } else {
            Status::Finished
        })
    }

    /// The queues (or kinds) that are paused, sorted.
    pub(crate) fn paused(&self, namespace: u8) -> Vec<String> {
        text_keys(&self.look().books.index, namespace).into_iter().collect()
    }

    /// Jobs by queue and state.
    pub(crate) fn counts(&self) -> Counts {
        Counts::of(&self.look().books)
    }

    /// Reads the whole log and checks every checksum.
    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        let look = self.look();
        verify(&self.disk, &look.identity, (look.survey.oldest(), look.survey.end()))
    }
}

impl Look {
    fn at(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Self> {
        let mut looked = Self::once(disk, clock);
        for _ in 1..TRIES {
            // A segment that its owner recycles under the reader means start over; so does an owner that came or went.
            if looked.is_ok() || !is_owned(&**disk) {
                break;
            }
            looked = Self::once(disk, clock);
        }
        looked
    }

    fn once(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Self> {
        let disk = Arc::clone(disk);
        let Some(identity) = Identity::read(&*disk)? else {
            return Err(recover::no_format(&*disk));
        };
        let owned = is_owned(&*disk);
        let mut survey = if owned && !planted!(ReaderSeesUnvouched) {
            Survey::look_beside(&disk, &identity, &given_up)?
        } else {
            Survey::look(&disk, &identity)?
        };
        recover::leave_out_trimmed(&mut survey)?;
        let mut books = Books::fresh(identity.segment_bytes);
        recover::bring_forward(&survey, &mut books, survey.start())?;
        let mut look = Self { identity, survey, books, orphans: HashMap::new(), owned };
        if !owned && !planted!(OrphansShownInFlight) {
            look.interrupt(clock.now_ms())?;
        }
        Ok(look)
    }

    fn interrupt(&mut self, now: Millis) -> Result<()> {
        let flights: Vec<_> = self.books.index.in_flight_all().collect();
        let alone = token_alone(&self.books);
        for (id, flight) in flights {
            let Some((envelope, _)) = self.job(id)? else { continue };
            let Some(entry) = self.books.index.get(id) else { continue };
            let old = crate::index::Key::InFlight { token: flight.token, lane: flight.lane, priority: flight.priority };
            let alone = alone == Some(flight.token);
            let outcome = match job::next(&envelope, &Event::Interrupted { now, alone }) {
                Next::Stands(next) => {
                    let key = key_of(&next.state, flight.lane, next.priority);
                    let moved = self.books.index.replace(id, entry.place, next.careful(), &old, key).map(drop);
                    self.orphans.insert(id, next);
                    moved
                }
                Next::Ends(how) => {
                    let unique = envelope.unique.as_ref().map(|unique| unique.hash);
                    self.books.ended(id, &Ended { removes: Removes::InFlight, how, unique, at: now })?;
                    Ok(())
                }
                Next::Refused(_) => Ok(()),
            };
            outcome.map_err(|e| Error::invalid(e.to_string()))?;
        }
        Ok(())
    }

    fn job(&self, id: JobId) -> Result<Option<(Envelope, Vec<u8>)>> {
        let Some(entry) = self.books.index.get(id) else { return Ok(None) };
        let (mut envelope, args) =
            open_job(&self.survey.read(entry.place, id.0)?).map_err(|what| self.survey.damaged(entry.place, what))?;
        if let Some(orphan) = self.orphans.get(&id) {
            envelope = orphan.clone();
        } else {
            let since = envelope.created_at;
            as_it_stands(&self.books.index, id, &mut envelope, since);
        }
        Ok(Some((envelope, args)))
    }

    fn cell_value(&self, namespace: u8, key: &[u8]) -> Result<Option<(Vec<u8>, Option<Millis>)>> {
        let Some(cell) = self.books.index.cell(namespace, key) else { return Ok(None) };
        if let Some(value) = cell.value {
            return Ok(Some((value.to_vec(), cell.until)));
        }
        let value = cell_in(&self.survey.read(cell.place, 0)?).map_err(|what| self.survey.damaged(cell.place, what))?;
        Ok(value.map(|value| (value, cell.until)))
    }
}

impl Source for ReadOnlyEngine {
    fn keys(&self) -> &Keys {
        &self.keys
    }

    fn ids_from(&self, start: JobId, phase: Option<Phase>) -> Vec<JobId> {
        some_ids(&self.look().books, start, phase)
    }

    fn job(&self, id: JobId) -> Result<Option<(Envelope, Vec<u8>)>> {
        self.reading(|look| look.job(id))
    }

    fn cell_keys(&self) -> Vec<(u8, Vec<u8>)> {
        cell_keys(&self.look().books)
    }

    fn cell_keys_in(&self, namespace: u8) -> Vec<Vec<u8>> {
        cell_keys_in(&self.look().books, namespace)
    }

    fn cell_value(&self, namespace: u8, key: &[u8]) -> Result<Option<(Vec<u8>, Option<Millis>)>> {
        self.reading(|look| look.cell_value(namespace, key))
    }
}

/// Through which segment this frame says that the log was given up.
fn given_up(frame: &Frame<'_>) -> Option<SegmentId> {
    let totals = frame.records().filter(|record| record.kind == job::kind::TOTALS);
    let through = totals.filter_map(|record| match job::decode(record.kind, record.body) {
        Ok(Record::Totals(totals)) => Some(totals.trimmed_through),
        _ => None,
    });
    through.max().filter(|through| *through > 0).map(SegmentId)
}

/// Asks for the lock and gives it back at once; a directory without a lock file was never opened.
fn is_owned(disk: &dyn Disk) -> bool {
    let exists = disk.list("").is_ok_and(|names| names.iter().any(|name| name == "lock"));
    exists && disk.try_lock("lock").is_ok_and(|lock| lock.is_none())
}
