//! Numbers, times and foreign text as a person reads them.
//!
//! # Invariants
//! * Text from a job never changes the direction or the look of what stands beside it; escaping for HTML is the
//!   templates' part, and they do it everywhere.

pub(super) use crate::face::text::plain;
use crate::face::text::plain_but;

/// Characters of one text on a page.
const TEXT_CHARS_MAX: usize = 100_000;

/// Text in more than one line.
pub(super) fn lines(text: &str) -> String {
    cut(&plain_but(text, |c| matches!(c, '\n' | '\t')), TEXT_CHARS_MAX)
}

/// One line, cut to so many characters.
pub(super) fn short(text: &str, chars: usize) -> String {
    cut(&plain(text), chars)
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// 1234567 as `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// JSON in lines, every name and number as it was written; its first part, if it is long.
pub(super) fn indented(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut taken) = (String::with_capacity(json.len() * 2), 0_usize, false, false);
    let mut signs = json.chars().take(TEXT_CHARS_MAX).filter(|c| !c.is_control()).peekable();
    // Beyond it lines do not move to the right any more.
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth.min(40)));
    };
    while let Some(c) = signs.next() {
        match c {
            _ if quoted => {
                quoted = taken || c != '"';
                taken = c == '\\' && !taken;
                text.push(c);
            }
            ' ' => {}
            '{' | '[' => {
                while signs.next_if_eq(&' ').is_some() {}
                text.push(c);
                if let Some(end) = signs.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => {
                quoted = c == '"';
                text.push(c);
            }
        }
    }
    text
}

/// How far two moments are apart, in the largest unit.
pub(super) fn span(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0 => format!("{ms} ms"),
        1..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} d", s / 86_400),
    }
}

/// A moment: how long ago, and when.
#[derive(Debug, Clone)]
pub(super) struct When {
    pub(super) ago: String,
    pub(super) at: String,
}

impl When {
    pub(super) fn new(at_ms: u64, now_ms: u64) -> Self {
        let ago = if at_ms <= now_ms {
            format!("{} ago", span(now_ms - at_ms))
        } else {
            format!("in {}", span(at_ms - now_ms))
        };
        Self { ago, at: utc(at_ms) }
    }
}

/// `2026-11-21 05:30:00 UTC`.
pub(super) fn utc(ms: u64) -> String {
    let (days, s) = (ms / 86_400_000, ms / 1_000 % 86_400);
    // Years from March on, in eras of 400: so the leap day is the last one.
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + era * 400 + next;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", s / 3_600, s / 60 % 60, s % 60)
}

/// A value of the filter language that means exactly this text.
pub(super) fn quoted(text: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || "-_./:#*".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_calendars_have_them() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199_999, "2024-02-29 23:59:59 UTC"),
            (1_735_689_600_000, "2025-01-01 00:00:00 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(ms), text);
        }
        assert!(!utc(u64::MAX).is_empty());
    }

    #[test]
    fn json_is_laid_out_and_not_a_sign_of_it_changed() {
        assert_eq!(
            indented(r#"{"b":[1.50, 12345678901234567890.0],"a":{},"c":[ ],"a":"x, {\"y\": \\\\"}"#),
            "{\n  \"b\": [\n    1.50,\n    12345678901234567890.0\n  ],\n  \"a\": {},\n  \"c\": [],\n  \"a\": \"x, {\\\"y\\\": \\\\\\\\\"\n}"
        );
        assert_eq!(indented("7"), "7");
        assert!(indented(&"[".repeat(100_000)).len() < 100_000 * 100);
    }

    #[test]
    fn numbers_and_spans_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 119_000, 120_000, 7_200_000, 172_800_000].map(span), ["5 ms", "119 s", "2 min", "2 h", "2 d"]);
    }

    #[test]
    fn a_quoted_value_means_itself_in_the_filter_language() {
        let now = std::time::SystemTime::UNIX_EPOCH;
        for text in ["plain", "two words", "a\"b", "a\\b", "\\", "", "tag:x \"y"] {
            let read = crate::Filter::parse(&format!("error:{}", quoted(text)), now);
            match text {
                "" => assert!(read.is_err()),
                _ => assert_eq!(read.unwrap(), crate::Filter::new().error(text), "{text}"),
            }
        }
    }

    #[test]
    fn text_that_turns_the_direction_shows_as_its_codes() {
        assert_eq!(plain("a\u{202e}b\nc\u{1b}"), "a\\u{202e}b\\nc\\u{1b}");
        assert_eq!(lines("a\n\tb\u{0}"), "a\n\tb\\u{0}");
        assert_eq!(short("abcdef", 3), "abc…");
    }
}
