//! Numbers that are looked up and not counted on the way: jobs by state, ages, totals. Feature `metrics`.
//!
//! # Invariants
//! * Looked up once a second at most, whoever rings: a busy queue is not slowed down by who watches it.
//! * Totals are those of the directory, from its books: they survive restarts and count what no pool ran.

use std::time::Duration;

use metrics::{SharedString, counter, gauge};

use crate::engine::{Core, UPKEEP_SLEEP_MAX};
use crate::telemetry::meters::{ENQUEUED, FINISHED, JOBS, OLDEST_READY};

/// When to look again.
#[derive(Default)]
pub(super) struct Meters {
    next: Duration,
}

impl Meters {
    pub(super) fn look(&mut self, core: &Core) {
        let now = core.monotonic();
        if now >= self.next {
            self.next = now.saturating_add(UPKEEP_SLEEP_MAX);
            record(core);
        }
    }
}

/// Tells the recorder how things stand.
pub(crate) fn record(core: &Core) {
    let directory = SharedString::from(core.directory());
    let counts = core.counts();
    counter!(ENQUEUED, "directory" => directory.clone()).absolute(counts.enqueued);
    let ends = [
        ("completed", counts.completed),
        ("cancelled", counts.cancelled),
        ("expired", counts.expired),
        ("discarded", counts.discarded),
        ("pruned", counts.pruned),
    ];
    for (outcome, jobs) in ends {
        counter!(FINISHED, "directory" => directory.clone(), "outcome" => outcome).absolute(jobs);
    }
    for (queue, jobs) in &counts.queues {
        let states = [
            ("held", jobs.held),
            ("scheduled", jobs.scheduled),
            ("ready", jobs.ready),
            ("in_flight", jobs.in_flight),
            ("dead", jobs.dead),
            ("parked", jobs.parked),
        ];
        for (state, jobs) in states {
            gauge!(JOBS, "directory" => directory.clone(), "queue" => queue.clone(), "state" => state).set(real(jobs));
        }
    }
    for (queue, age) in core.ready_ages() {
        gauge!(OLDEST_READY, "directory" => directory.clone(), "queue" => queue).set(age.as_secs_f64());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture of beyond 2^53 jobs may be one off")]
fn real(jobs: u64) -> f64 {
    jobs as f64
}
