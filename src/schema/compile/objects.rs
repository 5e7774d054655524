//! Keywords of objects.

use serde_json::{Value, json};

use super::super::error::SchemaError;
use super::super::json::{Json, name_hash};
use super::super::names::{fragment_part, property_access, sort_like_javascript};
use super::super::node::{Dependency, Group, Names, Needs, Node, ObjectRules, Property, Slot};
use super::{Compiler, Defaults, Level, has_rules};

impl<'v> Compiler<'v> {
    pub(super) fn object_rules(
        &mut self,
        level: &Level<'_, 'v>,
    ) -> Result<Option<ObjectRules>, SchemaError> {
        if !level.has_any(Group::Object) {
            return Ok(None);
        }
        let mut rules = ObjectRules {
            max_properties: level.limit("maxProperties")?,
            min_properties: level.limit("minProperties")?,
            ..ObjectRules::default()
        };
        let required = names(level, "required")?;
        self.properties(level, &required, &mut rules)?;
        let properties = level.get("properties");
        for name in required {
            // AJV has two errors for a name that is required and has the schema `false`.
            let schema = properties.and_then(|properties| properties.get(name));
            if schema.is_none_or(|schema| !has_rules(schema) || schema.is_boolean()) {
                let slot = rules.names.slot(name, name_hash);
                rules.required.push(slot);
            }
        }
        self.dependencies(level, &mut rules)?;
        if let Some(schema) = level.get("propertyNames") {
            let node = self.child(schema, level.below("propertyNames"), level.scope)?;
            rules.property_names = Some(node);
        }
        rules.additional = self.additional(level, "additionalProperties")?;
        for (source, schema) in members(level, "patternProperties")? {
            let regex = level.pattern(source, "patternProperties")?.regex;
            let node = self.named(level, "patternProperties", source, schema)?;
            rules.patterns.push((regex, node));
        }
        Ok(Some(rules))
    }

    fn named(
        &mut self,
        level: &Level<'_, 'v>,
        keyword: &str,
        name: &str,
        schema: &'v Value,
    ) -> Result<Node, SchemaError> {
        let path = format!("{}/{keyword}/{}", level.path, fragment_part(name));
        self.child(schema, path, level.scope)
    }

    fn properties(
        &mut self,
        level: &Level<'_, 'v>,
        required: &[&str],
        rules: &mut ObjectRules,
    ) -> Result<(), SchemaError> {
        for (name, schema) in members(level, "properties")? {
            let slot = rules.names.slot(name, name_hash);
            rules.properties.push(Property {
                node: self.named(level, "properties", name, schema)?,
                access: property_access(name).into(),
                is_required: has_rules(schema) && required.contains(&name.as_str()),
            });
            if let Some(default) = schema.get("default")
                && self.defaults == Defaults::Filled
            {
                let member = Json::from_value(&json!({ name: default }));
                let member = member.map_err(|_| SchemaError::TooDeep)?;
                rules.defaults.push((slot, member));
            }
        }
        Ok(())
    }

    /// Those that name properties come first.
    fn dependencies(
        &mut self,
        level: &Level<'_, 'v>,
        rules: &mut ObjectRules,
    ) -> Result<(), SchemaError> {
        let dependencies = members(level, "dependencies")?;
        for (name, needs) in &dependencies {
            let Value::Array(needs) = needs else {
                continue;
            };
            let needs: Vec<&str> = needs.iter().filter_map(Value::as_str).collect();
            rules.dependencies.push(Dependency {
                of: rules.names.slot(name, name_hash),
                needs: Needs::Properties {
                    joined: needs.join(", ").into(),
                    names: slots(&needs, &mut rules.names),
                },
            });
        }
        for (name, schema) in dependencies {
            if has_rules(schema) {
                rules.dependencies.push(Dependency {
                    of: rules.names.slot(name, name_hash),
                    needs: Needs::Schema(self.named(level, "dependencies", name, schema)?),
                });
            }
        }
        Ok(())
    }
}

fn slots(wanted: &[&str], names: &mut Names) -> Vec<Slot> {
    let slots = wanted.iter().map(|name| names.slot(name, name_hash));
    slots.collect()
}

/// The names of a keyword that has a list of them.
fn names<'v>(level: &Level<'_, 'v>, keyword: &str) -> Result<Vec<&'v str>, SchemaError> {
    match level.get(keyword) {
        None => Ok(Vec::new()),
        Some(Value::Array(names)) => Ok(names.iter().filter_map(Value::as_str).collect()),
        Some(_) => Err(level.invalid(keyword)),
    }
}

/// The members of a keyword that has schemas by name, in the order of JavaScript.
fn members<'v>(
    level: &Level<'_, 'v>,
    keyword: &str,
) -> Result<Vec<(&'v String, &'v Value)>, SchemaError> {
    let members = match level.get(keyword) {
        None => return Ok(Vec::new()),
        Some(members) => members.as_object().ok_or_else(|| level.invalid(keyword))?,
    };
    let mut members: Vec<_> = members.iter().collect();
    sort_like_javascript(&mut members, |(name, _)| (*name).clone());
    Ok(members)
}
