//! A ring of keys, and the cipher: XChaCha20-Poly1305.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{Bound, KEY_ID_BYTES_MAX, NONCE_BYTES, SEAL_BYTES_MAX, Sealed, Unopened, VERSION};
use crate::error::{Error, Result};
use crate::random::Random;

/// The keys that jobs of sealed kinds ([`Job::SEALED`](crate::Job::SEALED)) are encrypted under at rest: the current
/// one seals and opens, older ones only open. Given to [`Options::keys`](crate::Options::keys).
///
/// Sealed are args, results, values of steps, checkpoints, progress and error texts, each with XChaCha20-Poly1305 under a
/// nonce of its own, and bound to kind, job and field: what is moved to another job does not open. Each says the id of
/// its key, so a key may be replaced: make the new one current, keep the old one with [`also`](Self::also) until no job
/// says its id any more ([`JobInfo::sealed`](crate::JobInfo::sealed)). A job whose key is missing, or that does not
/// authenticate, is parked with the reason, and comes back when the directory is opened with the key.
///
/// A sealed value is 42 bytes and the key's id longer; sealing or opening a short one takes a few microseconds, outside
/// every lock.
///
/// Not sealed: kind, queue, times, tags, metadata, unique keys, limit keys, names of steps, and how long everything is.
/// Nothing tells an old sealed value of a job's field from a newer one of the same field. What was written in plain
/// before its kind was sealed stays so, and lingers in recycled segments until it is overwritten.
///
/// The bytes of the keys are overwritten when the last clone goes; `Debug` shows ids alone.
///
/// ```
/// use backlog::{Backlog, Job, KeyRing};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Statement { account: String }
/// impl Job for Statement {
///     const KIND: &'static str = "statement";
///     const SEALED: bool = true;
/// }
/// # let dir = tempfile::tempdir()?;
/// # let (new, old) = ([7; 32], [3; 32]);
/// let keys = KeyRing::new("2026-11", new).also("2025-03", old);    // 32 random bytes each, from your secret store
/// let backlog = Backlog::builder().keys(keys).open(dir.path().join("jobs"))?;
/// backlog.enqueue(&Statement { account: "DE02 1203".into() })?;
/// let lease = backlog.queue("default").claim()?.expect("a job is ready");
/// assert_eq!(lease.args::<Statement>()?.account, "DE02 1203");
/// # lease.ack()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "does nothing until it is given to a backlog"]
pub struct KeyRing {
    current: OneKey,
    older: Vec<OneKey>,
}

#[derive(Clone)]
struct OneKey {
    id: Arc<str>,
    bytes: Arc<Zeroizing<[u8; 32]>>,
}

impl OneKey {
    fn new(id: &str, bytes: [u8; 32]) -> Self {
        Self { id: id.into(), bytes: Arc::new(Zeroizing::new(bytes)) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(<&Key>::from(&**self.bytes))
    }
}

impl KeyRing {
    /// A ring with one key, which seals. Its id is stored with everything it seals, in plain: 1 to 64 bytes, no control
    /// characters; a date does well. Never give other bytes the same id.
    pub fn new(id: impl AsRef<str>, key: [u8; 32]) -> Self {
        Self { current: OneKey::new(id.as_ref(), key), older: Vec::new() }
    }

    /// And this key, which only opens what it sealed earlier.
    pub fn also(mut self, id: impl AsRef<str>, key: [u8; 32]) -> Self {
        self.older.push(OneKey::new(id.as_ref(), key));
        self
    }

    fn all(&self) -> impl Iterator<Item = &OneKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    fn check(&self) -> Result<()> {
        for (nth, key) in self.all().enumerate() {
            let id = &*key.id;
            if id.is_empty() || id.len() > KEY_ID_BYTES_MAX || id.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "key id={id:?}: must have 1 to {KEY_ID_BYTES_MAX} bytes, and no control characters"
                )));
            }
            if self.all().skip(nth + 1).any(|other| other.id == key.id) {
                return Err(Error::invalid(format!("two keys have the id={id:?}; give each key its own")));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<&str> = self.older.iter().map(|key| &*key.id).collect();
        f.debug_struct("KeyRing").field("current", &&*self.current.id).field("older", &older).finish()
    }
}

/// The key ring of a program, if it gave one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Option<KeyRing>);

impl From<KeyRing> for Keys {
    fn from(ring: KeyRing) -> Self {
        Self(Some(ring))
    }
}

impl Keys {
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), KeyRing::check)
    }

    fn sealing(&self, kind: &str) -> Result<&OneKey> {
        self.0.as_ref().map(|ring| &ring.current).ok_or_else(|| {
            Error::invalid(format!(
                "jobs of kind={kind:?} are sealed, and the backlog was opened without keys; give them with Options::keys"
            ))
        })
    }

    /// The id of the key that seals.
    pub(crate) fn current(&self, kind: &str) -> Result<&str> {
        Ok(&self.sealing(kind)?.id)
    }

    /// Seals under the current key.
    pub(crate) fn seal(&self, random: &dyn Random, bound: &Bound<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let key = self.sealing(bound.kind)?;
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce)?;
        let payload = Payload { msg: plain, aad: &bound.aad() };
        let cipher = key.cipher().encrypt(<&XNonce>::from(&nonce), payload).map_err(|_| {
            Error::invalid(format!("{} bytes of kind={:?} cannot be sealed: too many", plain.len(), bound.kind))
        })?;
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES_MAX);
        // At most 64: checked when the ring was given.
        sealed.extend_from_slice(&[VERSION, u8::try_from(key.id.len()).unwrap_or(u8::MAX)]);
        sealed.extend_from_slice(key.id.as_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&cipher);
        Ok(sealed)
    }

    /// Opens what any key of the ring sealed as this.
    pub(crate) fn open(&self, bound: &Bound<'_>, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let sealed = Sealed::of(sealed).ok_or(Unopened::Malformed)?;
        let id = || sealed.key.to_owned();
        let missing = |why| Unopened::NoKey { key: id(), why };
        let ring = self.0.as_ref().ok_or_else(|| missing("the backlog was opened without keys (Options::keys)"))?;
        let key = ring.all().find(|key| &*key.id == sealed.key);
        let key = key.ok_or_else(|| missing("the key ring has no key of this id (KeyRing::also)"))?;
        let payload = Payload { msg: sealed.cipher, aad: &bound.aad() };
        let opened = key.cipher().decrypt(<&XNonce>::from(sealed.nonce), payload);
        opened.map_err(|_| Unopened::Forged { key: id() })
    }
}
