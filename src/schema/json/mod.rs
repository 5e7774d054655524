//! JSON text as a flat list of nodes that borrow it: parsed once, nothing copied.
//!
//! Each node has its span in the text, so that a number keeps every digit, and a change of the
//! document is an insertion at a byte position. The nodes lie in the order of the text: the first
//! child of a container follows it, and each node knows where the next one begins. Of members with
//! equal names, all but the last are shadowed.
//!
//! * `parse`: from text to nodes. `scan`: the ends of strings and numbers.
//! * `text`: what a string means, and how a text becomes one.
//! * `value`: one value of a document.

mod parse;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::borrow::Cow;

pub use parse::{JsonError, JsonFault};
pub(crate) use text::quote_into;
pub use value::{Member, Members, Value};

/// How deep arrays and objects may nest.
pub(crate) const DEPTH_MAX: usize = 2048;

/// A parsed document.
#[derive(Clone, Debug)]
pub struct Json<'a> {
    text: Cow<'a, str>,
    nodes: Vec<Node>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// The name of a member, which its value follows.
    Name,
}

/// One value, or the name of a member.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// [`ESCAPED`] of a string or a name, [`SHADOWED`] of a name, [`NUMERIC_NAMES`] of an object.
    flags: u8,
    start: u32,
    end: u32,
    /// The node after this one and all that it contains.
    next: u32,
    /// How many members or items a container has; the hash of a name.
    extra: u32,
}

/// The string has escapes.
const ESCAPED: u8 = 1;
/// A later member has the same name.
const SHADOWED: u8 = 2;
/// A member's name begins with a digit.
const NUMERIC_NAMES: u8 = 4;

impl<'a> Json<'a> {
    /// Parses one value with white space around it.
    ///
    /// # Errors
    /// The text is not JSON, or nests deeper than 2048 levels.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let nodes = parse::parse(text)?;
        let text = Cow::Borrowed(text);
        Ok(Self { text, nodes })
    }

    /// The document of a value, with a text of its own.
    ///
    /// # Errors
    /// It nests deeper than 2048 levels.
    pub fn from_value(value: &serde_json::Value) -> Result<Json<'static>, JsonError> {
        let text = value.to_string();
        let nodes = parse::parse(&text)?;
        let text = Cow::Owned(text);
        Ok(Json { text, nodes })
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, 0)
    }
}

/// The hash of a name; the same for equal names in all documents and schemas. It need not resist
/// chosen names: where these cost time, names are compared by another (`parse::shadow_many`).
pub(crate) fn name_hash(name: &str) -> u32 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(K);
        #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
        let (high, low) = ((product >> 64) as u64, product as u64);
        high ^ low
    };
    let mut hash = (name.len() as u64).wrapping_mul(K);
    let mut chunks = name.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        hash = fold(
            hash,
            chunk
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        );
    }
    let last = chunks.remainder().iter();
    hash = fold(
        hash,
        last.fold(1, |word, byte| word << 8 | u64::from(*byte)),
    );
    (hash >> 32) as u32
}
