//! The frozen shapes of the fields that are more than a number or a text, and what they stand for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::bytes::Time48;
use crate::ids::{Millis, Token};
use crate::job::envelope::{AttemptError, ErrorCause, Scope, Sealed, Unique};
use crate::job::retry::Backoff;
use crate::job::state::State;

#[derive(Serialize, Deserialize)]
pub(super) enum StateV1 {
    Held,
    Scheduled { run_at: u64 },
    Ready,
    InFlight { epoch: u64, counter: u64, since: u64 },
    Dead { at: u64 },
    Parked { at: u64 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct UniqueV1<'a> {
    hash: [u8; 16],
    key: &'a str,
    scope: ScopeV1,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ScopeV1 {
    Live,
    UntilStarted,
    Period { until: u64 },
    Started,
}

#[derive(Serialize, Deserialize)]
pub(super) enum BackoffV1 {
    Default,
    Fixed { delay_ms: u64 },
    Exponential { base_ms: u64, cap_ms: u64 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct ErrorV1<'a> {
    attempt: u32,
    at: Time48,
    cause: u8,
    message: &'a str,
    duration_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SealedV1<'a> {
    key: &'a str,
    parts: u8,
}

pub(super) fn state_out(state: State) -> Option<StateV1> {
    Some(match state {
        State::Ready => return None,
        State::Held => StateV1::Held,
        State::Scheduled { run_at } => StateV1::Scheduled { run_at: run_at.0 },
        State::InFlight { token, since } => {
            StateV1::InFlight { epoch: token.epoch, counter: token.counter, since: since.0 }
        }
        State::Dead { at } => StateV1::Dead { at: at.0 },
        State::Parked { at } => StateV1::Parked { at: at.0 },
    })
}

pub(super) fn state_in(stored: &StateV1) -> State {
    match *stored {
        StateV1::Held => State::Held,
        StateV1::Scheduled { run_at } => State::Scheduled { run_at: Millis(run_at) },
        StateV1::Ready => State::Ready,
        StateV1::InFlight { epoch, counter, since } => {
            State::InFlight { token: Token { epoch, counter }, since: Millis(since) }
        }
        StateV1::Dead { at } => State::Dead { at: Millis(at) },
        StateV1::Parked { at } => State::Parked { at: Millis(at) },
    }
}

pub(super) fn unique_out(unique: &Unique) -> UniqueV1<'_> {
    let scope = match unique.scope {
        Scope::Live => ScopeV1::Live,
        Scope::UntilStarted => ScopeV1::UntilStarted,
        Scope::Period { until } => ScopeV1::Period { until: until.0 },
        Scope::Started => ScopeV1::Started,
    };
    UniqueV1 { hash: unique.hash.to_le_bytes(), key: &unique.key, scope }
}

pub(super) fn unique_in(stored: &UniqueV1<'_>) -> Unique {
    let scope = match stored.scope {
        ScopeV1::Live => Scope::Live,
        ScopeV1::UntilStarted => Scope::UntilStarted,
        ScopeV1::Period { until } => Scope::Period { until: Millis(until) },
        ScopeV1::Started => Scope::Started,
    };
    Unique { hash: u128::from_le_bytes(stored.hash), key: stored.key.to_owned(), scope }
}

pub(super) fn backoff_out(backoff: Backoff) -> Option<BackoffV1> {
    let ms = |delay: Duration| u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    match backoff {
        Backoff::Default => None,
        Backoff::Fixed { delay } => Some(BackoffV1::Fixed { delay_ms: ms(delay) }),
        Backoff::Exponential { base, cap } => Some(BackoffV1::Exponential { base_ms: ms(base), cap_ms: ms(cap) }),
    }
}

pub(super) fn backoff_in(stored: &BackoffV1) -> Backoff {
    match *stored {
        BackoffV1::Default => Backoff::Default,
        BackoffV1::Fixed { delay_ms } => Backoff::Fixed { delay: Duration::from_millis(delay_ms) },
        BackoffV1::Exponential { base_ms, cap_ms } => {
            Backoff::Exponential { base: Duration::from_millis(base_ms), cap: Duration::from_millis(cap_ms) }
        }
    }
}

pub(super) fn error_out(error: &AttemptError) -> ErrorV1<'_> {
    ErrorV1 {
        attempt: error.attempt,
        at: Time48(error.at),
        cause: error.kind.code(),
        message: &error.message,
        duration_ms: error.duration_ms,
    }
}

pub(super) fn error_in(stored: &ErrorV1<'_>) -> AttemptError {
    AttemptError {
        attempt: stored.attempt,
        at: stored.at.0,
        kind: ErrorCause::from_code(stored.cause),
        message: stored.message.to_owned(),
        duration_ms: stored.duration_ms,
    }
}

pub(super) fn sealed_out(sealed: &Sealed) -> SealedV1<'_> {
    SealedV1 { key: &sealed.key, parts: sealed.parts }
}

pub(super) fn sealed_in(stored: &SealedV1<'_>) -> Sealed {
    Sealed { key: stored.key.to_owned(), parts: stored.parts }
}
