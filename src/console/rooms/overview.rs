//! The first page: four questions that a person has at a bad hour, and what runs.

use serde_json::Value;

use super::super::pages::{Card, Overview, page};
use super::super::words::{count, short, span};
use super::{LANES_MAX, Room, Shown, by_state};
use crate::face::shape::{QueueShape, StatsShape};
use crate::face::verbs::Look;

impl Room<'_> {
    pub(super) fn overview(&self) -> Shown {
        let stats: StatsShape = self.see(Look::Stats {})?;
        let running = self.list("state:in_flight", None, 10)?;
        let oldest = self.list("state:ready", None, 1)?.jobs.first().map(|job| job.created_at_ms);
        let total = &stats.total;
        let paused = stats.queues.iter().filter(|(_, queue)| queue.paused).map(|(name, _)| short(name, 60));
        let paused = paused.chain(stats.paused_kinds.iter().map(|kind| format!("kind {}", short(kind, 60))));
        page(&Overview {
            f: self.frame("/", "Overview"),
            cards: vec![self.failing(total), self.late(total, oldest), self.working(total), self.disk()],
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

    fn failing(&self, total: &QueueShape) -> Card {
        let failed = total.dead + total.parked;
        Card {
            question: "Failing?",
            answer: if failed == 0 { "No".to_owned() } else { format!("{} failed", count(failed)) },
            more: format!("{} dead, {} parked", count(total.dead), count(total.parked)),
            mood: if failed == 0 { "good" } else { "bad" },
            link: format!("{}/failures", self.inner.base),
        }
    }

    fn late(&self, total: &QueueShape, oldest: Option<u64>) -> Card {
        let oldest_ago = oldest.map(|at| span(self.now_ms.saturating_sub(at)));
        Card {
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
        }
    }

    fn working(&self, total: &QueueShape) -> Card {
        let idle = total.in_flight == 0 && total.ready > 0;
        Card {
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
        }
    }

    fn disk(&self) -> Card {
        let disk = match self.reached.takes_changes().then(|| self.see::<Value>(Look::Health {})) {
            None => ("As it lies", "looked at, not touched".to_owned(), "calm"),
            Some(Ok(_)) => ("Fine", "no write has failed".to_owned(), "good"),
            Some(Err(e)) => ("Failed", short(&e.to_string(), 200), "bad"),
        };
        Card {
            question: "Disk?",
            answer: disk.0.to_owned(),
            more: disk.1,
            mood: disk.2,
            link: format!("{}/storage", self.inner.base),
        }
    }
}
