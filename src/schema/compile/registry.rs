//! Finds what a `$ref` means: by id, by JSON pointer, in the document or in another one.

use std::collections::{BTreeMap, HashMap};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::super::error::SchemaError;
use super::uri::{normalize, resolve};

/// Other documents that a schema may refer to, by URI.
pub type Documents = BTreeMap<String, std::sync::Arc<Value>>;

/// A schema, and where its references start from.
#[derive(Clone)]
pub(super) struct Target<'v> {
    pub(super) schema: &'v Value,
    /// The outermost schema of its document.
    pub(super) root: &'v Value,
    pub(super) base: String,
}

pub(super) struct Registry<'v> {
    documents: BTreeMap<&'v str, &'v Value>,
    /// Schemas by their whole id; of equal ids the first.
    ids: HashMap<String, Target<'v>>,
}

/// Names below these are names of properties, not keywords: an id there does not change the base.
const NOT_SCHEMAS: [&str; 5] = [
    "properties",
    "patternProperties",
    "enum",
    "dependencies",
    "definitions",
];

/// The id of a schema: `$id`, or `id` of draft-04.
pub(super) fn id_of(schema: &Value) -> Option<&str> {
    let id = schema.get("$id").or_else(|| schema.get("id"))?;
    id.as_str().filter(|id| !id.is_empty())
}

impl<'v> Registry<'v> {
    pub(super) fn new(root: &'v Value, documents: &'v Documents) -> Self {
        let mut registry = Self {
            documents: BTreeMap::new(),
            ids: HashMap::new(),
        };
        registry.add("", root);
        for (uri, document) in documents {
            registry.documents.insert(normalize(uri), document);
            registry.add(uri, document);
        }
        registry
    }

    fn add(&mut self, uri: &str, root: &'v Value) {
        let base = normalize(id_of(root).unwrap_or(uri)).to_owned();
        let mut open = vec![(root, base)];
        while let Some((schema, mut base)) = open.pop() {
            if let Some(id) = id_of(schema) {
                base = resolve(&base, id);
                let target = Target {
                    schema,
                    root,
                    base: base.clone(),
                };
                self.ids.entry(base.clone()).or_insert(target);
                base = base.split('#').next().unwrap_or_default().to_owned();
            }
            let children = schema.as_object().into_iter().flat_map(subschemas);
            // The first of equal ids is the first of the document.
            let mut children: Vec<_> = children.map(|child| (child, base.clone())).collect();
            children.reverse();
            open.append(&mut children);
        }
    }

    /// What `reference` means in a schema of `root` whose base is `base`.
    pub(super) fn find(
        &self,
        base: &str,
        root: &'v Value,
        reference: &str,
    ) -> Result<Target<'v>, SchemaError> {
        self.follow(base, root, reference, 0).map_err(|missing| {
            let (reference, base) = (reference.to_owned(), base.to_owned());
            match missing {
                Some(uri) => SchemaError::MissingDocument {
                    uri,
                    reference,
                    base,
                },
                None => SchemaError::Reference { reference, base },
            }
        })
    }

    /// `Err` has the document that is missing, if one is.
    fn follow(
        &self,
        base: &str,
        root: &'v Value,
        reference: &str,
        depth: usize,
    ) -> Result<Target<'v>, Option<String>> {
        let uri = resolve(base, normalize(reference));
        if let Some(target) = self.ids.get(&uri) {
            return Ok(target.clone());
        }
        let (document, fragment) = uri.split_once('#').unwrap_or((&uri, ""));
        let own = id_of(root).map(|id| normalize(id).split('#').next().unwrap_or_default());
        let start = if document.is_empty() || own == Some(document) {
            let base = own.unwrap_or_default().to_owned();
            Target {
                schema: root,
                root,
                base,
            }
        } else if let Some(target) = self.ids.get(document) {
            target.clone()
        } else if let Some(schema) = self.documents.get(document) {
            Target {
                schema,
                root: schema,
                base: id_of(schema).map_or(document, normalize).to_owned(),
            }
        } else {
            return Err(Some(document.to_owned()));
        };
        match fragment.strip_prefix('/') {
            Some(pointer) => self.point(start, pointer, depth),
            None if fragment.is_empty() => Ok(start),
            None => Err(None),
        }
    }

    fn point(
        &self,
        mut target: Target<'v>,
        pointer: &str,
        depth: usize,
    ) -> Result<Target<'v>, Option<String>> {
        for part in pointer.split('/').filter(|part| !part.is_empty()) {
            let part = percent_decode_str(part).decode_utf8_lossy();
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match target.schema {
                Value::Object(members) => members.get(&part),
                Value::Array(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                _ => None,
            };
            target.schema = next.ok_or(None)?;
            if NOT_SCHEMAS.contains(&part.as_str()) {
                continue;
            }
            if let Some(id) = id_of(target.schema) {
                target.base = resolve(&target.base, id);
            }
            // AJV goes through a `$ref` on the way.
            if let Some(Value::String(reference)) = target.schema.get("$ref")
                && depth < 100
                && let Ok(to) = self.follow(&target.base, target.root, reference, depth + 1)
            {
                target = to;
            }
        }
        Ok(target)
    }
}

/// Values below a schema that may be schemas, or hold some. Values are left out that only look so.
fn subschemas(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let keywords = schema.iter().filter(|(keyword, _)| {
        !matches!(keyword.as_str(), "default" | "enum" | "const" | "examples")
    });
    keywords.flat_map(|(keyword, value)| -> Box<dyn Iterator<Item = &Value>> {
        match value {
            Value::Object(members) if NOT_SCHEMAS.contains(&keyword.as_str()) => {
                Box::new(members.values())
            }
            Value::Object(_) => Box::new(std::iter::once(value)),
            Value::Array(items) => Box::new(items.iter()),
            _ => Box::new(std::iter::empty()),
        }
    })
}
