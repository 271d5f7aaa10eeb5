//! Jobs: JSON of an exact length with text that does not compress below six bits a byte.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The args of one job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    /// Which job this is; always written with 16 digits.
    pub id: u64,
    /// Fills the JSON up to its length.
    pub text: Cow<'static, str>,
}

impl Work {
    /// The JSON every peer stores; made inside the measurement.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("work is JSON")
    }

    /// Back from JSON, as a worker does before it calls the handler.
    pub fn from_json(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).expect("the bytes are those of a work")
    }
}

/// Makes jobs with rising ids, from several threads.
pub(crate) struct Maker {
    next: AtomicU64,
    first: u64,
    bytes: usize,
}

/// Keeps every id at 16 digits.
const FIRST_ID: u64 = 1_000_000_000_000_000;
const TEXTS: u64 = 1_024;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Maker {
    pub(crate) fn new(first: u64, bytes: usize) -> Self {
        texts(bytes);
        let first = FIRST_ID + first;
        Self { next: AtomicU64::new(first), first, bytes }
    }

    /// How many were made before this one.
    pub(crate) fn place(&self, id: u64) -> usize {
        usize::try_from(id - self.first).expect("an id of this maker")
    }

    pub(crate) fn make(&self) -> Work {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let texts = texts(self.bytes);
        let at = usize::try_from(id % TEXTS).expect("small");
        Work { id, text: Cow::Borrowed(&texts[at]) }
    }
}

/// All texts of a run have one length; they are made once.
fn texts(bytes: usize) -> &'static [String] {
    static MADE: OnceLock<Vec<String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let around = Work { id: FIRST_ID, text: Cow::Borrowed("") }.to_json().len();
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        (0..TEXTS).map(|_| text(&mut seed, bytes - around)).collect()
    })
}

fn text(seed: &mut u64, letters: usize) -> String {
    let letter = |_| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        char::from(LETTERS[usize::try_from(*seed >> 58).expect("six bits")])
    };
    (0..letters).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_as_long_as_asked_and_comes_back_from_its_json() {
        let maker = Maker::new(7, 200);
        let work = maker.make();
        let json = work.to_json();
        assert_eq!(json.len(), 200);
        let back = Work::from_json(&json);
        assert_eq!((back.id, back.text), (work.id, work.text));
        assert_ne!(maker.make().id, work.id);
    }
}
