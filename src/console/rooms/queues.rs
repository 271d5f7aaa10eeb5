//! Queues, what ended, and the storage.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::pages::{Events, Lane, Past, Queues, Storage, page};
use super::super::words::{When, count, plain, quoted, short, span};
use super::{ENDS_MAX, LANES_MAX, Room, Shown, by_state};
use crate::error::{Error, ErrorKind};
use crate::face::look::PAGE_MAX;
use crate::face::shape::{PastShape, StatsShape};
use crate::face::verbs::Look;

impl Room<'_> {
    pub(super) fn queues(&self) -> Shown {
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

    pub(super) fn events(&self) -> Shown {
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
    pub(in super::super) fn storage(&self, checked: Option<&Value>) -> Shown {
        let number = |name: &str| checked.and_then(|found| found.get(name)).and_then(Value::as_u64).map(count);
        let facts = ["segments", "frames", "records", "bytes"];
        let facts = facts.iter().filter_map(|name| number(name).map(|n| ((*name).to_owned(), n))).collect();
        let damage = checked.and_then(|found| found.get("damage")).and_then(Value::as_array);
        let damage = damage.map(|all| all.iter().filter_map(Value::as_str).map(plain).collect()).unwrap_or_default();
        page(&Storage { f: self.frame("/storage", "Storage"), facts, damage, checked: checked.is_some() })
    }
}
