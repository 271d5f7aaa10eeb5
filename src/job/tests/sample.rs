//! Jobs and records to test with: one for each state, and random ones from a seed.

use std::borrow::Cow;
use std::time::Duration;

use crate::ids::{Millis, Token};
use crate::job::{
    AttemptError, Backoff, Cause, CellRecord, ClaimRun, Claimed, Codec, Counters, Due, Ended, Ending, Envelope,
    ErrorCause, Extra, JobRecord, Opened, Record, Removes, Scope, Sealed, State, Totals, Unique,
};

pub(super) const NOW: Millis = Millis(1_760_000_000_000);
pub(super) const TOKEN: Token = Token { epoch: 3, counter: 17 };

/// A job in `state`.
pub(super) fn job(state: State) -> Envelope {
    Envelope { state, ..Envelope::new("charge_card", NOW) }
}

/// A job that runs since a second.
pub(super) fn running() -> Envelope {
    job(State::InFlight { token: TOKEN, since: Millis(NOW.0 - 1000) })
}

pub(super) fn failure() -> AttemptError {
    AttemptError {
        attempt: 1,
        at: NOW,
        kind: ErrorCause::Failed,
        message: "card declined".to_owned(),
        duration_ms: Some(4),
    }
}

/// Random records: the same for the same seed.
pub(super) struct Sampler {
    pub(super) rng: fastrand::Rng,
    bytes: Vec<u8>,
}

impl Sampler {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes = std::iter::repeat_with(|| rng.u8(..)).take(4096).collect();
        Self { rng, bytes }
    }

    fn sometimes<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.rng.bool().then(|| make(self))
    }

    /// Small, large, and at the edges of the varint.
    fn number(&mut self) -> u64 {
        let edges = [0, 1, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        if self.rng.bool() { edges[self.rng.usize(..edges.len())] } else { self.rng.u64(..) >> self.rng.u32(..64) }
    }

    fn small(&mut self) -> u32 {
        self.number() as u32
    }

    fn time(&mut self) -> Millis {
        Millis(self.number())
    }

    fn time48(&mut self) -> Millis {
        Millis(self.number() & ((1 << 48) - 1))
    }

    fn text(&mut self) -> String {
        let alphabet = ['a', 'Z', '0', '_', ' ', '\0', 'ß', '日', '🦀'];
        let length = self.rng.usize(1..40);
        std::iter::repeat_with(|| alphabet[self.rng.usize(..alphabet.len())]).take(length).collect()
    }

    fn hash(&mut self) -> u128 {
        self.rng.u128(..)
    }

    fn slice(&mut self, longest: usize) -> std::ops::Range<usize> {
        let start = self.rng.usize(..1024);
        start..start + self.rng.usize(..=longest)
    }

    fn lane(&mut self) -> String {
        if self.rng.bool() { "default".to_owned() } else { self.text() }
    }

    fn priority(&mut self) -> i16 {
        if self.rng.bool() { 0 } else { self.rng.i16(..) }
    }

    fn state(&mut self) -> State {
        match self.rng.u8(..6) {
            0 => State::Held,
            1 => State::Scheduled { run_at: self.time() },
            2 => State::Ready,
            3 => State::InFlight { token: Token { epoch: self.number(), counter: self.number() }, since: self.time() },
            4 => State::Dead { at: self.time() },
            _ => State::Parked { at: self.time() },
        }
    }

    fn removes(&mut self) -> Removes {
        let queue = self.lane();
        match self.rng.u8(..6) {
            0 => Removes::Held { queue },
            1 => Removes::Scheduled { run_at: self.time(), queue, priority: self.priority() },
            2 => Removes::Ready { queue, priority: self.priority() },
            3 => Removes::InFlight,
            4 => Removes::Dead { at: self.time(), queue },
            _ => Removes::Parked { at: self.time(), queue },
        }
    }

    fn backoff(&mut self) -> Backoff {
        let mut delay = || Duration::from_millis(self.number());
        let (first, second) = (delay(), delay());
        match self.rng.u8(..3) {
            0 => Backoff::Default,
            1 => Backoff::Fixed { delay: first },
            _ => Backoff::Exponential { base: first, cap: second },
        }
    }

    fn unique(&mut self) -> Unique {
        let scope = match self.rng.u8(..4) {
            0 => Scope::Live,
            1 => Scope::UntilStarted,
            2 => Scope::Started,
            _ => Scope::Period { until: self.time() },
        };
        Unique { hash: self.hash(), key: self.text(), scope }
    }

    fn error(&mut self) -> AttemptError {
        AttemptError {
            attempt: self.small(),
            at: self.time48(),
            kind: ErrorCause::from_code(self.rng.u8(..12)),
            message: self.text(),
            duration_ms: self.sometimes(Self::number),
        }
    }

    pub(super) fn envelope(&mut self) -> Envelope {
        let mut job = Envelope { kind: self.text(), state: self.state(), ..job(State::Ready) };
        job.created_at = self.time48();
        if self.rng.u8(..4) == 0 {
            return job;
        }
        job.queue = self.lane();
        job.priority = self.priority();
        job.codec = Codec::from_code(self.rng.u8(..5));
        job.changed_at = self.sometimes(Self::time);
        job.run_at = self.sometimes(Self::time);
        job.attempts = self.sometimes(Self::small).unwrap_or(0);
        job.max_attempts = self.sometimes(Self::small).unwrap_or(25);
        job.crashes = self.sometimes(Self::small).unwrap_or(0);
        job.yields = self.sometimes(Self::small).unwrap_or(0);
        job.cancel_requested = self.rng.bool();
        job.unique = self.sometimes(Self::unique);
        job.timeout_ms = self.sometimes(Self::number);
        job.expires_at = self.sometimes(Self::time);
        job.backoff = self.backoff();
        for _ in 0..self.rng.usize(..4) {
            let (tag, key, value) = (self.text(), self.text(), self.text());
            job.tags.push(tag);
            job.metadata.push((key, value));
        }
        job.limit_key = self.sometimes(Self::text);
        job.group = self.sometimes(Self::number);
        job.keep_result_ms = self.sometimes(Self::number);
        job.errors = (0..self.rng.usize(..=10)).map(|_| self.error()).collect();
        job.reason = self.sometimes(Self::text);
        job.sealed = self.sometimes(|s| Sealed { key: s.text(), parts: s.rng.u8(..) });
        if self.rng.bool() {
            let bytes = self.slice(20);
            job.extra = vec![
                Extra { tag: 22, bytes: self.bytes[bytes].to_vec() },
                Extra { tag: self.rng.u8(23..128), bytes: Vec::new() },
            ];
        }
        job
    }

    pub(super) fn job(&mut self) -> JobRecord<'_> {
        let cause = [Cause::Enqueued, Cause::Changed, Cause::Interrupted, Cause::Carried][self.rng.usize(..4)];
        let removes = self.sometimes(Self::removes);
        let envelope = self.envelope();
        let args = self.slice(2048);
        JobRecord { cause, removes, envelope, args: Cow::Borrowed(&self.bytes[args]) }
    }

    fn claimed(&mut self) -> Claimed {
        let run = |s: &mut Self| {
            let near = s.number();
            let ids = (0..s.rng.usize(..40))
                .map(|_| if s.rng.u8(..4) == 0 { s.number() } else { near.wrapping_add(s.rng.u64(..300)) })
                .collect();
            ClaimRun { queue: s.lane(), priority: s.priority(), ids }
        };
        let (epoch, first_counter, at) = (self.number(), self.number(), self.time48());
        let runs = (0..self.rng.usize(..4)).map(|_| run(self)).collect();
        Claimed { epoch, first_counter, at, runs }
    }

    fn totals(&mut self) -> Totals {
        let mut n = || self.number();
        Totals {
            epoch: n(),
            id_ceiling: n(),
            next_id: n(),
            trimmed_through: n(),
            counters: Counters {
                enqueued: n(),
                completed: n(),
                cancelled: n(),
                expired: n(),
                discarded: n(),
                pruned: n(),
                claims: n(),
                failures: n(),
            },
        }
    }

    fn ended(&mut self) -> Ended {
        let ends = [Ending::Completed, Ending::Cancelled, Ending::Expired, Ending::Discarded, Ending::Pruned];
        let how = ends[self.rng.usize(..ends.len())];
        Ended { removes: self.removes(), how, unique: self.sometimes(Self::hash), at: self.time48() }
    }

    fn cell(&mut self) -> CellRecord<'_> {
        let (key, value) = (self.slice(64), self.sometimes(|s| s.slice(2048)));
        let (namespace, until, carried) = (self.rng.u8(..), self.sometimes(Self::time), self.rng.bool());
        let value = value.map(|range| &self.bytes[range]);
        CellRecord { namespace, key: &self.bytes[key], value, until, carried }
    }

    /// A record of the given kind, 1 to 7.
    pub(super) fn record(&mut self, kind: u8) -> Record<'_> {
        match kind {
            1 => {
                let nonce = self.hash().to_le_bytes();
                let (epoch, first_id) = (self.number(), self.number());
                Record::Opened(Opened { epoch, nonce, first_id, at: self.time48() })
            }
            2 => Record::Totals(self.totals()),
            3 => Record::Job(self.job()),
            4 => Record::Claimed(self.claimed()),
            5 => Record::Ended(self.ended()),
            6 => Record::Due(Due { run_at: self.time(), id: self.number() }),
            7 => Record::Cell(self.cell()),
            _ => unreachable!("kinds are 1 to 7"),
        }
    }
}
