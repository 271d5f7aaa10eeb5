//! Attempts, yields, crashes and the wish to cancel, one promise a test.

use super::sample::{NOW, TOKEN, failure, job, running};
use crate::ids::Millis;
use crate::job::{AttemptError, Backoff, Ending, Envelope, ErrorCause, Event, Next, State, next};
use crate::limits::{ERROR_BYTES_MAX, ERRORS_KEPT_MAX};

fn stands(job: &Envelope, event: &Event) -> Envelope {
    match next(job, event) {
        Next::Stands(after) => after,
        other => panic!("event={} gave {other:?}", event.name()),
    }
}

fn nack(error: AttemptError) -> Event {
    Event::Nack { error, jitter: 0, now: NOW, retry_at: None }
}

fn claim_again(job: Envelope) -> Envelope {
    let ready = match job.state {
        State::Scheduled { .. } => stands(&job, &Event::Due),
        _ => job,
    };
    stands(&ready, &Event::Claim { token: TOKEN, now: NOW })
}

fn at(seconds: u64) -> Millis {
    Millis(NOW.0 + seconds * 1000)
}

#[test]
fn a_failed_attempt_is_counted_kept_and_scheduled_by_the_backoff() {
    let after = stands(&running(), &nack(failure()));
    assert_eq!(after.attempts, 1);
    assert_eq!(after.errors, [failure()]);
    assert_eq!(after.state, State::Scheduled { run_at: at(15) });
    let third = stands(&Envelope { attempts: 2, ..running() }, &nack(failure()));
    assert_eq!(third.state, State::Scheduled { run_at: at(16 + 15) });
    let fixed = Backoff::Fixed { delay: std::time::Duration::from_secs(3) };
    let fixed = stands(&Envelope { backoff: fixed, ..running() }, &nack(failure()));
    assert_eq!(fixed.state, State::Scheduled { run_at: at(3) });
}

#[test]
fn a_nack_that_names_its_retry_overrides_the_policy_but_not_the_last_attempt() {
    let event = Event::Nack { error: failure(), jitter: 9, now: NOW, retry_at: Some(at(2)) };
    assert_eq!(stands(&running(), &event).state, State::Scheduled { run_at: at(2) });
    let last = stands(&Envelope { attempts: 24, ..running() }, &event);
    assert_eq!(last.state, State::Dead { at: NOW });
}

#[test]
fn a_job_is_dead_exactly_at_its_maximum_of_attempts() {
    for max_attempts in [1, 2, 25] {
        let mut job = Envelope { max_attempts, ..running() };
        for attempt in 1..=max_attempts {
            assert!(matches!(job.state, State::InFlight { .. }), "attempt={attempt} of {max_attempts}");
            job = stands(&job, &nack(AttemptError { attempt, ..failure() }));
            assert_eq!(job.attempts, attempt);
            if attempt < max_attempts {
                job = claim_again(job);
            }
        }
        assert_eq!(job.state, State::Dead { at: NOW });
        assert_eq!(job.reason, Some(format!("attempt {max_attempts} of {max_attempts} failed")));
    }
}

#[test]
fn the_errors_of_the_last_ten_attempts_are_kept_oldest_first() {
    let mut job = Envelope { max_attempts: 100, ..running() };
    for attempt in 1..=23 {
        job = claim_again(stands(&job, &nack(AttemptError { attempt, ..failure() })));
    }
    let kept: Vec<u32> = job.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(kept, (14..=23).collect::<Vec<_>>());
    assert_eq!(kept.len(), ERRORS_KEPT_MAX);
}

#[test]
fn a_long_text_is_cut_at_a_character_boundary() {
    let long = format!("x{}", "日".repeat(ERROR_BYTES_MAX));
    let error = AttemptError { message: long.clone(), ..failure() };
    let kept = &stands(&running(), &nack(error)).errors[0].message;
    assert_eq!(kept.len(), ERROR_BYTES_MAX - 1, "1 + 3 × 682 bytes");
    assert!(long.starts_with(kept.as_str()));
    let buried = stands(&running(), &Event::Bury { reason: long.clone(), now: NOW });
    assert_eq!(buried.reason.unwrap().len(), ERROR_BYTES_MAX - 1);
    let parked = stands(&running(), &Event::Park { reason: long, now: NOW });
    assert_eq!(parked.reason.unwrap().len(), ERROR_BYTES_MAX - 1);
}

#[test]
fn a_release_gives_the_attempt_back_and_the_second_in_a_row_waits_a_second() {
    let once = stands(&running(), &Event::Release { now: NOW });
    assert_eq!((once.state, once.attempts, once.yields), (State::Ready, 0, 1));
    let twice = stands(&claim_again(once), &Event::Release { now: NOW });
    assert_eq!((twice.state, twice.attempts, twice.yields), (State::Scheduled { run_at: at(1) }, 0, 2));
}

#[test]
fn a_snooze_gives_the_attempt_back_and_the_second_in_a_row_lasts_at_least_a_second() {
    let short = Event::Snooze { until: Millis(NOW.0 + 10), now: NOW };
    let once = stands(&running(), &short);
    assert_eq!((once.state, once.attempts), (State::Scheduled { run_at: Millis(NOW.0 + 10) }, 0));
    let twice = stands(&claim_again(once.clone()), &short);
    assert_eq!((twice.state, twice.yields), (State::Scheduled { run_at: at(1) }, 2));
    let long = stands(&claim_again(once), &Event::Snooze { until: at(60), now: NOW });
    assert_eq!(long.state, State::Scheduled { run_at: at(60) });
}

#[test]
fn a_release_after_a_snooze_counts_as_the_second_in_a_row() {
    let snoozed = stands(&running(), &Event::Snooze { until: at(0), now: NOW });
    let released = stands(&claim_again(snoozed), &Event::Release { now: NOW });
    assert_eq!(released.state, State::Scheduled { run_at: at(1) });
}

#[test]
fn an_attempt_that_was_made_starts_the_count_of_yields_anew() {
    let yielded = Envelope { yields: 4, ..running() };
    for event in [nack(failure()), Event::Interrupted { now: NOW, alone: false }, Event::LeaseExpired { now: NOW }] {
        assert_eq!(stands(&yielded, &event).yields, 0, "event={}", event.name());
    }
}

#[test]
fn a_crash_spends_the_attempt_counts_itself_and_leaves_the_job_ready_at_once() {
    let after = stands(&running(), &Event::Interrupted { now: NOW, alone: false });
    assert_eq!((after.state, after.attempts, after.crashes), (State::Ready, 1, 1));
    let error = &after.errors[0];
    assert_eq!((error.kind, error.attempt), (ErrorCause::Interrupted, 1));
    assert_eq!(error.message, "process ended while the job ran");
}

#[test]
fn a_crash_in_the_last_attempt_leaves_the_job_dead() {
    let after = stands(&Envelope { attempts: 24, ..running() }, &Event::Interrupted { now: NOW, alone: false });
    assert_eq!(after.state, State::Dead { at: NOW });
    assert_eq!(after.reason.as_deref(), Some("process ended during the last attempt"));
    assert_eq!(after.crashes, 1);
}

#[test]
fn an_expired_lease_spends_the_attempt_and_the_last_one_leaves_the_job_dead() {
    let after = stands(&running(), &Event::LeaseExpired { now: NOW });
    assert_eq!((after.state, after.attempts, after.crashes), (State::Ready, 1, 0));
    assert_eq!((after.errors[0].kind, after.errors[0].duration_ms), (ErrorCause::LeaseExpired, Some(1000)));
    let last = stands(&Envelope { attempts: 24, ..running() }, &Event::LeaseExpired { now: NOW });
    assert_eq!(last.state, State::Dead { at: NOW });
}

#[test]
fn a_normal_failure_does_not_clear_the_count_of_crashes() {
    let after = stands(&Envelope { crashes: 1, ..running() }, &nack(failure()));
    assert_eq!(after.crashes, 1);
}

#[test]
fn a_buried_job_has_spent_its_attempt_and_a_parked_one_has_not() {
    let buried = stands(&running(), &Event::Bury { reason: "no such customer".to_owned(), now: NOW });
    assert_eq!((buried.state, buried.attempts), (State::Dead { at: NOW }, 1));
    assert_eq!(buried.reason.as_deref(), Some("no such customer"));
    let waiting = stands(&job(State::Ready), &Event::Bury { reason: "damaged".to_owned(), now: NOW });
    assert_eq!((waiting.state, waiting.attempts), (State::Dead { at: NOW }, 0));
    let parked = stands(&running(), &Event::Park { reason: "no handler".to_owned(), now: NOW });
    assert_eq!((parked.state, parked.attempts), (State::Parked { at: NOW }, 0));
    let back = stands(&parked, &Event::Unpark { now: NOW });
    assert_eq!((back.state, back.reason), (State::Ready, None));
}

#[test]
fn a_running_job_that_is_cancelled_completes_by_its_ack_and_is_cancelled_by_any_other_end() {
    let wished = stands(&running(), &Event::Cancel);
    assert!(wished.cancel_requested);
    assert_eq!(wished.state, running().state, "the wish does not end the attempt");
    assert_eq!(next(&wished, &Event::Ack), Next::Ends(Ending::Completed));
    let reason = || "why".to_owned();
    for event in [
        nack(failure()),
        Event::Release { now: NOW },
        Event::Snooze { until: at(9), now: NOW },
        Event::Bury { reason: reason(), now: NOW },
        Event::Interrupted { now: NOW, alone: false },
        Event::LeaseExpired { now: NOW },
        Event::Park { reason: reason(), now: NOW },
    ] {
        assert_eq!(next(&wished, &event), Next::Ends(Ending::Cancelled), "event={}", event.name());
    }
}

#[test]
fn a_requeued_job_starts_at_its_first_attempt_and_keeps_its_errors() {
    let mut spent = Envelope { attempts: 25, crashes: 2, yields: 3, ..job(State::Dead { at: NOW }) };
    spent.errors.push(failure());
    spent.reason = Some("attempt 25 of 25 failed".to_owned());
    let parked = Envelope { state: State::Parked { at: NOW }, ..spent.clone() };
    let retrying = Envelope { state: State::Scheduled { run_at: at(900) }, ..spent.clone() };
    for job in [spent, parked, retrying] {
        let after = stands(&job, &Event::Requeue { now: at(5) });
        assert_eq!(after.state, State::Ready);
        assert_eq!((after.attempts, after.crashes, after.yields, after.reason), (0, 0, 0, None));
        assert_eq!(after.errors, [failure()]);
        assert_eq!(after.changed_at, Some(at(5)));
    }
}

#[test]
fn a_confirmed_job_waits_for_the_time_it_asked_for() {
    let held = Envelope { run_at: Some(at(60)), ..job(State::Held) };
    assert_eq!(stands(&held, &Event::Confirm { now: NOW }).state, State::Scheduled { run_at: at(60) });
    assert_eq!(stands(&held, &Event::Confirm { now: at(60) }).state, State::Ready);
    assert_eq!(stands(&job(State::Held), &Event::Confirm { now: NOW }).state, State::Ready);
}

#[test]
fn a_moved_job_waits_for_its_new_time_and_remembers_it() {
    let later = Event::Reschedule { run_at: at(60), now: NOW };
    let moved = stands(&job(State::Ready), &later);
    assert_eq!((moved.state, moved.run_at), (State::Scheduled { run_at: at(60) }, Some(at(60))));
    let sooner = stands(&moved, &Event::Reschedule { run_at: at(0), now: NOW });
    assert_eq!((sooner.state, sooner.run_at), (State::Ready, Some(at(0))));
}

#[test]
fn counters_at_their_end_stay_there() {
    let end = Envelope { attempts: u32::MAX, crashes: u32::MAX, yields: u32::MAX, max_attempts: u32::MAX, ..running() };
    let after = stands(&end, &Event::Interrupted { now: Millis(u64::MAX), alone: false });
    assert_eq!((after.attempts, after.crashes), (u32::MAX, u32::MAX));
    let after = stands(&end, &Event::Release { now: Millis(u64::MAX) });
    assert_eq!((after.state, after.yields), (State::Scheduled { run_at: Millis(u64::MAX) }, u32::MAX));
    let far = Envelope { attempts: u32::MAX - 2, max_attempts: u32::MAX, ..running() };
    let after = stands(&far, &Event::Nack { error: failure(), jitter: u64::MAX, now: NOW, retry_at: None });
    assert_eq!(after.state, State::Scheduled { run_at: Millis(u64::MAX) });
}
