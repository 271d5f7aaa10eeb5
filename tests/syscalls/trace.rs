//! What strace writes (`-f -y -xx`), as calls with a beginning and an end.

use std::collections::HashMap;

/// One system call. Lines of the trace are its clock: a call that began behind another one's end saw its effect.
#[derive(Debug, Default, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Line where it began, line where it returned.
    pub(crate) began: usize,
    pub(crate) ended: usize,
    /// Paths behind its descriptors, in order.
    pub(crate) paths: Vec<String>,
    /// Its texts: bytes to write, names.
    pub(crate) texts: Vec<Vec<u8>>,
    /// Its plain numbers, in order.
    pub(crate) numbers: Vec<u64>,
    pub(crate) returned: i64,
}

pub(crate) fn read(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((process, event)) = text.split_once(' ') else { continue };
        let event = event.trim_start();
        if let Some(begin) = event.strip_suffix(" <unfinished ...>") {
            open.insert(process, (line, begin.to_owned()));
        } else if event.starts_with("<... ") {
            let Some((began, begin)) = open.remove(process) else { continue };
            let rest = event.split_once(" resumed>").map_or("", |(_, rest)| rest);
            calls.extend(call(&format!("{begin}{rest}"), began, line));
        } else {
            calls.extend(call(event, line, line));
        }
    }
    calls
}

/// `None`: a signal, or the end of a process.
fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (head, answer) = text.rsplit_once(" = ")?;
    let (name, arguments) = head.split_once('(')?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let returned = answer.split(|c: char| c != '-' && !c.is_ascii_digit()).next()?.parse().ok()?;
    let mut call = Call { name: name.to_owned(), began, ended, returned, ..Call::default() };
    let mut rest = arguments;
    while !rest.is_empty() {
        let first = rest.chars().next()?;
        let (piece, after) = match first {
            '"' => rest[1..].split_once('"')?,
            '<' => rest[1..].split_once('>')?,
            _ => rest.split_at(rest.find(['"', '<', ',']).unwrap_or(rest.len()).max(1)),
        };
        match first {
            '"' => call.texts.push(bytes(piece)),
            '<' => call.paths.push(String::from_utf8_lossy(&bytes(piece)).into_owned()),
            _ => call.numbers.extend(piece.trim_matches([' ', ',']).parse::<u64>()),
        }
        rest = after;
    }
    Some(call)
}

/// With `\x41` for every byte, or as it is where strace leaves it so.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.strip_prefix(b"x").and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &after[3..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}
