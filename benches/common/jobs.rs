//! The jobs of all figures, and batches of them.

use backlog::{Backlog, Codec, Enqueued, Job, JobBuilder};
use serde::{Deserialize, Serialize};

/// Args of one job unless a bench says otherwise, bytes of JSON.
pub(crate) const JOB_BYTES: usize = 200;
/// Jobs of one commit where jobs come in batches.
pub(crate) const BATCH: usize = 1_000;

#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    text: String,
}

impl Job for Work {
    const KIND: &'static str = "bench_work";
}

/// One batch of jobs whose JSON is `bytes` long. No two are alike, so that nothing on their way can shrink them.
pub(crate) fn works(bytes: usize) -> Vec<Work> {
    let mut random = fastrand::Rng::with_seed(1);
    let letters = bytes - r#"{"text":""}"#.len();
    (0..BATCH).map(|_| Work { text: (0..letters).map(|_| random.alphanumeric()).collect() }).collect()
}

/// The same jobs as bytes that somebody else has made.
pub(crate) fn raw(works: &[Work]) -> Vec<Vec<u8>> {
    works.iter().map(|work| serde_json::to_vec(work).expect("a text is JSON")).collect()
}

/// The same job, its bytes given as they are.
pub(crate) fn raw_job(args: &[u8]) -> JobBuilder {
    JobBuilder::raw(Work::KIND, args.to_vec(), Codec::Json)
}

/// Hands out `jobs` jobs, in batches.
fn in_batches(
    batch: &[Work],
    jobs: usize,
    mut commit: impl FnMut(&[Work]) -> backlog::Result<Vec<Enqueued>>,
) -> backlog::Result<()> {
    let mut left = jobs;
    while left > 0 {
        let part = batch.get(..left).unwrap_or(batch);
        commit(part)?;
        left -= part.len();
    }
    Ok(())
}

/// Enqueues `jobs` jobs as fast as it goes.
pub(crate) fn fill(backlog: &Backlog, works: &[Work], jobs: usize) -> backlog::Result<()> {
    in_batches(works, jobs, |part| backlog.enqueue_many(part))
}

/// The same, each job with something more to say.
pub(crate) fn fill_with(
    backlog: &Backlog,
    works: &[Work],
    jobs: usize,
    mut say: impl FnMut(JobBuilder) -> JobBuilder,
) -> backlog::Result<()> {
    in_batches(works, jobs, |part| backlog.enqueue_all(part.iter().map(|work| say(JobBuilder::new(work)))))
}
