//! A million pending jobs: what they take of disk and memory, and how soon they are served again.

use std::path::Path;
use std::time::Duration;

use backlog::Backlog;

use crate::child::Running;
use crate::common::Outcome;
use crate::figures::Figures;
use crate::place::{Place, bytes_at_rest};

const JOBS: usize = 1_000_000;
/// Deaths, or closes, of which the median is shown.
const TIMES: usize = 3;
/// Compaction waits for a second without work before it calls the log settled.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) fn measure(place: &Place, figures: &mut Figures) -> Outcome<()> {
    let empty = empty(&place.join("empty"))?;
    figures.add("bytes_empty", empty);
    let per_job = |bytes: u64| (bytes as f64 - empty).max(0.0) / JOBS as f64;

    let dir = place.join("million");
    crate::tell("a million jobs: enqueued, killed, served again");
    let filled = fill(&dir, JOBS)?;
    figures.add("bytes_per_job_pending", per_job(bytes_at_rest(&dir, QUIET)?));
    filled.kill()?;
    after_kills(&dir, JOBS, ["reopen_1m", "rss_1m"], figures)?;
    // The first finds what a kill has left, and is not counted.
    reopen("reopen and close", &dir, JOBS, false)?;
    for _ in 0..TIMES {
        figures.add("reopen_1m_clean", reopen("reopen and close", &dir, JOBS, true)?.get("ms")?);
    }
    crate::tell("a million jobs: run");
    let settled = Running::start("settle", &dir, JOBS)?;
    if settled.get("live")? > 0.0 {
        return Err("jobs are left that were to be settled".into());
    }
    figures.add("bytes_per_job_settled", per_job(bytes_at_rest(&dir, QUIET)?));
    settled.kill()?;
    Ok(std::fs::remove_dir_all(dir)?)
}

/// Bytes of a directory that holds no job.
fn empty(dir: &Path) -> Outcome<f64> {
    let backlog = Backlog::open(dir)?;
    let bytes = bytes_at_rest(dir, QUIET)?;
    backlog.close()?;
    std::fs::remove_dir_all(dir)?;
    Ok(bytes as f64)
}

pub(crate) fn fill(dir: &Path, jobs: usize) -> Outcome<Running> {
    let filled = Running::start("fill", dir, jobs)?;
    if filled.get("enqueued")? < jobs as f64 {
        return Err("fewer jobs were enqueued than were to be".into());
    }
    Ok(filled)
}

/// Reopens what a killed process has left, and is killed itself, again and again.
pub(crate) fn after_kills(dir: &Path, jobs: usize, [ms, rss]: [&'static str; 2], figures: &mut Figures) -> Outcome<()> {
    for _ in 0..TIMES {
        let opened = reopen("reopen", dir, jobs, false)?;
        figures.add(ms, opened.get("ms")?);
        // Where the system does not say there is no such figure.
        if let Ok(bytes) = opened.get("rss") {
            figures.add(rss, bytes);
        }
        opened.kill()?;
    }
    Ok(())
}

/// The same once, in ms.
pub(crate) fn once(dir: &Path, jobs: usize) -> Outcome<f64> {
    let opened = reopen("reopen", dir, jobs, false)?;
    let ms = opened.get("ms")?;
    opened.kill()?;
    Ok(ms)
}

/// The figure means nothing if a job is missing, or if the last stop was not of the kind that is measured.
fn reopen(role: &str, dir: &Path, jobs: usize, clean: bool) -> Outcome<Running> {
    let opened = Running::start(role, dir, jobs)?;
    let (live, was_clean) = (opened.get("live")?, opened.get("clean")? > 0.0);
    if live < jobs as f64 || was_clean != clean {
        return Err(format!("reopened jobs={live} of {jobs}, clean={was_clean}, expected {clean}").into());
    }
    Ok(opened)
}
