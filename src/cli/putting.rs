//! The verb that puts jobs in: one from the arguments, or one for each line of standard input.
//!
//! # Invariants
//! * A line counts as put in only when its commit was answered; an error names how many were.
//! * Lines that have come are not kept waiting for more.

use std::io::{BufRead, BufReader, Read};

use serde::Serialize;

use super::args::{Args, Enqueue, Lines};
use super::reach::{self, Target};
use super::show::Screen;
use super::trouble::{Ended, Trouble};
use crate::face::jobs::JobLine;
use crate::face::shape::AcceptedShape;
use crate::face::verbs::Act;
use crate::job::{Backoff, Codec};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::queue::{JobBuilder, Unique};

/// The kind and the queue of jobs that `backlog work` runs.
pub(super) const EXEC: &str = "exec";
/// Lines in one commit, count.
const BATCH_LINES: usize = 1_000;
/// Bytes of lines in one commit; on their way they may take twice as many.
const BATCH_BYTES: usize = 2 << 20;
/// One line, bytes: a job with the largest args that there may be, and more than is said beside them.
const LINE_BYTES_MAX: usize = 3 * PAYLOAD_BYTES_MAX;

/// What was put in.
#[derive(Debug, Default, Serialize)]
struct Sum {
    jobs: u64,
    new: u64,
    duplicate: u64,
    first_id: Option<u64>,
    last_id: Option<u64>,
}

impl Sum {
    fn add(&mut self, accepted: &AcceptedShape) {
        for job in &accepted.jobs {
            self.jobs += 1;
            if job.acceptance == "new" {
                self.new += 1;
            } else {
                self.duplicate += 1;
            }
            self.first_id.get_or_insert(job.id);
            self.last_id = Some(job.id);
        }
    }
}

pub(super) fn enqueue(args: &Args, screen: &mut Screen, what: &Enqueue) -> Ended {
    let single = what.args.as_deref().map(|text| one(what, text)).transpose()?;
    let target = reach::to_change(args, true)?;
    let mut sum = Sum::default();
    let put = match single {
        Some(job) => put(&target, vec![job], &mut sum),
        None => each_line(&target, what, &mut sum),
    };
    let way = target.way();
    let closed = target.close();
    if let Err(mut trouble) = put {
        trouble.message = format!("{} jobs are in, then: {}", sum.jobs, trouble.message);
        return Err(trouble);
    }
    closed?;
    screen.value(way, &sum)?;
    screen.line(&match (sum.first_id, sum.last_id) {
        (Some(first), Some(last)) if first != last => {
            format!("{} jobs, {} of them new: {first} to {last}", sum.jobs, sum.new)
        }
        (Some(id), _) if sum.new == 0 => format!("job {id} was there already"),
        (Some(id), _) => format!("job {id}"),
        (None, _) => "no jobs".to_owned(),
    })
}

fn one(what: &Enqueue, text: &str) -> Ended<JobLine> {
    if what.raw { job(what, text.as_bytes().to_vec(), Codec::Raw) } else { json(what, text.as_bytes()) }
}

fn json(what: &Enqueue, text: &[u8]) -> Ended<JobLine> {
    serde_json::from_slice::<&serde_json::value::RawValue>(text)
        .map_err(|e| Trouble::usage(format!("args are not JSON: {e}; --raw (or --lines raw) takes them as text")))?;
    job(what, text.to_vec(), Codec::Json)
}

fn job(what: &Enqueue, args: Vec<u8>, codec: Codec) -> Ended<JobLine> {
    let queue = what.queue.as_deref().unwrap_or(if what.kind == EXEC { EXEC } else { "default" });
    let mut job = JobBuilder::raw(&what.kind, args, codec).queue(queue);
    if let Some(priority) = what.priority {
        job = job.priority(priority);
    }
    if let Some(attempts) = what.max_attempts {
        job = job.max_attempts(attempts);
    }
    if let Some(delay) = what.delay {
        job = job.delay(delay);
    }
    if let Some(timeout) = what.timeout {
        job = job.timeout(timeout);
    }
    if let Some(delay) = what.backoff {
        job = job.backoff(Backoff::Fixed { delay });
    }
    if let Some(key) = &what.unique {
        job = job.unique(key.as_str());
    } else if what.unique_args {
        job = job.unique(Unique::by_args());
    }
    job = what.tag.iter().fold(job, JobBuilder::tag);
    Ok(JobLine::of(job)?)
}

fn put(target: &Target, jobs: Vec<JobLine>, sum: &mut Sum) -> Ended {
    if !jobs.is_empty() {
        sum.add(&target.act(Act::Enqueue { jobs })?);
    }
    Ok(())
}

fn each_line(target: &Target, what: &Enqueue, sum: &mut Sum) -> Ended {
    let mut from = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let (mut batch, mut bytes, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        let mut line = Vec::new();
        let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = from.by_ref().take(most).read_until(b'\n', &mut line)?;
        if read == 0 {
            return put(target, batch, sum);
        }
        number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() >= LINE_BYTES_MAX {
            put(target, batch, sum)?;
            return Err(Trouble::usage(format!("line {number} is longer than {LINE_BYTES_MAX} bytes")));
        }
        bytes += line.len();
        let made = match what.lines {
            Lines::Raw => job(what, line, Codec::Raw),
            Lines::Json => json(what, &line),
            Lines::Job => serde_json::from_slice(&line).map_err(|e| Trouble::usage(format!("not a job: {e}"))),
        };
        match made {
            Ok(made) => batch.push(made),
            Err(mut trouble) => {
                put(target, batch, sum)?;
                trouble.message = format!("line {number}: {}", trouble.message);
                return Err(trouble);
            }
        }
        let more_is_there = from.buffer().contains(&b'\n');
        if batch.len() >= BATCH_LINES || bytes >= BATCH_BYTES || !more_is_there {
            put(target, std::mem::take(&mut batch), sum)?;
            bytes = 0;
        }
    }
}
