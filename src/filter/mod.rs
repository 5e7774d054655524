//! Filters: which events of its streams a client wants. Pure: knows no streams and no clients.
//!
//! A filter is an expression in a subset of the Common Expression Language over one variable,
//! `event`. A field that is absent, or of a kind that an operation does not take, makes the
//! operation *unknown*. `&&` and `||` absorb unknown where the other operand decides. A filter that
//! is unknown does not match.
//!
//! * `lexer`, `parser`: from text to an expression, with bounds. `error`: what is wrong, and where.
//! * `expression`: the expression and its text. `selector`: names of fields. `shorthand`:
//!   parameters as expressions.
//! * `normalise`: one form for equal filters.
//! * `fields`: extracts the named fields of an event in one pass. `json`: the ends of JSON values.
//! * `value`, `number`: values and how they compare.
//! * `evaluate`: the value of an expression for an event.
//! * `index`: finds the filters that an event matches. `selection`: a filter and a bound of size.

mod error;
mod evaluate;
mod expression;
mod fields;
mod index;
mod json;
mod lexer;
mod normalise;
mod number;
mod parser;
mod selection;
mod selector;
mod shorthand;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::{self, Write as _};

pub use error::FilterError;
pub use index::{FilterId, FilterIndex, Scratch};
pub use parser::FILTER_BYTES_MAX;
pub use selection::{Matcher, Selection};
pub use selector::Shorthand;

use expression::{Expr, Literal};
use fields::{FieldSet, FieldValues, Fields};

/// A filter in its normal form. Filters that are equal for every event by the rules of `normalise`
/// are equal.
#[derive(Clone)]
pub struct Filter {
    expr: Expr,
    text: Box<str>,
}

/// How a filter is found for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterKind {
    /// By the value of a field.
    Indexed,
    /// By evaluation for each event.
    Residual,
    /// By evaluation of a pattern for each event.
    Pattern,
}

impl FilterKind {
    /// Every kind, in the order of the variants.
    pub const ALL: [Self; 3] = [Self::Indexed, Self::Residual, Self::Pattern];

    /// Its label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Residual => "residual",
            Self::Pattern => "pattern",
        }
    }
}

impl Filter {
    /// Parses the text of a filter, percent-decoded: at most [`FILTER_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// What is wrong, with its column.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self::new(parser::parse(text)?))
    }

    /// The filter of a shorthand parameter: `values` are separated by commas.
    ///
    /// # Errors
    /// What is wrong with the values.
    pub fn shorthand(name: Shorthand, values: &str) -> Result<Self, String> {
        Ok(Self::new(shorthand::expression(name, values)?))
    }

    /// The filter that matches what both match.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(Expr::And(vec![self.expr, other.expr]))
    }

    fn new(expr: Expr) -> Self {
        let expr = normalise::normalise(expr);
        let text = expr.to_string().into();
        Self { expr, text }
    }

    /// The normal form as text, which [`Filter::parse`] reads.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The normal form in ASCII, for an HTTP header: other characters, which stand in strings only,
    /// are escaped.
    pub fn ascii_text(&self) -> String {
        let mut ascii = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            match u32::from(c) {
                0x20..=0x7e => ascii.push(c),
                code @ ..=0xffff => _ = write!(ascii, "\\u{code:04x}"),
                code => _ = write!(ascii, "\\U{code:08x}"),
            }
        }
        ascii
    }

    /// Whether every event matches.
    pub fn is_always_true(&self) -> bool {
        self.expr == Expr::Literal(Literal::Bool(true))
    }

    /// How it is found.
    pub fn kind(&self) -> FilterKind {
        let mut has_pattern = false;
        self.expr
            .each(&mut |expr| has_pattern |= matches!(expr, Expr::Matches(..)));
        match index::is_indexable(&self.expr) {
            true => FilterKind::Indexed,
            false if has_pattern => FilterKind::Pattern,
            false => FilterKind::Residual,
        }
    }

    /// Whether it matches `event`, the text of a JSON object. For one event; a [`FilterIndex`] is
    /// for many.
    pub fn matches(&self, event: &str) -> bool {
        let (mut set, mut values) = (FieldSet::default(), FieldValues::default());
        let program = self.expr.map_fields(&mut |selector| set.acquire(selector));
        set.extract(event, &mut values);
        program.matches(Fields {
            event,
            values: &values,
        })
    }
}

/// Matches every event.
impl Default for Filter {
    fn default() -> Self {
        Self::new(Expr::Literal(Literal::Bool(true)))
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl std::hash::Hash for Filter {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
