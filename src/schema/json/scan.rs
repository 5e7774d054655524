//! Where a string and a number of JSON end.

/// The end of a string, behind its closing quote, and whether it has escapes.
pub(super) struct StringEnd {
    pub(super) end: usize,
    pub(super) is_escaped: bool,
}

/// Finds the end of the string whose first byte, behind the opening quote, is at `at`. `Err` has
/// the position of the fault.
pub(super) fn string(text: &[u8], mut at: usize) -> Result<StringEnd, usize> {
    let mut is_escaped = false;
    loop {
        at = plain(text, at);
        match text.get(at) {
            Some(b'"') => {
                let end = at + 1;
                return Ok(StringEnd { end, is_escaped });
            }
            Some(b'\\') => {
                is_escaped = true;
                at = escape(text, at + 1)?;
            }
            _ => return Err(at),
        }
    }
}

/// The first byte from `at` on that is a quote, a backslash or a control character. Eight bytes at
/// a time: a byte below 0x20, or equal to the quote or backslash, sets the top bit of its lane. A
/// lane above a found one may be wrong, so that only the lowest counts.
fn plain(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        let zero = |lanes: u64| lanes.wrapping_sub(ONES) & !lanes;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero(word ^ (ONES * 0x22));
        let backslash = zero(word ^ (ONES * 0x5c));
        let found = (control | quote | backslash) & TOPS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    while text.get(at).is_some_and(is_plain) {
        at += 1;
    }
    at
}

/// The end of the escape sequence whose letter is at `at`.
fn escape(text: &[u8], at: usize) -> Result<usize, usize> {
    match text.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let digits = text.get(at + 1..at + 5).ok_or(at)?;
            if digits.iter().all(u8::is_ascii_hexdigit) {
                Ok(at + 5)
            } else {
                Err(at)
            }
        }
        _ => Err(at),
    }
}

/// Finds the end of the number that begins at `at`. `Err` has the position of the fault.
pub(super) fn number(text: &[u8], at: usize) -> Result<usize, usize> {
    let digits = |from: usize| {
        let mut to = from;
        while text.get(to).is_some_and(u8::is_ascii_digit) {
            to += 1;
        }
        to
    };
    let some_digits = |from: usize| match digits(from) {
        to if to == from => Err(from),
        to => Ok(to),
    };
    let first = at + usize::from(text.get(at) == Some(&b'-'));
    let mut at = match text.get(first) {
        Some(b'0') => first + 1,
        _ => some_digits(first)?,
    };
    if text.get(at) == Some(&b'.') {
        at = some_digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = some_digits(at + 1 + usize::from(sign))?;
    }
    Ok(at)
}
