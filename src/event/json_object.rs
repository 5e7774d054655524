//! A JSON object's members as slices of its text, and how to cut some of them out.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// What the key means: escapes resolved, no quotes.
    pub(super) name: Cow<'a, str>,
    /// The key exactly as the producer wrote it, with its quotes.
    pub(super) key: &'a str,
    /// The value exactly as the producer wrote it, without white space around it.
    pub(super) value: &'a str,
}

impl Member<'_> {
    /// Whether the value is an object (values are known to be valid JSON: the first byte decides).
    pub(super) fn is_object(&self) -> bool {
        self.value.starts_with('{')
    }
}

/// The content of a JSON string, which is given with its quotes. Anything else, and a string with
/// lone surrogate escapes, which no Unicode text can hold, is returned as it is written.
pub(super) fn string_content(raw: &str) -> Cow<'_, str> {
    let Some(inner) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        return Cow::Borrowed(raw);
    };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(raw).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// Calls `visit` with each member of the object that `text` is, in order, duplicates included.
///
/// # Errors
///
/// As [`wanted_members`].
pub(super) fn each_member<'a>(
    text: &'a str,
    visit: impl FnMut(Member<'a>),
) -> serde_json::Result<()> {
    wanted_members(text, |_| true, visit)
}

/// Calls `visit` with each member whose name `wanted` accepts, in order, duplicates included. The
/// other values are skipped, which costs less than slicing them.
///
/// All values are checked in full, but nothing is built from them. The check keeps its own stack on
/// the heap, so that no depth of nesting is refused or overflows.
///
/// # Errors
///
/// When `text` is not one JSON object and nothing else. Members before the error have been visited
/// by then.
pub(super) fn wanted_members<'a>(
    text: &'a str,
    wanted: impl FnMut(&str) -> bool,
    visit: impl FnMut(Member<'a>),
) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Members { wanted, visit })?;
    deserializer.end()
}

struct Members<W, V> {
    wanted: W,
    visit: V,
}

impl<'a, W: FnMut(&str) -> bool, V: FnMut(Member<'a>)> Visitor<'a> for Members<W, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&RawValue>()? {
            let key = key.get();
            let name = string_content(key);
            if (self.wanted)(&name) {
                let value = map.next_value::<&RawValue>()?.get();
                (self.visit)(Member { name, key, value });
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The range of `part` in `whole`, of which it must be a slice.
pub(super) fn span(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// The ranges of a text to leave out so that some members of one object disappear and its commas
/// remain correct.
#[derive(Debug)]
pub(super) struct Cuts {
    /// In ascending order, not touching each other.
    pub(super) ranges: Vec<Range<usize>>,
    /// Where a new member can be written: after the last one, or after the brace.
    pub(super) end: usize,
    /// Whether any member stays, so that a new one needs a comma before it.
    pub(super) any_kept: bool,
}

impl Cuts {
    /// For `object`, which is a slice of `text`.
    pub(super) fn new(text: &str, object: &str) -> Self {
        Self {
            ranges: Vec::new(),
            end: span(text, object).start + 1,
            any_kept: false,
        }
    }

    /// The next member stays. `value`: its value, a slice of `text`.
    pub(super) fn keep(&mut self, text: &str, value: &str) {
        if !self.any_kept
            && let Some(leading) = self.ranges.last_mut()
        {
            leading.end = next_key(text, self.end);
        }
        self.any_kept = true;
        self.end = span(text, value).end;
    }

    /// The next member is cut: with the comma before it when an earlier member stays, else with the
    /// comma after it.
    pub(super) fn cut(&mut self, text: &str, value: &str) {
        let value_end = span(text, value).end;
        match self.ranges.last_mut() {
            Some(last) if last.end == self.end => last.end = value_end,
            _ if self.any_kept => self.ranges.push(self.end..value_end),
            _ => self.ranges.push(next_key(text, self.end)..value_end),
        }
        self.end = value_end;
    }
}

/// Where the next key begins, after a brace or a value that ends at `from`.
fn next_key(text: &str, from: usize) -> usize {
    let between = text.as_bytes()[from..]
        .iter()
        .take_while(|&&byte| byte != b'"')
        .count();
    from + between
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, names: &[&str]) -> (String, bool) {
        let mut cuts = Cuts::new(text, text);
        each_member(text, |member| {
            if names.contains(&&*member.name) {
                cuts.cut(text, member.value);
            } else {
                cuts.keep(text, member.value);
            }
        })
        .unwrap();
        let mut out = text.to_owned();
        for range in cuts.ranges.into_iter().rev() {
            out.replace_range(range, "");
        }
        (out, cuts.any_kept)
    }

    #[test]
    fn commas_stay_correct_wherever_members_are_cut() {
        let text = r#"{ "a" : 1 , "b":2,  "c":3 , "d": 4 }"#;
        for (names, rest) in [
            (&["a"][..], r#"{ "b":2,  "c":3 , "d": 4 }"#),
            (&["b"], r#"{ "a" : 1,  "c":3 , "d": 4 }"#),
            (&["d"], r#"{ "a" : 1 , "b":2,  "c":3 }"#),
            (&["a", "b"], r#"{ "c":3 , "d": 4 }"#),
            (&["b", "c"], r#"{ "a" : 1 , "d": 4 }"#),
            (&["c", "d"], r#"{ "a" : 1 , "b":2 }"#),
            (&["a", "c"], r#"{ "b":2 , "d": 4 }"#),
            (&["a", "d"], r#"{ "b":2,  "c":3 }"#),
            (&["a", "b", "d"], r#"{ "c":3 }"#),
        ] {
            assert_eq!(
                without(text, names),
                (rest.to_owned(), true),
                "without {names:?}"
            );
        }
        assert_eq!(
            without(text, &["a", "b", "c", "d"]),
            ("{  }".to_owned(), false)
        );
        assert_eq!(without("{}", &["a"]), ("{}".to_owned(), false));
    }

    #[test]
    fn duplicates_and_escaped_spellings_are_cut_as_well() {
        assert_eq!(
            without(r#"{"a":1,"\u0061":2,"b":3,"a":{"a":4}}"#, &["a"]).0,
            r#"{"b":3}"#
        );
    }

    #[test]
    fn keys_of_lone_surrogates_are_kept_as_written() {
        let text = r#"{"\ud800":1,"a\udc00":2}"#;
        assert_eq!(without(text, &["a"]).0, text);
    }

    #[test]
    fn only_one_whole_object_has_members() {
        for text in [
            "",
            "{",
            "[]",
            "1",
            "\"x\"",
            "{}{}",
            "{} x",
            "{\"a\":01}",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":[1}}",
            "{\"a\":\"\t\"}",
        ] {
            assert!(each_member(text, |_| ()).is_err(), "{text}");
        }
    }
}
