//! Evaluates an expression for one event. `None` is unknown: a field is absent, or kinds do not
//! fit.

use super::expression::{Expr, Sign, TextTest};
use super::fields::{Fields, Slot};
use super::value::Value;

impl Expr<Slot> {
    /// Whether the event matches. Unknown is no match.
    pub(super) fn matches(&self, fields: Fields<'_>) -> bool {
        self.truth(fields) == Some(true)
    }

    /// Its value as a boolean; `None` when it is unknown or not a boolean.
    fn truth(&self, fields: Fields<'_>) -> Option<bool> {
        match self {
            Self::Has(slot) => Some(fields.get(*slot).is_some()),
            Self::Not(a) => a.truth(fields).map(|truth| !truth),
            Self::And(all) => absorb(false, all.iter().map(|one| one.truth(fields))),
            Self::Or(all) => absorb(true, all.iter().map(|one| one.truth(fields))),
            Self::Compare(comparison, a, b) => {
                use super::expression::Comparison::{Equal, NotEqual};
                let (a, b) = (a.value(fields)?, b.value(fields)?);
                match comparison {
                    Equal => a.equals(b),
                    NotEqual => a.equals(b).map(|equal| !equal),
                    _ => a.order(b).map(|order| comparison.holds(order)),
                }
            }
            Self::In(a, b) => a.value(fields)?.is_in(b.value(fields)?),
            Self::Text(test, a, b) => match (a.value(fields)?, b.value(fields)?) {
                (Value::Text(whole), Value::Text(part)) => Some(match test {
                    TextTest::StartsWith => whole.starts_with(part),
                    TextTest::EndsWith => whole.ends_with(part),
                    TextTest::Contains => whole.contains(part),
                }),
                _ => None,
            },
            Self::Matches(a, pattern) => match a.value(fields)? {
                Value::Text(text) => Some(pattern.0.is_match(text)),
                _ => None,
            },
            _ => match self.value(fields)? {
                Value::Bool(value) => Some(value),
                _ => None,
            },
        }
    }

    fn value<'a>(&'a self, fields: Fields<'a>) -> Option<Value<'a>> {
        match self {
            Self::Literal(literal) => Some(Value::of(literal)),
            Self::Field(slot) => fields.get(*slot),
            Self::Arithmetic(sign, a, b) => match (a.value(fields)?, b.value(fields)?) {
                (Value::Number(a), Value::Number(b)) => {
                    let result = match sign {
                        Sign::Plus => a.plus(b),
                        Sign::Minus => a.minus(b),
                    };
                    result.map(Value::Number)
                }
                _ => None,
            },
            Self::Negative(a) => match a.value(fields)? {
                Value::Number(number) => number.negated().map(Value::Number),
                _ => None,
            },
            Self::Size(a) => a.value(fields)?.size().map(Value::Number),
            Self::LowerAscii(a) => match &**a {
                Self::Field(slot) => fields.get_lower(*slot).map(Value::Text),
                // In a normal form it is in lower case already.
                a => match a.value(fields)? {
                    Value::Text(text) => Some(Value::Text(text)),
                    _ => None,
                },
            },
            _ => self.truth(fields).map(Value::Bool),
        }
    }
}

/// `absorbing` as soon as one has this value. Without one, an unknown one makes it unknown.
fn absorb(absorbing: bool, all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(!absorbing);
    for one in all {
        match one {
            Some(value) if value == absorbing => return Some(absorbing),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
