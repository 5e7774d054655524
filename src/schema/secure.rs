//! Whether the rules of a schema are cheap to judge for every event.

use serde_json::{Map, Value};

use super::names::fragment_part;

/// How deep the check goes; a schema that nests deeper does not compile.
const LEVELS_MAX: usize = 500;

/// Why a schema is not secure, each with its place: a `pattern` or a `format` without `maxLength`,
/// `uniqueItems` of what need not be scalar without `maxItems`, `patternProperties` without a
/// `maxLength` in `propertyNames`.
pub fn insecurities(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(schema, "#".to_owned(), 0)];
    while let Some((schema, path, depth)) = open.pop() {
        let Value::Object(keywords) = schema else {
            continue;
        };
        found.extend(
            level(keywords)
                .iter()
                .map(|reason| format!("{path}: {reason}")),
        );
        if depth < LEVELS_MAX {
            let mut below = subschemas(keywords, &path);
            below.reverse();
            let below = below
                .into_iter()
                .map(|(schema, path)| (schema, path, depth + 1));
            open.extend(below);
        }
    }
    found
}

fn level(keywords: &Map<String, Value>) -> Vec<&'static str> {
    let has = |keyword: &str| keywords.contains_key(keyword);
    let mut reasons = Vec::new();
    if has("pattern") && !has("maxLength") {
        reasons.push("`pattern` needs `maxLength`");
    }
    if has("format") && !has("maxLength") {
        reasons.push("`format` needs `maxLength`");
    }
    if keywords.get("uniqueItems") == Some(&Value::Bool(true))
        && !has_scalar_items(keywords)
        && !has("maxItems")
    {
        reasons.push("`uniqueItems` of items that are not scalar needs `maxItems`");
    }
    if has("patternProperties") {
        let is_bounded = keywords
            .get("propertyNames")
            .is_some_and(|names| match names {
                Value::Object(names) => names.contains_key("maxLength"),
                _ => true,
            });
        if !is_bounded {
            reasons.push("`patternProperties` needs `propertyNames` with `maxLength`");
        }
    }
    reasons
}

fn has_scalar_items(keywords: &Map<String, Value>) -> bool {
    let is_composite = |name: &Value| matches!(name.as_str(), Some("object" | "array"));
    match keywords.get("items").and_then(|items| items.get("type")) {
        None => false,
        Some(Value::Array(names)) => !names.iter().any(is_composite),
        Some(name) => !is_composite(name),
    }
}

fn subschemas<'v>(keywords: &'v Map<String, Value>, path: &str) -> Vec<(&'v Value, String)> {
    let mut found = Vec::new();
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            (
                "additionalItems"
                | "additionalProperties"
                | "items"
                | "if"
                | "then"
                | "else"
                | "not"
                | "contains"
                | "propertyNames",
                Value::Object(_),
            ) => found.push((value, format!("{path}/{keyword}"))),
            ("items" | "allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                let place = |(index, schema)| (schema, format!("{path}/{keyword}/{index}"));
                found.extend(schemas.iter().enumerate().map(place));
            }
            (
                "dependencies" | "definitions" | "patternProperties" | "properties",
                Value::Object(schemas),
            ) => found.extend(schemas.iter().map(|(name, schema)| {
                (schema, format!("{path}/{keyword}/{}", fragment_part(name)))
            })),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::insecurities;

    #[test]
    fn what_costs_time_needs_a_bound() {
        for (schema, count) in [
            (json!({"pattern": "a"}), 1),
            (json!({"pattern": "a", "maxLength": 1}), 0),
            (json!({"format": "date"}), 1),
            (json!({"uniqueItems": true}), 1),
            (json!({"uniqueItems": false}), 0),
            (json!({"uniqueItems": true, "maxItems": 9}), 0),
            (json!({"uniqueItems": true, "items": {"type": "string"}}), 0),
            (
                json!({"uniqueItems": true, "items": {"type": ["string", "array"]}}),
                1,
            ),
            (
                json!({"uniqueItems": true, "items": [{"type": "string"}]}),
                1,
            ),
            (json!({"patternProperties": {}}), 1),
            (
                json!({"patternProperties": {}, "propertyNames": {"pattern": "a"}}),
                2,
            ),
            (
                json!({"patternProperties": {}, "propertyNames": {"maxLength": 3}}),
                0,
            ),
        ] {
            assert_eq!(insecurities(&schema).len(), count, "{schema}");
        }
    }

    #[test]
    fn every_level_is_looked_at_and_no_value_is_taken_for_one() {
        let bad = json!({"format": "date"});
        for schema in [
            json!({"properties": {"a/b": bad}}),
            json!({"items": bad}),
            json!({"items": [bad]}),
            json!({"additionalItems": bad}),
            json!({"definitions": {"a": bad}}),
            json!({"dependencies": {"a": bad, "b": ["format"]}}),
            json!({"allOf": [{"anyOf": [{"oneOf": [{"not": bad}]}]}]}),
            json!({"if": {"contains": bad}}),
            json!({"then": {"propertyNames": bad}}),
            json!({"else": {"additionalProperties": bad}}),
        ] {
            assert_eq!(insecurities(&schema).len(), 1, "{schema}");
        }
        for schema in [
            json!({"properties": {"format": {"type": "string"}}}),
            json!({"default": bad, "enum": [bad], "const": bad, "examples": [bad]}),
        ] {
            assert_eq!(insecurities(&schema), Vec::<String>::new(), "{schema}");
        }
        assert_eq!(
            insecurities(&json!({"properties": {"a/b": bad}})),
            ["#/properties/a~1b: `format` needs `maxLength`"]
        );
    }
}
