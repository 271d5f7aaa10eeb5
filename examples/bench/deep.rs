//! Ten million jobs: whether what lies behind a job slows it down.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use backlog::Backlog;

use crate::child::Running;
use crate::common::{JOB_BYTES, Outcome, drain, due, fill, fill_with, median, works};
use crate::figures::Figures;
use crate::place::Place;
use crate::reopen;

const JOBS: usize = 10_000_000;
const DUE_JOBS: usize = 1_000_000;
/// Pending in the other backlog.
const SHALLOW: usize = 10_000;
/// Jobs of one turn; as many are enqueued again after it.
const TURN: usize = 5_000;
const TURNS: usize = 15;

/// How the jobs of a backlog stand in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// One behind the other, all ready.
    Even,
    /// With priorities from -100 to 100; what stands behind is to a quarter scheduled, as retries are.
    Mixed,
}

pub(crate) fn measure(place: &Place, figures: &mut Figures) -> Outcome<()> {
    let dir = place.join("deep");
    crate::tell("ten million jobs: enqueued, killed, served again");
    reopen::fill(&dir, JOBS)?.kill()?;
    reopen::after_kills(&dir, JOBS, ["reopen_10m", "rss_10m"], figures)?;
    crate::tell("ten million jobs: served again without an index");
    std::fs::remove_dir_all(dir.join("index"))?;
    figures.add("rebuild_10m", reopen::once(&dir, JOBS)?);
    crate::tell("ten million jobs: worked beside ten thousand");
    figures.add("rate_ratio_deep_backlog", child("take turns", &dir, "ratio")?);
    std::fs::remove_dir_all(&dir)?;
    crate::tell("ten million jobs of all priorities: worked beside ten thousand");
    figures.add("rate_ratio_mixed", child("take mixed turns", &dir, "ratio")?);
    std::fs::remove_dir_all(&dir)?;
    std::fs::remove_dir_all(shallow_beside(&dir))?;

    crate::tell("a million jobs due at once");
    let due = Running::start("due", &dir, DUE_JOBS)?;
    figures.add("due_rate_1m", due.get("rate")?);
    due.kill()?;
    std::fs::remove_dir_all(&dir)?;

    crate::tell("ten million jobs: scheduled");
    let scheduled = Running::start("schedule", &dir, JOBS)?;
    figures.add("scheduled_10m_enqueue", scheduled.get("rate")?);
    if let Ok(bytes) = scheduled.get("rss") {
        figures.add("rss_scheduled_10m", bytes);
    }
    scheduled.kill()?;
    Ok(std::fs::remove_dir_all(dir)?)
}

fn child(role: &str, dir: &Path, what: &str) -> Outcome<f64> {
    let worked = Running::start(role, dir, JOBS)?;
    let value = worked.get(what)?;
    worked.kill()?;
    Ok(value)
}

fn shallow_beside(dir: &Path) -> PathBuf {
    dir.with_extension("shallow")
}

/// How fast jobs are run with `jobs` behind them, as a fraction of how fast with `SHALLOW`; turn by turn.
pub(crate) fn turns(dir: &Path, jobs: usize, line: Line) -> Outcome<f64> {
    let works = works(JOB_BYTES);
    let mut random = fastrand::Rng::with_seed(1);
    let soonest = SystemTime::now() + Duration::from_secs(3600);
    let mut fill = |backlog: &Backlog, jobs: usize, waiting: bool| match line {
        Line::Even => fill(backlog, &works, jobs),
        Line::Mixed => fill_with(backlog, &works, jobs, |job| {
            let job = job.priority(random.i16(-100..=100));
            let later = waiting && random.u8(..4) == 0;
            if later { job.run_at(soonest + Duration::from_secs(random.u64(..86_400))) } else { job }
        }),
    };
    let (deep, shallow) = (Backlog::open(dir)?, Backlog::open(shallow_beside(dir))?);
    for (backlog, wanted) in [(&deep, jobs), (&shallow, SHALLOW)] {
        let stand = usize::try_from(backlog.counts().total().live())?;
        fill(backlog, wanted.saturating_sub(stand), true)?;
    }
    let mut turn = |backlog: &Backlog| -> Outcome<f64> {
        let took = drain(backlog, TURN)?;
        fill(backlog, TURN, false)?;
        Ok(took.as_secs_f64())
    };
    let mut ratios = Vec::new();
    for nth in 0..=TURNS {
        let (took_shallow, took_deep) = (turn(&shallow)?, turn(&deep)?);
        // The first warms up.
        if nth > 0 {
            ratios.push(took_shallow / took_deep);
        }
    }
    Ok(median(ratios))
}

/// How fast `jobs` jobs are run that are due at one moment.
pub(crate) fn due_rate(dir: &Path, jobs: usize) -> Outcome<f64> {
    let (backlog, works) = (Backlog::open(dir)?, works(JOB_BYTES));
    let mut lead = Duration::from_secs(5);
    loop {
        if let Some(took) = due(&backlog, &works, jobs, lead)? {
            return Ok(jobs as f64 / took.as_secs_f64());
        }
        lead *= 2;
    }
}
