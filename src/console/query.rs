//! Names and values as they stand in an address and in a form.
//!
//! # Invariants
//! * What is not well formed is kept as it stands or replaced by U+FFFD; nothing is refused, nothing panics.
//! * What [`escaped`] gives has no sign with a meaning in an address, in HTML or in a header.

use std::fmt::Write as _;

/// Pairs looked at, count: more than any page has.
const PAIRS_MAX: usize = 64;

/// Names with their values, in order.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads `a=1&b=2`.
    pub(super) fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX);
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (plain(n), plain(v))).collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same; what is not there is empty.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The value as a number, if it is one.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| value.trim().parse().ok())
    }

    /// All but those of this name, as they stand in an address.
    pub(super) fn without(&self, name: &str) -> String {
        let kept = self.0.iter().filter(|(known, _)| known != name);
        kept.map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
    }
}

fn plain(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(sign: u8) -> Option<u8> {
    char::from(sign).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The text as it may stand in an address.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back_as_it_was() {
        let all: String = (0..0x800).filter_map(char::from_u32).chain("\u{202e}\u{fffd}😀".chars()).collect();
        let read = Pairs::read(&format!("a={}&b=1", escaped(&all)));
        assert_eq!(read.text("a"), all);
        assert_eq!(read.number::<u64>("b"), Some(1));
        assert!(escaped(&all).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
    }

    #[test]
    fn what_is_not_well_formed_is_kept_or_replaced() {
        let read = Pairs::read("&a=%&b=%zz&c=%ff&=&d&e=1=2&a=second");
        assert_eq!([read.text("a"), read.text("b"), read.text("c"), read.text("d")], ["%", "%zz", "\u{fffd}", ""]);
        assert_eq!(read.text("e"), "1=2");
        assert_eq!(Pairs::read("q=x&token=t&n=2").without("token"), "q=x&n=2");
        assert!(Pairs::read(&"a=1&".repeat(1_000)).0.len() <= PAIRS_MAX);
    }
}
