//! One value of a document.

use std::borrow::Cow;
use std::ops::Range;

use super::{ESCAPED, Json, Kind, NUMERIC_NAMES, Node, SHADOWED, name_hash, text};

/// A value of a parsed document; a small reference.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d> {
    json: &'d Json<'d>,
    at: u32,
}

impl<'d> Value<'d> {
    pub(super) const fn new(json: &'d Json<'d>, at: u32) -> Self {
        Self { json, at }
    }

    fn node(&self) -> &'d Node {
        &self.json.nodes[self.at as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its number among the values of the document.
    pub(crate) fn id(&self) -> u32 {
        self.at
    }

    /// Where it is in the text of the document.
    pub fn span(&self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// Its text, as it is in the document.
    pub fn text(&self) -> &'d str {
        &self.json.text[self.span()]
    }

    /// What a string, or a name, means.
    pub fn as_str(&self) -> Option<Cow<'d, str>> {
        let is_text = matches!(self.kind(), Kind::String | Kind::Name);
        is_text.then(|| self.string())
    }

    fn string(&self) -> Cow<'d, str> {
        let node = self.node();
        let inner = &self.json.text[node.start as usize + 1..node.end as usize - 1];
        match node.flags & ESCAPED {
            0 => inner.into(),
            _ => text::unescape(inner),
        }
    }

    /// A number as a double; infinite beyond its range.
    pub fn as_f64(&self) -> Option<f64> {
        if self.kind() != Kind::Number {
            return None;
        }
        let text = self.text();
        if text.len() <= 15
            && let Ok(integer) = text.parse::<i64>()
            && text != "-0"
        {
            #[expect(clippy::cast_precision_loss, reason = "15 digits fit")]
            return Some(integer as f64);
        }
        text.parse().ok()
    }

    /// How many items an array, or members an object has, without shadowed ones.
    pub fn count(&self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => self.node().extra as usize,
            _ => 0,
        }
    }

    /// Whether a member's name begins with a digit, or may.
    pub(crate) fn has_numeric_names(&self) -> bool {
        self.kind() == Kind::Object && self.node().flags & NUMERIC_NAMES != 0
    }

    /// The items of an array.
    pub fn items(&self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        let end = match self.kind() {
            Kind::Array => self.node().next,
            _ => 0,
        };
        let (json, mut at) = (self.json, self.at + 1);
        std::iter::from_fn(move || {
            let item = (at < end).then(|| Value::new(json, at))?;
            at = item.node().next;
            Some(item)
        })
    }

    /// The members of an object in the order of the text, without shadowed ones.
    pub fn members(&self) -> Members<'d> {
        let end = match self.kind() {
            Kind::Object => self.node().next,
            _ => 0,
        };
        Members {
            json: self.json,
            at: self.at + 1,
            end,
        }
    }

    /// The member of an object with this name.
    pub fn get(&self, name: &str) -> Option<Value<'d>> {
        let hash = name_hash(name);
        let mut members = self.members();
        members
            .find(|member| member.hash() == hash && member.is(name))
            .map(|member| member.value())
    }
}

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Members<'d> {
    json: &'d Json<'d>,
    at: u32,
    end: u32,
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'d>(Value<'d>);

impl<'d> Iterator for Members<'d> {
    type Item = Member<'d>;

    fn next(&mut self) -> Option<Member<'d>> {
        while self.at < self.end {
            let name = Value::new(self.json, self.at);
            self.at = name.node().next;
            if name.node().flags & SHADOWED == 0 {
                return Some(Member(name));
            }
        }
        None
    }
}

impl<'d> Member<'d> {
    /// Its name.
    pub fn name(&self) -> Cow<'d, str> {
        self.0.string()
    }

    /// Its name, as a value.
    pub(crate) fn name_value(&self) -> Value<'d> {
        self.0
    }

    /// Its value.
    pub fn value(&self) -> Value<'d> {
        Value::new(self.0.json, self.0.at + 1)
    }

    /// The hash of its name.
    pub(crate) fn hash(&self) -> u32 {
        self.0.node().extra
    }

    /// Whether this is its name.
    pub fn is(&self, name: &str) -> bool {
        let node = self.0.node();
        match node.flags & ESCAPED {
            0 => {
                let inner = node.start as usize + 1..node.end as usize - 1;
                self.0.json.text.as_bytes()[inner] == *name.as_bytes()
            }
            _ => self.0.string() == name,
        }
    }
}
