//! What a JSON string means, and how a text becomes a JSON string.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a valid string means, given without its quotes. Half a surrogate pair, which JavaScript
/// takes, becomes U+FFFD.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return inner.into();
    };
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(at) = next {
        out.push_str(&rest[..at]);
        let (letter, length) = escape(&rest[at + 1..]);
        out.push(letter);
        rest = &rest[at + 1 + length..];
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    out.into()
}

/// The character of an escape sequence without its backslash, and the length of the sequence.
fn escape(text: &str) -> (char, usize) {
    let letter = match text.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return code_point(text),
        Some(byte) => char::from(*byte),
        None => return (char::REPLACEMENT_CHARACTER, 0),
    };
    (letter, 1)
}

fn code_point(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(high) = unit(1) else {
        return (char::REPLACEMENT_CHARACTER, text.len());
    };
    if let Some(letter) = char::from_u32(high) {
        return (letter, 5);
    }
    let low = text
        .get(5..7)
        .filter(|start| *start == "\\u")
        .and_then(|_| unit(7));
    let pair = match low {
        Some(low @ 0xdc00..0xe000) if high < 0xdc00 => {
            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
        }
        _ => None,
    };
    pair.map_or((char::REPLACEMENT_CHARACTER, 5), |letter| (letter, 11))
}

/// Appends `text` as a JSON string.
pub(crate) fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' => _ = write!(out, "\\u{:04x}", u32::from(letter)),
            _ => out.push(letter),
        }
    }
    out.push('"');
}
