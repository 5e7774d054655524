//! Patterns of ECMAScript (without the flag `u`), run by an engine that is linear in time.
//!
//! A pattern is translated into the syntax of the `regex` crate. Look-around and back references
//! cannot be. Text is matched by code points, where JavaScript matches UTF-16 units: `.` takes an
//! emoji whole.
//!
//! * `escape`: what a backslash means. `class`: what stands in brackets.

mod class;
mod escape;
#[cfg(test)]
mod tests;

use regex::bytes::Regex;

/// Why a pattern cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// JavaScript refuses it.
    Syntax,
    /// JavaScript takes it, and no engine that is linear in time does.
    Inexpressible(&'static str),
}

/// Compiles a pattern of JavaScript.
pub(super) fn compile(source: &str) -> Result<Regex, PatternError> {
    Regex::new(&translate(source)?).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::Inexpressible("it is too large"),
        _ => PatternError::Syntax,
    })
}

/// Whether JavaScript takes it as a pattern.
pub(super) fn is_valid(source: &str) -> bool {
    !matches!(compile(source), Err(PatternError::Syntax))
}

fn translate(source: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        rest: source,
        groups: count_groups(source),
        out: String::with_capacity(source.len() + 16),
        open: 0,
        inexpressible: None,
    };
    translator.pattern()?;
    match translator.inexpressible {
        Some(what) => Err(PatternError::Inexpressible(what)),
        None => Ok(translator.out),
    }
}

/// How many groups capture, and whether one has a name.
#[derive(Clone, Copy)]
struct Groups {
    count: u32,
    has_names: bool,
}

fn count_groups(source: &str) -> Groups {
    let mut groups = Groups {
        count: 0,
        has_names: false,
    };
    let (mut letters, mut in_class) = (source.char_indices(), false);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => _ = letters.next(),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let rest = &source[at + 1..];
                let is_named =
                    rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!");
                groups.has_names |= is_named;
                groups.count += u32::from(is_named || !rest.starts_with('?'));
            }
            _ => {}
        }
    }
    groups
}

/// What stands before a quantifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that can be repeated.
    Nothing,
    Atom,
}

struct Translator<'p> {
    rest: &'p str,
    groups: Groups,
    out: String,
    open: usize,
    /// What was found that JavaScript has and the engine has not.
    inexpressible: Option<&'static str>,
}

impl Translator<'_> {
    fn pattern(&mut self) -> Result<(), PatternError> {
        let mut before = Before::Nothing;
        // Which groups that are open can be repeated: look-behind cannot.
        let mut repeatable = Vec::new();
        while let Some(letter) = self.next() {
            before = match letter {
                '|' => {
                    self.out.push('|');
                    Before::Nothing
                }
                '^' => self.assertion("\\A"),
                '$' => self.assertion("\\z"),
                '.' => self.atom("[^\\n\\r\\x{2028}\\x{2029}]"),
                '(' => {
                    repeatable.push(self.group()?);
                    Before::Nothing
                }
                ')' => {
                    self.open = self.open.checked_sub(1).ok_or(PatternError::Syntax)?;
                    self.out.push(')');
                    repeatable.pop().unwrap_or(Before::Atom)
                }
                '[' => self.class()?,
                '\\' => self.escape()?,
                '*' | '+' | '?' => self.repeat(&letter.to_string(), before)?,
                '{' => match self.counts() {
                    Some(counts) => self.repeat(&counts?, before)?,
                    None => self.literal('{'),
                },
                letter => self.literal(letter),
            };
        }
        match self.open {
            0 => Ok(()),
            _ => Err(PatternError::Syntax),
        }
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn atom(&mut self, translated: &str) -> Before {
        self.out.push_str(translated);
        Before::Atom
    }

    fn assertion(&mut self, translated: &str) -> Before {
        self.out.push_str(translated);
        Before::Nothing
    }

    fn literal(&mut self, letter: char) -> Before {
        push_literal(letter, &mut self.out);
        Before::Atom
    }

    fn cannot(&mut self, what: &'static str) {
        self.inexpressible.get_or_insert(what);
    }

    /// Opens a group. Returns what it is for a quantifier behind it.
    fn group(&mut self) -> Result<Before, PatternError> {
        self.open += 1;
        self.out.push_str("(?:");
        if !self.take("?") || self.take(":") {
            return Ok(Before::Atom);
        }
        if self.take("=") || self.take("!") {
            self.cannot("it looks ahead");
            return Ok(Before::Atom);
        }
        if self.take("<=") || self.take("<!") {
            self.cannot("it looks behind");
            return Ok(Before::Nothing);
        }
        let name = self
            .rest
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'));
        let is_letter = |c: char| c.is_alphabetic() || c == '_' || c == '$';
        match name {
            Some((name, rest))
                if name.starts_with(is_letter)
                    && name.chars().all(|c| is_letter(c) || c.is_numeric()) =>
            {
                self.rest = rest;
                Ok(Before::Atom)
            }
            _ => Err(PatternError::Syntax),
        }
    }

    /// The counts of a quantifier behind its `{`, or `None` where the brace is a letter.
    fn counts(&mut self) -> Option<Result<String, PatternError>> {
        let (counts, rest) = self.rest.split_once('}')?;
        let (least, most) = counts.split_once(',').unwrap_or((counts, counts));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(least) || !(is_number(most) || (most.is_empty() && counts.contains(','))) {
            return None;
        }
        self.rest = rest;
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        if !most.is_empty() && number(least) > number(most) {
            return Some(Err(PatternError::Syntax));
        }
        Some(Ok(format!("{{{counts}}}")))
    }

    fn repeat(&mut self, quantifier: &str, before: Before) -> Result<Before, PatternError> {
        if before == Before::Nothing {
            return Err(PatternError::Syntax);
        }
        self.out.push_str(quantifier);
        if self.take("?") {
            self.out.push('?');
        }
        Ok(Before::Nothing)
    }
}

/// Appends a letter that stands for itself.
fn push_literal(letter: char, out: &mut String) {
    match letter {
        letter if letter.is_ascii_alphanumeric() => out.push(letter),
        letter => push_code(u32::from(letter), out),
    }
}

/// Appends the escape of a code point.
fn push_code(code: u32, out: &mut String) {
    use std::fmt::Write as _;
    _ = write!(out, "\\x{{{code:x}}}");
}
