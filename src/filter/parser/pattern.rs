//! Compiles patterns, whose cost is bounded before they are.

use std::convert::Infallible;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast, ClassPerlKind, ClassSetItem, Flag, Flags, GroupKind};

/// Bytes of a compiled pattern, and of the cache that matching fills.
const COMPILED_BYTES_MAX: usize = 1 << 18;

/// Groups, repetitions, sequences and alternatives inside each other: the compiler recurses into
/// them.
const DEPTH_MAX: u32 = 32;

/// What the classes of characters of a pattern may cost, in characters that are looked at: about a
/// millisecond.
const CLASS_COST_MAX: u64 = 200_000;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut parser = ast::parse::ParserBuilder::new();
    // What is no pattern is an error of the compiler's too, which draws it.
    if let Ok(ast) = parser.nest_limit(DEPTH_MAX).build().parse(pattern) {
        let Ok(classes) = ast::visit(&ast, Classes::default());
        if classes.cost() > CLASS_COST_MAX {
            return Err("this pattern has too many or too large classes of characters".to_owned());
        }
    }
    RegexBuilder::new(pattern)
        .nest_limit(DEPTH_MAX)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| describe(&error))
}

/// The last line says what is wrong; those before it draw the pattern.
fn describe(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this pattern is too large when compiled".to_owned(),
        error => {
            let text = error.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            format!("this pattern is not valid: {reason}")
        }
    }
}

/// What the classes of a pattern cost. Without regard to case the compiler looks at each character
/// of each range.
#[derive(Default)]
struct Classes {
    ignores_case: bool,
    /// Large classes with names: `\w`, `\pL`.
    large: u64,
    /// Other classes with names.
    small: u64,
    /// Characters of the ranges.
    characters: u64,
}

impl Classes {
    fn cost(&self) -> u64 {
        if self.ignores_case {
            self.large * 30_000 + self.small * 1000 + self.characters
        } else {
            self.large * 5000 + self.small * 500
        }
    }

    fn named(&mut self, kind: &ClassPerlKind) {
        match kind {
            ClassPerlKind::Word => self.large += 1,
            ClassPerlKind::Digit | ClassPerlKind::Space => self.small += 1,
        }
    }

    fn flags(&mut self, flags: &Flags) {
        self.ignores_case |= flags.flag_state(Flag::CaseInsensitive) == Some(true);
    }
}

impl ast::Visitor for Classes {
    type Output = Self;
    type Err = Infallible;

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        match ast {
            Ast::Flags(flags) => self.flags(&flags.flags),
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.flags(flags);
                }
            }
            Ast::ClassUnicode(_) => self.large += 1,
            Ast::ClassPerl(class) => self.named(&class.kind),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        match item {
            ClassSetItem::Unicode(_) => self.large += 1,
            ClassSetItem::Perl(class) => self.named(&class.kind),
            ClassSetItem::Ascii(_) => self.small += 1,
            ClassSetItem::Range(range) => {
                let (start, end) = (u64::from(range.start.c), u64::from(range.end.c));
                self.characters += end.saturating_sub(start) + 1;
            }
            _ => {}
        }
        Ok(())
    }
}
