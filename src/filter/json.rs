//! Finds values in JSON text that is known to be valid. On other text the results are unspecified,
//! but every function returns.

/// The end of the white space that starts at `at`.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string whose opening quote is at `at`.
pub(super) fn skip_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(rest) = text.get(at..)
        && let Some(found) = memchr::memchr2(b'"', b'\\', rest)
    {
        if rest[found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

/// The end of the value that starts at `at`.
pub(super) fn skip_value(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => skip_container(text, at),
        _ => skip_number(text, at),
    }
}

/// The end of the number, or of the word, that starts at `at`.
pub(super) fn skip_number(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    at + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// In valid JSON, brackets of the other kind are balanced in between.
fn skip_container(text: &[u8], start: usize) -> usize {
    let (open, close) = match text[start] {
        b'{' => (b'{', b'}'),
        _ => (b'[', b']'),
    };
    let (mut at, mut depth) = (start + 1, 1_usize);
    while let Some(&byte) = text.get(at) {
        if byte == b'"' {
            at = skip_string(text, at);
            continue;
        }
        at += 1;
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// Appends what a JSON string means to `out`, given without its quotes. Returns `false`, and
/// appends nothing, when it has escapes of lone surrogates, which no text can mean.
pub(super) fn unescape(inner: &str, out: &mut String) -> bool {
    let start = out.len();
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let Some((c, length)) = escape(&rest[at + 1..]) else {
            out.truncate(start);
            return false;
        };
        out.push(c);
        rest = &rest[at + 1 + length..];
    }
    out.push_str(rest);
    true
}

/// The character of an escape sequence without its backslash, and the length of the sequence.
fn escape(text: &str) -> Option<(char, usize)> {
    let simple = match text.as_bytes().first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex(text, 1)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((c, 5));
            }
            let low = (text.get(5..7)? == "\\u").then(|| hex(text, 7))??;
            let is_pair = (0xd800..0xdc00).contains(&unit) && (0xdc00..0xe000).contains(&low);
            let code = is_pair.then(|| 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?;
            return Some((char::from_u32(code)?, 11));
        }
        byte => char::from(*byte),
    };
    simple.is_ascii().then_some((simple, 1))
}

fn hex(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_json_ends_them() {
        for (text, value) in [
            (r#""a\"b\\","x""#, r#""a\"b\\""#),
            (r#"{"a":["}",{"b":"]"}]} ,1"#, r#"{"a":["}",{"b":"]"}]}"#),
            ("-1.5e3,", "-1.5e3"),
            ("true}", "true"),
            ("null", "null"),
        ] {
            assert_eq!(&text[..skip_value(text.as_bytes(), 0)], value);
        }
    }

    #[test]
    fn a_string_means_what_serde_json_says() {
        for inner in [
            r"a",
            r#"\u0041\n\t\/\\\"b"#,
            r"\ud83d\ude00x",
            r"é\u00e9",
            r"\ud800",
            r"\ud800\u0041",
            r"\udc00",
        ] {
            let mut out = "before".to_owned();
            let expected: Result<String, _> = serde_json::from_str(&format!("\"{inner}\""));
            assert_eq!(unescape(inner, &mut out), expected.is_ok(), "{inner}");
            assert_eq!(out, format!("before{}", expected.unwrap_or_default()));
        }
    }

    #[test]
    fn text_that_is_not_json_ends_too() {
        for text in ["", "\"", "\"\\", "{", "[[", "[1", "{\"a", "\\"] {
            assert!(skip_value(text.as_bytes(), 0) <= text.len());
            unescape(text, &mut String::new());
        }
    }
}
