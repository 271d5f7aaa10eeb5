//! What a caller may say: names, keys, sizes. Pure.
//!
//! Each refusal says which value, what the limit is and what to do; a name is shown escaped, since it may be anything.

use crate::engine::Criteria;
use crate::error::{Error, Result};
use crate::ids::Millis;
use crate::job::Codec;
use crate::limits::{
    ATTEMPTS_MAX, BATCH_JOBS_MAX, ERROR_BYTES_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX, Scaled, TAGS_MAX,
};

/// Which text is looked at; the word for it in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameOf {
    Kind,
    Queue,
    Step,
    #[cfg(feature = "cron")]
    CronSet,
    #[cfg(feature = "cron")]
    CronEntry,
}

impl NameOf {
    fn word(self) -> &'static str {
        match self {
            NameOf::Kind => "kind",
            NameOf::Queue => "queue name",
            NameOf::Step => "name of a step",
            #[cfg(feature = "cron")]
            NameOf::CronSet => "name of a cron set",
            #[cfg(feature = "cron")]
            NameOf::CronEntry => "name of a cron entry",
        }
    }
}

/// A kind or a queue name.
pub(crate) fn name(of: NameOf, text: &str) -> Result<()> {
    written(of.word(), text, NAME_BYTES_MAX)
}

/// A unique key.
pub(super) fn unique_key(text: &str) -> Result<()> {
    bounded("unique key", text, KEY_BYTES_MAX)
}

pub(super) fn tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::too_large(format!("too many tags: tags={} limit={TAGS_MAX}; use fewer", tags.len())));
    }
    tags.iter().try_for_each(|tag| written("tag", tag, KEY_BYTES_MAX))
}

pub(super) fn metadata(pairs: &[(String, String)]) -> Result<()> {
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::too_large(format!(
            "metadata too large: bytes={bytes} limit={METADATA_BYTES_MAX}; put large values into the args"
        )));
    }
    pairs.iter().try_for_each(|(key, _)| written("metadata key", key, KEY_BYTES_MAX))
}

pub(super) fn limit_key(text: &str) -> Result<()> {
    written("limit key", text, KEY_BYTES_MAX)
}

/// The name under which an operator's deed is kept.
pub(super) fn who(text: &str) -> Result<()> {
    written("name of who asks", text, NAME_BYTES_MAX)
}

/// What a filter asks for, where it is kept: no longer than what it could find.
pub(super) fn criteria(criteria: &Criteria) -> Result<()> {
    let Criteria { queue, kind, tag, error, .. } = criteria;
    let limits = [
        ("queue name of the filter", queue, NAME_BYTES_MAX),
        ("kind of the filter", kind, NAME_BYTES_MAX),
        ("tag of the filter", tag, KEY_BYTES_MAX),
        ("error text of the filter", error, ERROR_BYTES_MAX),
    ];
    limits.into_iter().try_for_each(|(what, text, max)| text.iter().try_for_each(|text| bounded(what, text, max)))
}

pub(super) fn max_attempts(n: u32) -> Result<()> {
    if n == 0 || n > ATTEMPTS_MAX {
        return Err(Error::invalid(format!("max_attempts={n} is out of range; give 1 to {ATTEMPTS_MAX}")));
    }
    Ok(())
}

/// A job that has expired before it may start would never run.
pub(super) fn expiry(run_at: Option<Millis>, expires_at: Option<Millis>) -> Result<()> {
    match (run_at, expires_at) {
        (Some(run_at), Some(expires_at)) if expires_at <= run_at => Err(Error::invalid(format!(
            "the job would expire {} ms before it may start, and never run; let it expire later, or run earlier",
            run_at.0 - expires_at.0
        ))),
        _ => Ok(()),
    }
}

pub(super) fn codec(codec: Codec) -> Result<()> {
    match codec {
        Codec::Other(code @ 0..=2) => {
            Err(Error::invalid(format!("codec={code} is reserved; number codecs of your own from 3")))
        }
        _ => Ok(()),
    }
}

pub(super) fn payload(kind: &str, bytes: usize, limits: Scaled) -> Result<()> {
    let limit = limits.payload_bytes_max;
    if bytes > limit {
        return Err(Error::too_large(format!(
            "args too large: kind={kind:?} bytes={bytes} limit={limit}; store the data elsewhere and enqueue where it lies"
        )));
    }
    Ok(())
}

pub(super) fn batch(jobs: usize, bytes: usize, limits: Scaled) -> Result<()> {
    if jobs > BATCH_JOBS_MAX {
        return Err(Error::too_large(format!(
            "too many jobs for one commit: jobs={jobs} limit={BATCH_JOBS_MAX}; enqueue them in several calls"
        )));
    }
    let limit = limits.batch_bytes_max;
    if bytes > limit {
        return Err(Error::too_large(format!(
            "too many bytes for one commit: jobs={jobs} bytes={bytes} limit={limit}; enqueue them in several calls"
        )));
    }
    Ok(())
}

/// Text a person reads: not empty, within its limit, nothing that moves a cursor.
fn written(what: &str, text: &str, bytes_max: usize) -> Result<()> {
    bounded(what, text, bytes_max)?;
    let is_plain = text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    if !is_plain && text.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{what} holds a control character: {text:?}; take it out")));
    }
    Ok(())
}

fn bounded(what: &str, text: &str, bytes_max: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{what} is empty; give it at least one character")));
    }
    if text.len() > bytes_max {
        return Err(Error::too_large(format!("{what} too long: bytes={} limit={bytes_max}; shorten it", text.len())));
    }
    Ok(())
}
