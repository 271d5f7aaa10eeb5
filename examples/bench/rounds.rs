//! Floors and rates, taken in turn.

use std::path::PathBuf;
use std::time::Duration;

use backlog::Backlog;

use crate::common::{
    BATCH, Floor, JOB_BYTES, Outcome, Work, cycle, drain, drain_by_hand, due, due_latenesses, enqueue_batch_rate,
    enqueue_rate, enqueue_raw_batch_rate, fill, fresh_batches_rate, percentile, raw, start_latencies, works,
};
use crate::figures::Figures;
use crate::place::{Place, bytes_at_rest};
use crate::syncs;

pub(crate) const ROUNDS: usize = 5;

/// How long each measurement lasts that is not of a number of jobs.
const SPELL: Duration = Duration::from_millis(400);
/// Jobs enqueued, and jobs scheduled, one by one onto an idle backlog in each round.
const STARTS: usize = 100;
/// A directory that did not change for so long has nothing going on beside the work.
const QUIET: Duration = Duration::from_millis(300);

struct Bench {
    floor: Floor,
    bytes: Vec<u8>,
    works: Vec<Work>,
    raw: Vec<Vec<u8>>,
    jobs: usize,
    dir: PathBuf,
    /// Takes the jobs that nobody runs.
    filled: Backlog,
    /// Its jobs are run.
    worked: Backlog,
    /// Before scheduled jobs are due.
    lead: Duration,
    syncs: Vec<Duration>,
    starts: Vec<Duration>,
    late: Vec<Duration>,
}

pub(crate) fn measure(place: &Place, jobs: usize, figures: &mut Figures) -> Outcome<()> {
    let works = works(JOB_BYTES);
    let raw = raw(&works);
    let mut bench = Bench {
        floor: Floor::new(place.path())?,
        bytes: raw.concat(),
        works,
        raw,
        jobs,
        dir: place.path().to_owned(),
        filled: Backlog::open(place.join("filled"))?,
        worked: Backlog::open(place.join("worked"))?,
        lead: Duration::from_millis(500),
        syncs: Vec::new(),
        starts: Vec::new(),
        late: Vec::new(),
    };
    bench.warm_up()?;
    for round in 1..=ROUNDS {
        crate::tell(&format!("round {round} of {ROUNDS}"));
        bench.round(figures)?;
    }
    bench.latencies(figures);
    figures.add("syncs_per_job_64", syncs::per_job(&place.join("counted"), &bench.works, SPELL)?);
    let Bench { filled, worked, .. } = bench;
    filled.close()?;
    worked.close()?;
    for name in ["filled", "worked", "counted", "floor"] {
        let path = place.join(name);
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

impl Bench {
    /// Both have written more than they had prepared when they were new.
    fn warm_up(&mut self) -> Outcome<()> {
        fill(&self.filled, &self.works, BATCH)?;
        cycle(&self.worked, &self.works, self.jobs)?;
        self.rest()
    }

    fn round(&mut self, figures: &mut Figures) -> Outcome<()> {
        self.floors(figures)?;
        figures.add("enqueue_1", enqueue_rate(&self.filled, &self.works, 1, SPELL)?);
        figures.add("enqueue_64", enqueue_rate(&self.filled, &self.works, 64, SPELL)?);
        self.rest()?;
        figures.add("enqueue_batch_1000", enqueue_batch_rate(&self.filled, &self.works)?);
        self.rest()?;
        figures.add("enqueue_batch_1000_raw", enqueue_raw_batch_rate(&self.filled, &self.raw)?);
        self.rest()?;
        fill(&self.worked, &self.works, self.jobs)?;
        self.rest()?;
        figures.add("claim_ack", self.rate(drain(&self.worked, self.jobs)?));
        self.rest()?;
        fill(&self.worked, &self.works, self.jobs)?;
        self.rest()?;
        figures.add("claim_ack_by_hand", self.rate(drain_by_hand(&self.worked, self.jobs)?));
        self.rest()?;
        figures.add("cycle", self.rate(cycle(&self.worked, &self.works, self.jobs)?));
        self.rest()?;
        figures.add("due_rate", self.due()?);
        self.rest()?;
        let work = self.works.first().ok_or("no job")?;
        self.starts.extend(start_latencies(&self.worked, work, STARTS)?);
        self.late.extend(due_latenesses(&self.worked, work, STARTS)?);
        Ok(())
    }

    fn floors(&mut self, figures: &mut Figures) -> Outcome<()> {
        let one = self.bytes.get(..JOB_BYTES).ok_or("no job")?;
        self.floor.take_syncs();
        figures.add("floor_single", self.floor.rate(one, SPELL)?);
        self.syncs.extend(self.floor.take_syncs());
        figures.add("floor_batch", self.floor.rate(&self.bytes, SPELL)? * BATCH as f64);
        figures.add("floor_batch_fresh", fresh_batches_rate(&self.dir, &self.bytes)? * BATCH as f64);
        Ok(())
    }

    fn rate(&self, took: Duration) -> f64 {
        self.jobs as f64 / took.as_secs_f64()
    }

    /// The lead grows until all jobs are enqueued before they are due.
    fn due(&mut self) -> Outcome<f64> {
        loop {
            if let Some(took) = due(&self.worked, &self.works, self.jobs, self.lead)? {
                return Ok(self.rate(took));
            }
            self.lead *= 2;
        }
    }

    /// What one figure leaves behind, segments to prepare or to empty, is no part of the next.
    fn rest(&self) -> Outcome<()> {
        self.worked.compact()?;
        bytes_at_rest(&self.dir, QUIET).map(drop)
    }

    fn latencies(&self, figures: &mut Figures) {
        let ms = |times: &[Duration], percent| percentile(times.iter().map(|took| took.as_secs_f64() * 1e3), percent);
        figures.add("fdatasync_p50", ms(&self.syncs, 50));
        figures.add("fdatasync_p99", ms(&self.syncs, 99));
        figures.add("start_latency_p50", ms(&self.starts, 50));
        figures.add("start_latency_p99", ms(&self.starts, 99));
        figures.add("due_lateness_p50", ms(&self.late, 50));
        figures.add("due_lateness_p99", ms(&self.late, 99));
    }
}
