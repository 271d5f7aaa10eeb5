//! Answers what looks: of a program that has the directory open, and of a directory that nobody has.
//!
//! # Invariants
//! * One function for both, so the answers cannot differ but where the state does.
//! * A scan reads page by page and holds nothing between pages.
//!
//! Never here: anything that changes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::shape::{
    ArgsShape, CountShape, ExportShape, FailureShape, JobShape, ListShape, PastShape, ProgressShape, QueueShape,
    ShowShape, StatsShape,
};
use super::verbs::Look;
use super::wire::raw;
use crate::engine::{Counts, JobInfo, PastJob, Status, VerifyReport};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Phase};
use crate::job::{Codec, namespace};
use crate::queue::{Backlog, Filter, ReadOnly};
use crate::worker::Progress;

/// Jobs in one answer, count.
pub(crate) const PAGE_MAX: usize = 1_000;

/// Jobs of an export in memory at a time, count: their args are there too.
const EXPORT_PAGE: usize = 64;

/// What can be looked at.
pub(crate) trait View {
    fn counts(&self) -> Counts;
    fn paused(&self) -> Vec<String>;
    fn paused_kinds(&self) -> Vec<String>;
    fn inspect(&self, id: JobId) -> Result<Status>;
    fn with_args(&self, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>>;
    fn list(&self, filter: &Filter) -> Result<Vec<JobInfo>>;
    /// Whether it is open and takes work.
    fn health(&self) -> Result<()>;
    /// How far a running job said it is.
    fn progress(&self, id: JobId) -> Result<Option<Progress>>;
    fn verify(&self) -> Result<VerifyReport>;
    /// `None`: nobody is there to remember.
    fn history(&self) -> Option<Vec<PastJob>>;
}

macro_rules! a_view {
    ($of:ty, $health:expr, $progress:expr, $history:expr) => {
        impl View for $of {
            fn counts(&self) -> Counts {
                self.counts()
            }
            fn paused(&self) -> Vec<String> {
                self.paused()
            }
            fn paused_kinds(&self) -> Vec<String> {
                self.paused_kinds()
            }
            fn inspect(&self, id: JobId) -> Result<Status> {
                self.inspect(id)
            }
            fn with_args(&self, id: JobId) -> Result<Option<(JobInfo, Codec, Vec<u8>)>> {
                self.with_args(id)
            }
            fn list(&self, filter: &Filter) -> Result<Vec<JobInfo>> {
                self.list(filter)
            }
            fn health(&self) -> Result<()> {
                let health: fn(&Self) -> Result<()> = $health;
                health(self)
            }
            fn progress(&self, id: JobId) -> Result<Option<Progress>> {
                let progress: fn(&Self, JobId) -> Result<Option<Progress>> = $progress;
                progress(self, id)
            }
            fn verify(&self) -> Result<VerifyReport> {
                self.verify()
            }
            fn history(&self) -> Option<Vec<PastJob>> {
                let history: fn(&Self) -> Option<Vec<PastJob>> = $history;
                history(self)
            }
        }
    };
}

a_view!(Backlog, Backlog::health, Backlog::progress, |backlog| Some(Backlog::history(backlog)));
a_view!(
    ReadOnly,
    |_| Ok(()),
    |stopped, id| {
        let cell = stopped.noted(namespace::PROGRESS, &id.0.to_be_bytes())?;
        Ok(cell.as_deref().and_then(Progress::from_cell))
    },
    |_| None
);

/// The answer to one look.
pub(crate) fn look(view: &impl View, what: &Look, now: SystemTime) -> Result<Box<RawValue>> {
    match what {
        Look::Stats {} => raw(&stats(view)),
        Look::List { filter, after, limit } => raw(&list(view, &Filter::parse(filter, now)?, *after, *limit)?),
        Look::Count { filter } => raw(&CountShape { jobs: count(view, &Filter::parse(filter, now)?)? }),
        Look::Show { id } => raw(&show(view, JobId(*id))?),
        Look::Failures { filter } => raw(&failures(view, &Filter::parse(filter, now)?)?),
        Look::Health {} => {
            view.health()?;
            raw(&serde_json::json!({}))
        }
        Look::Verify {} => raw(&view.verify()?),
        Look::History { limit } => {
            let history = view.history().ok_or_else(|| {
                Error::new(
                    ErrorKind::Closed,
                    "no program has this directory open, and only a running one remembers ends",
                )
            })?;
            raw(&history.iter().take(*limit).map(PastShape::of).collect::<Vec<_>>())
        }
    }
}

fn stats(view: &impl View) -> StatsShape {
    let (counts, paused) = (view.counts(), view.paused());
    let mut queues: BTreeMap<String, QueueShape> = counts
        .queues
        .iter()
        .filter(|(_, counts)| counts.live() > 0)
        .map(|(name, counts)| (name.clone(), QueueShape::of(*counts, false)))
        .collect();
    for name in paused {
        queues.entry(name).or_default().paused = true;
    }
    StatsShape {
        queues,
        total: QueueShape::of(counts.total(), false),
        paused_kinds: view.paused_kinds(),
        enqueued: counts.enqueued,
        completed: counts.completed,
        cancelled: counts.cancelled,
        expired: counts.expired,
        discarded: counts.discarded,
        pruned: counts.pruned,
    }
}

fn list(view: &impl View, filter: &Filter, after: Option<u64>, limit: usize) -> Result<ListShape> {
    let limit = limit.clamp(1, PAGE_MAX);
    let jobs = view.list(&page(filter, after.map(JobId), limit))?;
    let next_after = jobs.last().filter(|_| jobs.len() == limit).map(|job| job.id.0);
    Ok(ListShape { jobs: jobs.into_iter().map(JobShape::of).collect(), next_after })
}

/// The filter's jobs after this id; what the filter itself says of ids still holds.
fn page(filter: &Filter, after: Option<JobId>, limit: usize) -> Filter {
    let page = filter.clone().limit(limit);
    match after {
        Some(after) => page.after(after),
        None => page,
    }
}

/// Calls `each` for every job that fits, in the order of ids.
fn scan(view: &impl View, filter: &Filter, mut each: impl FnMut(&JobInfo)) -> Result<()> {
    let mut after = None;
    loop {
        let jobs = view.list(&page(filter, after, PAGE_MAX))?;
        jobs.iter().for_each(&mut each);
        after = match jobs.last() {
            Some(last) if jobs.len() == PAGE_MAX => Some(last.id),
            _ => return Ok(()),
        };
    }
}

/// Calls `each` for every live job with its args, in the order of ids, from the one behind `after` on, for some of them;
/// gives where to go on. `None`: that was all.
pub(crate) fn export_some(
    view: &impl View,
    after: Option<JobId>,
    mut each: impl FnMut(ExportShape) -> Result<()>,
) -> Result<Option<JobId>> {
    let ids: Vec<JobId> = view.list(&page(&Filter::new(), after, EXPORT_PAGE))?.iter().map(|job| job.id).collect();
    for id in &ids {
        // One that ended meanwhile is not there any more.
        if let Some((job, codec, args)) = view.with_args(*id)? {
            if let Some(key) = &job.sealed {
                let what = "an export would write its args in plain, and sealed they open under no other id";
                return Err(Error::invalid(format!("job={id} is sealed under key {key:?}: {what}; let it end first")));
            }
            each(ExportShape { job: JobShape::of(job), args: ArgsShape::of(codec, &args) })?;
        }
    }
    Ok(ids.last().copied())
}

fn count(view: &impl View, filter: &Filter) -> Result<u64> {
    let mut jobs = 0;
    scan(view, filter, |_| jobs += 1)?;
    Ok(jobs)
}

fn show(view: &impl View, id: JobId) -> Result<ShowShape> {
    if let Some((job, codec, args)) = view.with_args(id)? {
        // What is sealed at rest is not shown by whoever may look.
        let is_plain = job.sealed.is_none();
        let args = is_plain.then(|| ArgsShape::of(codec, &args));
        let progress = if is_plain { view.progress(id)? } else { None };
        let progress = progress.map(|progress| ProgressShape { percent: progress.percent, text: progress.text });
        return Ok(ShowShape { status: "live".to_owned(), job: Some(JobShape::of(job)), args, progress });
    }
    let status = match view.inspect(id)? {
        // Between the two looks nothing comes to life again.
        Status::Live(_) | Status::Finished => "finished",
        Status::Lost => "lost",
        Status::Unknown => "unknown",
    };
    Ok(ShowShape { status: status.to_owned(), job: None, args: None, progress: None })
}

fn failures(view: &impl View, filter: &Filter) -> Result<Vec<FailureShape>> {
    let mut groups: BTreeMap<(String, String), FailureShape> = BTreeMap::new();
    scan(view, filter, |job| {
        let (reason, error) = (job.reason.as_deref(), job.errors.last().map(String::as_str));
        // Why a job is dead is mostly that its attempts are used up; why it is parked no attempt knows.
        let text = if job.phase == Phase::Parked { reason.or(error) } else { error.or(reason) };
        let failed = matches!(job.phase, Phase::Dead | Phase::Parked) || !job.errors.is_empty();
        if !failed {
            return;
        }
        let error = alike(text.unwrap_or_default());
        let group = groups.entry((job.kind.clone(), error.clone())).or_insert_with(|| FailureShape {
            kind: job.kind.clone(),
            error,
            dead: 0,
            parked: 0,
            retrying: 0,
            last_id: 0,
        });
        match job.phase {
            Phase::Dead => group.dead += 1,
            Phase::Parked => group.parked += 1,
            _ => group.retrying += 1,
        }
        group.last_id = job.id.0;
    })?;
    let mut groups: Vec<FailureShape> = groups.into_values().collect();
    // The most first; those of a tie by kind and error, as they come.
    groups.sort_by_key(|group| std::cmp::Reverse(group.dead + group.parked + group.retrying));
    Ok(groups)
}

/// The first line of an error, with numbers as `#`: so that those count together that differ by an id or a time.
fn alike(error: &str) -> String {
    let mut text = String::new();
    for c in error.lines().next().unwrap_or_default().chars().take(200) {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            c => text.push(c),
        }
    }
    text
}
