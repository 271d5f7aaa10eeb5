//! The names under which a program is watched, and what every floor needs to say them: features `tracing`, `metrics`.
//!
//! Without the features everything here is empty and is compiled to nothing. What the names mean stands in
//! `src/docs/telemetry.md`; a test compares the two.
//!
//! # Invariants
//! * Nothing that is said here holds args, error texts, metadata (but `traceparent`), tags or keys.
//!
//! Never here: when something is said (`worker::watch`, `queue::watch`, `upkeep::meters`).

/// Makes the sync of the commit path, and says how long it took.
#[cfg(not(feature = "metrics"))]
pub(crate) fn synced<T>(sync: impl FnOnce() -> T) -> T {
    sync()
}

/// Describes every metric to the recorder that is installed now.
#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}

#[cfg(feature = "metrics")]
pub(crate) use meters::{describe, synced};

/// What the spans say of the system they are from.
#[cfg(feature = "tracing")]
pub(crate) const SYSTEM: &str = "backlog";

/// The key of a job's metadata under which its enqueuer keeps the W3C trace context.
#[cfg(feature = "tracing")]
pub(crate) fn traceparent(metadata: &[(String, String)]) -> Option<&str> {
    metadata.iter().find(|(key, _)| key == "traceparent").map(|(_, value)| value.as_str())
}

#[cfg(feature = "metrics")]
pub(crate) mod meters {
    //! The metrics by name.

    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, histogram};

    use crate::clock::{Clock, RealClock};

    pub(crate) const ENQUEUED: &str = "backlog_jobs_enqueued_total";
    pub(crate) const FINISHED: &str = "backlog_jobs_finished_total";
    pub(crate) const JOBS: &str = "backlog_jobs";
    pub(crate) const OLDEST_READY: &str = "backlog_queue_oldest_ready_age_seconds";
    pub(crate) const RUNS: &str = "backlog_runs_total";
    pub(crate) const RUN_SECONDS: &str = "backlog_run_duration_seconds";
    pub(crate) const RUNNING: &str = "backlog_runs_running";
    const FSYNC_SECONDS: &str = "backlog_log_fsync_duration_seconds";

    pub(crate) fn describe() {
        let count = Unit::Count;
        describe_counter!(ENQUEUED, count, "Jobs accepted since the directory was made");
        describe_counter!(FINISHED, count, "Jobs that are over since the directory was made, by how they ended");
        describe_gauge!(JOBS, count, "Live jobs by queue and state");
        describe_gauge!(OLDEST_READY, Unit::Seconds, "How long the job next in line of a queue has been ready");
        describe_counter!(RUNS, count, "Runs of handlers in this process, by what became of the job");
        describe_histogram!(RUN_SECONDS, Unit::Seconds, "How long a run took");
        describe_gauge!(RUNNING, count, "Runs that have not returned");
        describe_histogram!(FSYNC_SECONDS, Unit::Seconds, "How long a sync of the log's commits took");
    }

    pub(crate) fn synced<T>(sync: impl FnOnce() -> T) -> T {
        let clock = RealClock::new();
        let out = sync();
        histogram!(FSYNC_SECONDS).record(clock.monotonic());
        out
    }
}
