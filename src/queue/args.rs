//! Args to bytes and back. JSON is the only codec this crate reads; the others are the caller's own.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::job::Job;
use crate::error::{Error, Result};
use crate::job::Codec;

/// Most args are shorter: their buffer never moves while they are written.
const ARGS_BYTES: usize = 512;

/// The JSON of `args`.
pub(super) fn encode_args<J: Job + Serialize + ?Sized>(args: &J) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(ARGS_BYTES);
    serde_json::to_writer(&mut json, args).map_err(|e| {
        Error::invalid(format!("args of kind={:?} cannot be written as JSON: {e}; nothing was enqueued", J::KIND))
    })?;
    Ok(json)
}

/// Args read back. The message names the place, never the bytes.
pub(crate) fn parse_args<T: DeserializeOwned>(kind: &str, codec: Codec, bytes: &[u8]) -> Result<T> {
    match codec {
        Codec::Json => serde_json::from_slice(bytes).map_err(|e| {
            Error::invalid(format!("args of kind={kind:?} do not parse, bytes={}: {}", bytes.len(), place(&e)))
        }),
        Codec::Raw => Err(Error::invalid(format!("args of kind={kind:?} are raw bytes, not JSON; read them as bytes"))),
        Codec::Other(code) => Err(Error::invalid(format!(
            "args of kind={kind:?} are written in codec={code}, not JSON; read them as bytes"
        ))),
    }
}

/// What serde says is wrong and where, without the value it met: errors end up in log files.
fn place(e: &serde_json::Error) -> String {
    let text = e.to_string();
    match text.split_once(": ") {
        Some((what @ ("invalid type" | "invalid value"), rest)) => match rest.rsplit_once(", expected ") {
            Some((_, expected)) => format!("{what}, expected {expected}"),
            None => format!("{what} at line {} column {}", e.line(), e.column()),
        },
        _ => text,
    }
}
