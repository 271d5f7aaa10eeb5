//! Saving the index between runs.
//!
//! # Invariants
//! * Frozen at a staged position, given to the store only when that position is durable (rule 2).
//! * A checkpoint shortens replay and licenses nothing else.
//! * A store that fails, panics or hangs is given up for the run; service goes on without it (rule 24).

use crate::error::{Error, ErrorKind, Result};
use crate::ids::Lsn;
use crate::index::Meta;
use crate::job::{self, Record, Totals};

use super::Core;
use super::commit::Ticket;
use super::ledger::Ledger;
use super::settings::Durability;
use super::state::State;

/// What the engine adds to a checkpoint: totals and ledger.
pub(super) struct EngineWords {
    pub(super) totals: Totals,
    pub(super) ledger: Ledger,
}

impl EngineWords {
    // Drawn once: length of the totals record (u32), its body, then the ledger's words (u64), all little-endian.
    fn encode(totals: Totals, ledger: &Ledger) -> Vec<u8> {
        let (_, body) = job::encode(&Record::Totals(totals));
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(body);
        for word in ledger.to_words() {
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
        Some(Self { totals, ledger: Ledger::from_words(&words, segment_bytes)? })
    }
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
            let index_lsn = state.stage.tail();
            let engine = EngineWords::encode(state.books.totals, &state.books.ledger);
            let delta =
                if keeper.wants_whole() { state.books.index.freeze_whole() } else { state.books.index.freeze() };
            (delta, index_lsn, engine)
        };
        self.wait(Ticket { lsn: index_lsn, level: Durability::Sync })?;
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
