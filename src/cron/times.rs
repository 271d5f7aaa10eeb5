//! When an entry fires: cron text in a zone, or a period. Reads and writes it as text; pure but for the zones' data.
//!
//! # Invariants
//! * What is refused names the field and the value; no text is read otherwise than it was meant.

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::ids::Millis;

/// The longest cron text, bytes.
const TEXT_BYTES_MAX: usize = 200;
/// The shortest period.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// The longest period: a hundred years.
const PERIOD_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A field of cron text: what it is called, what it takes, and the words it knows.
struct Field {
    name: &'static str,
    takes: &'static str,
    words: &'static [&'static str],
    /// Letters that may stand alone or beside a number.
    letters: &'static str,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", takes: "0 to 59", words: &[], letters: "" },
    Field { name: "hour", takes: "0 to 23", words: &[], letters: "" },
    Field {
        name: "day of month",
        takes: "1 to 31, L for the last, W for the nearest weekday",
        words: &[],
        letters: "LW",
    },
    Field { name: "month", takes: "1 to 12 or JAN to DEC", words: MONTHS, letters: "" },
    Field {
        name: "day of week",
        takes: "0 to 7 or SUN to SAT, # for the nth, L for the last",
        words: DAYS,
        letters: "L",
    },
];

/// When an entry fires.
#[derive(Clone)]
pub(crate) enum Times {
    Cron(Box<Local>),
    /// From the declaration, or the last firing, on.
    Every {
        period_ms: u64,
    },
}

/// Local times in a zone.
#[derive(Clone)]
pub(crate) struct Local {
    pub(super) text: String,
    pub(super) zone_name: String,
    pub(super) zone: TimeZone,
    pub(super) cron: Cron,
    /// It counts hours rather than naming them: it fires in hours that come twice, twice.
    pub(super) counts_hours: bool,
}

impl Times {
    pub(crate) fn cron(text: &str, zone_name: &str) -> Result<Self> {
        let zone = TimeZone::get(zone_name).map_err(|_| {
            Error::invalid(format!(
                "unknown time zone {zone_name:?}; give an IANA name such as \"Europe/Berlin\" or \"UTC\""
            ))
        })?;
        let cron = parse(text)?;
        let counts_hours = text.split_whitespace().nth(1).is_some_and(|hour| hour.starts_with('*'));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self::Cron(Box::new(Local { text, zone_name: zone_name.to_owned(), zone, cron, counts_hours })))
    }

    pub(crate) fn every(period: Duration) -> Result<Self> {
        if !(PERIOD_MIN..=PERIOD_MAX).contains(&period) {
            return Err(Error::invalid(format!(
                "period={period:?} is out of range; give {PERIOD_MIN:?} to a hundred years"
            )));
        }
        Ok(Self::Every { period_ms: Millis(0).after(period).0 })
    }

    /// Reads what [`Display`](fmt::Display) writes. `None`: not known here, in this release or on this machine.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some(period_ms) = text.strip_prefix("every ").and_then(|rest| rest.strip_suffix(" ms")) {
            return Self::every(Duration::from_millis(period_ms.parse().ok()?)).ok();
        }
        let (cron, zone) = text.rsplit_once(' ')?;
        Self::cron(cron, zone).ok()
    }
}

/// As it is stored and shown: `30 4 * * * Europe/Berlin`, `every 60000 ms`.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(local) => write!(f, "{} {}", local.text, local.zone_name),
            Self::Every { period_ms } => write!(f, "every {period_ms} ms"),
        }
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

fn parse(text: &str) -> Result<Cron> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::too_large(format!(
            "cron text too long: bytes={} limit={TEXT_BYTES_MAX}; use ranges and steps, or two entries",
            text.len()
        )));
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(Error::invalid(format!(
            "cron text {text:?} has fields={}; give five: minute, hour, day of month, month, day of week",
            fields.len()
        )));
    }
    for (nth, (field, value)) in FIELDS.iter().zip(&fields).enumerate() {
        // Alone among stars, so that what is wrong is this field.
        let alone: Vec<&str> = (0..FIELDS.len()).map(|at| if at == nth { *value } else { "*" }).collect();
        if !field.knows_words_of(value) || parser().parse(&alone.join(" ")).is_err() {
            let Field { name, takes, .. } = field;
            return Err(Error::invalid(format!(
                "cron text {text:?} does not parse: {name}={value:?}; a {name} takes {takes}, and * , - /"
            )));
        }
    }
    parser().parse(text).map_err(|e| Error::invalid(format!("cron text {text:?} does not parse: {e}")))
}

impl Field {
    /// Whether no place in it is empty and each word is one of its own: the parser passes over the first, and replaces
    /// words wherever it meets them.
    fn knows_words_of(&self, value: &str) -> bool {
        if value.split([',', '-', '/']).any(str::is_empty) {
            return false;
        }
        let value = value.to_ascii_uppercase();
        let mut runs = value.split(|c: char| !c.is_alphanumeric()).filter(|run| run.contains(char::is_alphabetic));
        runs.all(|run| {
            let bare = run.trim_matches(|c: char| self.letters.contains(c) || c.is_ascii_digit());
            bare.is_empty() || self.words.contains(&run.trim_end_matches(|c| self.letters.contains(c)))
        })
    }
}
