//! A record's value as one line of JSON text, before its members are known.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::SkipReason;

/// The value's text on one line, without a byte order mark and without white space around it.
///
/// This checks that the text is JSON only when it had line breaks to remove; the scan for members
/// checks it in any case. `bytes_max` bounds the value as Kafka delivered it.
///
/// # Errors
///
/// [`SkipReason::Empty`], [`SkipReason::TooLarge`], [`SkipReason::NotUtf8`], in this order;
/// [`SkipReason::NotJson`].
pub(super) fn one_line(value: Option<&[u8]>, bytes_max: usize) -> Result<Cow<'_, str>, SkipReason> {
    let value = value.unwrap_or_default();
    if value.iter().all(|&byte| is_json_space(byte)) {
        return Err(SkipReason::Empty);
    }
    if value.len() > bytes_max {
        return Err(SkipReason::TooLarge);
    }
    let text = simdutf8::basic::from_utf8(value).map_err(|_| SkipReason::NotUtf8)?;
    // A byte order mark is no part of the JSON (RFC 8259, section 8.1, lets a reader ignore it and
    // forbids a sender to add it).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_json_space));
    if text.is_empty() {
        return Err(SkipReason::Empty);
    }
    match memchr::memchr2(b'\n', b'\r', text.as_bytes()) {
        None => Ok(Cow::Borrowed(text)),
        Some(first) => {
            // Checked BEFORE line breaks are removed: one inside a string makes the value invalid,
            // and removing it would hide that.
            serde_json::from_str::<IgnoredAny>(text).map_err(|_| SkipReason::NotJson)?;
            Ok(Cow::Owned(without_line_breaks(text, first)))
        }
    }
}

/// Removes every run of white space that contains a line break. In valid JSON such runs occur only
/// between tokens, and no two tokens of JSON need white space between them. `first` is the index of
/// the first line break.
fn without_line_breaks(text: &str, first: usize) -> String {
    let mut line = String::with_capacity(text.len());
    let (mut rest, mut line_break) = (text, Some(first));
    while let Some(at) = line_break {
        let (before, after) = rest.split_at(at);
        line.push_str(before.trim_end_matches([' ', '\t']));
        rest = after.trim_start_matches([' ', '\t', '\n', '\r']);
        line_break = memchr::memchr2(b'\n', b'\r', rest.as_bytes());
    }
    line.push_str(rest);
    line
}

/// White space of RFC 8259, section 2.
fn is_json_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &[u8]) -> Result<Cow<'_, str>, SkipReason> {
        one_line(Some(value), 100)
    }

    #[test]
    fn a_value_without_line_breaks_is_not_copied() {
        assert!(matches!(
            line(br#"{"a" :  "x  y"}"#),
            Ok(Cow::Borrowed(r#"{"a" :  "x  y"}"#))
        ));
    }

    #[test]
    fn a_pretty_printed_value_becomes_one_line_and_keeps_its_other_spaces() {
        let pretty = b"{\r\n\t\"a\" : [1,  \n\n    2, 3],\r  \"b\": \"x  y\\n\"\n}\n";
        assert_eq!(line(pretty).unwrap(), r#"{"a" : [1,2, 3],"b": "x  y\n"}"#);
    }

    #[test]
    fn a_line_break_inside_a_string_is_not_repaired() {
        assert_eq!(line(b"{\"a\":\"x\ny\"}"), Err(SkipReason::NotJson));
        assert_eq!(line(b"{\"a\":\"x\r\"}"), Err(SkipReason::NotJson));
        assert_eq!(line(b"{\"a\":1\n2}"), Err(SkipReason::NotJson));
    }

    #[test]
    fn a_byte_order_mark_is_dropped_once() {
        assert_eq!(line("\u{feff}{}".as_bytes()).unwrap(), "{}");
        assert_eq!(line("\u{feff} \n".as_bytes()), Err(SkipReason::Empty));
        assert_eq!(line("\u{feff}\u{feff}{}".as_bytes()).unwrap(), "\u{feff}{}");
    }

    #[test]
    fn tombstones_and_blank_values_are_empty_even_when_too_large() {
        assert_eq!(one_line(None, 100), Err(SkipReason::Empty));
        assert_eq!(line(b""), Err(SkipReason::Empty));
        assert_eq!(line(&[b' '; 101]), Err(SkipReason::Empty));
    }

    #[test]
    fn the_maximum_itself_is_not_too_large() {
        assert!(line(&[b'1'; 100]).is_ok());
        assert_eq!(line(&[b'1'; 101]), Err(SkipReason::TooLarge));
        assert_eq!(line(&[0xff; 101]), Err(SkipReason::TooLarge));
    }

    #[test]
    fn utf8_is_checked_before_json() {
        assert_eq!(line(b"{\"a\":\"\xe9\"}"), Err(SkipReason::NotUtf8));
    }
}
