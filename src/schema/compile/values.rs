//! Keywords of numbers, strings, and values of any type.

use serde_json::Value;

use super::super::error::SchemaError;
use super::super::formats::Format;
use super::super::json::Json;
use super::super::names::number_text;
use super::super::node::{
    Bound, Condition, Constant, GeneralRules, Limit, Node, NumberRules, Pattern, StringRules,
};
use super::super::pattern::{self, PatternError};
use super::{Compiler, Level, OTHER_KEYWORDS, has_rules};

impl Level<'_, '_> {
    /// The limit of a keyword, as JavaScript writes it.
    pub(super) fn limit(&self, keyword: &str) -> Result<Option<Limit>, SchemaError> {
        let Some(value) = self.get(keyword) else {
            return Ok(None);
        };
        let value = value.as_f64().ok_or_else(|| self.invalid(keyword))?;
        let text = number_text(value).into();
        Ok(Some(Limit { value, text }))
    }

    pub(super) fn number_rules(&self) -> Result<NumberRules, SchemaError> {
        Ok(NumberRules {
            maximum: self.bound("maximum", "exclusiveMaximum", f64::min)?,
            minimum: self.bound("minimum", "exclusiveMinimum", f64::max)?,
            multiple_of: self.limit("multipleOf")?,
        })
    }

    /// An inclusive bound with its exclusive one, which is a number, or `true` in draft-04.
    fn bound(
        &self,
        keyword: &str,
        exclusive: &str,
        stricter: fn(f64, f64) -> f64,
    ) -> Result<Option<Bound>, SchemaError> {
        let limit = self.limit(keyword)?;
        let (limit, is_exclusive) = match (limit, self.get(exclusive)) {
            (None, Some(Value::Bool(_))) => (None, false),
            (limit, None | Some(Value::Bool(false))) => (limit, false),
            (limit, Some(Value::Bool(true))) => (limit, true),
            (None, Some(_)) => (self.limit(exclusive)?, true),
            (Some(inclusive), Some(_)) => {
                let exclusive = self.limit(exclusive)?;
                match exclusive {
                    Some(bound)
                        if stricter(bound.value, inclusive.value).total_cmp(&bound.value)
                            == std::cmp::Ordering::Equal =>
                    {
                        (Some(bound), true)
                    }
                    _ => (Some(inclusive), false),
                }
            }
        };
        Ok(limit.map(|limit| Bound {
            limit,
            is_exclusive,
        }))
    }

    pub(super) fn string_rules(&self) -> Result<StringRules, SchemaError> {
        let pattern = match self.get("pattern") {
            None => None,
            Some(Value::String(source)) => Some(self.pattern(source, "pattern")?),
            Some(_) => return Err(self.invalid("pattern")),
        };
        let format = match self.get("format") {
            None => None,
            Some(Value::String(name)) => {
                let unknown = || SchemaError::UnknownFormat {
                    format: name.clone(),
                    path: self.path.to_owned(),
                };
                Some(Format::of_name(name).ok_or_else(unknown)?)
            }
            Some(_) => return Err(self.invalid("format")),
        };
        Ok(StringRules {
            max_length: self.limit("maxLength")?,
            min_length: self.limit("minLength")?,
            pattern,
            format,
        })
    }

    pub(super) fn pattern(&self, source: &str, keyword: &str) -> Result<Pattern, SchemaError> {
        let regex = pattern::compile(source).map_err(|error| SchemaError::Pattern {
            pattern: source.to_owned(),
            path: self.below(keyword),
            reason: match error {
                PatternError::Syntax => "it is no regular expression".to_owned(),
                PatternError::Inexpressible(what) => what.to_owned(),
            },
        })?;
        let source = source.into();
        Ok(Pattern { regex, source })
    }
}

impl<'v> Compiler<'v> {
    pub(super) fn general_rules(
        &mut self,
        level: &Level<'_, 'v>,
    ) -> Result<Option<GeneralRules>, SchemaError> {
        let is_general = |keyword: &str| level.keywords.contains_key(keyword);
        if !OTHER_KEYWORDS[1..8]
            .iter()
            .any(|keyword| is_general(keyword))
        {
            return Ok(None);
        }
        let constant = level.get("const").map(|document| {
            let json = Json::from_value(document).map_err(|_| SchemaError::TooDeep)?;
            let document = document.clone();
            Ok(Constant { json, document })
        });
        let enumeration = level.get("enum").map(|document| {
            let values = document.as_array().ok_or_else(|| level.invalid("enum"))?;
            let values = values
                .iter()
                .map(|value| Json::from_value(value).map_err(|_| SchemaError::TooDeep));
            Ok((values.collect::<Result<Vec<_>, _>>()?, document.clone()))
        });
        let not = level.get("not");
        Ok(Some(GeneralRules {
            constant: constant.transpose()?,
            enumeration: enumeration.transpose()?,
            not: not
                .map(|schema| self.child(schema, level.below("not"), level.scope))
                .transpose()?,
            any_of: self.list(level, "anyOf")?,
            one_of: self.list(level, "oneOf")?,
            all_of: self.list(level, "allOf")?,
            condition: self.condition(level)?,
        }))
    }

    /// The schemas of a keyword that has a list of them.
    pub(super) fn list(
        &mut self,
        level: &Level<'_, 'v>,
        keyword: &str,
    ) -> Result<Vec<Node>, SchemaError> {
        let Some(schemas) = level.get(keyword) else {
            return Ok(Vec::new());
        };
        let schemas = schemas.as_array().ok_or_else(|| level.invalid(keyword))?;
        let mut nodes = Vec::with_capacity(schemas.len());
        for (index, schema) in schemas.iter().enumerate() {
            let path = format!("{}/{keyword}/{index}", level.path);
            nodes.push(self.child(schema, path, level.scope)?);
        }
        Ok(nodes)
    }

    fn condition(&mut self, level: &Level<'_, 'v>) -> Result<Option<Condition>, SchemaError> {
        let Some(test) = level.get("if") else {
            return Ok(None);
        };
        let mut branch = |keyword: &str| match level.get(keyword) {
            Some(schema) if has_rules(schema) => {
                let node = self.child(schema, level.below(keyword), level.scope)?;
                Ok(Some(node))
            }
            _ => Ok(None),
        };
        let (then, otherwise) = (branch("then")?, branch("else")?);
        if then.is_none() && otherwise.is_none() {
            return Ok(None);
        }
        let test = self.child(test, level.below("if"), level.scope)?;
        Ok(Some(Condition {
            test,
            then,
            otherwise,
        }))
    }
}
