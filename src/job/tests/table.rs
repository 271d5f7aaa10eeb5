//! Walks the whole (state × event) table that stands above `next`.

use super::sample::{NOW, TOKEN, failure, job, running};
use crate::ids::{Millis, Phase};
use crate::job::{Ending, Envelope, Event, Next, Refusal, State, next};

/// The row the source shows for each event: its cells by state.
fn drawn() -> Vec<(&'static str, Vec<Vec<&'static str>>)> {
    let source = include_str!("../transition.rs");
    let rows = source.lines().skip_while(|line| !line.starts_with("//! event")).skip(1);
    rows.take_while(|line| !line.contains("```"))
        .map(|line| {
            let mut words = line.trim_start_matches("//!").split_whitespace();
            let event = words.next().expect("a row begins with its event");
            let cells: Vec<Vec<&str>> = words.map(|cell| cell.split('/').collect()).collect();
            assert_eq!(cells.len(), Phase::ALL.len(), "event={event}");
            (event, cells)
        })
        .collect()
}

/// Jobs in a phase that differ in everything a rule looks at.
fn variants(phase: Phase) -> Vec<Envelope> {
    let fresh = match phase {
        Phase::Held => job(State::Held),
        Phase::Scheduled => job(State::Scheduled { run_at: Millis(NOW.0 + 5000) }),
        Phase::Ready => job(State::Ready),
        Phase::InFlight => running(),
        Phase::Dead => job(State::Dead { at: NOW }),
        Phase::Parked => job(State::Parked { at: NOW }),
    };
    let asked = Envelope { run_at: Some(Millis(NOW.0 + 9000)), ..fresh.clone() };
    let last = Envelope { attempts: 24, ..fresh.clone() };
    let yielded = Envelope { yields: 1, ..fresh.clone() };
    let mut all = vec![fresh, asked, last, yielded];
    if phase == Phase::InFlight {
        all.push(Envelope { cancel_requested: true, ..running() });
        all.push(Envelope { cancel_requested: true, attempts: 24, ..running() });
    }
    all
}

/// Every event, some twice where what it carries matters.
fn events() -> Vec<Event> {
    let reason = || "why".to_owned();
    let (soon, now) = (Millis(NOW.0 + 60_000), NOW);
    let all = vec![
        Event::Claim { token: TOKEN, now },
        Event::Due,
        Event::Ack,
        Event::Nack { error: failure(), jitter: 7, now, retry_at: None },
        Event::Nack { error: failure(), jitter: 7, now, retry_at: Some(soon) },
        Event::Release { now },
        Event::Snooze { until: soon, now },
        Event::Bury { reason: reason(), now },
        Event::Cancel,
        Event::Requeue { now },
        Event::Interrupted { now, alone: false },
        Event::LeaseExpired { now },
        Event::Park { reason: reason(), now },
        Event::Unpark { now },
        Event::Confirm { now },
        Event::Discard,
        Event::Expire,
        Event::Prune,
        Event::Reschedule { run_at: soon, now },
        Event::Reschedule { run_at: Millis(1), now },
        Event::Move { queue: Some("other".to_owned()), priority: None, now },
        Event::Move { queue: None, priority: Some(-3), now },
    ];
    all
}

fn outcome(next: &Next) -> &'static str {
    match next {
        Next::Stands(job) => job.state.phase().as_str(),
        Next::Ends(Ending::Completed) => "!completed",
        Next::Ends(Ending::Cancelled) => "!cancelled",
        Next::Ends(Ending::Expired) => "!expired",
        Next::Ends(Ending::Discarded) => "!discarded",
        Next::Ends(Ending::Pruned) => "!pruned",
        Next::Refused(_) => "-",
    }
}

#[test]
fn the_transition_function_is_the_table_drawn_above_it() {
    let table = drawn();
    let mut tried = 0;
    for (name, cells) in &table {
        for (phase, expected) in Phase::ALL.into_iter().zip(cells) {
            let mut seen = Vec::new();
            for event in events().iter().filter(|event| event.name() == *name) {
                for job in variants(phase) {
                    let outcome = outcome(&next(&job, event));
                    assert!(expected.contains(&outcome), "event={name} state={phase} gave {outcome}, not {expected:?}");
                    seen.push(outcome);
                    tried += 1;
                }
            }
            let unseen: Vec<_> = expected.iter().filter(|outcome| !seen.contains(outcome)).collect();
            assert!(unseen.is_empty(), "event={name} state={phase} never gave {unseen:?}");
        }
    }
    assert_eq!(table.len(), 19, "a new event needs a row, and a place in `events`");
    let undrawn: Vec<_> =
        events().iter().map(Event::name).filter(|name| !table.iter().any(|(n, _)| n == name)).collect();
    assert!(undrawn.is_empty(), "events without a row: {undrawn:?}");
    eprintln!("{tried} transitions tried in {} rows", table.len());
}

#[test]
fn a_refusal_names_the_event_and_the_state_that_refuses() {
    let refused = next(&job(State::Dead { at: NOW }), &Event::Ack);
    assert_eq!(refused, Next::Refused(Refusal { event: "ack", phase: Phase::Dead }));
    let Next::Refused(refusal) = refused else { unreachable!() };
    assert_eq!(refusal.to_string(), "event=ack refused: the job is dead");
}

#[test]
fn a_transition_never_touches_what_the_job_asked_for() {
    let mut tried = 0;
    for phase in Phase::ALL {
        for job in variants(phase) {
            let job = Envelope { priority: 7, tags: vec!["vip".to_owned()], group: Some(9), ..job };
            for event in events() {
                let Next::Stands(after) = next(&job, &event) else { continue };
                let (queue, priority) = match &event {
                    Event::Move { queue, priority, .. } => (queue.clone(), *priority),
                    _ => (None, None),
                };
                assert_eq!(after.queue, queue.unwrap_or_else(|| job.queue.clone()));
                assert_eq!(after.priority, priority.unwrap_or(job.priority));
                let moved = matches!(event, Event::Reschedule { .. });
                let restored = Envelope {
                    queue: job.queue.clone(),
                    priority: job.priority,
                    state: job.state,
                    changed_at: job.changed_at,
                    attempts: job.attempts,
                    crashes: job.crashes,
                    yields: job.yields,
                    cancel_requested: job.cancel_requested,
                    errors: job.errors.clone(),
                    reason: job.reason.clone(),
                    run_at: if moved { job.run_at } else { after.run_at },
                    ..after
                };
                assert_eq!(restored, job, "event={}", event.name());
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "tried={tried}");
}
