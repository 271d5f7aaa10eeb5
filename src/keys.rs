//! Keys, and what is sealed under them: one AEAD over bytes that are bound to a job and to what they are of it.
//!
//! ```text
//! sealed value: version u8 (1) | length of the key's id u8 | key's id | nonce 24 | ciphertext | tag 16
//! bound to:     version | length of kind u32 LE | kind | job id u64 LE | field u8 | name of it
//! sealed text:  "sealed:" and the sealed value in Base64
//! ```
//!
//! # Invariants
//! * A value opens only as what it was sealed as: the same kind, job and field. Never a place: bytes may be carried.
//! * A nonce is 192 random bits, drawn anew for each value.
//! * Nothing here shows a key, or what was sealed.
//!
//! Never here: which jobs are sealed, and when (`engine::sealed`).

mod base64;
#[cfg_attr(feature = "encrypt", path = "keys/ring.rs")]
#[cfg_attr(not(feature = "encrypt"), path = "keys/none.rs")]
mod ring;
#[cfg(all(test, feature = "encrypt", not(backlog_shuttle)))]
mod tests;

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};
use crate::ids::JobId;
use crate::random::Random;

#[cfg(feature = "encrypt")]
pub use ring::KeyRing;
pub(crate) use ring::Keys;

/// The version of a sealed value; zero is invalid everywhere.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The longest id of a key, bytes.
const KEY_ID_BYTES_MAX: usize = 64;
/// What a sealed value takes beyond what it holds, at most, bytes.
pub(crate) const SEAL_BYTES_MAX: usize = 2 + KEY_ID_BYTES_MAX + NONCE_BYTES + TAG_BYTES;
/// What a sealed text begins with. Sealed jobs have texts of their own beside them: those the engine wrote.
const TEXT: &str = "sealed:";
/// What is kept of a text that is sealed, bytes: with all that comes on top it fits where the text would have stood.
pub(crate) const TEXT_BYTES_MAX: usize = 1_400;

/// What sealed bytes belong to. They open as nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: JobId,
    pub(crate) field: Field<'a>,
}

/// Which part of a job it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Args,
    /// Of this attempt.
    Error(u32),
    Reason,
    /// By the step's name.
    Step(&'a [u8]),
    Checkpoint,
    Progress,
    Result,
}

impl Bound<'_> {
    #[cfg_attr(not(feature = "encrypt"), expect(dead_code, reason = "nothing is sealed or opened without the feature"))]
    fn aad(&self) -> Vec<u8> {
        let attempt;
        let (field, name): (u8, &[u8]) = match self.field {
            Field::Args => (1, &[]),
            Field::Error(of) => {
                attempt = of.to_le_bytes();
                (2, &attempt)
            }
            Field::Reason => (3, &[]),
            Field::Step(name) => (4, name),
            Field::Checkpoint => (5, &[]),
            Field::Progress => (6, &[]),
            Field::Result => (7, &[]),
        };
        let mut aad = vec![VERSION];
        // A length first, so that no kind runs into what follows.
        aad.extend_from_slice(&u32::try_from(self.kind.len()).unwrap_or(u32::MAX).to_le_bytes());
        aad.extend_from_slice(self.kind.as_bytes());
        aad.extend_from_slice(&planted!(SealedForAnyJob, 0, self.id.0).to_le_bytes());
        aad.push(field);
        aad.extend_from_slice(name);
        aad
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// Nobody gave the key of this id.
    NoKey { key: String, why: &'static str },
    /// It does not authenticate under this key.
    #[cfg_attr(not(feature = "encrypt"), expect(dead_code, reason = "nothing is opened without the feature"))]
    Forged { key: String },
    /// It does not read as a sealed value at all.
    Malformed,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey { key, why } => write!(f, "sealed under key {key:?}: {why}"),
            Self::Forged { key } => write!(
                f,
                "not authentic under key {key:?}: the bytes were changed or belong elsewhere, or the key has other bytes"
            ),
            Self::Malformed => f.write_str("not a sealed value that this release can read"),
        }
    }
}

impl Unopened {
    pub(crate) fn into_error(self, what: &str) -> Error {
        Error::invalid(format!("{what} cannot be opened: {self}"))
    }
}

/// A sealed value in its parts.
struct Sealed<'a> {
    key: &'a str,
    #[cfg_attr(not(feature = "encrypt"), expect(dead_code, reason = "nothing is opened without the feature"))]
    nonce: &'a [u8; NONCE_BYTES],
    #[cfg_attr(not(feature = "encrypt"), expect(dead_code, reason = "nothing is opened without the feature"))]
    cipher: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, len], rest) = bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(len))?;
        let (nonce, cipher) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let key = std::str::from_utf8(key).ok()?;
        (version == VERSION && !key.is_empty() && cipher.len() >= TAG_BYTES).then_some(Self { key, nonce, cipher })
    }
}

impl Keys {
    /// Seals a text of at most [`TEXT_BYTES_MAX`] bytes under the current key. An empty one says nothing, and stays.
    pub(crate) fn seal_text(&self, random: &dyn Random, bound: &Bound<'_>, text: &str) -> Result<String> {
        if text.is_empty() {
            return Ok(String::new());
        }
        Ok(format!("{TEXT}{}", base64::encode(&self.seal(random, bound, text.as_bytes())?)))
    }

    /// A text of a sealed job as a person may see it: the engine's own as they are, sealed ones opened, or what keeps
    /// them shut.
    pub(crate) fn open_text<'t>(&self, bound: &Bound<'_>, text: &'t str) -> Cow<'t, str> {
        let Some(sealed) = text.strip_prefix(TEXT) else { return Cow::Borrowed(text) };
        let opened = base64::decode(sealed).ok_or(Unopened::Malformed).and_then(|sealed| self.open(bound, &sealed));
        Cow::Owned(match opened.map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => format!("({})", Unopened::Malformed),
            Err(why) => format!("({why})"),
        })
    }
}
