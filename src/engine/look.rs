//! Looking: one job, counts, lists, the dump. Looking changes nothing; answers hold at *written*.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::ids::{GroupId, JobId, Millis, Phase};
use crate::job::{Codec, Envelope, State as JobState};

use super::Core;

/// A job as it stands, without its args.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobInfo {
    /// Its number.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// The queue it stands in.
    pub queue: String,
    /// Larger first.
    pub priority: i16,
    /// Where it stands.
    pub phase: Phase,
    /// When it was accepted.
    pub created_at: SystemTime,
    /// When it becomes ready; only while scheduled.
    pub run_at: Option<SystemTime>,
    /// From when on it is not started any more.
    pub expires_at: Option<SystemTime>,
    /// The key its queue's limits by key count it under.
    pub limit_key: Option<String>,
    /// Attempts spent so far; a running one is not spent yet.
    pub attempts: u32,
    /// Attempts it may spend.
    pub max_attempts: u32,
    /// How often a process ended while it ran.
    pub crashes: u32,
    /// Somebody asked to cancel it while it runs.
    pub cancel_requested: bool,
    /// Its unique key.
    pub unique: Option<String>,
    /// The group it is a member of.
    pub group: Option<GroupId>,
    /// Words to search by.
    pub tags: Vec<String>,
    /// What its enqueuer attached.
    pub metadata: Vec<(String, String)>,
    /// Why it is dead or parked.
    pub reason: Option<String>,
    /// What went wrong in its last attempts, oldest first; empty where a full disk had no room for it.
    pub errors: Vec<String>,
}

impl JobInfo {
    pub(crate) fn new(id: JobId, envelope: &Envelope) -> Self {
        Self {
            id,
            kind: envelope.kind.clone(),
            queue: envelope.queue.clone(),
            priority: envelope.priority,
            phase: envelope.state.phase(),
            created_at: envelope.created_at.to_system(),
            run_at: match envelope.state {
                JobState::Scheduled { run_at } => Some(run_at.to_system()),
                _ => None,
            },
            expires_at: envelope.expires_at.map(Millis::to_system),
            limit_key: envelope.limit_key.clone(),
            attempts: envelope.attempts,
            max_attempts: envelope.max_attempts,
            crashes: envelope.crashes,
            cancel_requested: envelope.cancel_requested,
            unique: envelope.unique.as_ref().map(|unique| unique.key.clone()),
            group: envelope.group.map(GroupId),
            tags: envelope.tags.clone(),
            metadata: envelope.metadata.clone(),
            reason: envelope.reason.clone(),
            errors: envelope.errors.iter().map(|error| error.message.clone()).collect(),
        }
    }
}

/// What is known of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// The job lives.
    Live(Box<JobInfo>),
    /// It was accepted once and is over: completed, cancelled, expired, discarded or pruned.
    Finished,
    /// The id lies in a gap: it was never given, or given to a job that was never durable.
    Lost,
    /// No job has had this id yet.
    Unknown,
}

/// Jobs by queue and state, and what became of those that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Live jobs per queue that has or had some.
    pub queues: BTreeMap<String, QueueCounts>,
    /// Accepted since the directory was made.
    pub enqueued: u64,
    /// Acknowledged.
    pub completed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Ended unstarted at their `expires_at`.
    pub expired: u64,
    /// Held and never confirmed.
    pub discarded: u64,
    /// Dead for longer than the retention.
    pub pruned: u64,
}

/// Live jobs of one queue by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the count of jobs in the state of its name")]
pub struct QueueCounts {
    pub held: u64,
    pub scheduled: u64,
    pub ready: u64,
    pub in_flight: u64,
    pub dead: u64,
    pub parked: u64,
}

impl QueueCounts {
    fn add(&mut self, counts: [u64; 6]) {
        let [held, scheduled, ready, in_flight, dead, parked] = counts;
        self.held += held;
        self.scheduled += scheduled;
        self.ready += ready;
        self.in_flight += in_flight;
        self.dead += dead;
        self.parked += parked;
    }

    /// All of them.
    pub fn live(&self) -> u64 {
        self.held + self.scheduled + self.ready + self.in_flight + self.dead + self.parked
    }
}

impl Counts {
    /// Live jobs of all queues.
    pub fn total(&self) -> QueueCounts {
        let mut total = QueueCounts::default();
        for queue in self.queues.values() {
            total.add([queue.held, queue.scheduled, queue.ready, queue.in_flight, queue.dead, queue.parked]);
        }
        total
    }

    pub(crate) fn of(books: &super::books::Books) -> Self {
        let counters = books.totals.counters;
        let mut counts = Self {
            queues: BTreeMap::new(),
            enqueued: counters.enqueued,
            completed: counters.completed,
            cancelled: counters.cancelled,
            expired: counters.expired,
            discarded: counters.discarded,
            pruned: counters.pruned,
        };
        for (lane, name) in books.index.lanes() {
            counts.queues.entry(super::lines::queue_of(name).to_owned()).or_default().add(books.index.counts(lane));
        }
        counts
    }
}

/// Something whose jobs and cells can be looked at: a live handle or a read-only view.
pub(crate) trait Source {
    /// The next few live ids from one on, so that no lock is held for long.
    fn ids_from(&self, start: JobId, phase: Option<Phase>) -> Vec<JobId>;
    /// A job as it stands. `None`: it is not live.
    fn job(&self, id: JobId) -> Result<Option<(Envelope, Vec<u8>)>>;
    /// Every cell's namespace and key, in order.
    fn cell_keys(&self) -> Vec<(u8, Vec<u8>)>;
    /// A cell's value and until when it counts.
    fn cell_value(&self, namespace: u8, key: &[u8]) -> Result<Option<(Vec<u8>, Option<Millis>)>>;

    /// Live jobs by id, those after `after` that are `wanted`, at most `limit`; of one state if asked.
    fn list(
        &self,
        phase: Option<Phase>,
        after: Option<JobId>,
        through: Option<JobId>,
        limit: usize,
        wanted: &dyn Fn(&JobInfo) -> bool,
    ) -> Result<Vec<JobInfo>> {
        let mut found = Vec::new();
        let mut from = after.map_or(Some(JobId(0)), next_id);
        while let Some(start) = from
            && found.len() < limit
        {
            let ids = self.ids_from(start, phase);
            from = ids.last().copied().and_then(next_id);
            if through.is_some() && ids.last().copied() >= through {
                from = None;
            }
            for id in ids.into_iter().take_while(|id| through.is_none_or(|through| *id <= through)) {
                let Some((envelope, _)) = self.job(id)? else { continue };
                let info = JobInfo::new(id, &envelope);
                let in_phase = phase.is_none_or(|phase| phase == info.phase);
                if in_phase && found.len() < limit && wanted(&info) {
                    found.push(info);
                }
            }
        }
        Ok(found)
    }

    /// Writes every live job by id, then every cell, one JSON object a line.
    fn dump(&self, out: &mut dyn Write) -> Result<()> {
        let mut from = Some(JobId(0));
        while let Some(start) = from {
            let ids = self.ids_from(start, None);
            from = ids.last().copied().and_then(next_id);
            for id in ids {
                if let Some((envelope, args)) = self.job(id)? {
                    line(out, &DumpedJob::new(id, &envelope, &args))?;
                }
            }
        }
        for (namespace, key) in self.cell_keys() {
            if let Some((value, until)) = self.cell_value(namespace, &key)? {
                line(out, &DumpedCell::new(namespace, &key, &value, until))?;
            }
        }
        Ok(())
    }
}

/// Ids looked up under one hold of a lock.
const LOOK_IDS: usize = 256;

fn next_id(id: JobId) -> Option<JobId> {
    id.0.checked_add(1).map(JobId)
}

pub(super) fn some_ids(books: &super::books::Books, start: JobId, phase: Option<Phase>) -> Vec<JobId> {
    let jobs = books.index.jobs_from(start);
    jobs.filter(|(_, entry)| phase.is_none_or(|phase| entry.phase == phase)).map(|(id, _)| id).take(LOOK_IDS).collect()
}

pub(super) fn cell_keys(books: &super::books::Books) -> Vec<(u8, Vec<u8>)> {
    books.index.all_cells().map(|(namespace, key, _)| (namespace, key.to_vec())).collect()
}

impl Source for Core {
    fn ids_from(&self, start: JobId, phase: Option<Phase>) -> Vec<JobId> {
        some_ids(&self.state.lock().books, start, phase)
    }

    fn job(&self, id: JobId) -> Result<Option<(Envelope, Vec<u8>)>> {
        Ok(self.see(id)?.map(|seen| (seen.envelope, seen.args)))
    }

    fn cell_keys(&self) -> Vec<(u8, Vec<u8>)> {
        cell_keys(&self.state.lock().books)
    }

    fn cell_value(&self, namespace: u8, key: &[u8]) -> Result<Option<(Vec<u8>, Option<Millis>)>> {
        loop {
            let (place, until) = {
                let state = self.state.lock();
                let Some(cell) = state.books.index.cell(namespace, key) else { return Ok(None) };
                if let Some(value) = cell.value {
                    return Ok(Some((value.to_vec(), cell.until)));
                }
                (cell.place, cell.until)
            };
            if place.lsn >= self.log.written() {
                self.push()?;
            }
            let read = self.log.read(place, 0);
            if self.state.lock().books.index.cell_place(namespace, key) != Some(place) {
                continue;
            }
            let raw = read?;
            let value = cell_in(&raw).map_err(|what| self.log.damaged(place, what))?;
            return Ok(value.map(|value| (value, until)));
        }
    }
}

impl Core {
    /// What is known of an id.
    pub(crate) fn inspect(&self, id: JobId) -> Result<Status> {
        if let Some((envelope, _)) = self.job(id)? {
            return Ok(Status::Live(Box::new(JobInfo::new(id, &envelope))));
        }
        let state = self.state.lock();
        Ok(if id.0 >= state.next_id {
            Status::Unknown
        } else if state.in_a_gap(id) {
            Status::Lost
        } else {
            Status::Finished
        })
    }

    /// Jobs by queue and state.
    pub(crate) fn counts(&self) -> Counts {
        Counts::of(&self.state.lock().books)
    }
}

/// A record's cell, or why it is none.
pub(super) fn cell_in(raw: &crate::log::Raw) -> std::result::Result<Option<Vec<u8>>, &'static str> {
    match crate::job::decode(raw.kind, &raw.body) {
        Ok(crate::job::Record::Cell(cell)) => Ok(cell.value.map(<[u8]>::to_vec)),
        _ => Err("the record is no cell's"),
    }
}

pub(crate) fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    let written = serde_json::to_writer(&mut *out, value).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
    written.map_err(|e| Error::io("cannot write the dump", e))
}

/// One live job in a dump.
#[derive(Serialize)]
pub(crate) struct DumpedJob<'a> {
    job: u64,
    kind: &'a str,
    queue: &'a str,
    priority: i16,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at_ms: Option<u64>,
    created_at_ms: u64,
    attempts: u32,
    max_attempts: u32,
    crashes: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "<[(String, String)]>::is_empty")]
    metadata: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<&'a str>,
    codec: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args_hex: Option<String>,
}

impl<'a> DumpedJob<'a> {
    pub(crate) fn new(id: JobId, envelope: &'a Envelope, args: &'a [u8]) -> Self {
        // Only text that is one JSON value on one line goes in as it is; everything else as hex, byte for byte.
        let json = match envelope.codec {
            Codec::Json => serde_json::from_slice::<&RawValue>(args).ok().filter(|raw| !raw.get().contains('\n')),
            Codec::Raw | Codec::Other(_) => None,
        };
        Self {
            job: id.0,
            kind: &envelope.kind,
            queue: &envelope.queue,
            priority: envelope.priority,
            state: envelope.state.phase().as_str(),
            run_at_ms: match envelope.state {
                JobState::Scheduled { run_at } => Some(run_at.0),
                _ => None,
            },
            created_at_ms: envelope.created_at.0,
            attempts: envelope.attempts,
            max_attempts: envelope.max_attempts,
            crashes: envelope.crashes,
            cancel_requested: envelope.cancel_requested,
            unique: envelope.unique.as_ref().map(|unique| unique.key.as_str()),
            group: envelope.group,
            tags: &envelope.tags,
            metadata: &envelope.metadata,
            reason: envelope.reason.as_deref(),
            errors: envelope.errors.iter().map(|error| error.message.as_str()).collect(),
            codec: envelope.codec.code(),
            args_hex: json.is_none().then(|| hex(args)),
            args: json,
        }
    }
}

/// One cell in a dump.
#[derive(Serialize)]
pub(crate) struct DumpedCell {
    cell: u8,
    key_hex: String,
    value_hex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
}

impl DumpedCell {
    pub(crate) fn new(namespace: u8, key: &[u8], value: &[u8], until: Option<Millis>) -> Self {
        Self { cell: namespace, key_hex: hex(key), value_hex: hex(value), until_ms: until.map(|until| until.0) }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
