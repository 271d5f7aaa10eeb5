//! How a service feels about a request: random, and the same for the same seed, order and count of requests.

use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    Nothing,
    /// 500, and nothing was done.
    FailsBefore,
    /// 500, and it was done all the same.
    FailsAfter,
    /// No answer, and nothing was done.
    SilentBefore,
    /// No answer, and it was done all the same.
    SilentAfter,
}

#[derive(Clone, Copy)]
pub(super) struct Mood {
    pub(super) slow: Duration,
    pub(super) trouble: Trouble,
}

impl Mood {
    pub(super) fn of(seed: u64, what: &str, nth: u32) -> Self {
        let mut random = draws(seed, &format!("{what} {nth}"));
        let trouble = match random.u32(0..100) {
            0..10 => Trouble::FailsBefore,
            10..18 => Trouble::FailsAfter,
            18..22 => Trouble::SilentBefore,
            22..26 => Trouble::SilentAfter,
            _ => Trouble::Nothing,
        };
        let slow = if random.u32(0..100) < 30 { random.u64(20..100) } else { random.u64(1..5) };
        Self { slow: Duration::from_millis(slow), trouble }
    }
}

/// Why the bank will not have this card; the same whenever it is asked.
pub(crate) fn refuses(seed: u64, order: &str) -> Option<&'static str> {
    let mut random = draws(seed, &format!("card {order}"));
    match random.u32(0..100) {
        0..9 => Some("insufficient funds"),
        9..15 => Some("the card has expired"),
        _ => None,
    }
}

/// FNV-1a mixes the words into the seed: the same on every machine.
fn draws(seed: u64, words: &str) -> fastrand::Rng {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    fastrand::Rng::with_seed(words.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, mix))
}
