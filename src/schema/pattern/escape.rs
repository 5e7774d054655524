//! What a backslash means in a pattern.

use super::{Before, PatternError, Translator, push_code};

/// What an escape stands for.
pub(super) enum Escape {
    /// A UTF-16 unit or a code point.
    Code(u32),
    /// A set of letters, as the inside of a class, and whether it is the rest of all letters.
    Set(&'static str, bool),
}

/// White space and line ends of JavaScript.
const SPACE: &str = "\\t-\\r\\x20\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\
                     \\x{205f}\\x{3000}\\x{feff}";

impl Translator<'_> {
    /// Translates what follows a backslash outside of a class.
    pub(super) fn escape(&mut self) -> Result<Before, PatternError> {
        if self.take("b") {
            return Ok(self.assertion("(?-u:\\b)"));
        }
        if self.take("B") {
            return Ok(self.assertion("(?-u:\\B)"));
        }
        if self.groups.has_names && self.take("k") {
            self.cannot("it refers back to a group");
            return Ok(Before::Atom);
        }
        if self.back_reference() {
            self.cannot("it refers back to a group");
            return Ok(Before::Atom);
        }
        match self.letter_escape()? {
            Escape::Code(code) => self.code(code),
            Escape::Set(set, is_rest) => {
                self.out.push_str(if is_rest { "[^" } else { "[" });
                self.out.push_str(set);
                self.out.push(']');
            }
        }
        Ok(Before::Atom)
    }

    fn back_reference(&mut self) -> bool {
        let digits = self.rest.len()
            - self
                .rest
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let is_reference = !self.rest.starts_with('0')
            && self.rest[..digits]
                .parse()
                .is_ok_and(|group: u32| group <= self.groups.count);
        if is_reference {
            self.rest = &self.rest[digits..];
        }
        is_reference
    }

    fn code(&mut self, code: u32) {
        // Half a pair: with its other half it is one code point, alone it is in no text.
        if let (0xd800..0xdc00, Some(low)) = (code, self.low_half()) {
            push_code(
                0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                &mut self.out,
            );
        } else if (0xd800..0xe000).contains(&code) {
            self.out.push_str("[^\\x00-\\x{10ffff}]");
        } else {
            push_code(code, &mut self.out);
        }
    }

    fn low_half(&mut self) -> Option<u32> {
        let digits = self.rest.strip_prefix("\\u")?.get(..4)?;
        let low = u32::from_str_radix(digits, 16).ok()?;
        let is_low = (0xdc00..0xe000).contains(&low);
        self.rest = if is_low { &self.rest[6..] } else { self.rest };
        is_low.then_some(low)
    }

    /// Reads what follows a backslash, where it has the same meaning inside and outside of a class.
    pub(super) fn letter_escape(&mut self) -> Result<Escape, PatternError> {
        let letter = self.next().ok_or(PatternError::Syntax)?;
        Ok(match letter {
            'd' => Escape::Set("0-9", false),
            'D' => Escape::Set("0-9", true),
            'w' => Escape::Set("0-9A-Z_a-z", false),
            'W' => Escape::Set("0-9A-Z_a-z", true),
            's' => Escape::Set(SPACE, false),
            'S' => Escape::Set(SPACE, true),
            'f' => Escape::Code(0xc),
            'n' => Escape::Code(0xa),
            'r' => Escape::Code(0xd),
            't' => Escape::Code(0x9),
            'v' => Escape::Code(0xb),
            'c' => match self.rest.bytes().next() {
                Some(control) if control.is_ascii_alphabetic() => {
                    self.rest = &self.rest[1..];
                    Escape::Code(u32::from(control & 0x1f))
                }
                // The backslash stands for itself, and the `c` is still to come.
                _ => {
                    self.cannot("it has a control escape without a letter");
                    Escape::Code(0x5c)
                }
            },
            'x' => self.hex(2, 'x'),
            'u' => self.hex(4, 'u'),
            '0'..='7' => self.octal(letter),
            letter => Escape::Code(u32::from(letter)),
        })
    }

    fn hex(&mut self, digits: usize, letter: char) -> Escape {
        let text = self.rest.get(..digits);
        let is_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text
            .filter(is_hex)
            .map(|text| u32::from_str_radix(text, 16))
        {
            Some(Ok(code)) => {
                self.rest = &self.rest[digits..];
                Escape::Code(code)
            }
            _ => Escape::Code(u32::from(letter)),
        }
    }

    /// An old octal escape, at most `\377`.
    fn octal(&mut self, first: char) -> Escape {
        let mut code = u32::from(first) - 0x30;
        for _ in 0..2 {
            match self.rest.bytes().next() {
                Some(digit @ b'0'..=b'7') if code * 8 + u32::from(digit - b'0') < 256 => {
                    code = code * 8 + u32::from(digit - b'0');
                    self.rest = &self.rest[1..];
                }
                _ => break,
            }
        }
        Escape::Code(code)
    }
}
