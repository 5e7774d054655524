//! Keywords of arrays.

use serde_json::Value;

use super::super::error::SchemaError;
use super::super::json::Json;
use super::super::node::{Additional, ArrayRules, Group, Items, TypeSet, Unique};
use super::{Compiler, Defaults, Level};

impl<'v> Compiler<'v> {
    pub(super) fn array_rules(
        &mut self,
        level: &Level<'_, 'v>,
    ) -> Result<Option<ArrayRules>, SchemaError> {
        if !level.has_any(Group::Array) {
            return Ok(None);
        }
        let items = match level.get("items") {
            None => Items::Any,
            Some(Value::Array(_)) => Items::List {
                items: self.list(level, "items")?,
                additional: self.additional(level, "additionalItems")?,
            },
            Some(schema) => Items::Each(self.child(schema, level.below("items"), level.scope)?),
        };
        let contains = level.get("contains");
        let contains =
            contains.map(|schema| self.child(schema, level.below("contains"), level.scope));
        let is_unique = level.get("uniqueItems") == Some(&Value::Bool(true));
        Ok(Some(ArrayRules {
            defaults: self.item_defaults(level)?,
            max_items: level.limit("maxItems")?,
            min_items: level.limit("minItems")?,
            items,
            contains: contains.transpose()?,
            unique: is_unique.then(|| unique(level.get("items"))),
        }))
    }

    /// `false`, or a schema of what `items` or `properties` do not describe.
    pub(super) fn additional(
        &mut self,
        level: &Level<'_, 'v>,
        keyword: &str,
    ) -> Result<Additional, SchemaError> {
        match level.get(keyword) {
            Some(Value::Bool(false)) => Ok(Additional::Never),
            Some(schema @ Value::Object(keywords)) if !keywords.is_empty() => {
                let node = self.child(schema, level.below(keyword), level.scope)?;
                Ok(Additional::Schema(node))
            }
            _ => Ok(Additional::Any),
        }
    }

    fn item_defaults(
        &self,
        level: &Level<'_, 'v>,
    ) -> Result<Vec<(usize, Json<'static>)>, SchemaError> {
        let Some(Value::Array(items)) = level.get("items") else {
            return Ok(Vec::new());
        };
        if self.defaults == Defaults::Ignored {
            return Ok(Vec::new());
        }
        let defaults = items.iter().enumerate().filter_map(|(index, schema)| {
            let default = schema.get("default")?;
            Some(Json::from_value(default).map(|json| (index, json)))
        });
        defaults
            .collect::<Result<_, _>>()
            .map_err(|_| SchemaError::TooDeep)
    }
}

/// AJV compares only items of the types that `items` names, when all of them are scalar.
fn unique(items: Option<&Value>) -> Unique {
    let types = match items.and_then(|items| items.get("type")) {
        Some(Value::String(name)) => TypeSet::of_name(name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names
                .map(TypeSet::of_name)
                .fold(TypeSet::default(), TypeSet::with)
        }
        _ => return Unique::Deep,
    };
    if types.meets(TypeSet::ARRAY.with(TypeSet::OBJECT)) {
        Unique::Deep
    } else {
        Unique::Scalar(types)
    }
}
