//! A compiled schema: what `compile` makes and `validate` walks.

use regex::bytes::Regex;
use serde_json::Value as Document;

use super::formats::Format;
use super::json::Json;

/// One level of a schema.
#[derive(Debug)]
pub(super) struct Node {
    /// Its path in errors (`schemaPath`): that of the document, or of the `$ref` that leads here.
    pub(super) path: Box<str>,
    pub(super) rules: Rules,
}

#[derive(Debug)]
pub(super) enum Rules {
    Always,
    Never,
    Some(Box<RuleSet>),
}

/// The keywords of a level, in the groups and the order in which AJV judges them.
#[derive(Debug, Default)]
pub(super) struct RuleSet {
    pub(super) types: Option<TypeRule>,
    pub(super) reference: Option<Reference>,
    pub(super) number: NumberRules,
    pub(super) string: StringRules,
    pub(super) array: Option<Box<ArrayRules>>,
    pub(super) object: Option<Box<ObjectRules>>,
    pub(super) general: Option<Box<GeneralRules>>,
}

#[derive(Debug)]
pub(super) struct TypeRule {
    pub(super) set: TypeSet,
    /// As in the message: joined by commas.
    pub(super) text: Box<str>,
    /// AJV judges a type among the rules of its group when there are any, and first otherwise.
    pub(super) among: Option<Group>,
}

/// A set of types, by bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TypeSet(u8);

impl TypeSet {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    pub(super) const NUMBER: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);

    pub(super) fn of_name(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self(0),
        }
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The types that have keywords of their own, in AJV's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Number,
    String,
    Array,
    Object,
}

/// A number of a schema, as messages have it.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) text: Box<str>,
}

/// `maximum` or `minimum`, with the exclusive one.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) limit: Limit,
    pub(super) is_exclusive: bool,
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) maximum: Option<Bound>,
    pub(super) minimum: Option<Bound>,
    pub(super) multiple_of: Option<Limit>,
}

#[derive(Debug, Default)]
pub(super) struct StringRules {
    pub(super) max_length: Option<Limit>,
    pub(super) min_length: Option<Limit>,
    pub(super) pattern: Option<Pattern>,
    pub(super) format: Option<Format>,
}

#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    pub(super) source: Box<str>,
}

#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) defaults: Vec<(usize, Json<'static>)>,
    pub(super) max_items: Option<Limit>,
    pub(super) min_items: Option<Limit>,
    pub(super) items: Items,
    pub(super) contains: Option<Node>,
    pub(super) unique: Option<Unique>,
}

#[derive(Debug, Default)]
pub(super) enum Items {
    #[default]
    Any,
    Each(Node),
    List {
        items: Vec<Node>,
        additional: Additional,
    },
}

/// How `uniqueItems` finds two equal ones.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unique {
    /// All of them.
    Deep,
    /// Only those of the scalar types of `items`, which AJV finds in another order.
    Scalar(TypeSet),
}

/// What additional members or items may be.
#[derive(Debug, Default)]
pub(super) enum Additional {
    #[default]
    Any,
    Never,
    Schema(Node),
}

#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    pub(super) defaults: Vec<(Slot, Json<'static>)>,
    /// Every name that a rule looks for, each with a slot.
    pub(super) names: Names,
    pub(super) max_properties: Option<Limit>,
    pub(super) min_properties: Option<Limit>,
    /// Required names that `properties` does not judge.
    pub(super) required: Vec<Slot>,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) property_names: Option<Node>,
    pub(super) additional: Additional,
    /// The first slots are those of `properties`.
    pub(super) properties: Vec<Property>,
    pub(super) patterns: Vec<(Regex, Node)>,
}

/// The place of a name of [`Names`].
pub(super) type Slot = usize;

#[derive(Debug)]
pub(super) struct Property {
    pub(super) node: Node,
    /// How `dataPath` goes on, `.name` or `['na-me']`.
    pub(super) access: Box<str>,
    pub(super) is_required: bool,
}

#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) of: Slot,
    pub(super) needs: Needs,
}

#[derive(Debug)]
pub(super) enum Needs {
    Properties { names: Vec<Slot>, joined: Box<str> },
    Schema(Node),
}

/// Names with their slots, found by the hash that the parser has made of each name.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Slots by hash, open addressing; a power of two, at least twice the number of names.
    table: Vec<Option<(u32, u32)>>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, slot: Slot) -> &str {
        &self.names[slot]
    }

    /// The slot of `name`, a new one if it has none.
    pub(super) fn slot(&mut self, name: &str, hash: fn(&str) -> u32) -> Slot {
        let is = |known: &str| known == name;
        if let Some(slot) = self.find(hash(name), is) {
            return slot;
        }
        self.names.push(name.into());
        if self.names.len() * 2 > self.table.len() {
            self.table = vec![None; (self.names.len() * 4).next_power_of_two()];
            for slot in 0..self.names.len() {
                self.insert(hash(&self.names[slot]), slot);
            }
        } else {
            self.insert(hash(name), self.names.len() - 1);
        }
        self.names.len() - 1
    }

    fn insert(&mut self, hash: u32, slot: Slot) {
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while self.table[at].is_some() {
            at = (at + 1) & mask;
        }
        self.table[at] = u32::try_from(slot).ok().map(|slot| (hash, slot));
    }

    pub(super) fn find(&self, hash: u32, is: impl Fn(&str) -> bool) -> Option<Slot> {
        let mask = self.table.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        while let Some((known, slot)) = self.table[at] {
            if known == hash && is(&self.names[slot as usize]) {
                return Some(slot as usize);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

#[derive(Debug, Default)]
pub(super) struct GeneralRules {
    pub(super) constant: Option<Constant>,
    pub(super) enumeration: Option<(Vec<Json<'static>>, Document)>,
    pub(super) not: Option<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) all_of: Vec<Node>,
    pub(super) condition: Option<Condition>,
}

#[derive(Debug)]
pub(super) struct Constant {
    pub(super) json: Json<'static>,
    pub(super) document: Document,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) test: Node,
    pub(super) then: Option<Node>,
    pub(super) otherwise: Option<Node>,
}

/// The target of a `$ref`.
#[derive(Debug)]
pub(super) enum Reference {
    /// A target without references, compiled in place, as AJV does: its errors have paths that
    /// begin with the text of the `$ref`.
    Inline(Node),
    /// A function of its own, whose paths begin with `#`.
    Function(usize),
}
