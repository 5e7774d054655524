//! The values of an event's fields.

use super::{Extracted, FieldValues, Slot};
use crate::filter::value::{LazyArray, Value};

/// The fields of an event, and its text.
#[derive(Clone, Copy, Debug)]
pub(in crate::filter) struct Fields<'a> {
    pub(in crate::filter) event: &'a str,
    pub(in crate::filter) values: &'a FieldValues,
}

impl<'a> Fields<'a> {
    /// The value of a field; `None` when it is absent.
    pub(in crate::filter) fn get(self, slot: Slot) -> Option<Value<'a>> {
        Some(match self.values.values.get(slot.0)? {
            Extracted::Absent | Extracted::Replaced => return None,
            Extracted::Null => Value::Null,
            Extracted::Bool(value) => Value::Bool(*value),
            Extracted::Number(number) => Value::Number(*number),
            Extracted::Text(range) => Value::Text(self.event.get(range.clone())?),
            Extracted::Decoded(range) => Value::Text(self.values.decoded.get(range.clone())?),
            Extracted::Array(range) => Value::Array(LazyArray {
                json: self.event.get(range.clone())?,
                array: &self.values.made.get(slot.0)?.array,
                spare: &self.values.spare,
            }),
            Extracted::Object => Value::Object,
        })
    }

    /// A text in lower case; `None` when the field is absent or no text.
    pub(in crate::filter) fn get_lower(self, slot: Slot) -> Option<&'a str> {
        let Value::Text(text) = self.get(slot)? else {
            return None;
        };
        let lower = &self.values.made.get(slot.0)?.lower;
        Some(lower.get_or_init(|| {
            let mut lower = self
                .values
                .spare_texts
                .borrow_mut()
                .pop()
                .unwrap_or_default();
            lower.clear();
            lower.push_str(text);
            lower.make_ascii_lowercase();
            lower
        }))
    }
}
