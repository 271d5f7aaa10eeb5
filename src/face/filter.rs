//! The filter language: `queue:mail state:dead kind:send_* tag:x error:timeout age:>1h priority:>5 id:10..20`.
//!
//! | word | jobs |
//! |---|---|
//! | `queue:NAME` | of this queue |
//! | `kind:NAME` | of this kind; `*` stands for any text |
//! | `state:STATE` | `held`, `scheduled`, `ready`, `in_flight`, `dead` or `parked` |
//! | `tag:TAG` | with this tag |
//! | `error:TEXT` | whose last error or reason has this text in it |
//! | `age:>1h`, `age:<5m` | enqueued longer ago, or less long; s, m, h, d, w |
//! | `priority:5`, `priority:>5`, `priority:<5` | with this priority, a higher or a lower one |
//! | `id:7`, `id:10..20`, `id:10..`, `id:..20` | with this id, or one from the first to the last |
//!
//! All words must fit. A value with blanks stands in quotes: `error:"timed out"`; `\` takes the next sign as it is there.
//!
//! # Invariants
//! * Every refusal names the word and what is allowed. Nothing is guessed, nothing passed over.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::ids::{JobId, Phase};
use crate::queue::Filter;

const NAMES: &str = "queue, kind, state, tag, error, age, priority, id";

impl Filter {
    /// Reads the filter language of the command line; the empty text fits every job. `now` is what ages count from.
    ///
    /// Words are `queue:NAME`, `kind:NAME` (with `*` for any text), `state:STATE`, `tag:TAG`, `error:TEXT`, `age:>1h` or
    /// `age:<5m`, `priority:5`, `priority:>5` or `priority:<5`, `id:7` or `id:10..20`; all of them must fit. A value with
    /// blanks stands in quotes.
    ///
    /// # Errors
    /// `Invalid`: names the word that is wrong, and what is allowed there.
    ///
    /// ```
    /// # use backlog::Filter;
    /// # use std::time::SystemTime;
    /// let filter = Filter::parse(r#"kind:send_* state:dead error:"timed out" age:>1h"#, SystemTime::now())?;
    /// let wrong = Filter::parse("state:broken", SystemTime::now()).unwrap_err();
    /// assert!(wrong.to_string().contains("state:broken"));
    /// # let _ = filter;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str, now: SystemTime) -> Result<Self> {
        let mut filter = Self::new();
        let mut seen: Vec<String> = Vec::new();
        for word in words(text)? {
            let Some((name, value)) = word.split_once(':') else {
                return Err(wrong(&word, &format!("a word is NAME:VALUE, and NAME is one of {NAMES}")));
            };
            if seen.iter().any(|known| known == name) {
                return Err(wrong(&word, &format!("{name} stands twice; give it once")));
            }
            seen.push(name.to_owned());
            if value.is_empty() {
                return Err(wrong(&word, "the value is missing; put it behind the colon"));
            }
            filter = one(filter, &word, name, value, now)?;
        }
        Ok(filter)
    }
}

fn one(filter: Filter, word: &str, name: &str, value: &str, now: SystemTime) -> Result<Filter> {
    Ok(match name {
        "queue" => filter.queue(value),
        "kind" if value.contains('*') => filter.kind_like(value),
        "kind" => filter.kind(value),
        "tag" => filter.tag(value),
        "error" => filter.error(value),
        "state" => {
            let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == value);
            let all = || Phase::ALL.map(Phase::as_str).join(", ");
            filter.phase(found.ok_or_else(|| wrong(word, &format!("a state is one of {}", all())))?)
        }
        "age" => {
            let rule = "an age is > or < and a time: >1h, <5m; s, m, h, d, w";
            let (sign, time) = value.split_at_checked(1).ok_or_else(|| wrong(word, rule))?;
            let at = duration(time).and_then(|time| now.checked_sub(time)).ok_or_else(|| wrong(word, rule))?;
            match sign {
                ">" => filter.before(at),
                "<" => filter.since(at),
                _ => return Err(wrong(word, rule)),
            }
        }
        "priority" => {
            let rule = "a priority is a whole number from -32768 to 32767, with > or < before it if it is a bound";
            let number = |text: &str| text.parse::<i16>().map_err(|_| wrong(word, rule));
            let none = || wrong(word, "no priority is beyond that");
            filter.priority(if let Some(bound) = value.strip_prefix('>') {
                number(bound)?.checked_add(1).ok_or_else(none)?..=i16::MAX
            } else if let Some(bound) = value.strip_prefix('<') {
                i16::MIN..=number(bound)?.checked_sub(1).ok_or_else(none)?
            } else {
                number(value)?..=number(value)?
            })
        }
        "id" => ids(filter, word, value)?,
        _ => return Err(wrong(word, &format!("NAME is one of {NAMES}"))),
    })
}

fn ids(mut filter: Filter, word: &str, value: &str) -> Result<Filter> {
    let number =
        |text: &str| text.parse::<u64>().map_err(|_| wrong(word, "ids are whole numbers: 7, 10..20, 10.. or ..20"));
    let (first, last) = value.split_once("..").unwrap_or((value, value));
    if first.is_empty() && last.is_empty() {
        return Err(wrong(word, "ids are whole numbers: 7, 10..20, 10.. or ..20"));
    }
    if !first.is_empty() {
        filter = filter.from(JobId(number(first)?));
    }
    if !last.is_empty() {
        filter = filter.through(JobId(number(last)?));
    }
    Ok(filter)
}

/// `90s`, `5m`, `1h`, `2d`, `1w`. `None`: not a time.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..)? {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

/// Splits at blanks outside quotes.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => word.push(signs.next().ok_or_else(|| wrong(text, "nothing follows the last \\"))?),
            '"' => quoted = !quoted,
            sign if sign.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            sign => word.push(sign),
        }
        begun = true;
    }
    if quoted {
        return Err(wrong(text, "a quote is opened and not closed"));
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn wrong(word: &str, what: &str) -> Error {
    Error::invalid(format!("filter: {word:?}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Filter> {
        Filter::parse(text, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
    }

    #[test]
    fn every_word_of_the_language_means_what_its_builder_means() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let hour = Duration::from_secs(3_600);
        for (text, filter) in [
            ("", Filter::new()),
            ("  queue:mail\tstate:in_flight ", Filter::new().queue("mail").phase(Phase::InFlight)),
            ("kind:send_mail tag:x", Filter::new().kind("send_mail").tag("x")),
            ("kind:send_*", Filter::new().kind_like("send_*")),
            (r#"error:"timed out: \"host\"""#, Filter::new().error("timed out: \"host\"")),
            (r#""error:timed out""#, Filter::new().error("timed out")),
            ("age:>1h", Filter::new().before(now - hour)),
            ("age:<60m", Filter::new().since(now - hour)),
            ("priority:>5", Filter::new().priority(6..=i16::MAX)),
            ("priority:<-5", Filter::new().priority(i16::MIN..=-6)),
            ("priority:3", Filter::new().priority(3..=3)),
            ("id:10..20", Filter::new().from(JobId(10)).through(JobId(20))),
            ("id:0..", Filter::new().from(JobId(0))),
            ("id:7", Filter::new().from(JobId(7)).through(JobId(7))),
        ] {
            assert_eq!(parse(text).unwrap(), filter, "{text}");
        }
    }

    #[test]
    fn a_filter_error_names_the_word_and_what_is_allowed() {
        for (text, word, allowed) in [
            ("queue:a mail", "mail", "queue, kind, state"),
            ("color:red", "color:red", "queue, kind, state"),
            ("state:broken", "state:broken", "held, scheduled, ready, in_flight, dead, parked"),
            ("age:1h", "age:1h", "> or <"),
            ("age:>5", "age:>5", "s, m, h, d, w"),
            ("age:>99999999999999w", "age:>99999999999999w", "s, m, h, d, w"),
            ("priority:>high", "priority:>high", "-32768 to 32767"),
            ("priority:>32767", "priority:>32767", "no priority is beyond"),
            ("id:a..b", "id:a..b", "10..20"),
            ("id:..", "id:..", "10..20"),
            ("queue:", "queue:", "missing"),
            ("queue:a queue:b", "queue:b", "twice"),
            ("error:\"a b", "a b", "not closed"),
            ("error:a\\", "error:a", "nothing follows"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(word) && said.contains(allowed), "{text} -> {said}");
        }
    }
}
