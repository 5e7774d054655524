//! Arrays of an event, each read once however many operations look at it.
//!
//! An array is written in a form in which equal values have equal bytes, and one value is never the
//! beginning of another. Arrays then compare as bytes, and an item is found by its hash.

use std::cell::{OnceCell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use super::Value;
use crate::filter::json::{skip_number, skip_string, skip_value, unescape};
use crate::filter::number::Number;

/// Up to here, a comparison with each item costs less than a table of them.
const SEARCHED_ITEMS_MAX: usize = 16;

/// Items of an array whose memory is used again.
const SPARE_ITEMS_MAX: usize = 8192;

/// Ends strings and integers: UTF-8 does not have this byte.
const END: u8 = 0xff;

/// An array of the event, which is read when an operation first needs its items.
#[derive(Clone, Copy, Debug)]
pub(in crate::filter) struct LazyArray<'a> {
    pub(in crate::filter) json: &'a str,
    pub(in crate::filter) array: &'a OnceCell<Array>,
    /// Arrays of earlier events, whose memory is used again.
    pub(in crate::filter) spare: &'a RefCell<Vec<Array>>,
}

impl<'a> LazyArray<'a> {
    pub(in crate::filter) fn read(self) -> &'a Array {
        self.array.get_or_init(|| {
            let mut array = self.spare.borrow_mut().pop().unwrap_or_default();
            array.read(self.json);
            array
        })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::filter) struct Array {
    encoded: Encoded,
    /// Where the items start in the bytes, and where the last one ends.
    bounds: Vec<usize>,
    /// Their numbers from 1 on, each at its hash or after it; 0 is free. Of equal items it has one.
    table: OnceCell<Vec<u32>>,
    unescaped: String,
}

/// Values in the form of the module.
#[derive(Debug, Default)]
pub(in crate::filter) struct Encoded {
    bytes: Vec<u8>,
    /// Whether they contain what equals nothing and differs from nothing of its kind: an object.
    has_unknown: bool,
}

impl Encoded {
    pub(in crate::filter) fn of(value: Value<'_>) -> Self {
        let mut encoded = Self::default();
        encoded.push(value);
        encoded
    }

    /// Whether the values are equal. Those that contain objects are different or unknown.
    pub(in crate::filter) fn equals(&self, other: &Self) -> Option<bool> {
        self.is_found(self.bytes == other.bytes)
    }

    /// The same for a list or an array.
    pub(in crate::filter) fn equals_value(&self, other: Value<'_>) -> Option<bool> {
        match other {
            Value::Array(array) => self.equals(array.read().encoded()),
            other => self.equals(&Self::of(other)),
        }
    }

    fn is_found(&self, is_found: bool) -> Option<bool> {
        (!is_found || !self.has_unknown).then_some(is_found)
    }

    fn push(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.bytes.push(b'n'),
            Value::Bool(value) => self.bytes.push(if value { b't' } else { b'f' }),
            Value::Number(number) => self.push_number(number),
            Value::Text(text) => self.push_text(text),
            Value::List(items) => {
                self.bytes.push(b'[');
                for item in items {
                    self.push(Value::of(item));
                }
                self.bytes.push(b']');
            }
            Value::Array(array) => {
                let Self { bytes, has_unknown } = &array.read().encoded;
                self.bytes.extend_from_slice(bytes);
                self.has_unknown |= has_unknown;
            }
            Value::Object => self.push_unknown(),
        }
    }

    fn push_text(&mut self, text: &str) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(END);
    }

    fn push_number(&mut self, number: Number) {
        if let Some(double) = number.as_double_only() {
            self.bytes.push(b'd');
            self.bytes.extend_from_slice(&double.to_le_bytes());
        } else {
            self.bytes.extend_from_slice(number.to_string().as_bytes());
            self.bytes.push(END);
        }
    }

    /// Writes a number as JSON has it.
    fn push_json_number(&mut self, json: &str) {
        let digits = json.strip_prefix('-').unwrap_or(json);
        let is_short = digits.len() < 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_short && json != "-0" {
            self.bytes.extend_from_slice(json.as_bytes());
            self.bytes.push(END);
        } else if let Some(number) = Number::parse(json) {
            self.push_number(number);
        } else {
            self.push_unknown();
        }
    }

    fn push_unknown(&mut self) {
        self.bytes.push(b'o');
        self.has_unknown = true;
    }
}

impl Array {
    /// Replaces the array by one of JSON text. It does not recurse: arrays nest without bound.
    fn read(&mut self, json: &str) {
        self.encoded.bytes.clear();
        self.encoded.has_unknown = false;
        self.bounds.clear();
        self.table.take();
        let text = json.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(&byte) = text.get(at) {
            let is_item = depth == 1 && !matches!(byte, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            if is_item {
                self.bounds.push(self.encoded.bytes.len());
            }
            at = match byte {
                b'[' => {
                    depth += 1;
                    self.encoded.bytes.push(b'[');
                    at + 1
                }
                b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                    self.encoded.bytes.push(b']');
                    at + 1
                }
                b',' | b' ' | b'\t' | b'\n' | b'\r' => at + 1,
                _ => self.read_scalar(json, at),
            };
        }
        self.bounds.push(self.encoded.bytes.len());
        self.encoded.bytes.push(b']');
    }

    /// Reads what starts at `at` and is no array. Returns its end.
    fn read_scalar(&mut self, json: &str, at: usize) -> usize {
        let text = json.as_bytes();
        match text[at] {
            b'"' => {
                let end = skip_string(text, at);
                let inner = json.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                self.unescaped.clear();
                let has_escapes = memchr::memchr(b'\\', inner.as_bytes()).is_some();
                if has_escapes && unescape(inner, &mut self.unescaped) {
                    self.encoded.push_text(&self.unescaped);
                } else {
                    self.encoded.push_text(inner);
                }
                end
            }
            b'{' => {
                self.encoded.push_unknown();
                skip_value(text, at)
            }
            byte @ (b't' | b'f' | b'n') => {
                self.encoded.bytes.push(byte);
                skip_value(text, at)
            }
            _ => {
                // Text that is not JSON may have anything here.
                let end = skip_number(text, at).max(at + 1);
                let number = json.get(at..end).unwrap_or_default();
                self.encoded.push_json_number(number);
                end
            }
        }
    }

    /// Whether its memory is worth keeping for the next event.
    pub(in crate::filter) fn is_small(&self) -> bool {
        self.bounds.capacity() <= SPARE_ITEMS_MAX
    }

    pub(in crate::filter) fn encoded(&self) -> &Encoded {
        &self.encoded
    }

    /// The number of items.
    pub(in crate::filter) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether one of the items equals `value`.
    pub(in crate::filter) fn contains(&self, value: &Encoded) -> Option<bool> {
        let is_found = if self.len() > SEARCHED_ITEMS_MAX {
            let table = self.table.get_or_init(|| self.new_table());
            table[self.slot(table, &value.bytes)] != 0
        } else {
            (0..self.len()).any(|number| self.item(number) == value.bytes)
        };
        value.is_found(is_found)
    }

    fn item(&self, number: usize) -> &[u8] {
        &self.encoded.bytes[self.bounds[number]..self.bounds[number + 1]]
    }

    fn new_table(&self) -> Vec<u32> {
        let mut table = vec![0; (self.len() * 2).next_power_of_two()];
        let mut last: &[u8] = &[];
        for number in 0..self.len() {
            let item = self.item(number);
            if std::mem::replace(&mut last, item) != item {
                let slot = self.slot(&table, item);
                // An event has fewer bytes than that.
                table[slot] = u32::try_from(number + 1).unwrap_or(u32::MAX);
            }
        }
        table
    }

    /// Where an item is in the table, or would be.
    fn slot(&self, table: &[u32], item: &[u8]) -> usize {
        let mask = table.len() - 1;
        let mut slot = usize::try_from(hash(item) & mask as u64).unwrap_or_default();
        while table[slot] != 0 && self.item(table[slot] as usize - 1) != item {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Depends on a secret: the writer of an event cannot choose items of one hash.
fn hash(bytes: &[u8]) -> u64 {
    static SECRETS: LazyLock<[u64; 2]> = LazyLock::new(|| {
        let state = RandomState::new();
        [state.hash_one(0), state.hash_one(1) | 1]
    });
    let [secret, factor] = *SECRETS;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(factor);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        let mixed = product as u64 ^ (product >> 64) as u64;
        mixed
    };
    let mut words = bytes.chunks_exact(8);
    let mut hash = mix(secret, bytes.len() as u64);
    for word in &mut words {
        hash = mix(
            hash,
            u64::from_le_bytes(word.try_into().unwrap_or_default()),
        );
    }
    let rest = words.remainder().iter().rev();
    mix(
        hash,
        rest.fold(0, |word, byte| word << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use crate::filter::tests::cases::filter;

    /// The operations of the filters are true for each array, alone and among many others.
    fn assert_found(text: &str, arrays: &[&str]) {
        let others = "0.5,1.5,2.5,3.5,".repeat(10);
        for item in arrays {
            for array in [format!("[{item}]"), format!("[{others}{item}]")] {
                let event = format!(r#"{{"a":{array},"x":{item}}}"#);
                assert!(filter(text).matches(&event), "{text}: {event}");
            }
        }
    }

    #[test]
    fn an_item_is_found_however_it_is_written() {
        assert_found(
            "1000 in event.a && event.x in event.a",
            &["1000", "1e3", " 1000.0 "],
        );
        assert_found(
            "0 in event.a && !(1 in event.a)",
            &["-0", "0", "0.0", "-0e1"],
        );
        assert_found(
            "-1.5 in event.a && event.x in event.a",
            &["-1.5", "-15e-1", "-1.50"],
        );
        assert_found("18446744073709551615 in event.a", &["18446744073709551615"]);
        assert_found("'é\\n' in event.a", &[r#""é\n""#, r#""\u00e9\u000a""#]);
        assert_found(
            "[1, ['a', null]] in event.a && event.x in event.a && event.x == [1, ['a', null]]",
            &[r#"[1,["a",null]]"#, r#"[ 1.0 , [ "\u0061" , null ] ]"#],
        );
        let other = "!('1' in event.a || 1 in event.a || [[1]] in event.a || [] in event.a)";
        assert_found(
            other,
            &["[1]", r#""1\u0000""#, "[[1,2]]", "true", "{\"a\":1}"],
        );
    }

    #[test]
    fn arrays_with_objects_are_different_or_unknown() {
        let truth = |text: &str, a: &str, b: &str| {
            let event = format!(r#"{{"a":{a},"b":{b}}}"#);
            let is = |text: &str| filter(text).matches(&event);
            is(text)
                .then_some(true)
                .or(is(&format!("!({text})")).then_some(false))
        };
        let object = r#"[{"x":[1,2]},1]"#;
        for (b, expected) in [
            (object, None),
            ("[{},2]", Some(false)),
            ("[[],1]", Some(false)),
        ] {
            assert_eq!(truth("event.a == event.b", object, b), expected, "{b}");
            assert_eq!(
                truth("event.a in event.b", object, &format!("[{b}]")),
                expected,
                "{b}"
            );
        }
        assert_eq!(truth("event.a in event.b", "{}", "[1,{}]"), None);
        assert_eq!(truth("event.a in event.b", "{}", "[1,[{}]]"), Some(false));
        assert_eq!(truth("size(event.a) == 2", object, "1"), Some(true));
    }
}
