//! What an envelope says of itself.

use super::sample::{NOW, TOKEN, failure, job, running};
use crate::ids::Millis;
use crate::job::{
    AttemptError, Cause, Codec, Envelope, ErrorCause, Event, Extra, JobRecord, Next, Removes, Scope, Sealed, State,
    Unique, next,
};

fn keyed(scope: Scope, state: State) -> Envelope {
    Envelope { unique: Some(Unique { hash: 5, key: "sale:7".to_owned(), scope }), ..job(state) }
}

#[test]
fn debug_shows_lengths_and_never_what_a_caller_wrote() {
    let secret = "hunter2";
    let mut envelope = keyed(Scope::Live, State::Ready);
    envelope.unique.as_mut().unwrap().key = secret.to_owned();
    envelope.tags = vec![secret.to_owned()];
    envelope.metadata = vec![(secret.to_owned(), secret.to_owned())];
    envelope.limit_key = Some(secret.to_owned());
    envelope.reason = Some(secret.to_owned());
    envelope.extra = vec![Extra { tag: 22, bytes: secret.as_bytes().to_vec() }];
    envelope.errors = vec![AttemptError { message: secret.to_owned(), ..failure() }];
    let removes = Some(Removes::of(&envelope));
    let record = JobRecord { cause: Cause::Changed, removes, envelope, args: secret.as_bytes().into() };
    let event = Event::Nack {
        error: AttemptError { message: secret.to_owned(), ..failure() },
        jitter: 0,
        now: NOW,
        retry_at: None,
    };
    let bury = Event::Bury { reason: secret.to_owned(), now: NOW };
    let bytes = format!("{:?}", secret.as_bytes());
    for shown in [format!("{record:?}"), format!("{event:?}"), format!("{bury:?}"), format!("{:?}", record.removes)] {
        assert!(!shown.contains(secret) && !shown.contains(&bytes), "{shown}");
    }
    let cell = crate::job::CellRecord {
        namespace: 7,
        key: secret.as_bytes(),
        value: Some(secret.as_bytes()),
        until: None,
        carried: false,
    };
    assert!(!format!("{cell:?}").contains(&bytes), "{cell:?}");
}

#[test]
fn a_dead_job_gives_its_unique_key_back_and_every_other_state_keeps_it() {
    let states = [
        State::Held,
        State::Scheduled { run_at: NOW },
        State::Ready,
        State::InFlight { token: TOKEN, since: NOW },
        State::Parked { at: NOW },
    ];
    for scope in [Scope::Live, Scope::Period { until: NOW }] {
        for state in states {
            assert_eq!(keyed(scope, state).holds_unique(), Some(5), "{state:?}");
        }
        assert_eq!(keyed(scope, State::Dead { at: NOW }).holds_unique(), None);
    }
    assert_eq!(running().holds_unique(), None);
}

#[test]
fn a_key_that_is_unique_until_the_start_is_free_from_the_first_claim_on() {
    let waiting = keyed(Scope::UntilStarted, State::Ready);
    assert_eq!(waiting.holds_unique(), Some(5));
    assert!(waiting.careful());
    let Next::Stands(claimed) = next(&waiting, &Event::Claim { token: TOKEN, now: NOW }) else { panic!() };
    assert_eq!(claimed.holds_unique(), None);
    for event in [
        Event::Release { now: NOW },
        Event::Snooze { until: NOW, now: NOW },
        Event::Interrupted { now: NOW, alone: false },
        Event::Park { reason: String::new(), now: NOW },
    ] {
        let Next::Stands(back) = next(&claimed, &event) else { panic!() };
        assert_eq!(back.holds_unique(), None, "event={}", event.name());
        let Next::Stands(requeued) = next(&Envelope { state: State::Dead { at: NOW }, ..back }, &requeue()) else {
            panic!()
        };
        assert_eq!(requeued.holds_unique(), None, "event={}", event.name());
    }
}

fn requeue() -> Event {
    Event::Requeue { now: NOW }
}

#[test]
fn a_job_is_careful_when_its_claim_needs_a_look_at_it() {
    assert!(!job(State::Ready).careful());
    assert!(!keyed(Scope::Live, State::Ready).careful());
    assert!(!Envelope { attempts: 23, ..job(State::Ready) }.careful());
    assert!(Envelope { attempts: 24, ..job(State::Ready) }.careful(), "the last attempt");
    assert!(Envelope { max_attempts: 1, ..job(State::Ready) }.careful(), "the only attempt");
    assert!(Envelope { crashes: 1, ..job(State::Ready) }.careful());
    assert!(Envelope { expires_at: Some(NOW), ..job(State::Ready) }.careful());
    assert!(Envelope { sealed: Some(Sealed::under("k")), ..job(State::Ready) }.careful());
}

#[test]
fn a_lane_is_the_queue_with_the_limit_key_if_there_is_one() {
    let plain = Envelope { queue: "mail".to_owned(), ..job(State::Ready) };
    assert_eq!(plain.lane(), "mail");
    let limited = Envelope { limit_key: Some("smtp".to_owned()), ..plain };
    assert_eq!(limited.lane(), "mail\0smtp");
    assert_eq!(Removes::of(&limited), Removes::Ready { queue: "mail\0smtp".to_owned(), priority: 0 });
    let dead = Envelope { state: State::Dead { at: Millis(4) }, ..limited };
    assert_eq!(Removes::of(&dead), Removes::Dead { at: Millis(4), queue: "mail\0smtp".to_owned() });
}

#[test]
fn stored_numbers_of_codecs_and_causes_never_change() {
    let codecs = [(1, Codec::Json), (2, Codec::Raw), (3, Codec::Other(3)), (200, Codec::Other(200))];
    for (code, codec) in codecs {
        assert_eq!((codec.code(), Codec::from_code(code)), (code, codec));
    }
    let causes = [
        (1, ErrorCause::Failed),
        (2, ErrorCause::Panicked),
        (3, ErrorCause::TimedOut),
        (4, ErrorCause::Interrupted),
        (5, ErrorCause::LeaseExpired),
        (6, ErrorCause::Cancelled),
        (7, ErrorCause::Abandoned),
        (8, ErrorCause::Damaged),
        (9, ErrorCause::Other(9)),
    ];
    for (code, cause) in causes {
        assert_eq!((cause.code(), ErrorCause::from_code(code)), (code, cause));
    }
}
