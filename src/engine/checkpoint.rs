//! Saving the index between runs.
//!
//! # Invariants
//! * Frozen at a staged position, given to the store only when that position is durable (rule 2).
//! * A checkpoint shortens replay and licenses nothing else.
//! * A store that fails, panics or hangs is given up for the run; service goes on without it (rule 24).

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{JobId, Lsn};
use crate::index::{LaneId, Meta};
use crate::job::{self, Record, Totals};

use super::Core;
use super::books::{Books, Suspect};
use super::commit::Ticket;
use super::ledger::Ledger;
use super::settings::Durability;
use super::state::State;

/// What the engine adds to a checkpoint: totals, suspects and ledger.
pub(super) struct EngineWords {
    pub(super) totals: Totals,
    pub(super) suspects: BTreeMap<JobId, Suspect>,
    pub(super) ledger: Ledger,
}

/// Words of one suspect: id, lane, priority.
const SUSPECT_WORDS: usize = 3;

impl EngineWords {
    // Drawn once: length of the totals record (u32), its body; then words (u64): the count of suspects, three of each,
    // and the ledger's. All little-endian.
    fn encode(books: &Books) -> Vec<u8> {
        let (_, body) = job::encode(&Record::Totals(books.totals));
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(body);
        let suspects: Vec<u64> = books.suspects().flat_map(|(id, suspect)| words_of(id, suspect)).collect();
        let count = (suspects.len() / SUSPECT_WORDS) as u64;
        for word in [count].into_iter().chain(suspects).chain(books.ledger.to_words()) {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8], segment_bytes: u32) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (body, words) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let Ok(Record::Totals(totals)) = job::decode(job::kind::TOTALS, body) else { return None };
        if words.len() % 8 != 0 {
            return None;
        }
        let words: Vec<u64> =
            words.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes)).collect();
        let (count, words) = words.split_first()?;
        let (suspects, ledger) = words.split_at_checked(usize::try_from(*count).ok()?.checked_mul(SUSPECT_WORDS)?)?;
        let suspects = suspects.chunks_exact(SUSPECT_WORDS).map(suspect_of).collect::<Option<_>>()?;
        Some(Self { totals, suspects, ledger: Ledger::from_words(ledger, segment_bytes)? })
    }
}

fn words_of(id: JobId, suspect: Suspect) -> [u64; SUSPECT_WORDS] {
    [id.0, u64::from(suspect.lane.0), u64::from(suspect.priority.cast_unsigned())]
}

fn suspect_of(words: &[u64]) -> Option<(JobId, Suspect)> {
    let [id, lane, priority] = *words else { return None };
    let lane = LaneId(u32::try_from(lane).ok()?);
    Some((JobId(id), Suspect { lane, priority: u16::try_from(priority).ok()?.cast_signed() }))
}

impl Core {
    /// Saves what changed since the last checkpoint. `Io` if there is no working store in this run.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let keeper = self.keeper.lock();
        if let Some(why) = keeper.gone() {
            return Err(Error::new(
                ErrorKind::Io,
                format!("no index is saved in this run: {why}; nothing is lost, the next open reads the log"),
            ));
        }
        let (delta, index_lsn, engine) = {
            let mut state = self.state.lock();
            if let Some(cause) = self.log.poisoned() {
                return Err(cause);
            }
            let index_lsn = planted!(CheckpointAtDurable, self.log.durable(), state.stage.tail());
            let engine = EngineWords::encode(&state.books);
            let delta =
                if keeper.wants_whole() { state.books.index.freeze_whole() } else { state.books.index.freeze() };
            (delta, index_lsn, engine)
        };
        planted!(CheckpointBeforeDurable, (), self.wait(Ticket { lsn: index_lsn, level: Durability::Sync })?);
        let meta = Meta { log_id: self.identity.log_id, index_lsn, durable_lsn: self.log.durable(), engine };
        let saved = keeper.save(delta, meta);
        drop(keeper);
        saved.map_err(|e| Error::new(ErrorKind::Io, format!("the index was not saved: {e}; nothing is lost")))?;
        self.state.lock().checkpoint = index_lsn;
        self.compact.ring();
        Ok(())
    }

    /// Whether enough was logged since the last checkpoint.
    pub(super) fn checkpoint_due(&self) -> bool {
        let state = self.state.lock();
        let since = state.stage.tail().0.saturating_sub(state.checkpoint.0);
        since >= self.settings.checkpoint_bytes && self.saves_checkpoints()
    }

    /// Position of the newest checkpoint, if there is a working store.
    pub(super) fn checkpoint_position(&self, state: &State) -> Option<Lsn> {
        self.saves_checkpoints().then_some(state.checkpoint)
    }

    fn saves_checkpoints(&self) -> bool {
        // Somebody is saving right now: then there is one.
        self.keeper.try_lock().is_none_or(|keeper| keeper.gone().is_none())
    }
}
