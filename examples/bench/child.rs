//! What runs in a process of its own: this program again, told by its first words what to do.
//!
//! A child answers with one line and then waits to be killed; it ends by itself when its parent is gone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use backlog::Backlog;

use crate::common::{JOB_BYTES, Outcome, drain, fill, fill_with, works};
use crate::deep;
use crate::measure::resident_bytes;

/// The first word of a child.
const WORD: &str = "child";
const SECOND: Duration = Duration::from_secs(1);
/// Scheduled jobs are due within this time, from an hour on.
const MONTH_SECONDS: u32 = 30 * 24 * 3600;

pub(crate) type Answer = BTreeMap<String, f64>;

/// A running child that has answered. Killed when it goes.
pub(crate) struct Running {
    child: Child,
    pub(crate) answer: Answer,
}

impl Running {
    pub(crate) fn start(role: &str, dir: &Path, jobs: usize) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORD).arg(role).arg(dir).arg(jobs.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let mut running = Self { child, answer: Answer::new() };
        running.answer = serde_json::from_str(&line).map_err(|_| format!("the child that was to {role} has failed"))?;
        Ok(running)
    }

    pub(crate) fn get(&self, what: &str) -> Outcome<f64> {
        self.answer.get(what).copied().ok_or_else(|| format!("the child did not answer {what}").into())
    }

    /// SIGKILL, or its like; gone when this returns.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, or of a run that failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn is_meant(words: &[OsString]) -> bool {
    words.first().is_some_and(|word| word == WORD)
}

pub(crate) fn run(words: &[OsString]) -> Outcome<()> {
    let [_, role, dir, jobs] = words else { return Err("this word is for the bench itself; see --help".into()) };
    let (dir, jobs) = (Path::new(dir), jobs.to_str().and_then(|jobs| jobs.parse().ok()).ok_or("no number of jobs")?);
    match role.to_str() {
        Some("fill") => filler(dir, jobs),
        Some("schedule") => scheduler(dir, jobs),
        Some("reopen") => opener(dir, false),
        Some("reopen and close") => opener(dir, true),
        Some("settle") => settler(dir, jobs),
        Some("take turns") => answer(&[("ratio", deep::turns(dir, jobs, deep::Line::Even)?)]),
        Some("take mixed turns") => answer(&[("ratio", deep::turns(dir, jobs, deep::Line::Mixed)?)]),
        Some("due") => answer(&[("rate", deep::due_rate(dir, jobs)?)]),
        _ => Err("no such role".into()),
    }
}

fn filler(dir: &Path, jobs: usize) -> Outcome<()> {
    let backlog = Backlog::open(dir)?;
    fill(&backlog, &works(JOB_BYTES), jobs)?;
    answer(&[("enqueued", backlog.counts().enqueued as f64)])
}

fn scheduler(dir: &Path, jobs: usize) -> Outcome<()> {
    let backlog = Backlog::open(dir)?;
    let (works, mut random) = (works(JOB_BYTES), fastrand::Rng::with_seed(1));
    let started = Instant::now();
    let soonest = SystemTime::now() + Duration::from_secs(3600);
    fill_with(&backlog, &works, jobs, |job| job.run_at(soonest + random.u32(..MONTH_SECONDS) * SECOND))?;
    let rate = jobs as f64 / started.elapsed().as_secs_f64();
    answer(&[("rate", rate), ("rss", resident())])
}

/// Opens and claims as whoever comes after a death does.
fn opener(dir: &Path, close: bool) -> Outcome<()> {
    let started = Instant::now();
    let backlog = Backlog::open(dir)?;
    let lease = backlog.queue("default").claim()?.ok_or("no job is ready")?;
    let took = started.elapsed();
    let rss = resident();
    let (report, counts) = (backlog.recovery_report(), backlog.counts().total());
    let facts = [
        ("ms", took.as_secs_f64() * 1e3),
        ("rss", rss),
        ("clean", f64::from(report.clean)),
        ("live", counts.live() as f64),
    ];
    // Given back: a job in flight at several deaths would be suspected of them.
    lease.release()?;
    if close {
        backlog.close()?;
        return answer(&facts);
    }
    let _open = backlog;
    answer(&facts)
}

fn settler(dir: &Path, jobs: usize) -> Outcome<()> {
    let backlog = Backlog::open(dir)?;
    drain(&backlog, jobs)?;
    backlog.compact()?;
    answer(&[("live", backlog.counts().total().live() as f64)])
}

/// Says it, and waits for the parent to kill this process or to be gone.
fn answer(facts: &[(&str, f64)]) -> Outcome<()> {
    let facts: Answer =
        facts.iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&facts)?)?;
    out.flush()?;
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    std::process::exit(0);
}

/// NaN where the system does not say.
fn resident() -> f64 {
    match resident_bytes() {
        0 => f64::NAN,
        bytes => bytes as f64,
    }
}
