//! Values of an event and of a filter, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::expression::{Literal, TextTest};
use super::json::{items, unescape};
use super::number::Number;

/// Arrays inside arrays that two arrays of an event are compared to. A list in a filter is not
/// deeper.
const ARRAY_DEPTH_MAX: usize = 16;

/// A value while a filter is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    /// A list that the filter writes.
    List(&'a [Literal]),
    /// An array of the event, as its JSON text.
    Array(&'a str),
    /// An object of the event. Only its members compare.
    Object,
}

/// A string, compared by code points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    /// ASCII letters count as lower case.
    pub(super) lower: bool,
}

impl<'a> Text<'a> {
    fn bytes(self) -> impl DoubleEndedIterator<Item = u8> + ExactSizeIterator + 'a {
        let fold = |byte: u8| byte.to_ascii_lowercase();
        self.text
            .bytes()
            .map(move |byte| if self.lower { fold(byte) } else { byte })
    }

    /// The bytes of UTF-8 have the order of the code points.
    fn order(self, other: Text<'_>) -> Ordering {
        if self.lower || other.lower {
            self.bytes().cmp(other.bytes())
        } else {
            self.text.cmp(other.text)
        }
    }

    /// Starts with, ends with, or contains another one.
    pub(super) fn test(self, test: TextTest, part: Text<'_>) -> bool {
        if !self.lower && !part.lower {
            return match test {
                TextTest::StartsWith => self.text.starts_with(part.text),
                TextTest::EndsWith => self.text.ends_with(part.text),
                TextTest::Contains => self.text.contains(part.text),
            };
        }
        if part.text.len() > self.text.len() {
            return false;
        }
        match test {
            TextTest::StartsWith => self.bytes().zip(part.bytes()).all(|(a, b)| a == b),
            TextTest::EndsWith => {
                let ends = self.bytes().rev().zip(part.bytes().rev());
                ends.into_iter().all(|(a, b)| a == b)
            }
            // Allocates, so that the search takes linear time.
            TextTest::Contains => self.folded().contains(&*part.folded()),
        }
    }

    /// The text itself.
    pub(super) fn folded(self) -> Cow<'a, str> {
        if self.lower && self.text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(self.text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(self.text)
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn of(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Number(number) => Self::Number(*number),
            Literal::String(text) => Self::Text(Text { text, lower: false }),
            Literal::List(items) => Self::List(items),
        }
    }

    /// Whether two values are equal. Values of different kinds are not. Two objects are unknown,
    /// and so are two arrays that are nested too deep.
    pub(super) fn equals(self, other: Value<'_>) -> Option<bool> {
        self.equals_to_depth(other, ARRAY_DEPTH_MAX)
    }

    fn equals_to_depth(self, other: Value<'_>, depth: usize) -> Option<bool> {
        Some(match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => a.order(b).is_eq(),
            (Self::List(a), Value::List(b)) => return all_equal(literals(a), literals(b)),
            (Self::List(a), Value::Array(b)) => return items_equal(b, literals(a)),
            (Self::Array(a), Value::List(b)) => return items_equal(a, literals(b)),
            (Self::Array(a), Value::Array(b)) => return arrays_equal(a, b, depth.checked_sub(1)?),
            (Self::Object, Value::Object) => return None,
            _ => false,
        })
    }

    /// The order of two values of the same kind; `None` where there is none.
    pub(super) fn order(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
            (Self::Number(a), Value::Number(b)) => Some(a.cmp(&b)),
            (Self::Text(a), Value::Text(b)) => Some(a.order(b)),
            _ => None,
        }
    }

    /// Whether this value is an item of a list.
    pub(super) fn is_in(self, list: Value<'_>) -> Option<bool> {
        match list {
            Value::List(items) => any_equal(literals(items).map(|item| self.equals(item))),
            Value::Array(array) => {
                any_equal(items(array).map(|item| with_json(item, |item| self.equals(item))))
            }
            _ => None,
        }
    }

    /// Code points of a string, items of a list.
    pub(super) fn size(self) -> Option<Number> {
        let size = match self {
            Self::Text(text) => text.text.chars().count(),
            Self::List(list) => list.len(),
            Self::Array(array) => items(array).count(),
            _ => return None,
        };
        Some(Number::Integer(size as i128))
    }
}

fn literals(list: &[Literal]) -> impl Iterator<Item = Value<'_>> {
    list.iter().map(Value::of)
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

fn all_equal<'a, 'b>(
    mut a: impl Iterator<Item = Value<'a>>,
    mut b: impl Iterator<Item = Value<'b>>,
) -> Option<bool> {
    let mut result = Some(true);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return result,
            (Some(a), Some(b)) => match a.equals(b) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => result = None,
            },
            _ => return Some(false),
        }
    }
}

fn items_equal<'b>(array: &str, mut list: impl Iterator<Item = Value<'b>>) -> Option<bool> {
    let mut result = Some(true);
    for item in items(array) {
        let Some(expected) = list.next() else {
            return Some(false);
        };
        match with_json(item, |item| item.equals(expected)) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    if list.next().is_some() {
        Some(false)
    } else {
        result
    }
}

fn arrays_equal(a: &str, b: &str, depth: usize) -> Option<bool> {
    let (mut a, mut b) = (items(a), items(b));
    let equal = |a: &str, b: &str| with_json(a, |a| with_json(b, |b| a.equals_to_depth(b, depth)));
    let mut result = Some(true);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return result,
            (Some(a), Some(b)) => match equal(a, b) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => result = None,
            },
            _ => return Some(false),
        }
    }
}

/// Calls `use_value` with the value of a JSON text.
fn with_json<T>(json: &str, use_value: impl FnOnce(Value<'_>) -> T) -> T {
    let value = match json.as_bytes().first() {
        Some(b'"') => {
            let inner = json.get(1..json.len() - 1).unwrap_or_default();
            let mut decoded = String::new();
            let has_escapes = memchr::memchr(b'\\', inner.as_bytes()).is_some();
            let text = if has_escapes && unescape(inner, &mut decoded) {
                &decoded
            } else {
                inner
            };
            return use_value(Value::Text(Text { text, lower: false }));
        }
        Some(b'{') => Value::Object,
        Some(b'[') => Value::Array(json),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') => Value::Null,
        _ => Number::parse(json).map_or(Value::Null, Value::Number),
    };
    use_value(value)
}
