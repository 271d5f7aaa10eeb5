//! What stands in a bench, and assertions that say what was expected and what is there instead.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::Bench;
use super::faults::FILLER;
use crate::engine::JobInfo;
use crate::ids::Phase;
use crate::job::{Codec, Envelope};
use crate::queue::{Job, parse_args};

/// Jobs shown in a message at most.
const SHOWN_MAX: usize = 20;
/// Characters of a job's args shown.
const ARGS_SHOWN: usize = 200;

/// A job that waits, with its args.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnqueuedJob<J> {
    /// All about it but the args.
    pub info: JobInfo,
    /// The args.
    pub args: J,
}

/// Jobs of `J` that wait and fit what was asked so far; never none. Each further question takes out those that do not
/// fit, and panics if that leaves none, with what was expected and what stands there. Made by
/// [`Bench::assert_enqueued`].
///
/// Such a message shows args: keep real data out of tests.
#[derive(Debug)]
pub struct Standing<'b, J> {
    bench: &'b Bench,
    jobs: Vec<EnqueuedJob<J>>,
    expected: String,
}

impl Bench {
    /// There is a job of `J` that waits (held, scheduled, ready; a failed one that is to be tried again too). More can be
    /// asked of it:
    ///
    /// ```
    /// # use backlog::testing;
    /// # use backlog::Job;
    /// # use std::time::Duration;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge { sale: u64 }
    /// # impl Job for Charge { const KIND: &'static str = "charge"; }
    /// let bench = testing::backlog();
    /// bench.job(&Charge { sale: 7 }).queue("billing").delay(Duration::from_secs(60)).enqueue()?;
    ///
    /// bench.assert_enqueued::<Charge>()
    ///     .args(|job| job.sale == 7)
    ///     .queue("billing")
    ///     .at(bench.now() + Duration::from_secs(60))
    ///     .count(1);
    /// # Ok::<(), backlog::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is none; the message lists the jobs that stand there. Also if args of that kind do not parse.
    #[track_caller]
    pub fn assert_enqueued<J: Job + DeserializeOwned>(&self) -> Standing<'_, J> {
        let standing = Standing { bench: self, jobs: self.waiting(), expected: format!("a job of kind={:?}", J::KIND) };
        standing.narrowed("", |_| true)
    }

    /// No job of `J` waits.
    ///
    /// # Panics
    /// If one does; the message lists what stands there.
    #[track_caller]
    pub fn assert_not_enqueued<J: Job + DeserializeOwned>(&self) {
        self.assert_not_enqueued_with::<J>(|_| true);
    }

    /// No job of `J` waits whose args are so.
    ///
    /// # Panics
    /// If one does; the message lists what stands there.
    #[track_caller]
    pub fn assert_not_enqueued_with<J: Job + DeserializeOwned>(&self, so: impl Fn(&J) -> bool) {
        let found = self.waiting::<J>().iter().filter(|job| so(&job.args)).count();
        assert!(found == 0, "expected no such job of kind={:?}, but found={found}\n{}", J::KIND, self.picture());
    }

    /// The args of all jobs of `J` that wait, in the order they came.
    ///
    /// # Panics
    /// If args of that kind do not parse, or the backlog cannot be read.
    #[track_caller]
    pub fn enqueued<J: Job + DeserializeOwned>(&self) -> Vec<J> {
        self.waiting().into_iter().map(|job| job.args).collect()
    }

    #[track_caller]
    fn waiting<J: Job + DeserializeOwned>(&self) -> Vec<EnqueuedJob<J>> {
        let mut found = Vec::new();
        for (id, envelope, args) in self.stands() {
            let ours = envelope.kind == J::KIND || J::ALIASES.contains(&envelope.kind.as_str());
            let waits = matches!(envelope.state.phase(), Phase::Held | Phase::Scheduled | Phase::Ready);
            if ours && waits {
                let args = parse_args(&envelope.kind, envelope.codec, &args)
                    .unwrap_or_else(|e| panic!("job {id}: {e}\n{}", self.picture()));
                found.push(EnqueuedJob { info: self.backlog.info_of(id, &envelope), args });
            }
        }
        found
    }

    #[track_caller]
    fn stands(&self) -> Vec<(crate::ids::JobId, Envelope, Vec<u8>)> {
        let mut jobs = self.backlog.standing().unwrap_or_else(|e| panic!("the backlog cannot be read: {e}"));
        jobs.retain(|(_, envelope, _)| envelope.kind != FILLER);
        jobs
    }

    /// What stands there, for people.
    #[track_caller]
    fn picture(&self) -> String {
        let jobs = self.stands();
        let mut text = format!("there stand jobs={}", jobs.len());
        for (id, envelope, args) in jobs.iter().take(SHOWN_MAX) {
            let info = self.backlog.info_of(*id, envelope);
            // Writing into a String cannot fail.
            let _ = write!(text, "\n  job {id} {:?} queue={:?} {}", info.kind, info.queue, self.stand_of(&info));
            let _ = write!(text, " args={}", shown(envelope.codec, args));
        }
        if jobs.len() > SHOWN_MAX {
            let _ = write!(text, "\n  and {} more", jobs.len() - SHOWN_MAX);
        }
        text
    }

    fn stand_of(&self, info: &JobInfo) -> String {
        info.run_at.map_or_else(|| info.phase.as_str().to_owned(), |at| format!("scheduled {}", self.moment(at)))
    }

    /// Seconds from now, which say more than a date does.
    fn moment(&self, at: SystemTime) -> String {
        match at.duration_since(self.now()) {
            Ok(ahead) => format!("at now+{:.3}s", ahead.as_secs_f64()),
            Err(behind) => format!("at now-{:.3}s", behind.duration().as_secs_f64()),
        }
    }
}

#[allow(clippy::return_self_not_must_use, reason = "each question asserts by itself")]
impl<J> Standing<'_, J> {
    /// Those whose args are so.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn args(self, so: impl Fn(&J) -> bool) -> Self {
        self.narrowed(" with args as asked for", |job| so(&job.args))
    }

    /// Those in this queue.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn queue(self, name: &str) -> Self {
        self.narrowed(&format!(" queue={name:?}"), |job| job.info.queue == name)
    }

    /// Those with this priority.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn priority(self, priority: i16) -> Self {
        self.narrowed(&format!(" priority={priority}"), |job| job.info.priority == priority)
    }

    /// Those that become ready at this moment, which is counted in whole milliseconds. Ready ones are not among them.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn at(self, time: SystemTime) -> Self {
        let moment = format!(" scheduled {}", self.bench.moment(time));
        self.narrowed(&moment, |job| {
            job.info.run_at.is_some_and(|at| {
                let apart = at.duration_since(time).or_else(|_| time.duration_since(at));
                apart.is_ok_and(|apart| apart < Duration::from_millis(1))
            })
        })
    }

    /// Those of which this is true: anything else that is known of a job.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn which(self, so: impl Fn(&JobInfo) -> bool) -> Self {
        self.narrowed(" as asked for", |job| so(&job.info))
    }

    /// There are so many of them.
    ///
    /// # Panics
    /// If there are more, or fewer.
    #[track_caller]
    pub fn count(self, n: usize) -> Self {
        let found = self.jobs.len();
        assert!(found == n, "expected {n} × {}, but found={found}\n{}", self.expected, self.bench.picture());
        self
    }

    /// They themselves, in the order they came.
    pub fn jobs(&self) -> &[EnqueuedJob<J>] {
        &self.jobs
    }

    #[track_caller]
    fn narrowed(mut self, expected: &str, so: impl Fn(&EnqueuedJob<J>) -> bool) -> Self {
        self.expected.push_str(expected);
        self.jobs.retain(so);
        assert!(!self.jobs.is_empty(), "expected {}, but there is none\n{}", self.expected, self.bench.picture());
        self
    }
}

fn shown(codec: Codec, args: &[u8]) -> String {
    match (codec, std::str::from_utf8(args)) {
        (Codec::Json, Ok(text)) if text.chars().count() <= ARGS_SHOWN => text.to_owned(),
        (Codec::Json, Ok(text)) => format!("{}…", text.chars().take(ARGS_SHOWN).collect::<String>()),
        _ => format!("{} bytes", args.len()),
    }
}
