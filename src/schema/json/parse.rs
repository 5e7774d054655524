//! From text to nodes, without recursion.

use std::collections::HashMap;
use std::fmt;

use super::{DEPTH_MAX, ESCAPED, Kind, NUMERIC_NAMES, Node, SHADOWED, name_hash, scan, text};

/// Why a text is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub fault: JsonFault,
    /// The byte at which it shows.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// A byte that cannot be there, or the end of the text.
    Syntax,
    /// Arrays and objects nest too deep.
    TooDeep,
    /// The text has 4 GiB or more.
    TooLong,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("the text is not valid JSON"),
            Self::TooDeep => write!(f, "the JSON nests deeper than {DEPTH_MAX} levels"),
            Self::TooLong => f.write_str("the text is too long"),
        }
    }
}

/// More members than this are compared by a hash map, against names chosen to collide.
const FEW_MEMBERS: usize = 64;

pub(super) fn parse(text: &str) -> Result<Vec<Node>, JsonError> {
    if u32::try_from(text.len()).is_err() {
        let fault = JsonFault::TooLong;
        return Err(JsonError { fault, at: 0 });
    }
    let mut parser = Parser {
        source: text,
        text: text.as_bytes(),
        at: 0,
        nodes: Vec::with_capacity(text.len() / 12 + 4),
        open: Vec::new(),
    };
    parser.document()?;
    Ok(parser.nodes)
}

struct Parser<'a> {
    source: &'a str,
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// The containers around the position, by their nodes.
    open: Vec<usize>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        loop {
            if self.value()? {
                continue;
            }
            loop {
                let Some(&container) = self.open.last() else {
                    self.skip_space();
                    return if self.at == self.text.len() {
                        Ok(())
                    } else {
                        self.syntax(self.at)
                    };
                };
                if self.after_item(container)? {
                    break;
                }
            }
        }
    }

    /// Reads a value, or the beginning of one. Returns whether it is a container with something in
    /// it, whose first value is next.
    fn value(&mut self) -> Result<bool, JsonError> {
        self.skip_space();
        let start = self.at;
        match self.text.get(start) {
            Some(b'"') => self.string(Kind::String)?,
            Some(b'{') => return self.container(Kind::Object, b'}'),
            Some(b'[') => return self.container(Kind::Array, b']'),
            Some(b'-' | b'0'..=b'9') => match scan::number(self.text, start) {
                Ok(end) => self.scalar(Kind::Number, end),
                Err(at) => return self.syntax(at),
            },
            Some(b't') => self.word("true", Kind::True)?,
            Some(b'f') => self.word("false", Kind::False)?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return self.syntax(start),
        }
        Ok(false)
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return self.syntax(self.at);
        }
        self.scalar(kind, self.at + word.len());
        Ok(())
    }

    fn scalar(&mut self, kind: Kind, end: usize) {
        let next = self.nodes.len() + 1;
        self.push(kind, 0, end, next, 0);
        self.at = end;
    }

    fn push(&mut self, kind: Kind, flags: u8, end: usize, next: usize, extra: u32) {
        self.nodes.push(Node {
            kind,
            flags,
            start: short(self.at),
            end: short(end),
            next: short(next),
            extra,
        });
    }

    fn string(&mut self, kind: Kind) -> Result<(), JsonError> {
        let (start, next) = (self.at, self.nodes.len() + 1);
        let found = match scan::string(self.text, start + 1) {
            Ok(found) => found,
            Err(at) => return self.syntax(at),
        };
        let flags = if found.is_escaped { ESCAPED } else { 0 };
        let hash = match kind {
            Kind::Name => self.hash(start + 1, found.end - 1, found.is_escaped),
            _ => 0,
        };
        self.push(kind, flags, found.end, next, hash);
        self.at = found.end;
        Ok(())
    }

    fn hash(&self, start: usize, end: usize, is_escaped: bool) -> u32 {
        let inner = &self.source[start..end];
        if is_escaped {
            name_hash(&text::unescape(inner))
        } else {
            name_hash(inner)
        }
    }

    fn container(&mut self, kind: Kind, close: u8) -> Result<bool, JsonError> {
        if self.open.len() == DEPTH_MAX {
            let fault = JsonFault::TooDeep;
            return Err(JsonError { fault, at: self.at });
        }
        self.open.push(self.nodes.len());
        self.push(kind, 0, 0, 0, 0);
        self.at += 1;
        self.skip_space();
        if self.text.get(self.at) == Some(&close) {
            self.close();
            return Ok(false);
        }
        if kind == Kind::Object {
            self.name()?;
        }
        Ok(true)
    }

    /// Ends the innermost container at the position.
    fn close(&mut self) {
        self.at += 1;
        let Some(container) = self.open.pop() else {
            return;
        };
        let next = self.nodes.len();
        if self.nodes[container].kind == Kind::Object {
            self.shadow(container, self.nodes[container].extra as usize);
        }
        self.nodes[container].end = short(self.at);
        self.nodes[container].next = short(next);
    }

    /// The name of a member and its colon.
    fn name(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.text.get(self.at) != Some(&b'"') {
            return self.syntax(self.at);
        }
        self.string(Kind::Name)?;
        self.skip_space();
        if self.text.get(self.at) != Some(&b':') {
            return self.syntax(self.at);
        }
        self.at += 1;
        Ok(())
    }

    /// Goes on behind a whole item of `container`. Returns whether another one is next.
    fn after_item(&mut self, container: usize) -> Result<bool, JsonError> {
        self.nodes[container].extra += 1;
        let is_object = self.nodes[container].kind == Kind::Object;
        self.skip_space();
        match self.text.get(self.at) {
            Some(b',') => {
                self.at += 1;
                if is_object {
                    self.name()?;
                }
                Ok(true)
            }
            Some(b'}') if is_object => {
                self.close();
                Ok(false)
            }
            Some(b']') if !is_object => {
                self.close();
                Ok(false)
            }
            _ => self.syntax(self.at),
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn syntax<T>(&self, at: usize) -> Result<T, JsonError> {
        let fault = JsonFault::Syntax;
        let at = at.min(self.text.len());
        Err(JsonError { fault, at })
    }

    /// Marks the members of a whole object whose names come again.
    fn shadow(&mut self, object: usize, count: usize) {
        if count > FEW_MEMBERS {
            return self.shadow_many(object);
        }
        let mut names = [0_usize; FEW_MEMBERS];
        let mut seen = [0_u64; 16];
        let (mut at, mut known) = (object + 1, 0);
        while at < self.nodes.len() {
            let hash = self.nodes[at].extra;
            let (word, bit) = ((hash >> 6 & 15) as usize, 1 << (hash & 63));
            if seen[word] & bit != 0 {
                let same = |name: &usize| self.nodes[*name].extra == hash && self.equal(*name, at);
                if let Some(earlier) = names[..known].iter().rev().copied().find(same) {
                    self.shadow_one(object, earlier);
                }
            }
            seen[word] |= bit;
            self.note_digit(object, at);
            names[known] = at;
            known += 1;
            // The name's own end: the value that follows is a whole node.
            let value = at + 1;
            self.nodes[at].next = self.nodes[value].next;
            at = self.nodes[at].next as usize;
        }
    }

    fn shadow_many(&mut self, object: usize) {
        let mut names = HashMap::new();
        let mut earlier = Vec::new();
        let mut at = object + 1;
        while at < self.nodes.len() {
            let node = &self.nodes[at];
            let inner = &self.source[node.start as usize + 1..node.end as usize - 1];
            let name = match node.flags & ESCAPED {
                0 => inner.into(),
                _ => text::unescape(inner),
            };
            earlier.extend(names.insert(name, at));
            self.note_digit(object, at);
            self.nodes[at].next = self.nodes[at + 1].next;
            at = self.nodes[at].next as usize;
        }
        for name in earlier {
            self.shadow_one(object, name);
        }
    }

    fn shadow_one(&mut self, object: usize, name: usize) {
        if self.nodes[name].flags & SHADOWED == 0 {
            self.nodes[name].flags |= SHADOWED;
            self.nodes[object].extra -= 1;
        }
    }

    fn note_digit(&mut self, object: usize, name: usize) {
        let node = &self.nodes[name];
        let first = self.text[node.start as usize + 1];
        if first.is_ascii_digit() || node.flags & ESCAPED != 0 {
            self.nodes[object].flags |= NUMERIC_NAMES;
        }
    }

    fn equal(&self, one: usize, other: usize) -> bool {
        let inner = |name: usize| {
            let node = &self.nodes[name];
            let inner = &self.source[node.start as usize + 1..node.end as usize - 1];
            match node.flags & ESCAPED {
                0 => inner.into(),
                _ => text::unescape(inner),
            }
        };
        inner(one) == inner(other)
    }
}

/// A position in a text whose length fits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the text has less than 4 GiB"
)]
const fn short(position: usize) -> u32 {
    position as u32
}
