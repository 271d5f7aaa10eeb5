//! How answers look: tables and words for people, one line of JSON for programs.
//!
//! # Invariants
//! * Everything that is not our own word goes through [`plain`] before it reaches a terminal.
//! * Colour comes and goes with the terminal and `NO_COLOR`; no word depends on it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::value::RawValue;

use super::trouble::{Ended, Trouble};
use crate::clock::{Clock, RealClock};
pub(super) use crate::face::text::plain;

/// The version of what `--json` shows: raised when a field changes its meaning or goes.
const SHAPE: u32 = 1;

/// Where answers go.
pub(super) struct Screen {
    json: bool,
    verb: &'static str,
    pub(super) now: SystemTime,
}

#[derive(Serialize)]
struct Said<'a> {
    backlog: u32,
    verb: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Wrong<'a>>,
}

#[derive(Serialize)]
struct Wrong<'a> {
    kind: &'a str,
    message: &'a str,
}

impl Screen {
    pub(super) fn new(json: bool, verb: &'static str) -> Self {
        Self { json, verb, now: RealClock::new().now() }
    }

    /// The answer as JSON, if that was asked for; whether it was.
    pub(super) fn data(&self, reached: &str, data: &RawValue) -> Ended<bool> {
        if self.json {
            let said = Said { backlog: SHAPE, verb: self.verb, reached: Some(reached), data: Some(data), error: None };
            write(&[serde_json::to_vec(&said)?, b"\n".to_vec()].concat())?;
        }
        Ok(self.json)
    }

    /// The same for a value of our own.
    pub(super) fn value(&self, reached: &str, value: &impl Serialize) -> Ended<bool> {
        if !self.json {
            return Ok(false);
        }
        self.data(reached, &serde_json::value::to_raw_value(value)?)
    }

    /// A line for people.
    pub(super) fn line(&self, text: &str) -> Ended {
        if self.json { Ok(()) } else { write(format!("{text}\n").as_bytes()) }
    }

    pub(super) fn trouble(&self, trouble: &Trouble) {
        if self.json {
            let error = Some(Wrong { kind: trouble.kind, message: &trouble.message });
            let said = Said { backlog: SHAPE, verb: self.verb, reached: None, data: None, error };
            if let Ok(line) = serde_json::to_vec(&said) {
                let _ = write(&[line, b"\n".to_vec()].concat());
            }
        }
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let message = plain(&trouble.message);
        aside(&format!("{}backlog:{} {message}", red.render(), red.render_reset()));
    }

    /// How long ago.
    pub(super) fn ago(&self, at_ms: u64) -> String {
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms)).unwrap_or(UNIX_EPOCH);
        match self.now.duration_since(at) {
            Ok(past) => format!("{} ago", span(past)),
            Err(e) => format!("in {}", span(e.duration())),
        }
    }
}

pub(super) fn write(bytes: &[u8]) -> Ended {
    let mut out = anstream::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(Trouble::from),
    }
}

/// A word beside the answer.
pub(super) fn aside(text: &str) {
    // Nothing can be done for whoever does not read it.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A time in its largest unit.
pub(super) fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{s}s"),
        60..3_600 => format!("{}m", s / 60),
        3_600..86_400 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

/// Text made harmless, cut to so many characters.
pub(super) fn short(text: &str, chars: usize) -> String {
    let shown = plain(text);
    match shown.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", shown.get(..at).unwrap_or_default()),
        None => shown,
    }
}

/// Rows under their heads, columns as wide as they need to be; `right` names those of numbers.
pub(super) fn table(heads: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let bold = Style::new().bold();
    let mut text = String::new();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            let gap = if column == 0 { "" } else { "  " };
            line += gap;
            line += &if right.contains(&column) { pad + cell } else { cell.to_owned() + &pad };
        }
        line.trim_end().to_owned()
    };
    let head = line(&mut heads.iter().copied());
    let _ = write!(text, "{}{head}{}", bold.render(), bold.render_reset());
    for row in rows {
        text.push('\n');
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}
