//! Names and numbers as JavaScript writes them, for paths and messages.

use std::fmt::Write as _;

/// A number as `String(number)` of JavaScript.
pub(super) fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent @ (21.. | ..-6)) => {
            let sign = if exponent < 0 { "" } else { "+" };
            format!("{digits}e{sign}{exponent}")
        }
        _ => number.to_string(),
    }
}

/// How JavaScript reaches a property of a known name: `.name` or `['na-me']`.
pub(super) fn property_access(name: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    let mut letters = name.chars();
    let is_identifier = letters.next().is_some_and(is_letter)
        && letters.all(|letter| is_letter(letter) || letter.is_ascii_digit());
    if is_identifier {
        return format!(".{name}");
    }
    let mut access = "['".to_owned();
    for letter in name.chars() {
        match letter {
            '\'' | '\\' => access.extend(['\\', letter]),
            '\n' => access.push_str("\\n"),
            '\r' => access.push_str("\\r"),
            '\u{c}' => access.push_str("\\f"),
            '\t' => access.push_str("\\t"),
            _ => access.push(letter),
        }
    }
    access + "']"
}

/// A name as a part of a JSON pointer in the fragment of a URI.
pub(super) fn fragment_part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.replace('~', "~0").replace('/', "~1").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => part.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                part.push(char::from(byte));
            }
            _ => _ = write!(part, "%{byte:02X}"),
        }
    }
    part
}

/// The number of a name that JavaScript takes for an index: these come first in an object.
pub(super) fn array_index(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || !name.starts_with('0');
    let is_digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let index = (is_canonical && is_digits).then(|| name.parse().ok())??;
    (index < u32::MAX).then_some(index)
}

/// Sorts what has names as the properties of a JavaScript object are: indices first.
pub(super) fn sort_like_javascript<T>(members: &mut [T], name: impl Fn(&T) -> String) {
    members.sort_by_key(|member| array_index(&name(member)).map_or((1, 0), |index| (0, index)));
}
