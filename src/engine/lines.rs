//! Who may be granted from where: the lanes of each queue, and which of them are open now (rule 21).
//!
//! A queue has a lane for its jobs without a limit key and one for each key. A lane with a key stands in `heads` by its
//! best job while it has one and its limits let it start; one that is shut stands nowhere, and comes back when a job of
//! it ends or its bucket has a token. So a claim looks at open lanes only, however many are shut.
//!
//! # Invariants
//! * A shadow of the index and its cells: made anew at each open, brought forward by what the index says was touched.
//! * Every lane with a key that has a ready job is in `heads`, or shut: by its own count, or in `shut_until`.
//!
//! Never here: what is logged of a grant (`claim`), arithmetic of buckets (`limits`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ids::{JobId, Millis, Phase};
use crate::index::{Index, LaneId, Pick};
use crate::job::{CellRecord, namespace};

use super::limits::{Limits, Rate};

/// The place of a lane's best job in line.
type Head = (Reverse<i16>, JobId, LaneId);

#[derive(Debug, Default)]
pub(super) struct Lines {
    by_queue: BTreeMap<Arc<str>, Line>,
    keyed: HashMap<LaneId, Keyed>,
    /// Lanes of the index that are known here.
    known: usize,
    /// Shut for want of a token, and until when; ns since 1970.
    shut_until: BTreeSet<(u64, LaneId)>,
    /// When a claim that was refused for want of a token should be tried again.
    alarm: Option<u64>,
    any_limit: bool,
}

#[derive(Debug, Default)]
struct Line {
    plain: Option<LaneId>,
    heads: BTreeSet<Head>,
    /// Jobs with a key that run.
    in_flight: u64,
    limits: Limits,
}

#[derive(Debug)]
struct Keyed {
    queue: Arc<str>,
    head: Option<Head>,
    in_flight: u64,
}

/// A bucket that tokens are taken from, and what it says then.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    key: String,
    value: [u8; 8],
    /// Full again: from then on the cell says nothing.
    until: Millis,
}

impl Taken {
    pub(super) fn record(&self) -> CellRecord<'_> {
        let (key, value) = (self.key.as_bytes(), Some(&self.value[..]));
        CellRecord { namespace: namespace::BUCKET, key, value, until: Some(self.until), carried: false }
    }
}

/// A lane's queue.
pub(super) fn queue_of(lane: &str) -> &str {
    lane.split('\0').next().unwrap_or(lane)
}

fn full_at(index: &Index, key: &str) -> Option<u64> {
    let value = index.cell(namespace::BUCKET, key.as_bytes())?.value?;
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

fn count(index: &Index, lane: LaneId, of: Phase) -> u64 {
    let slot = Phase::ALL.iter().position(|phase| *phase == of);
    slot.and_then(|slot| index.counts(lane).get(slot).copied()).unwrap_or_default()
}

fn free(limit: Option<u32>, in_flight: u64) -> usize {
    limit.map_or(usize::MAX, |limit| usize::try_from(u64::from(limit).saturating_sub(in_flight)).unwrap_or(usize::MAX))
}

fn tokens(index: &Index, lane: LaneId, rate: Rate, now: u64, shut: &mut Vec<(u64, LaneId)>) -> usize {
    let full_at = full_at(index, index.lane_name(lane));
    let tokens = rate.tokens(full_at, now);
    if tokens == 0 {
        shut.push((rate.next_at(full_at, now), lane));
    }
    tokens
}

impl Lines {
    /// The limits of a queue, from now on.
    pub(super) fn set_limits(&mut self, queue: &str, limits: Limits) {
        self.by_queue.entry(queue.into()).or_default().limits = limits;
        self.any_limit = true;
        // Every lane is looked at again.
        (self.known, self.keyed) = (0, HashMap::new());
        self.shut_until.clear();
        for line in self.by_queue.values_mut() {
            line.heads.clear();
            line.in_flight = 0;
        }
    }

    pub(super) fn any_limit(&self) -> bool {
        self.any_limit
    }

    /// Every queue that has or had jobs, by name.
    pub(super) fn queues(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_queue.keys()
    }

    /// When somebody who found nothing should look again, ns since 1970.
    pub(super) fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    pub(super) fn forget_alarm(&mut self) {
        self.alarm = None;
    }

    /// Catches up with the index.
    pub(super) fn refresh(&mut self, index: &mut Index, now: u64) {
        let mut touched = index.take_touched();
        if self.known < index.lane_count() {
            for (lane, name) in index.lanes().skip(self.known) {
                let queue: Arc<str> = queue_of(name).into();
                if queue.len() == name.len() {
                    self.by_queue.entry(queue).or_default().plain = Some(lane);
                } else {
                    self.by_queue.entry(Arc::clone(&queue)).or_default();
                    self.keyed.insert(lane, Keyed { queue, head: None, in_flight: 0 });
                    touched.push(lane);
                }
            }
            self.known = index.lane_count();
        }
        while let Some(&(until, lane)) = self.shut_until.first()
            && until <= now
        {
            self.shut_until.pop_first();
            touched.push(lane);
        }
        for lane in touched {
            self.update(index, lane);
        }
    }

    fn update(&mut self, index: &Index, lane: LaneId) {
        let Some(keyed) = self.keyed.get_mut(&lane) else { return };
        let Some(line) = self.by_queue.get_mut(&keyed.queue) else { return };
        let in_flight = count(index, lane, Phase::InFlight);
        line.in_flight = (line.in_flight + in_flight).saturating_sub(keyed.in_flight);
        keyed.in_flight = in_flight;
        if let Some(old) = keyed.head.take() {
            line.heads.remove(&old);
        }
        let best = index.pick_ready(lane, 1, &|_| true).pop();
        if let Some(best) = best
            && free(line.limits.key_concurrency, in_flight) > 0
        {
            let head = (Reverse(best.priority), best.id, lane);
            keyed.head = Some(head);
            line.heads.insert(head);
        }
    }

    /// The best jobs of a queue that may start now, at most `n`, best first. Call [`refresh`](Self::refresh) before.
    pub(super) fn pick(
        &mut self,
        queue: &str,
        n: usize,
        index: &Index,
        reached: &dyn Fn(JobId) -> bool,
        now: u64,
    ) -> Vec<(LaneId, Pick)> {
        let Some(line) = self.by_queue.get(queue) else { return Vec::new() };
        let running = line.in_flight + line.plain.map_or(0, |plain| count(index, plain, Phase::InFlight));
        let mut n = n.min(planted!(QueueLimitIgnored, usize::MAX, free(line.limits.concurrency, running)));
        if let Some(rate) = line.limits.rate {
            let full_at = full_at(index, queue);
            n = n.min(rate.tokens(full_at, now));
            if n == 0 {
                let waits = line.plain.is_some_and(|plain| count(index, plain, Phase::Ready) > 0);
                if waits || !line.heads.is_empty() {
                    self.ring_at(rate.next_at(full_at, now));
                }
                return Vec::new();
            }
        }
        if n == 0 {
            return Vec::new();
        }
        let of_lane = |lane, n| index.pick_ready(lane, n, reached).into_iter().map(move |pick| (lane, pick));
        let mut picks: Vec<(LaneId, Pick)> = line.plain.map_or(Vec::new(), |plain| of_lane(plain, n).collect());
        if line.heads.is_empty() {
            return picks;
        }
        let (mut lanes, mut shut) = (0, Vec::new());
        for (_, _, lane) in &line.heads {
            if lanes == n {
                break;
            }
            let tokens = line.limits.key_rate.map_or(usize::MAX, |rate| tokens(index, *lane, rate, now, &mut shut));
            let running = self.keyed.get(lane).map_or(0, |keyed| keyed.in_flight);
            let allowed = free(planted!(KeyLimitIgnored, None, line.limits.key_concurrency), running).min(tokens);
            let before = picks.len();
            picks.extend(of_lane(*lane, n.min(allowed)));
            // The best n of all stand in the n lanes with the best heads.
            lanes += usize::from(picks.len() > before);
        }
        picks.sort_unstable_by_key(|(_, pick)| (Reverse(pick.priority), pick.id));
        picks.truncate(n);
        self.shut(shut);
        picks
    }

    fn shut(&mut self, lanes: Vec<(u64, LaneId)>) {
        for (until, lane) in lanes {
            let Some(keyed) = self.keyed.get_mut(&lane) else { continue };
            if let (Some(head), Some(line)) = (keyed.head.take(), self.by_queue.get_mut(&keyed.queue)) {
                line.heads.remove(&head);
            }
            self.shut_until.insert((until, lane));
        }
        if let Some(&(until, _)) = self.shut_until.first() {
            self.ring_at(until);
        }
    }

    fn ring_at(&mut self, at: u64) {
        self.alarm = Some(self.alarm.map_or(at, |alarm| alarm.min(at)));
    }

    /// The buckets that a grant of these takes tokens from, as they stand then.
    pub(super) fn take_tokens(&self, index: &Index, runs: &[(LaneId, Vec<Pick>)], now: u64) -> Vec<Taken> {
        if !self.any_limit {
            return Vec::new();
        }
        let mut wanted: BTreeMap<String, (Rate, usize)> = BTreeMap::new();
        for (lane, picks) in runs {
            let name = index.lane_name(*lane);
            let queue = queue_of(name);
            let Some(limits) = self.by_queue.get(queue).map(|line| line.limits) else { continue };
            let by_key = limits.key_rate.filter(|_| queue.len() < name.len()).map(|rate| (name, rate));
            for (key, rate) in by_key.into_iter().chain(limits.rate.map(|rate| (queue, rate))) {
                wanted.entry(key.to_owned()).or_insert((rate, 0)).1 += picks.len();
            }
        }
        let taken = |(key, (rate, tokens)): (String, (Rate, usize))| {
            let full_at = rate.taken(full_at(index, &key), now, tokens);
            Taken { key, value: full_at.to_be_bytes(), until: Millis((full_at / 1_000_000).saturating_add(1)) }
        };
        wanted.into_iter().map(taken).collect()
    }
}
