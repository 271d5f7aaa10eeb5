//! What is measured, in what unit, and against which floor.

use std::collections::BTreeMap;

use crate::common::median;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Jobs per second.
    Rate,
    Ms,
    Bytes,
    /// A bare number.
    Count,
}

pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) floors: &'static [&'static str],
    pub(crate) deep: bool,
    pub(crate) says: &'static str,
}

const SINGLE: &[&str] = &["floor_single"];
const BATCH: &[&str] = &["floor_batch", "floor_batch_fresh"];

const fn rate(name: &'static str, floors: &'static [&'static str], says: &'static str) -> Figure {
    Figure { name, unit: Unit::Rate, floors, deep: false, says }
}

const fn bare(name: &'static str, unit: Unit, says: &'static str) -> Figure {
    Figure { name, unit, floors: &[], deep: false, says }
}

const fn deep(name: &'static str, unit: Unit, says: &'static str) -> Figure {
    Figure { name, unit, floors: &[], deep: true, says }
}

/// In the order they are shown.
pub(crate) const FIGURES: &[Figure] = &[
    bare("fdatasync_p50", Unit::Ms, "one sync of 200 bytes, half take at most"),
    bare("fdatasync_p99", Unit::Ms, "and 99 of 100"),
    bare("floor_single", Unit::Rate, "200 bytes written and synced, one after the other, prefilled file"),
    bare("floor_batch", Unit::Rate, "1,000 x 200 bytes at a time, prefilled file"),
    bare("floor_batch_fresh", Unit::Rate, "the same into fresh space, the filling counted"),
    rate("enqueue_1", SINGLE, "one thread, one job at a time, each on disk"),
    rate("enqueue_64", SINGLE, "64 threads, one job at a time each, each on disk"),
    bare("syncs_per_job_64", Unit::Count, "syncs of any file per job of 64 threads"),
    rate("enqueue_batch_1000", BATCH, "one thread, batches of 1,000, JSON made inside"),
    rate("enqueue_batch_1000_raw", BATCH, "the same, args given as bytes"),
    rate("claim_ack", BATCH, "worker pool, handler does nothing, to the last ack on disk"),
    rate("claim_ack_by_hand", BATCH, "the same without a pool: threads that claim 256 at a time and ack each"),
    rate("cycle", BATCH, "batches enqueued while workers run them, to the last ack on disk"),
    rate("due_rate", BATCH, "scheduled jobs due at once, run, to the last ack on disk"),
    bare("start_latency_p50", Unit::Ms, "call of enqueue to start of the handler, nothing else going on"),
    bare("start_latency_p99", Unit::Ms, "and 99 of 100"),
    bare("due_lateness_p50", Unit::Ms, "moment a scheduled job is due to start of its handler, nothing else going on"),
    bare("due_lateness_p99", Unit::Ms, "and 99 of 100"),
    bare("reopen_1m", Unit::Ms, "1,000,000 pending, killed with SIGKILL: reopened, to the first claim"),
    bare("reopen_1m_clean", Unit::Ms, "the same after a close"),
    bare("rss_1m", Unit::Bytes, "memory of a process that has reopened them and claimed"),
    bare("bytes_per_job_pending", Unit::Bytes, "by how much a pending job makes the directory larger"),
    bare("bytes_per_job_settled", Unit::Bytes, "what a job that is over leaves of it"),
    bare("bytes_empty", Unit::Bytes, "the directory without a job: segments prepared ahead"),
    deep("rate_ratio_deep_backlog", Unit::Count, "claim_ack with 10,000,000 pending / with 10,000"),
    deep("rate_ratio_mixed", Unit::Count, "the same with 201 priorities and a quarter of the jobs scheduled"),
    deep("due_rate_1m", Unit::Rate, "as due_rate, with 1,000,000"),
    deep("rebuild_10m", Unit::Ms, "as reopen_10m, the index taken away before"),
    deep("reopen_10m", Unit::Ms, "as reopen_1m, with 10,000,000"),
    deep("rss_10m", Unit::Bytes, "as rss_1m"),
    deep("scheduled_10m_enqueue", Unit::Rate, "10,000,000 jobs for moments all over a month, in batches of 1,000"),
    deep("rss_scheduled_10m", Unit::Bytes, "memory of the process that has enqueued them"),
];

/// What was measured: of each figure one value per round.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        debug_assert!(FIGURES.iter().any(|figure| figure.name == name), "figure={name} is not in the list");
        self.0.entry(name).or_default().push(value);
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// `None`: not measured here.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        Some(median(self.values(name).iter().copied())).filter(|value| value.is_finite())
    }

    /// The medians of the ratios of each round: figure and floor from the same moment.
    pub(crate) fn ratios(&self, figure: &Figure) -> Vec<(&'static str, f64)> {
        let ratio = |floor: &'static str| {
            let rounds = self.values(figure.name).iter().zip(self.values(floor));
            (floor, median(rounds.map(|(value, floor)| value / floor)))
        };
        figure.floors.iter().map(|floor| ratio(floor)).filter(|(_, ratio)| ratio.is_finite()).collect()
    }
}
