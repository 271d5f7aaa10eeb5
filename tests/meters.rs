//! Promises of the feature `metrics`, heard by a recorder of the test's own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use backlog::testing::{self, Bench, Call, Fault};
use backlog::{Backlog, Backoff, Codec, Context, Failure, Job, Outcome};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
struct Charge {
    n: u32,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
    const BACKOFF: Backoff = Backoff::Fixed { delay: MINUTE };
}

#[derive(Default)]
struct Heard {
    described: Vec<(String, &'static str, Option<Unit>)>,
    /// By name and labels in order.
    values: BTreeMap<String, Arc<Value>>,
}

/// Whatever kind of metric it is.
#[derive(Default)]
struct Value {
    number: AtomicU64,
    samples: Mutex<Vec<f64>>,
}

impl CounterFn for Value {
    fn increment(&self, by: u64) {
        self.number.fetch_add(by, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.number.fetch_max(value, Ordering::SeqCst);
    }
}

impl GaugeFn for Value {
    fn increment(&self, by: f64) {
        self.set(f64::from_bits(self.number.load(Ordering::SeqCst)) + by);
    }

    fn decrement(&self, by: f64) {
        GaugeFn::increment(self, -by);
    }

    fn set(&self, value: f64) {
        self.number.store(value.to_bits(), Ordering::SeqCst);
        self.samples.lock().unwrap().push(value);
    }
}

impl HistogramFn for Value {
    fn record(&self, value: f64) {
        self.samples.lock().unwrap().push(value);
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<(Mutex<Heard>, Condvar)>);

impl Ear {
    fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
        self.0.0.lock().unwrap().described.push((name.as_str().to_owned(), kind, unit));
    }

    fn value(&self, key: &Key) -> Arc<Value> {
        let labels: BTreeSet<String> = key
            .labels()
            .filter(|label| !(label.key() == "directory" && label.value() == "memory"))
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.into_iter().collect::<Vec<_>>().join(","));
        let value = Arc::clone(self.0.0.lock().unwrap().values.entry(name).or_default());
        self.0.1.notify_all();
        value
    }

    fn listen<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, work)
    }

    fn get(&self, name: &str) -> Arc<Value> {
        let heard = self.0.0.lock().unwrap();
        let known = || heard.values.keys().cloned().collect::<Vec<_>>().join("\n");
        Arc::clone(heard.values.get(name).unwrap_or_else(|| panic!("{name} is not among\n{}", known())))
    }

    fn count(&self, name: &str) -> u64 {
        self.get(name).number.load(Ordering::SeqCst)
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.count(name))
    }

    fn samples(&self, name: &str) -> Vec<f64> {
        self.get(name).samples.lock().unwrap().clone()
    }

    fn names(&self, of: &str) -> Vec<String> {
        self.0.0.lock().unwrap().values.keys().filter(|name| name.starts_with(of)).cloned().collect()
    }
}

impl metrics::Recorder for Ear {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter", unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge", unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "histogram", unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.value(key))
    }
}

const OLDEST: &str = "backlog_queue_oldest_ready_age_seconds{queue=default}";

#[track_caller]
fn assert_is(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn drain(bench: &Bench) {
    let clock = Arc::clone(bench.clock());
    let workers = bench.workers().handle(move |job: Charge, _: Context| {
        clock.advance(Duration::from_secs(3));
        match job.n {
            0 => Ok(Outcome::Done),
            1 => Err(Failure::new("declined")),
            2 => Ok(Outcome::Bury("stolen".into())),
            3 => Ok(Outcome::Snooze(MINUTE)),
            4 => Ok(Outcome::Release),
            _ => Ok(Outcome::Cancel),
        }
    });
    let _ = bench.drain(workers.queues(["default"])).unwrap();
}

#[test]
fn runs_are_counted_by_what_became_of_their_job_and_timed() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        bench.enqueue_many(&[0, 0, 1, 2, 3, 5].map(|n| Charge { n })).unwrap();
        bench.job(&Charge { n: 1 }).max_attempts(1).enqueue().unwrap();
        bench.enqueue_raw("made-up", vec![], Codec::Raw).unwrap();
        drain(&bench);
    });
    let runs = |outcome| ear.count(&format!("backlog_runs_total{{kind=charge,outcome={outcome},queue=default}}"));
    assert_eq!(["completed", "failed", "dead", "snoozed", "cancelled"].map(runs), [2, 1, 2, 1, 1]);
    assert_eq!(ear.count("backlog_runs_total{kind=unknown,outcome=parked,queue=default}"), 1);
    assert_eq!(ear.names("backlog_runs_total").len(), 6);
    let took = ear.samples("backlog_run_duration_seconds{kind=charge,queue=default}");
    assert_eq!(took.len(), 7);
    for took in took {
        assert_is(took, 3.0);
    }
    let running = "backlog_runs_running{kind=charge,queue=default}";
    assert!(ear.samples(running).iter().all(|n| (0.0..=1.0).contains(n)));
    assert_is(ear.gauge(running), 0.0);
}

#[test]
fn a_run_whose_end_the_disk_did_not_take_is_not_counted() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        bench.enqueue(&Charge { n: 0 }).unwrap();
        let (disk, backlog) = (bench.disk().clone(), bench.backlog().clone());
        let workers = bench.workers().handle(move |_: Charge, _: Context| {
            disk.fail_call(0, Fault::eio().on(&[Call::Write]));
            backlog.enqueue(&Charge { n: 1 })?;
            Ok(())
        });
        bench.drain(workers).unwrap_err();
    });
    assert_eq!(ear.names("backlog_runs_total"), Vec::<String>::new());
    assert_is(ear.gauge("backlog_runs_running{kind=charge,queue=default}"), 0.0);
}

#[test]
fn live_jobs_are_told_by_queue_and_state_and_those_that_are_over_by_their_end() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        let held = bench.job(&Charge { n: 0 }).hold().enqueue().unwrap().id;
        bench.job(&Charge { n: 0 }).hold().enqueue().unwrap();
        bench.enqueue_in(MINUTE, &Charge { n: 0 }).unwrap();
        let cancelled = bench.enqueue(&Charge { n: 0 }).unwrap().id;
        bench.enqueue_many(&[0, 2].map(|n| Charge { n })).unwrap();
        bench.enqueue_raw("made-up", vec![], Codec::Raw).unwrap();
        bench.job(&Charge { n: 0 }).queue("mail").enqueue().unwrap();
        bench.discard(held).unwrap();
        bench.cancel(cancelled).unwrap();
        drain(&bench);
        let _lease = bench.queue("mail").claim().unwrap();
        bench.advance(Duration::ZERO).unwrap();
    });
    let jobs = |queue, state| ear.gauge(&format!("backlog_jobs{{queue={queue},state={state}}}"));
    for state in ["held", "scheduled", "dead", "parked"] {
        assert_is(jobs("default", state), 1.0);
        assert_is(jobs("mail", state), 0.0);
    }
    assert_is(jobs("default", "ready") + jobs("default", "in_flight") + jobs("mail", "ready"), 0.0);
    assert_is(jobs("mail", "in_flight"), 1.0);
    let finished = |outcome| ear.count(&format!("backlog_jobs_finished_total{{outcome={outcome}}}"));
    assert_eq!(["completed", "cancelled", "discarded", "expired", "pruned"].map(finished), [1, 1, 1, 0, 0]);
    assert_eq!(ear.count("backlog_jobs_enqueued_total{}"), 8);
}

#[test]
fn the_age_of_a_queue_counts_from_when_its_next_job_became_ready() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        let oldest = |by: u64| {
            bench.advance(Duration::from_secs(by)).unwrap();
            ear.gauge(OLDEST)
        };
        let failed = bench.enqueue(&Charge { n: 1 }).unwrap().id;
        assert_is(oldest(90), 90.0);
        drain(&bench);
        // It failed, 3 s later, and is ready again after a minute.
        assert_is(oldest(50), 0.0);
        assert_is(oldest(30), 20.0);
        // A better one that is younger does not hide it.
        bench.job(&Charge { n: 4 }).priority(9).enqueue().unwrap();
        assert_is(oldest(10), 30.0);
        // And one that was given back has been ready since then.
        bench.queue("default").claim().unwrap().unwrap().release().unwrap();
        assert_is(oldest(5), 35.0);
        bench.cancel(failed).unwrap();
        assert_is(oldest(0), 5.0);
    });
}

#[test]
fn the_age_of_a_scheduled_job_counts_from_its_time() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        bench.enqueue_in(MINUTE, &Charge { n: 0 }).unwrap();
        bench.advance(Duration::from_secs(75)).unwrap();
    });
    assert_is(ear.gauge(OLDEST), 15.0);
}

#[test]
fn every_sync_of_a_commit_is_timed_a_failed_one_too() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        for n in 0..3 {
            bench.enqueue(&Charge { n }).unwrap();
        }
        bench.fail_disk(0, Fault::eio().on(&[Call::SyncData]));
        bench.enqueue(&Charge { n: 3 }).unwrap_err();
    });
    assert_eq!(ear.samples("backlog_log_fsync_duration_seconds{}").len(), 4);
}

#[test]
fn every_metric_is_described_once_at_opening_as_the_table_in_the_docs_says() {
    let ear = Ear::default();
    let _bench = ear.listen(testing::backlog);
    let text = include_str!("../src/docs/telemetry.md");
    let rows = text.lines().filter(|line| line.starts_with("| `backlog_"));
    let mut table: Vec<Vec<String>> = rows
        .map(|row| row.split('|').skip(1).take(3).map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    let unit = |unit: &Option<Unit>| unit.as_ref().map_or("", Unit::as_str).to_owned();
    let described = ear.0.0.lock().unwrap();
    let mut said: Vec<Vec<String>> =
        described.described.iter().map(|(name, kind, of)| vec![name.clone(), (*kind).to_owned(), unit(of)]).collect();
    table.sort();
    said.sort();
    assert_eq!(table, said);
}

#[test]
fn a_directory_with_threads_is_looked_up_by_itself() {
    let ear = Ear::default();
    metrics::set_global_recorder(ear.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs");
    let backlog = Backlog::open(&path).unwrap();
    backlog.enqueue(&Charge { n: 0 }).unwrap();
    let name = format!("backlog_jobs{{directory={},queue=default,state=ready}}", path.display());
    let waited = ear.0.1.wait_timeout_while(ear.0.0.lock().unwrap(), MINUTE, |heard| {
        let value = heard.values.get(&name);
        value.is_none_or(|value| f64::from_bits(value.number.load(Ordering::SeqCst)) < 1.0)
    });
    assert!(!waited.unwrap().1.timed_out(), "nobody looked: {:?}", ear.names("backlog_jobs"));
}
