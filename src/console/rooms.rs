//! What each page shows, gathered from the view.
//!
//! # Invariants
//! * Numbers from an address are bounded before anything is asked.
//! * Every page costs a bounded look at the jobs, but for those that count what fits a filter.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::change;
use super::guard::Door;
use super::pages::{
    Card, Confirm, Events, Fact, Failures, Frame, Group, Jobs, Lane, OneJob, Overview, Past, Queues, Row, Storage,
    page, page_but,
};
use super::query::escaped;
use super::service::{Asked, Inner};
use super::source::Reached;
use super::words::{When, count, indented, lines, plain, quoted, short, span};
use crate::clock::{Clock, RealClock};
use crate::error::{Error, ErrorKind};
use crate::face::look::PAGE_MAX;
use crate::face::shape::{
    ArgsShape, CountShape, FailureShape, JobShape, ListShape, PastShape, QueueShape, ShowShape, StatsShape, unhex,
};
use crate::face::verbs::Look;
use crate::ids::{Millis, Phase};
use crate::queue::Filter;

type Shown = Result<Answer, Refusal>;

/// Jobs on a page, count; and the most that may be asked for.
const ROWS: usize = 50;
const ROWS_MAX: usize = 500;
/// Groups, queues and ends on a page, count.
const GROUPS_MAX: usize = 200;
const LANES_MAX: usize = 500;
const ENDS_MAX: usize = 200;
/// Characters of a filter.
const FILTER_CHARS_MAX: usize = 2_000;

/// What a page needs to be made.
pub(super) struct Room<'a> {
    pub(super) inner: &'a Inner,
    pub(super) asked: &'a Asked<'a>,
    pub(super) reached: Reached,
    now_ms: u64,
}

pub(super) fn show(inner: &Inner, asked: &Asked<'_>) -> Shown {
    let room = Room::new(inner, asked)?;
    match asked.path {
        "/" => room.overview(),
        "/jobs" => room.jobs(),
        "/confirm" => room.confirm(),
        "/failures" => room.failures(),
        "/queues" => room.queues(),
        "/events" => room.events(),
        "/storage" => room.storage(None),
        path => match path.strip_prefix("/jobs/").map(str::parse) {
            Some(Ok(id)) => room.job(id),
            _ => Err(Refusal::not_found("there is no such page")),
        },
    }
}

/// The filter that was asked for, bounded.
pub(super) fn filter_of(text: &str) -> String {
    text.trim().chars().take(FILTER_CHARS_MAX).collect()
}

impl<'a> Room<'a> {
    pub(super) fn new(inner: &'a Inner, asked: &'a Asked<'a>) -> Result<Self, Refusal> {
        let reached = inner.source.reach()?;
        Ok(Self { inner, asked, reached, now_ms: Millis::from_system(inner.source.clock().now()).0 })
    }

    pub(super) fn clock(&self) -> &RealClock {
        self.inner.source.clock()
    }

    pub(super) fn can_change(&self) -> bool {
        !self.inner.read_only && self.reached.takes_changes()
    }

    fn see<T: serde::de::DeserializeOwned>(&self, what: Look) -> Result<T, Error> {
        self.reached.see(what, self.clock())
    }

    fn frame(&self, room: &'static str, title: impl Into<String>) -> Frame {
        Frame {
            base: self.inner.base.clone(),
            title: title.into(),
            room,
            csrf: self.asked.session.token.clone(),
            way: self.reached.way(),
            can_change: self.can_change(),
            read_only: self.inner.read_only,
            can_leave: matches!(self.inner.guard.door, Door::Locked { .. }),
            said: change::said(&self.asked.query),
            now: super::words::utc(self.now_ms),
        }
    }

    fn row(&self, job: &JobShape) -> Row {
        let at = job.run_at_ms.unwrap_or(job.created_at_ms);
        Row {
            id: job.id,
            kind: short(&job.kind, 60),
            queue: short(&job.queue, 40),
            state: if job.cancel_requested { "cancelling".to_owned() } else { job.state.clone() },
            attempts: format!("{}/{}", job.attempts, job.max_attempts),
            priority: job.priority,
            when: When::new(at, self.now_ms),
            trouble: short(job.trouble().unwrap_or_default().lines().next().unwrap_or_default(), 120),
        }
    }

    fn list(&self, filter: &str, after: Option<u64>, limit: usize) -> Result<ListShape, Error> {
        self.see(Look::List { filter: filter.to_owned(), after, limit })
    }

    /// A link to the jobs that fit.
    fn jobs_link(&self, filter: &str) -> String {
        format!("{}/jobs?q={}", self.inner.base, escaped(filter))
    }

    fn overview(&self) -> Shown {
        let stats: StatsShape = self.see(Look::Stats {})?;
        let running = self.list("state:in_flight", None, 10)?;
        let oldest = self.list("state:ready", None, 1)?.jobs.first().map(|job| job.created_at_ms);
        let total = &stats.total;
        let failed = total.dead + total.parked;
        let failing = Card {
            question: "Failing?",
            answer: if failed == 0 { "No".to_owned() } else { format!("{} failed", count(failed)) },
            more: format!("{} dead, {} parked", count(total.dead), count(total.parked)),
            mood: if failed == 0 { "good" } else { "bad" },
            link: format!("{}/failures", self.inner.base),
        };
        let oldest_ago = oldest.map(|at| span(self.now_ms.saturating_sub(at)));
        let late = Card {
            question: "Late?",
            answer: if total.ready == 0 { "No".to_owned() } else { format!("{} waiting", count(total.ready)) },
            more: match oldest_ago {
                Some(ago) => format!("the first of them was enqueued {ago} ago"),
                None => "nothing waits to be started".to_owned(),
            },
            mood: match oldest.map(|at| self.now_ms.saturating_sub(at)) {
                Some(300_000..) => "warn",
                Some(_) => "calm",
                None => "good",
            },
            link: self.jobs_link("state:ready"),
        };
        let idle = total.in_flight == 0 && total.ready > 0;
        let working = Card {
            question: "Working?",
            answer: match (total.in_flight, idle) {
                (0, true) => "Nothing runs".to_owned(),
                (0, false) => "Nothing to do".to_owned(),
                (n, _) => format!("{} running", count(n)),
            },
            more: match (self.reached.takes_changes(), idle) {
                (false, _) => "no program has this backlog open".to_owned(),
                (true, true) => "jobs wait, and no worker takes them".to_owned(),
                (true, false) => "the backlog is open".to_owned(),
            },
            mood: if idle { "warn" } else { "calm" },
            link: self.jobs_link("state:in_flight"),
        };
        let disk = match self.reached.takes_changes().then(|| self.see::<Value>(Look::Health {})) {
            None => ("As it lies", "looked at, not touched".to_owned(), "calm"),
            Some(Ok(_)) => ("Fine", "no write has failed".to_owned(), "good"),
            Some(Err(e)) => ("Failed", short(&e.to_string(), 200), "bad"),
        };
        let disk = Card {
            question: "Disk?",
            answer: disk.0.to_owned(),
            more: disk.1,
            mood: disk.2,
            link: format!("{}/storage", self.inner.base),
        };
        let paused = stats.queues.iter().filter(|(_, queue)| queue.paused).map(|(name, _)| short(name, 60));
        let paused = paused.chain(stats.paused_kinds.iter().map(|kind| format!("kind {}", short(kind, 60))));
        page(&Overview {
            f: self.frame("/", "Overview"),
            cards: vec![failing, late, working, disk],
            states: by_state(total).into_iter().map(|(state, word, n)| (state, word, count(n))).collect(),
            ended: [
                ("enqueued", stats.enqueued),
                ("completed", stats.completed),
                ("cancelled", stats.cancelled),
                ("expired", stats.expired),
                ("discarded", stats.discarded),
                ("pruned", stats.pruned),
            ]
            .map(|(word, n)| (word, count(n)))
            .into(),
            running: running.jobs.iter().map(|job| self.row(job)).collect(),
            paused: paused.take(LANES_MAX).collect(),
        })
    }

    fn jobs(&self) -> Shown {
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
    fn confirm(&self) -> Shown {
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

    fn job(&self, id: u64) -> Shown {
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

    fn failures(&self) -> Shown {
        let filter = filter_of(self.asked.query.text("q"));
        let found: Result<Vec<FailureShape>, Error> = self.see(Look::Failures { filter: filter.clone() });
        let (found, wrong) = match found {
            Ok(found) => (found, String::new()),
            Err(e) if e.kind() == ErrorKind::Invalid => (Vec::new(), plain(&e.to_string())),
            Err(e) => return Err(e.into()),
        };
        let groups = found.iter().take(GROUPS_MAX).map(|group| {
            let alike = alike(group);
            let state = if group.dead > 0 { "dead" } else { "parked" };
            let retry = escaped(&format!("{alike} state:{state}"));
            let retry = format!("{}/confirm?do=retry&q={retry}", self.inner.base);
            Group {
                kind: short(&group.kind, 60),
                error: if group.error.is_empty() { "(no error text)".to_owned() } else { short(&group.error, 200) },
                dead: count(group.dead),
                parked: count(group.parked),
                retrying: count(group.retrying),
                last: group.last_id,
                link: self.jobs_link(&alike),
                retry: if group.dead + group.parked > 0 { retry } else { String::new() },
            }
        });
        let more = found.len().saturating_sub(GROUPS_MAX);
        let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        page_but(
            status,
            &Failures {
                f: self.frame("/failures", "Failures"),
                groups: groups.collect(),
                more: if more == 0 { String::new() } else { count(u64::try_from(more).unwrap_or(u64::MAX)) },
                filter,
                wrong,
            },
        )
    }

    fn queues(&self) -> Shown {
        let stats: StatsShape = self.see(Look::Stats {})?;
        // The first ready jobs of all: what queue is not among them has younger ones only.
        let first = self.list("state:ready", None, PAGE_MAX)?.jobs;
        let last = first.last().filter(|_| first.len() == PAGE_MAX).map(|job| job.created_at_ms);
        let mut oldest: BTreeMap<&str, u64> = BTreeMap::new();
        for job in &first {
            oldest.entry(&job.queue).or_insert(job.created_at_ms);
        }
        let ago = |at: u64| span(self.now_ms.saturating_sub(at));
        let lanes = stats.queues.iter().take(LANES_MAX).map(|(name, queue)| Lane {
            name: short(name, 100),
            exact: name.clone(),
            link: self.jobs_link(&format!("queue:{}", quoted(name))),
            paused: queue.paused,
            counts: by_state(queue)
                .map(|(state, word, n)| (word, n, self.jobs_link(&format!("queue:{} state:{state}", quoted(name)))))
                .into(),
            oldest: match (oldest.get(name.as_str()), last) {
                (Some(at), _) => ago(*at),
                (None, Some(last)) if queue.ready > 0 => format!("less than {}", ago(last)),
                _ => String::new(),
            },
        });
        page(&Queues {
            f: self.frame("/queues", "Queues"),
            lanes: lanes.collect(),
            kinds: stats.paused_kinds.iter().map(|kind| (short(kind, 100), kind.clone())).collect(),
        })
    }

    fn events(&self) -> Shown {
        let found: Result<Vec<PastShape>, Error> = self.see(Look::History { limit: ENDS_MAX });
        let past = match found {
            Ok(past) => Some(past),
            Err(e) if e.kind() == ErrorKind::Closed => None,
            Err(e) => return Err(e.into()),
        };
        let past = past.map(|past| {
            let one = |job: &PastShape| Past {
                id: job.id,
                how: job.how.clone(),
                kind: short(&job.kind, 60),
                queue: short(&job.queue, 40),
                attempts: job.attempts,
                took: job.took_ms.map(span).unwrap_or_default(),
                when: When::new(job.ended_at_ms, self.now_ms),
            };
            past.iter().map(one).collect()
        });
        page(&Events { f: self.frame("/events", "Events"), past })
    }

    /// With what a check of everything found, if one was asked for.
    pub(super) fn storage(&self, checked: Option<&Value>) -> Shown {
        let number = |name: &str| checked.and_then(|found| found.get(name)).and_then(Value::as_u64).map(count);
        let facts = ["segments", "frames", "records", "bytes"];
        let facts = facts.iter().filter_map(|name| number(name).map(|n| ((*name).to_owned(), n))).collect();
        let damage = checked.and_then(|found| found.get("damage")).and_then(Value::as_array);
        let damage = damage.map(|all| all.iter().filter_map(Value::as_str).map(plain).collect()).unwrap_or_default();
        page(&Storage { f: self.frame("/storage", "Storage"), facts, damage, checked: checked.is_some() })
    }
}

/// State, the word for it, how many.
fn by_state(queue: &QueueShape) -> [(&'static str, &'static str, u64); 6] {
    [
        ("ready", "ready", queue.ready),
        ("scheduled", "scheduled", queue.scheduled),
        ("in_flight", "in flight", queue.in_flight),
        ("held", "held", queue.held),
        ("parked", "parked", queue.parked),
        ("dead", "dead", queue.dead),
    ]
}

/// The filter that comes nearest to a group: numbers stand as `#` there, so the longest piece between them is looked for.
fn alike(group: &FailureShape) -> String {
    let kind = format!("kind:{}", quoted(&group.kind));
    match group.error.split('#').map(str::trim).max_by_key(|piece| piece.len()) {
        Some(piece) if !piece.is_empty() => format!("{kind} error:{}", quoted(piece)),
        _ => kind,
    }
}
