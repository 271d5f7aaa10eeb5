//! Promises of the feature `tracing`, heard by a subscriber of the test's own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use backlog::testing::{self, Bench, Call, Fault};
use backlog::{Context, Failure, Job, JobBuilder, Outcome};
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

const SECRET: &str = "4242-4242";

#[derive(Serialize, Deserialize)]
struct Charge {
    card: String,
    n: u32,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
    const QUEUE: &'static str = "billing";
}

fn charge(n: u32) -> Charge {
    Charge { card: SECRET.to_owned(), n }
}

type Fields = BTreeMap<&'static str, String>;

#[derive(Default)]
struct Heard {
    /// By id.
    spans: BTreeMap<u64, (&'static str, Fields)>,
    /// Spans that were entered and not left, and on which thread.
    inside: Vec<(ThreadId, u64)>,
    /// The span each event was in.
    events: Vec<Option<&'static str>>,
}

/// Keeps what it hears.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>, Arc<AtomicU64>);

struct Into<'f>(&'f mut Fields);

impl Visit for Into<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "backlog" || metadata.is_event()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.1.fetch_add(1, Ordering::SeqCst) + 1;
        let mut fields = Fields::new();
        span.record(&mut Into(&mut fields));
        self.0.lock().unwrap().spans.insert(id, (span.metadata().name(), fields));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Into(&mut self.0.lock().unwrap().spans.get_mut(&span.into_u64()).unwrap().1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let mut heard = self.0.lock().unwrap();
        let here = thread::current().id();
        let inside = heard.inside.iter().rfind(|(thread, _)| *thread == here).map(|(_, id)| heard.spans[id].0);
        heard.events.push(inside);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().inside.push((thread::current().id(), span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let left = (thread::current().id(), span.into_u64());
        self.0.lock().unwrap().inside.retain(|entered| *entered != left);
    }
}

impl Ear {
    fn listen<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self.clone(), work)
    }

    fn spans(&self, name: &str) -> Vec<Fields> {
        self.0.lock().unwrap().spans.values().filter(|(of, _)| *of == name).map(|(_, fields)| fields.clone()).collect()
    }
}

fn fields<const N: usize>(pairs: [(&'static str, &str); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn an_enqueue_is_a_span_in_the_names_of_opentelemetry() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        bench.job(&charge(1)).metadata("traceparent", PARENT).unique("1").enqueue().unwrap();
        bench.job(&charge(1)).unique("1").enqueue().unwrap();
        bench.enqueue_many(&[charge(2), charge(3)]).unwrap();
        bench.enqueue_raw("", vec![], backlog::Codec::Raw).unwrap_err();
    });
    let same = fields([
        ("otel.kind", "producer"),
        ("messaging.system", "backlog"),
        ("messaging.operation.name", "enqueue"),
        ("messaging.operation.type", "send"),
    ]);
    let one = fields([
        ("otel.name", "enqueue billing"),
        ("messaging.destination.name", "billing"),
        ("messaging.message.id", "1"),
        ("backlog.job.kind", "charge"),
    ]);
    let with = |parts: &[&Fields]| parts.iter().flat_map(|part| (*part).clone()).collect::<Fields>();
    let expected = [
        with(&[&same, &one, &fields([("traceparent", PARENT)])]),
        with(&[&same, &one, &fields([("backlog.job.duplicate", "true")])]),
        with(&[&same, &fields([("otel.name", "enqueue"), ("messaging.batch.message_count", "2")])]),
        with(&[
            &same,
            &fields([
                ("otel.name", "enqueue default"),
                ("messaging.destination.name", "default"),
                ("backlog.job.kind", ""),
                ("error.type", "Invalid"),
                ("otel.status_code", "ERROR"),
            ]),
        ]),
    ];
    assert_eq!(ear.spans("backlog.enqueue"), expected);
}

#[test]
fn an_async_enqueue_is_a_span_too_and_a_disk_that_fails_is_told() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        smol::block_on(bench.enqueue_async(&charge(1))).unwrap();
        bench.fail_disk(0, Fault::eio().on(&[Call::SyncData]));
        bench.enqueue(&charge(2)).unwrap_err();
    });
    let spans = ear.spans("backlog.enqueue");
    assert_eq!((spans[0]["messaging.message.id"].as_str(), spans[1]["error.type"].as_str()), ("1", "Unknown"));
}

/// Job `n` ends in its own way.
fn end(job: &Charge) -> Result<Outcome, Failure> {
    match job.n {
        0 => Ok(Outcome::Done),
        1 => Err(Failure::new(format!("no cover on {}", job.card))),
        2 => panic!("card {}", job.card),
        3 => Ok(Outcome::Bury(format!("stolen: {}", job.card))),
        4 => Ok(Outcome::Snooze(Duration::from_secs(60))),
        5 => Ok(Outcome::Cancel),
        _ => Ok(Outcome::DoneThen(vec![JobBuilder::new(&charge(0)).queue("")])),
    }
}

fn drain(ear: &Ear, bench: &Bench) {
    let _ = ear.listen(|| bench.drain(bench.workers().handle(|job: Charge, _: Context| end(&job)))).unwrap();
}

#[test]
fn a_run_is_a_span_with_its_outcome_and_the_traceparent_of_its_job() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    bench.job(&charge(0)).metadata("traceparent", PARENT).enqueue().unwrap();
    drain(&ear, &bench);
    let expected = fields([
        ("otel.name", "process billing"),
        ("otel.kind", "consumer"),
        ("messaging.system", "backlog"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "billing"),
        ("messaging.message.id", "1"),
        ("backlog.job.kind", "charge"),
        ("backlog.job.attempt", "1"),
        ("backlog.job.outcome", "completed"),
        ("traceparent", PARENT),
    ]);
    assert_eq!(ear.spans("backlog.process"), [expected]);
}

#[test]
fn every_end_of_a_run_has_its_word_and_a_failure_its_class() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    bench.enqueue_many(&(0..7).map(charge).collect::<Vec<_>>()).unwrap();
    bench.job(&charge(1)).max_attempts(1).enqueue().unwrap();
    bench.raw_job("else", vec![], backlog::Codec::Raw).queue("billing").enqueue().unwrap();
    drain(&ear, &bench);
    let spans = ear.spans("backlog.process");
    let get = |span: &Fields, name| span.get(name).cloned().unwrap_or_default();
    let ends: Vec<(String, String)> =
        spans.iter().map(|span| (get(span, "backlog.job.outcome"), get(span, "error.type"))).collect();
    let expected = [
        ("completed", ""),
        ("failed", "failed"),
        ("failed", "panicked"),
        ("dead", "buried"),
        ("snoozed", ""),
        ("cancelled", ""),
        ("failed", "failed"),
        ("dead", "failed"),
        ("parked", ""),
    ];
    assert_eq!(ends, expected.map(|(outcome, error)| (outcome.to_owned(), error.to_owned())));
    let errors = spans.iter().filter(|span| get(span, "otel.status_code") == "ERROR").count();
    assert_eq!(errors, 5);
}

#[test]
fn a_run_whose_follow_ups_the_disk_refuses_has_failed() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    bench.enqueue(&charge(0)).unwrap();
    bench.fill_disk().unwrap();
    let follows = |_: Charge, _: Context| Ok(Outcome::DoneThen(vec![JobBuilder::new(&charge(0))]));
    let _ = ear.listen(|| bench.drain(bench.workers().handle(follows))).unwrap();
    assert_eq!(ear.spans("backlog.process")[0]["backlog.job.outcome"], "failed");
}

#[test]
fn no_span_holds_args_error_texts_or_other_metadata() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    ear.listen(|| {
        for n in 0..7 {
            let job = bench.job(&charge(n)).metadata("customer", SECRET).unique(format!("{SECRET}{n}")).tag(SECRET);
            job.enqueue().unwrap();
        }
    });
    drain(&ear, &bench);
    let heard = ear.0.lock().unwrap();
    assert_eq!(heard.spans.len(), 14);
    for (name, fields) in heard.spans.values() {
        assert!(!fields.values().any(|value| value.contains(SECRET)), "{name}: {fields:?}");
    }
}

#[test]
fn the_future_of_an_async_handler_is_in_its_span_whoever_polls_it() {
    let (ear, bench) = (Ear::default(), testing::backlog());
    bench.enqueue(&charge(0)).unwrap();
    let dispatch = Dispatch::new(ear.clone());
    let workers = || {
        bench.workers().handle_async(|_: Charge, _| async {
            smol::future::yield_now().await;
            tracing::info!(target: "test", "working");
            Ok(())
        })
    };
    let _ = ear.listen(|| bench.drain(workers())).unwrap().all_completed();
    bench.enqueue(&charge(0)).unwrap();
    let elsewhere = workers().spawner(move |future| {
        let dispatch = dispatch.clone();
        thread::scope(|threads| {
            threads.spawn(|| tracing::dispatcher::with_default(&dispatch, || smol::block_on(future)));
        });
    });
    let _ = ear.listen(|| bench.drain(elsewhere)).unwrap().all_completed();
    let heard = ear.0.lock().unwrap();
    assert_eq!((&heard.events[..], heard.inside.len()), (&[Some("backlog.process"); 2][..], 0));
}
