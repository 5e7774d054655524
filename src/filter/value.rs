//! Values of an event and of a filter, and how they compare.
//!
//! * `array`: arrays of an event.

mod array;

use std::cmp::Ordering;

use self::array::Encoded;
pub(super) use self::array::{Array, LazyArray};
use super::expression::Literal;
use super::number::Number;

/// A value while a filter is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    /// Compared by code points.
    Text(&'a str),
    /// A list that the filter writes.
    List(&'a [Literal]),
    /// An array of the event.
    Array(LazyArray<'a>),
    /// An object of the event. Only its members compare.
    Object,
}

impl<'a> Value<'a> {
    pub(super) fn of(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Number(number) => Self::Number(*number),
            Literal::String(text) => Self::Text(text),
            Literal::List(items) => Self::List(items),
        }
    }

    /// Whether two values are equal. Values of different kinds are not. Two objects are unknown.
    pub(super) fn equals(self, other: Value<'_>) -> Option<bool> {
        Some(match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => a == b,
            (Self::Array(a), Value::Array(b)) => {
                return a.read().encoded().equals(b.read().encoded());
            }
            (Self::List(_), Value::List(_) | Value::Array(_)) => {
                return Encoded::of(self).equals_value(other);
            }
            (Self::Array(_), Value::List(_)) => return Encoded::of(other).equals_value(self),
            (Self::Object, Value::Object) => return None,
            _ => false,
        })
    }

    /// The order of two values of the same kind; `None` where there is none.
    pub(super) fn order(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
            (Self::Number(a), Value::Number(b)) => Some(a.cmp(&b)),
            // The bytes of UTF-8 have the order of the code points.
            (Self::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether this value is an item of a list.
    pub(super) fn is_in(self, list: Value<'_>) -> Option<bool> {
        match list {
            Value::List(items) => any_equal(items.iter().map(|item| self.equals(Value::of(item)))),
            Value::Array(array) => array.read().contains(&Encoded::of(self)),
            _ => None,
        }
    }

    /// Code points of a string, items of a list.
    pub(super) fn size(self) -> Option<Number> {
        let size = match self {
            Self::Text(text) => text.chars().count(),
            Self::List(list) => list.len(),
            Self::Array(array) => array.read().len(),
            _ => return None,
        };
        Some(Number::Integer(size as i128))
    }
}

/// Whether one of them is equal. Without one, an unknown one makes it unknown.
fn any_equal(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for one in all {
        match one {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}
