//! Ten million jobs: whether what lies behind a job slows it down.

use std::path::Path;

use backlog::Backlog;

use crate::child::Running;
use crate::common::{JOB_BYTES, Outcome, drain, fill, median, works};
use crate::figures::Figures;
use crate::place::Place;
use crate::reopen;

const JOBS: usize = 10_000_000;
/// Pending in the other backlog.
const SHALLOW: usize = 10_000;
/// Jobs of one turn; as many are enqueued again after it.
const TURN: usize = 5_000;
const TURNS: usize = 15;

pub(crate) fn measure(place: &Place, figures: &mut Figures) -> Outcome<()> {
    let dir = place.join("deep");
    crate::tell("ten million jobs: enqueued, killed, served again");
    reopen::fill(&dir, JOBS)?.kill()?;
    reopen::after_kills(&dir, JOBS, ["reopen_10m", "rss_10m"], figures)?;
    crate::tell("ten million jobs: worked beside ten thousand");
    let worked = Running::start("take turns", &dir, JOBS)?;
    figures.add("rate_ratio_deep_backlog", worked.get("ratio")?);
    worked.kill()?;
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

/// How fast jobs are run with `JOBS` behind them, as a fraction of how fast with `SHALLOW`; turn by turn.
pub(crate) fn turns(dir: &Path) -> Outcome<f64> {
    let works = works(JOB_BYTES);
    let deep = Backlog::open(dir)?;
    let shallow = Backlog::open(dir.with_extension("shallow"))?;
    fill(&shallow, &works, SHALLOW)?;
    let turn = |backlog: &Backlog| -> Outcome<f64> {
        let took = drain(backlog, TURN)?;
        fill(backlog, &works, TURN)?;
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
