//! What stands in brackets.

use super::escape::Escape;
use super::{Before, PatternError, Translator, push_code};

impl Translator<'_> {
    /// Translates a class behind its opening bracket.
    pub(super) fn class(&mut self) -> Result<Before, PatternError> {
        let is_rest = self.take("^");
        if self.take("]") {
            // Nothing, or anything.
            let all = if is_rest {
                "[\\x00-\\x{10ffff}]"
            } else {
                "[^\\x00-\\x{10ffff}]"
            };
            return Ok(self.atom(all));
        }
        self.out.push_str(if is_rest { "[^" } else { "[" });
        while !self.take("]") {
            let first = self.class_letter()?;
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if !is_range {
                self.push_member(&first);
                continue;
            }
            self.rest = &self.rest[1..];
            match (first, self.class_letter()?) {
                (Escape::Code(from), Escape::Code(to)) if from > to => {
                    return Err(PatternError::Syntax);
                }
                (Escape::Code(from), Escape::Code(to)) => self.push_range(from, to),
                // A set is no end of a range: the hyphen stands for itself.
                (first, last) => {
                    self.push_member(&first);
                    push_code(u32::from('-'), &mut self.out);
                    self.push_member(&last);
                }
            }
        }
        self.out.push(']');
        Ok(Before::Atom)
    }

    fn class_letter(&mut self) -> Result<Escape, PatternError> {
        match self.next().ok_or(PatternError::Syntax)? {
            '\\' if self.take("b") => Ok(Escape::Code(0x8)),
            '\\' => self.letter_escape(),
            letter => Ok(Escape::Code(u32::from(letter))),
        }
    }

    fn push_member(&mut self, member: &Escape) {
        match member {
            Escape::Code(code) => self.push_range(*code, *code),
            Escape::Set(set, is_rest) => {
                self.out.push_str(if *is_rest { "[^" } else { "[" });
                self.out.push_str(set);
                self.out.push(']');
            }
        }
    }

    /// Halves of surrogate pairs are in no text: a range goes around them.
    fn push_range(&mut self, from: u32, to: u32) {
        let mut push = |from: u32, to: u32| {
            if from <= to {
                push_code(from, &mut self.out);
                self.out.push('-');
                push_code(to, &mut self.out);
            }
        };
        push(from, to.min(0xd7ff));
        push(from.max(0xe000), to);
        if (0xd800..0xe000).contains(&from) && (0xd800..0xe000).contains(&to) {
            // Nothing, but a class may not be empty.
            self.out.push_str("[^\\x00-\\x{10ffff}]");
        }
    }
}
