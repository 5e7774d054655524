//! Judges a value by a compiled schema, in AJV's order.
//!
//! Defaults are filled in as in AJV: not below `anyOf`, `oneOf`, `not`, `if`, `contains` and
//! `propertyNames`, but in the target of a `$ref` there that has references itself.
//!
//! * `scalars`: numbers and strings. `arrays`, `objects`: these. `general`: keywords of all types.
//! * `report`: errors and where they are. `equal`: whether two values are equal.

mod arrays;
mod equal;
mod general;
mod objects;
mod report;
mod scalars;

use super::Schema;
use super::error::ValidationError;
use super::filled::{Filled, Item};
use super::json::{Kind, Value};
use super::node::{Group, Node, Reference, RuleSet, Rules, TypeRule, TypeSet};
use super::stack::with_room;
use report::{Detail, Path, Place, Report};

/// How many levels of the schema may be judged inside one another: enough for an event as deep as
/// the parser takes, with a few levels of the schema for each of its own.
const LEVELS_MAX: usize = 20_000;
/// How many defaults may be filled into one event: a default in each item of a large array would
/// make it many times as large.
const FILLED_MAX: usize = 10_000;
/// How many levels may be judged before the stack is looked at.
const LEVELS_BETWEEN: usize = 16;

const TOO_DEEP: &str = "should NOT nest so deep, or its schema refers to itself";
const TOO_MANY_DEFAULTS: &str = "should NOT lack so many values that have defaults";

/// What validation found.
#[derive(Debug)]
pub struct Outcome<'d> {
    errors: Vec<ValidationError>,
    filled: Filled<'d>,
}

impl<'d> Outcome<'d> {
    /// Whether there is no error.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors, in AJV's order.
    pub fn errors(&self) -> &[ValidationError] {
        &self.errors
    }

    /// The defaults that were filled in.
    pub fn filled(&self) -> &Filled<'d> {
        &self.filled
    }
}

pub(super) fn validate<'d>(schema: &'d Schema, value: Value<'d>, errors_max: usize) -> Outcome<'d> {
    let mut validator = Validator {
        functions: &schema.functions,
        filled: Filled::default(),
        report: Report::new(errors_max),
        slots: Vec::new(),
        depth: 0,
    };
    let item = Item { value, origin: 0 };
    if let Some(root) = schema.functions.first() {
        validator.apply(root, item, &Path::ROOT, Fill::Yes);
    }
    if validator.report.has_given_up() {
        validator.filled = Filled::default();
    }
    Outcome {
        errors: validator.report.finish(),
        filled: validator.filled,
    }
}

/// Whether defaults are filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Yes,
    No,
}

struct Validator<'d> {
    functions: &'d [Node],
    filled: Filled<'d>,
    report: Report,
    /// Members of the objects that are being judged, by the slots of their names.
    slots: Vec<Option<Item<'d>>>,
    depth: usize,
}

impl<'d> Validator<'d> {
    fn apply(&mut self, node: &'d Node, item: Item<'d>, path: &Path<'_>, fill: Fill) {
        let rules = match &node.rules {
            Rules::Always => return,
            Rules::Never => {
                let place = Place { node, path };
                return self.report.add(place, "false schema", || {
                    Detail::new("boolean schema is false")
                });
            }
            Rules::Some(rules) => rules,
        };
        if self.depth == LEVELS_MAX {
            self.report.give_up(path, "tooDeep", TOO_DEEP);
        }
        if self.filled.len() > FILLED_MAX {
            self.report
                .give_up(path, "tooManyDefaults", TOO_MANY_DEFAULTS);
        }
        if self.report.has_given_up() {
            return;
        }
        let place = Place { node, path };
        self.depth += 1;
        if self.depth.is_multiple_of(LEVELS_BETWEEN) {
            with_room(|| {
                self.judge(rules, place, item, fill);
            });
        } else {
            self.judge(rules, place, item, fill);
        }
        self.depth -= 1;
    }

    fn judge(&mut self, rules: &'d RuleSet, place: Place<'_>, item: Item<'d>, fill: Fill) {
        let group = match item.value.kind() {
            Kind::Number => Some(Group::Number),
            Kind::String | Kind::Name => Some(Group::String),
            Kind::Array => Some(Group::Array),
            Kind::Object => Some(Group::Object),
            Kind::Null | Kind::True | Kind::False => None,
        };
        let wrong_type = rules
            .types
            .as_ref()
            .filter(|types| !has_type(types, item.value));
        // Judged first, or among the keywords of its group; the value may be of another group.
        let (is_before, is_after) = match wrong_type {
            None => (false, false),
            Some(types) if group.is_none_or(|group| types.among <= Some(group)) => (true, false),
            Some(_) => (false, true),
        };
        if let Some(types) = wrong_type.filter(|_| is_before) {
            self.wrong_type(types, place);
        }
        if let Some(reference) = &rules.reference {
            return match reference {
                Reference::Inline(node) => self.apply(node, item, place.path, fill),
                Reference::Function(number) => {
                    self.apply(&self.functions[*number], item, place.path, Fill::Yes);
                }
            };
        }
        match group {
            Some(Group::Number) => self.number(&rules.number, place, item),
            Some(Group::String) => self.string(&rules.string, place, item),
            Some(Group::Array) => {
                if let Some(rules) = &rules.array {
                    self.array(rules, place, item, fill);
                }
            }
            Some(Group::Object) => {
                if let Some(rules) = &rules.object {
                    self.object(rules, place, item, fill);
                }
            }
            None => {}
        }
        if let Some(types) = wrong_type.filter(|_| is_after) {
            self.wrong_type(types, place);
        }
        if let Some(rules) = &rules.general {
            self.general(rules, place, item, fill);
        }
    }

    fn wrong_type(&mut self, types: &TypeRule, place: Place<'_>) {
        self.report.add(place, "type", || {
            Detail::new(format!("should be {}", types.text)).with("type", &*types.text)
        });
    }
}

/// A number beyond the range of doubles is of no type.
fn has_type(types: &TypeRule, value: Value<'_>) -> bool {
    let set = match value.kind() {
        Kind::Null => TypeSet::NULL,
        Kind::True | Kind::False => TypeSet::BOOLEAN,
        Kind::String | Kind::Name => TypeSet::STRING,
        Kind::Array => TypeSet::ARRAY,
        Kind::Object => TypeSet::OBJECT,
        Kind::Number => return has_number_type(types.set, value),
    };
    types.set.meets(set)
}

fn has_number_type(set: TypeSet, value: Value<'_>) -> bool {
    let number = value.as_f64().filter(|number| number.is_finite());
    number.is_some_and(|number| {
        set.meets(TypeSet::NUMBER) || (set.meets(TypeSet::INTEGER) && number.fract() == 0.0)
    })
}
