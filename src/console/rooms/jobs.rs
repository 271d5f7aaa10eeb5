//! Jobs, one job, and how many a change would meet.

use http::StatusCode;

use super::super::answer::Refusal;
use super::super::change;
use super::super::pages::{Confirm, Fact, Jobs, OneJob, page, page_but};
use super::super::words::{When, count, indented, lines, plain, short};
use super::{ROWS, ROWS_MAX, Room, Shown, filter_of};
use crate::clock::Clock;
use crate::error::ErrorKind;
use crate::face::shape::{ArgsShape, CountShape, JobShape, ListShape, ShowShape, unhex};
use crate::face::verbs::Look;
use crate::ids::Phase;
use crate::queue::Filter;

impl Room<'_> {
    pub(super) fn jobs(&self) -> Shown {
        let filter = filter_of(self.asked.query.text("q"));
        let limit = self.asked.query.number("n").unwrap_or(ROWS).clamp(1, ROWS_MAX);
        let found = self.list(&filter, self.asked.query.number("after"), limit);
        let (found, wrong) = match found {
            Ok(found) => (found, String::new()),
            Err(e) if e.kind() == ErrorKind::Invalid => {
                (ListShape { jobs: Vec::new(), next_after: None }, plain(&e.to_string()))
            }
            Err(e) => return Err(e.into()),
        };
        let link = self.jobs_link(&filter);
        let size = if limit == ROWS { String::new() } else { format!("&n={limit}") };
        let states = Phase::ALL.map(|phase| {
            let word = format!("state:{}", phase.as_str());
            (phase.as_str(), self.jobs_link(&word), filter == word)
        });
        let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        page_but(
            status,
            &Jobs {
                f: self.frame("/jobs", "Jobs"),
                rows: found.jobs.iter().map(|job| self.row(job)).collect(),
                next: found.next_after.map(|after| format!("{link}{size}&after={after}")).unwrap_or_default(),
                first: if self.asked.query.get("after").is_some() { format!("{link}{size}") } else { String::new() },
                states: states.into(),
                filter,
                wrong,
            },
        )
    }

    /// Says how many jobs a change would meet, before it is made.
    pub(super) fn confirm(&self) -> Shown {
        let query = &self.asked.query;
        let wish = change::Wish::read(query)?;
        let filter = wish.narrowed(&filter_of(query.text("q")));
        let _ = Filter::parse(&filter, self.clock().now())?;
        let matched: CountShape = self.see(Look::Count { filter: filter.clone() })?;
        let some = self.list(&filter, None, 10)?;
        page(&Confirm {
            f: self.frame("/jobs", "Change jobs"),
            verb: wish.word(),
            sentence: plain(&wish.sentence()),
            matched: matched.jobs,
            to: query.text("to").to_owned(),
            priority: query.text("priority").to_owned(),
            rows: some.jobs.iter().map(|job| self.row(job)).collect(),
            shown: count(matched.jobs),
            filter,
        })
    }

    pub(super) fn job(&self, id: u64) -> Shown {
        let found: ShowShape = self.see(Look::Show { id })?;
        let Some(job) = found.job else {
            let text = match found.status.as_str() {
                "finished" => "This job has ended. The Events page shows the last ones.",
                "lost" => "This number was never given to a job that was kept.",
                _ => "No job has had this number yet.",
            };
            return self.gone(id, text);
        };
        let errors = job.errors.iter().enumerate().rev();
        let progress = found.progress;
        page(&OneJob {
            f: self.frame("/jobs", format!("Job {id}")),
            id,
            kind: short(&job.kind, 300),
            state: if job.cancel_requested { "cancelling".to_owned() } else { job.state.clone() },
            facts: self.facts(&job),
            tags: job.tags.iter().map(|tag| plain(tag)).collect(),
            metadata: job.metadata.iter().map(|(key, value)| (plain(key), lines(value))).collect(),
            reason: lines(job.reason.as_deref().unwrap_or_default()),
            errors: errors.map(|(nth, error)| (nth + 1, lines(error))).collect(),
            args: found.args.map(|args| self.args(&job.kind, &args)).unwrap_or_default(),
            percent: progress.as_ref().map(|progress| progress.percent.min(100)),
            progress: progress.map(|progress| plain(&progress.text)).unwrap_or_default(),
            can_retry: matches!(job.state.as_str(), "dead" | "parked" | "scheduled"),
            is_held: job.state == "held",
            can_move: job.state != "in_flight",
            queue: job.queue,
            priority: job.priority,
        })
    }

    /// A job that is not there: a page with a word about the change before, if there was one.
    fn gone(&self, id: u64, text: &str) -> Shown {
        let said = change::said(&self.asked.query);
        let (status, text) = if said.is_empty() {
            (StatusCode::NOT_FOUND, format!("Job {id}: {text}"))
        } else {
            (StatusCode::OK, format!("{said} Job {id}: {text}"))
        };
        Err(Refusal::new(status, text))
    }

    fn facts(&self, job: &JobShape) -> Vec<Fact> {
        let fact = |name, value: String| Fact { name, value, hint: String::new() };
        let time = |name, at: u64| {
            let when = When::new(at, self.now_ms);
            Fact { name, value: when.ago, hint: when.at }
        };
        let mut facts = vec![
            fact("queue", plain(&job.queue)),
            fact("priority", job.priority.to_string()),
            fact("attempts", format!("{} of {}", job.attempts, job.max_attempts)),
            time("enqueued", job.created_at_ms),
        ];
        facts.extend(job.run_at_ms.map(|at| time("runs", at)));
        facts.extend(job.expires_at_ms.map(|at| time("expires", at)));
        facts.extend((job.crashes > 0).then(|| fact("crashes of its process", job.crashes.to_string())));
        facts.extend(job.unique.as_deref().map(|key| fact("unique key", plain(key))));
        facts.extend(job.limit_key.as_deref().map(|key| fact("limit key", plain(key))));
        facts.extend(job.group.map(|group| fact("group", group.to_string())));
        facts
    }

    /// Args as text: JSON made readable, bytes as text if they are one.
    fn args(&self, kind: &str, args: &ArgsShape) -> String {
        let text = match (&args.args, &args.args_hex) {
            (Some(json), _) => indented(json.get()),
            (None, Some(hex)) => {
                let bytes = unhex(hex).and_then(|bytes| String::from_utf8(bytes).ok());
                bytes.unwrap_or_else(|| format!("bytes: {hex}"))
            }
            (None, None) => String::new(),
        };
        lines(&self.inner.redact.as_ref().map_or_else(|| text.clone(), |redact| redact(kind, &text)))
    }
}
