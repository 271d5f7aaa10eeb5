//! The one function that decides every change of a job's state.
//!
//! ```text
//!    enqueue, held          enqueue, run_at to come             enqueue
//!          │                           │                           │
//!          ▼        confirm            ▼            due            ▼            claim
//!        held ────────────────▶ scheduled ───────────────────▶ ready ──────────────────▶ in flight ──▶ completed
//!          │                        ▲                         ▲    ▲                       │ │ │ │ ack
//!          ▼ discard                └── nack, snooze ─────────│────│───────────────────────┘ │ │ │
//!      discarded                                              │    └── release, interrupted ─┘ │ │
//!                                                     requeue │        lease expired           │ │
//!                                                    unpark   ├──────── dead ◀── last attempt ─┘ │
//!     held, scheduled, ready ──▶ expired                      │          │       bury            │
//!     any but in flight ──▶ cancelled                         │          ▼ prune                 │
//!     in flight, cancel wished, any end but ack ──▶ cancelled │        pruned                    │
//!                                                             └─────── parked ◀────────── park ──┘
//! ```
//!
//! The whole of it; a test reads this table and walks it. `-` is refused, `/` parts what the rules choose from, `!` is
//! an end of the job:
//!
//! ```text
//! event          held             scheduled        ready            in_flight                   dead        parked
//! claim          -                -                in_flight        -                           -           -
//! due            -                ready            -                -                           -           -
//! ack            -                -                -                !completed                  -           -
//! nack           -                -                -                scheduled/dead/!cancelled   -           -
//! release        -                -                -                ready/scheduled/!cancelled  -           -
//! snooze         -                -                -                scheduled/!cancelled        -           -
//! bury           dead             dead             dead             dead/!cancelled             -           dead
//! cancel         !cancelled       !cancelled       !cancelled       in_flight                   !cancelled  !cancelled
//! requeue        -                ready            -                -                           ready       ready
//! interrupted    -                -                -                ready/dead/!cancelled       -           -
//! lease_expired  -                -                -                ready/dead/!cancelled       -           -
//! park           -                -                parked           parked/!cancelled           -           -
//! unpark         -                -                -                -                           -           ready
//! confirm        ready/scheduled  -                -                -                           -           -
//! discard        !discarded       -                -                -                           -           -
//! expire         !expired         !expired         !expired         -                           -           -
//! prune          -                -                -                -                           !pruned     -
//! reschedule     -                ready/scheduled  ready/scheduled  -                           -           -
//! move           held             scheduled        ready            -                           dead        parked
//! ```
//!
//! # Invariants
//! * An attempt is spent by nack, bury, a crash and an expired lease; never by release, snooze or park.
//! * A job whose attempts are spent is dead, by whatever spent the last one.
//! * The wish to cancel a running job is granted by every end of its attempt but an ack.
//!
//! Never here: whether the token is the right one, whether the time has come: the caller looked.

use std::time::Duration;

use super::envelope::{AttemptError, Envelope, ErrorCause, Scope, cut};
use super::event::{Ending, Event, Next, Refusal};
use super::state::State;
use crate::ids::{Millis, Phase, Token};
use crate::limits::ERROR_BYTES_MAX;

/// A second release or snooze in a row waits at least this long, so that no job spins at the head of its queue.
const YIELD_WAIT_MIN: Duration = Duration::from_secs(1);

/// What becomes of `job` when `event` happens to it.
pub(crate) fn next(job: &Envelope, event: &Event) -> Next {
    match job.state.phase() {
        phase if phase != Phase::InFlight && matches!(event, Event::Move { .. }) => moved(job.clone(), event),
        Phase::Held => held(job, event),
        Phase::Scheduled | Phase::Ready => waiting(job, event),
        Phase::InFlight => in_flight(job, event),
        Phase::Dead | Phase::Parked => set_aside(job, event),
    }
}

fn moved(mut job: Envelope, event: &Event) -> Next {
    let Event::Move { queue, priority, now } = event else { return refused(&job, event) };
    if let Some(queue) = queue {
        job.queue.clone_from(queue);
    }
    job.priority = priority.unwrap_or(job.priority);
    stands(job, *now)
}

fn held(job: &Envelope, event: &Event) -> Next {
    match event {
        Event::Confirm { now } => stands_from(job, job.run_at, *now),
        Event::Bury { reason, now } => buried(job.clone(), reason, *now),
        Event::Cancel => Next::Ends(Ending::Cancelled),
        Event::Discard => Next::Ends(Ending::Discarded),
        Event::Expire => Next::Ends(Ending::Expired),
        _ => refused(job, event),
    }
}

fn waiting(job: &Envelope, event: &Event) -> Next {
    let is_ready = job.state == State::Ready;
    match event {
        Event::Claim { token, now } if is_ready => claimed(job.clone(), *token, *now),
        // Promotion is no change of its own: it is logged for many jobs at once, and reads no clock.
        Event::Due if !is_ready => Next::Stands(Envelope { state: State::Ready, ..job.clone() }),
        Event::Bury { reason, now } => buried(job.clone(), reason, *now),
        Event::Cancel => Next::Ends(Ending::Cancelled),
        Event::Requeue { now } if !is_ready => requeued(job, *now),
        Event::Park { reason, now } if is_ready => parked(job.clone(), reason, *now),
        Event::Expire => Next::Ends(Ending::Expired),
        Event::Reschedule { run_at, now } => {
            stands_from(&Envelope { run_at: Some(*run_at), ..job.clone() }, Some(*run_at), *now)
        }
        _ => refused(job, event),
    }
}

fn set_aside(job: &Envelope, event: &Event) -> Next {
    let is_dead = job.state.phase() == Phase::Dead;
    match event {
        Event::Bury { reason, now } if !is_dead => buried(job.clone(), reason, *now),
        Event::Cancel => Next::Ends(Ending::Cancelled),
        Event::Requeue { now } => requeued(job, *now),
        Event::Unpark { now } if !is_dead => {
            stands(Envelope { state: State::Ready, reason: None, ..job.clone() }, *now)
        }
        Event::Prune if is_dead => Next::Ends(Ending::Pruned),
        _ => refused(job, event),
    }
}

fn in_flight(job: &Envelope, event: &Event) -> Next {
    let ends_attempt = matches!(
        event,
        Event::Nack { .. }
            | Event::Release { .. }
            | Event::Snooze { .. }
            | Event::Bury { .. }
            | Event::Interrupted { .. }
            | Event::LeaseExpired { .. }
            | Event::Park { .. }
    );
    if ends_attempt && job.cancel_requested && !planted!(CancelWishIgnored) {
        return Next::Ends(Ending::Cancelled);
    }
    match event {
        Event::Ack => Next::Ends(Ending::Completed),
        Event::Nack { error, jitter, now, retry_at } => {
            let run_at = planted!(RetryAtIgnored, None, *retry_at)
                .unwrap_or_else(|| now.after(job.backoff.delay(job.attempts, *jitter)));
            failed(job.clone(), error.clone(), State::Scheduled { run_at }, *now)
        }
        Event::Interrupted { now, alone } => {
            let is_pill = *alone && job.is_suspect() && !planted!(PillSpared);
            let job = Envelope { crashes: job.crashes.saturating_add(planted!(CrashNotCounted, 0, 1)), ..job.clone() };
            let error = own_error(&job, ErrorCause::Interrupted, "process ended while the job ran", *now);
            if is_pill { convicted(job, error, *now) } else { failed(job, error, State::Ready, *now) }
        }
        Event::LeaseExpired { now } => {
            let error = own_error(job, ErrorCause::LeaseExpired, "the lease ran out", *now);
            failed(job.clone(), error, State::Ready, *now)
        }
        Event::Release { now } if planted!(ReleaseSpendsAttempt) => {
            yielded(&Envelope { attempts: job.attempts + 1, ..job.clone() }, None, *now)
        }
        Event::Release { now } => yielded(job, None, *now),
        Event::Snooze { until, now } => yielded(job, Some(*until), *now),
        Event::Bury { reason, now } => buried(
            Envelope { attempts: job.attempts.saturating_add(planted!(BurySpendsNothing, 0, 1)), ..job.clone() },
            reason,
            *now,
        ),
        Event::Park { reason, now } => parked(job.clone(), reason, *now),
        Event::Cancel => Next::Stands(Envelope { cancel_requested: true, ..job.clone() }),
        _ => refused(job, event),
    }
}

fn claimed(mut job: Envelope, token: Token, now: Millis) -> Next {
    job.state = State::InFlight { token, since: now };
    if let Some(unique) = job.unique.as_mut().filter(|unique| unique.scope == Scope::UntilStarted) {
        unique.scope = Scope::Started;
    }
    stands(job, now)
}

/// One more attempt is spent: on to `retry`, or dead if it was the last.
fn failed(mut job: Envelope, error: AttemptError, retry: State, now: Millis) -> Next {
    let cause = error.kind;
    let given_back = planted!(AttemptNotCountedOnCrash) && cause == ErrorCause::Interrupted;
    job.attempts = job.attempts.saturating_add(u32::from(!given_back));
    job.yields = 0;
    job.keep_error(error);
    if job.attempts < planted!(OneAttemptTooMany, job.max_attempts + 1, job.max_attempts)
        || planted!(LastAttemptAgain) && cause == ErrorCause::Interrupted
    {
        job.state = retry;
    } else {
        job.state = State::Dead { at: now };
        job.reason = Some(match cause {
            ErrorCause::Interrupted => "process ended during the last attempt".to_owned(),
            ErrorCause::LeaseExpired => "the lease of the last attempt ran out".to_owned(),
            _ => format!("attempt {} of {} failed", job.attempts, job.max_attempts),
        });
    }
    stands(job, now)
}

/// A poison pill: dead, whatever attempts it has left (rule 11).
fn convicted(mut job: Envelope, error: AttemptError, now: Millis) -> Next {
    job.attempts = job.attempts.saturating_add(1);
    job.keep_error(error);
    let reason =
        format!("poison pill: the process ended {} times while the job ran, then while it ran alone", job.crashes);
    buried(job, &reason, now)
}

/// Given back untried, to be ready at once or `until` then; from the second time in a row not before a while.
fn yielded(job: &Envelope, until: Option<Millis>, now: Millis) -> Next {
    let earliest = (job.yields > 0 && !planted!(SecondReleaseSpins)).then(|| now.after(YIELD_WAIT_MIN));
    let state = match until.max(earliest) {
        Some(run_at) => State::Scheduled { run_at },
        None => State::Ready,
    };
    stands(Envelope { state, yields: job.yields.saturating_add(1), ..job.clone() }, now)
}

fn requeued(job: &Envelope, now: Millis) -> Next {
    let job = Envelope {
        state: State::Ready,
        attempts: planted!(RequeueKeepsAttempts, job.attempts, 0),
        crashes: 0,
        yields: 0,
        reason: None,
        ..job.clone()
    };
    stands(job, now)
}

fn buried(job: Envelope, reason: &str, now: Millis) -> Next {
    stands(Envelope { state: State::Dead { at: now }, reason: Some(shortened(reason)), ..job }, now)
}

fn parked(job: Envelope, reason: &str, now: Millis) -> Next {
    stands(Envelope { state: State::Parked { at: now }, reason: Some(shortened(reason)), ..job }, now)
}

/// Waits for `run_at` if that is to come, else ready.
fn stands_from(job: &Envelope, run_at: Option<Millis>, now: Millis) -> Next {
    let state = match run_at {
        Some(run_at) if run_at > now => State::Scheduled { run_at },
        _ => State::Ready,
    };
    stands(Envelope { state, ..job.clone() }, now)
}

fn stands(job: Envelope, now: Millis) -> Next {
    Next::Stands(Envelope { changed_at: Some(now), ..job })
}

fn refused(job: &Envelope, event: &Event) -> Next {
    Next::Refused(Refusal { event: event.name(), phase: job.state.phase() })
}

fn own_error(job: &Envelope, kind: ErrorCause, message: &str, now: Millis) -> AttemptError {
    let duration_ms = match job.state {
        State::InFlight { since, .. } if kind == ErrorCause::LeaseExpired => Some(now.0.saturating_sub(since.0)),
        _ => None,
    };
    AttemptError { attempt: job.attempts.saturating_add(1), at: now, kind, message: message.to_owned(), duration_ms }
}

fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, ERROR_BYTES_MAX);
    text
}
