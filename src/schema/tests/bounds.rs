//! No schema and no event takes the stack, the memory or the time.

use std::fmt::Write as _;

use serde_json::json;

use super::super::json::DEPTH_MAX;
use super::super::{Json, errors_text};
use super::{compile, try_compile};

#[test]
fn errors_beyond_the_maximum_are_counted() {
    let schema = compile(&json!({"items": {"type": "null"}}));
    let json = Json::parse("[1,2,3,4,5]").unwrap();
    assert_eq!(schema.validate(json.root(), 5).errors().len(), 5);
    let outcome = schema.validate(json.root(), 2);
    let keywords: Vec<_> = outcome.errors().iter().map(|error| error.keyword).collect();
    assert_eq!(keywords, ["type", "type", "tooManyErrors"]);
    assert_eq!(
        errors_text(outcome.errors()),
        "'[0]' should be null, '[1]' should be null, '' and 3 more errors"
    );
}

#[test]
fn errors_that_are_forgotten_are_not_counted() {
    let failing = json!({"items": {"type": "null"}});
    let schema = compile(&json!({
        "anyOf": [failing, true], "not": failing, "contains": {"const": 3},
        "if": failing, "then": false, "minItems": 9,
    }));
    let json = Json::parse("[1,2,3]").unwrap();
    let outcome = schema.validate(json.root(), 1);
    let keywords: Vec<_> = outcome.errors().iter().map(|error| error.keyword).collect();
    assert_eq!(keywords, ["minItems"]);
}

#[test]
fn an_event_as_deep_as_the_parser_takes_is_judged_at_each_level() {
    let schema = compile(&json!({
        "definitions": {"level": {
            "type": ["object", "null"],
            "properties": {"a": {"allOf": [{"allOf": [{"$ref": "#/definitions/level"}]}]}},
        }},
        "$ref": "#/definitions/level",
    }));
    let nested = |leaf: &str| "{\"a\":".repeat(DEPTH_MAX) + leaf + &"}".repeat(DEPTH_MAX);
    let text = nested("null");
    let json = Json::parse(&text).unwrap();
    assert_eq!(schema.validate(json.root(), 10).errors(), []);
    let text = nested("1");
    let json = Json::parse(&text).unwrap();
    let outcome = schema.validate(json.root(), 10);
    assert_eq!(outcome.errors()[0].data_path, ".a".repeat(DEPTH_MAX));
}

#[test]
fn references_in_circles_are_an_error_of_the_event() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({
            "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}},
            "not": {"$ref": "#/definitions/a"},
        }),
    ] {
        let schema = compile(&schema);
        let json = Json::parse("{}").unwrap();
        let outcome = schema.validate(json.root(), 10);
        let keywords: Vec<_> = outcome.errors().iter().map(|error| error.keyword).collect();
        assert_eq!(keywords, ["tooDeep"]);
    }
}

#[test]
fn defaults_without_end_are_an_error_of_the_event() {
    let circle = json!({"properties": {"a": {"default": {}, "allOf": [{"$ref": "#"}]}}});
    let each = json!({"items": {"properties": {"a": {"default": 1}}}});
    let many = format!("[{}{{}}]", "{},".repeat(20_000));
    for (schema, text) in [(circle, "{}"), (each, &many)] {
        let schema = compile(&schema);
        let json = Json::parse(text).unwrap();
        let outcome = schema.validate(json.root(), 10);
        let keywords: Vec<_> = outcome.errors().iter().map(|error| error.keyword).collect();
        assert!(
            matches!(keywords[..], ["tooDeep" | "tooManyDefaults"]),
            "{keywords:?}"
        );
        assert!(outcome.filled().is_empty());
    }
}

#[test]
fn deep_values_are_compared() {
    let schema = compile(&json!({"uniqueItems": true}));
    let nested = "[".repeat(DEPTH_MAX - 1) + &"]".repeat(DEPTH_MAX - 1);
    let text = format!("[{nested},{nested}]");
    let json = Json::parse(&text).unwrap();
    assert_eq!(schema.validate(json.root(), 10).errors().len(), 1);
}

#[test]
fn a_schema_that_nests_too_deep_is_refused() {
    let mut text = "{\"not\":".repeat(100);
    _ = write!(text, "{{}}{}", "}".repeat(100));
    assert!(try_compile(&serde_json::from_str(&text).unwrap()).is_ok());
    let mut schema = json!({});
    for _ in 0..1000 {
        schema = json!({"not": schema});
    }
    assert!(try_compile(&schema).is_err());
}

/// In the time of one comparison of each pair, this test would take minutes.
#[test]
fn equal_items_of_a_large_array_are_found_by_hashes() {
    let schema = compile(&json!({"uniqueItems": true}));
    let items: Vec<String> = (0..50_000).map(|n| format!("[{n}]")).collect();
    let text = format!("[{}]", items.join(","));
    let json = Json::parse(&text).unwrap();
    assert!(schema.validate(json.root(), 10).is_valid());
}
