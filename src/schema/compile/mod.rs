//! From a document to a compiled schema.
//!
//! A level of the document becomes a node with its keywords by group. A `$ref` to a schema without
//! references is compiled in place; every other target becomes a function, so that references may
//! go in circles.
//!
//! * `registry`: finds what a `$ref` means. `uri`: how references resolve.
//! * `values`: keywords of numbers, strings and values. `arrays`, `objects`: keywords of these.

mod arrays;
mod objects;
mod registry;
mod uri;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Schema;
use super::error::SchemaError;
use super::metaschema::is_known;
use super::node::{Group, Node, Reference, RuleSet, Rules, TypeRule, TypeSet};
use super::stack::with_room;
pub use registry::Documents;
use registry::{Registry, Target, id_of};

/// What to do with `default`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Defaults {
    /// Fill them in.
    Filled,
    /// Metaschemas describe defaults that no document needs.
    Ignored,
}

/// How deep a schema may nest.
const LEVELS_MAX: usize = 500;
/// How many targets of `$ref` a schema may have.
const FUNCTIONS_MAX: usize = 10_000;

pub(super) fn compile(
    document: &Arc<Value>,
    documents: &Documents,
    defaults: Defaults,
) -> Result<Schema, SchemaError> {
    let registry = Registry::new(document, documents);
    let base = id_of(document).map(uri::normalize).unwrap_or_default();
    let root = Target {
        schema: document,
        root: document,
        base: base.to_owned(),
    };
    let mut compiler = Compiler {
        registry,
        defaults,
        known: HashMap::new(),
        targets: Vec::new(),
        depth: 0,
    };
    compiler.function(root)?;
    let mut functions = Vec::new();
    while let Some(target) = compiler.targets.get(functions.len()).cloned() {
        let scope = Scope {
            root: target.root,
            base: target.base,
        };
        // Those of a metaschema are filled in nowhere: they would go on for ever.
        compiler.defaults = if is_known(&scope.base) {
            Defaults::Ignored
        } else {
            defaults
        };
        functions.push(compiler.level(target.schema, "#".to_owned(), &scope)?);
    }
    Ok(Schema {
        functions,
        document: Arc::clone(document),
    })
}

/// The document and the id around a level.
struct Scope<'v> {
    root: &'v Value,
    base: String,
}

struct Compiler<'v> {
    registry: Registry<'v>,
    defaults: Defaults,
    /// Functions by the address of their schema and their base.
    known: HashMap<(usize, String), usize>,
    targets: Vec<Target<'v>>,
    depth: usize,
}

/// The keywords of each group: a type is judged among them when one is there.
const KEYWORDS: [(Group, &str, &[&str]); 4] = [
    (
        Group::Number,
        "number",
        &[
            "maximum",
            "exclusiveMaximum",
            "minimum",
            "exclusiveMinimum",
            "multipleOf",
            "format",
        ],
    ),
    (
        Group::String,
        "string",
        &["maxLength", "minLength", "pattern", "format"],
    ),
    (
        Group::Array,
        "array",
        &["maxItems", "minItems", "items", "contains", "uniqueItems"],
    ),
    (
        Group::Object,
        "object",
        &[
            "maxProperties",
            "minProperties",
            "required",
            "dependencies",
            "propertyNames",
            "properties",
            "additionalProperties",
            "patternProperties",
        ],
    ),
];
/// Keywords that stand in no group.
const OTHER_KEYWORDS: [&str; 10] = [
    "$ref", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "type", "$comment",
];

/// Whether a level has a keyword that AJV judges; one without takes every value.
fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Bool(allows) => !allows,
        Value::Object(keywords) => keywords.keys().any(|keyword| {
            let keyword = keyword.as_str();
            OTHER_KEYWORDS.contains(&keyword)
                || KEYWORDS
                    .iter()
                    .any(|(_, _, of_group)| of_group.contains(&keyword))
        }),
        _ => false,
    }
}

impl<'v> Compiler<'v> {
    /// The number of the function that judges `target`.
    fn function(&mut self, target: Target<'v>) -> Result<usize, SchemaError> {
        let address = std::ptr::from_ref(target.schema).addr();
        let key = (address, target.base.clone());
        if let Some(number) = self.known.get(&key) {
            return Ok(*number);
        }
        let number = self.targets.len();
        if number == FUNCTIONS_MAX {
            return Err(SchemaError::TooDeep);
        }
        self.known.insert(key, number);
        self.targets.push(target);
        Ok(number)
    }

    /// A level below another one, whose id counts from here on.
    fn child(
        &mut self,
        schema: &'v Value,
        path: String,
        scope: &Scope<'v>,
    ) -> Result<Node, SchemaError> {
        match id_of(schema) {
            Some(id) => {
                let scope = Scope {
                    root: scope.root,
                    base: uri::resolve(&scope.base, uri::normalize(id)),
                };
                self.level(schema, path, &scope)
            }
            None => self.level(schema, path, scope),
        }
    }

    fn level(
        &mut self,
        schema: &'v Value,
        path: String,
        scope: &Scope<'v>,
    ) -> Result<Node, SchemaError> {
        self.depth += 1;
        if self.depth > LEVELS_MAX {
            return Err(SchemaError::TooDeep);
        }
        let node = with_room(|| self.node(schema, path, scope));
        self.depth -= 1;
        node
    }

    fn node(
        &mut self,
        schema: &'v Value,
        path: String,
        scope: &Scope<'v>,
    ) -> Result<Node, SchemaError> {
        let rules = match schema {
            Value::Object(keywords) if has_rules(schema) => {
                Rules::Some(Box::new(self.rules(keywords, &path, scope)?))
            }
            Value::Bool(false) => Rules::Never,
            _ => Rules::Always,
        };
        let path = path.into();
        Ok(Node { path, rules })
    }

    fn rules(
        &mut self,
        keywords: &'v Map<String, Value>,
        path: &str,
        scope: &Scope<'v>,
    ) -> Result<RuleSet, SchemaError> {
        let mut types = keywords
            .get("type")
            .and_then(|types| type_rule(types, keywords));
        if let Some(Value::String(reference)) = keywords.get("$ref") {
            // It silences its neighbours, but for a type that AJV judges first.
            types = types.filter(|types| types.among.is_none());
            return Ok(RuleSet {
                types,
                reference: Some(self.reference(reference, scope)?),
                ..RuleSet::default()
            });
        }
        let level = Level {
            keywords,
            path,
            scope,
        };
        Ok(RuleSet {
            types,
            reference: None,
            number: level.number_rules()?,
            string: level.string_rules()?,
            array: self.array_rules(&level)?.map(Box::new),
            object: self.object_rules(&level)?.map(Box::new),
            general: self.general_rules(&level)?.map(Box::new),
        })
    }

    fn reference(&mut self, text: &str, scope: &Scope<'v>) -> Result<Reference, SchemaError> {
        if matches!(text, "#" | "#/") {
            let base = id_of(scope.root).map(uri::normalize).unwrap_or_default();
            let root = Target {
                schema: scope.root,
                root: scope.root,
                base: base.to_owned(),
            };
            return Ok(Reference::Function(self.function(root)?));
        }
        let target = self.registry.find(&scope.base, scope.root, text)?;
        if has_reference(target.schema) {
            return Ok(Reference::Function(self.function(target)?));
        }
        let scope = Scope {
            root: target.root,
            base: target.base,
        };
        let node = self.level(target.schema, text.to_owned(), &scope)?;
        Ok(Reference::Inline(node))
    }
}

/// A level of the document with its place.
struct Level<'l, 'v> {
    keywords: &'v Map<String, Value>,
    path: &'l str,
    scope: &'l Scope<'v>,
}

impl<'v> Level<'_, 'v> {
    fn get(&self, keyword: &str) -> Option<&'v Value> {
        self.keywords.get(keyword)
    }

    fn has_any(&self, group: Group) -> bool {
        let of_group = KEYWORDS.iter().find(|(of, _, _)| *of == group);
        of_group
            .is_some_and(|(_, _, names)| names.iter().any(|name| self.keywords.contains_key(*name)))
    }

    fn below(&self, keyword: &str) -> String {
        format!("{}/{keyword}", self.path)
    }

    /// The error of a keyword whose value the metaschema would refuse.
    fn invalid(&self, keyword: &str) -> SchemaError {
        SchemaError::Invalid(format!(
            "{keyword} at {} has an impossible value",
            self.path
        ))
    }
}

fn type_rule(types: &Value, keywords: &Map<String, Value>) -> Option<TypeRule> {
    let names: Vec<&str> = match types {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let set = names.iter().map(|name| TypeSet::of_name(name));
    let set = set.fold(TypeSet::default(), TypeSet::with);
    let group = match names[..] {
        [name] => KEYWORDS.iter().find(|(_, of_group, _)| *of_group == name),
        _ => None,
    };
    let among = group
        .filter(|(_, _, of_group)| of_group.iter().any(|name| keywords.contains_key(*name)))
        .map(|(group, _, _)| *group);
    let text = names.join(",").into();
    Some(TypeRule { set, text, among })
}

/// Whether there is a member `$ref` anywhere in it.
fn has_reference(schema: &Value) -> bool {
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) if members.contains_key("$ref") => return true,
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    false
}
