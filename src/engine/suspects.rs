//! Jobs that were running when the process died, twice or more: after an open each has its turn alone (rule 11).
//!
//! # Invariants
//! * While one runs alone nobody else is granted anything, for [`ALONE_MAX`] at most. That it runs alone is said by a
//!   cell in the frame of its grant; the frame of the next grant clears it. So a death is laid to a job only if
//!   the log says that it ran alone, whatever a crash took.
//! * A suspect has one turn in each life of a handle. Nobody is held back for one that nobody asks for longer than
//!   [`UNASKED_MAX`].
//!
//! Never here: what becomes of a job that died alone (`job::next`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{JobId, Phase, Token};
use crate::index::LaneId;
use crate::job::{CellRecord, namespace};

use super::Core;
use super::books::Books;
use super::lines::queue_of;
use super::state::State;

/// How long others are held back for one suspect at most.
const ALONE_MAX: Duration = Duration::from_secs(60);
/// How long others are held back while nobody asks for the suspect's queue.
const UNASKED_MAX: Duration = Duration::from_secs(5);
/// The one cell of its namespace.
const KEY: &[u8] = b"token";

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Suspects that were ready when the directory was opened and have not had their turn.
    line: BTreeSet<JobId>,
    alone: Option<Alone>,
    /// When somebody was first held back for who is next; on the monotonic clock.
    since: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Alone {
    id: JobId,
    token: Token,
    until: Duration,
}

/// What a claim may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// What stands in line as ever.
    Open,
    /// This suspect, alone.
    Alone(JobId),
    /// Nothing for now.
    Shut,
}

impl Turns {
    /// Whether the end of this job's lease lets others go on.
    pub(super) fn ends_with(&self, id: JobId) -> bool {
        self.alone.is_some_and(|alone| alone.id == id)
    }

    /// When those who are held back should look again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match (self.alone, self.since) {
            (Some(alone), _) => Some(alone.until),
            (None, Some(since)) => Some(since.saturating_add(UNASKED_MAX)),
            (None, None) => None,
        }
    }

    fn next_turn(&mut self) {
        self.alone = None;
        self.since = None;
    }
}

impl State {
    /// Everybody who is ready now and was in flight at two crashes waits for a turn. Gives how many.
    pub(super) fn line_up_suspects(&mut self) -> usize {
        let index = &self.books.index;
        let ready = |id: &JobId| index.get(*id).is_some_and(|entry| entry.phase == Phase::Ready);
        self.turns.line = self.books.suspects().map(|(id, _)| id).filter(ready).collect();
        self.turns.line.len()
    }

    /// What rule 11 lets a claim on these queues have at `now`.
    pub(super) fn gate(&mut self, queues: &[String], now: Duration) -> Gate {
        if let Some(alone) = self.turns.alone {
            let held = self.leases.get(&alone.id).is_some_and(|lease| lease.token == alone.token);
            if held && (planted!(HeldBackForEver) || now < alone.until) {
                return Gate::Shut;
            }
            self.turns.next_turn();
        }
        loop {
            let waiting = self.waiting_suspects();
            let Some(&(_, first)) = waiting.first() else { return Gate::Open };
            let waited = self.turns.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
            match waiting.iter().find(|(_, lane)| self.asks(queues, *lane)) {
                Some((id, _)) if planted!(SuspectBesideOthers) || self.leases.is_empty() => return Gate::Alone(*id),
                // Others run on and on: it goes in company, as any job.
                Some((id, _)) if waited >= ALONE_MAX => {
                    self.turns.line.remove(id);
                    self.turns.next_turn();
                }
                None if waited >= UNASKED_MAX => {
                    for (id, _) in waiting.iter().filter(|(_, lane)| *lane == first) {
                        self.turns.line.remove(id);
                    }
                    self.turns.next_turn();
                }
                _ => {
                    self.turns.since.get_or_insert(now);
                    return Gate::Shut;
                }
            }
        }
    }

    /// Those in line that could run now, oldest first. Who is no longer ready, or no suspect, has lost its turn.
    fn waiting_suspects(&mut self) -> Vec<(JobId, LaneId)> {
        let Self { turns, books, paused, .. } = self;
        let ready = |id: JobId| books.index.get(id).is_some_and(|entry| entry.phase == Phase::Ready);
        turns.line.retain(|id| books.suspect(*id).is_some() && ready(*id));
        let lane_of = |id: &JobId| books.suspect(*id).map(|suspect| (*id, suspect.lane));
        let open = |lane| !paused.contains(queue_of(books.index.lane_name(lane)));
        turns.line.iter().filter_map(lane_of).filter(|(_, lane)| open(*lane)).collect()
    }

    /// The suspect was granted, alone.
    pub(super) fn runs_alone(&mut self, id: JobId, token: Token, now: Duration) {
        self.turns.line.remove(&id);
        self.turns.alone = Some(Alone { id, token, until: now.saturating_add(ALONE_MAX) });
    }
}

/// The token under which, says the log, a suspect runs alone.
pub(super) fn token_alone(books: &Books) -> Option<Token> {
    let value = books.index.cell(namespace::ALONE, KEY)?.value?;
    let (epoch, counter) = value.split_first_chunk::<8>()?;
    Some(Token { epoch: u64::from_be_bytes(*epoch), counter: u64::from_be_bytes(counter.try_into().ok()?) })
}

impl Core {
    /// Says who is held back, by a suspect or by a limit, that it may look again.
    pub(super) fn pass_turn(&self, state: &State, id: JobId) {
        let frees = state.lines.any_limit() && !planted!(FreedSlotIsSilent);
        if frees || (state.turns.ends_with(id) && !planted!(TurnEndsSilently)) {
            self.wake_work();
        }
    }
}

/// What the cell holds while this token runs alone.
pub(super) fn value_of(token: Token) -> [u8; 16] {
    let mut value = [0; 16];
    let (epoch, counter) = value.split_at_mut(8);
    epoch.copy_from_slice(&token.epoch.to_be_bytes());
    counter.copy_from_slice(&token.counter.to_be_bytes());
    value
}

/// The cell, set or cleared.
pub(super) fn cell(value: Option<&[u8]>) -> CellRecord<'_> {
    CellRecord { namespace: namespace::ALONE, key: KEY, value, until: None, carried: false }
}
