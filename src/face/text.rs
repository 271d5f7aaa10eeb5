//! Text from jobs and names, made harmless to whoever reads it.

use std::fmt::Write as _;

/// Control characters, escape sequences and what turns the direction of writing show as their codes.
pub(crate) fn plain(text: &str) -> String {
    plain_but(text, |_| false)
}

/// The same, but for what `keeps` names.
pub(crate) fn plain_but(text: &str, keeps: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if (c.is_control() || turns) && !keeps(c) {
            // Writing into a String cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}
