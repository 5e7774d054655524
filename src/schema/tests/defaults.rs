//! What is filled in.

use serde_json::{Value, json};

use super::super::{Insertion, Json};
use super::{compile, judge};

/// The text with its defaults.
fn filled(schema: &Value, data: &str) -> String {
    let schema = compile(schema);
    let json = Json::parse(data).unwrap();
    let outcome = schema.validate(json.root(), 10);
    outcome.filled().text(json.root())
}

#[test]
fn defaults_are_inserted_and_the_rest_of_the_text_stays() {
    let schema = json!({"type": "object", "properties": {
        "s": {"default": "d"}, "n": {"default": null}, "o": {"type": "object", "properties": {
            "i": {"default": 1},
        }},
    }});
    for (data, expected) in [
        ("{}", r#"{"s":"d","n":null}"#),
        ("{ }", r#"{ "s":"d","n":null}"#),
        (
            r#"{"o":{}, "x": 1.10 }"#,
            r#"{"o":{"i":1}, "x": 1.10 ,"s":"d","n":null}"#,
        ),
        (
            r#"{"n":1,"s":null,"o":{"i":2}}"#,
            r#"{"n":1,"s":null,"o":{"i":2}}"#,
        ),
    ] {
        assert_eq!(filled(&schema, data), expected);
    }
}

#[test]
fn a_default_is_judged_and_filled_in_turn() {
    let schema = json!({"type": "object", "required": ["o"], "properties": {
        "o": {"type": "object", "default": {"a": []}, "properties": {
            "a": {"type": "array", "items": [{"default": 1}, {"type": "null", "default": 2}]},
            "b": {"default": {}},
        }},
    }});
    let (errors, after) = judge(&compile(&schema), "{}");
    assert_eq!(after, json!({"o": {"a": [1, 2], "b": {}}}));
    let paths: Vec<_> = errors.iter().map(|error| &*error.data_path).collect();
    assert_eq!(paths, [".o.a[1]"]);
}

#[test]
fn no_default_is_filled_in_where_a_schema_is_only_tried() {
    let with_default = json!({"properties": {"a": {"default": 1}}});
    for keyword in ["not", "if", "propertyNames"] {
        let schema = json!({keyword: with_default, "then": true});
        assert_eq!(filled(&schema, "{}"), "{}", "{keyword}");
    }
    for keyword in ["anyOf", "oneOf"] {
        assert_eq!(
            filled(&json!({keyword: [with_default]}), "{}"),
            "{}",
            "{keyword}"
        );
    }
    assert_eq!(filled(&json!({"contains": with_default}), "[{}]"), "[{}]");
    for schema in [
        json!({"allOf": [with_default]}),
        json!({"if": true, "then": with_default}),
        json!({"dependencies": {"b": with_default}}),
        json!({"definitions": {"d": with_default}, "$ref": "#/definitions/d"}),
    ] {
        assert_eq!(
            filled(&schema, r#"{"b":1}"#),
            r#"{"b":1,"a":1}"#,
            "{schema}"
        );
    }
}

#[test]
fn one_level_may_fill_what_a_later_one_requires() {
    let schema = json!({"allOf": [
        {"properties": {"a": {"default": 1}}},
        {"required": ["a"], "additionalProperties": false, "properties": {"a": {"maximum": 0}}},
        {"const": {"a": 1}},
    ]});
    let (errors, _) = judge(&compile(&schema), "{}");
    let paths: Vec<_> = errors.iter().map(|error| &*error.schema_path).collect();
    assert_eq!(paths, ["#/allOf/1/properties/a/maximum"]);
}

#[test]
fn insertions_have_positions_in_the_text_of_a_whole_request() {
    let schema = compile(&json!({"properties": {"a": {"default": "x"}, "b": {"default": 2}}}));
    let text = r#"[{}, {"a":1}]"#;
    let json = Json::parse(text).unwrap();
    let event = json.root().items().nth(1).unwrap();
    let outcome = schema.validate(event, 10);
    let expected = Insertion {
        at: 11,
        text: ",\"b\":2".to_owned(),
    };
    assert_eq!(outcome.filled().insertions(), [expected]);
    assert_eq!(outcome.filled().text(event), r#"{"a":1,"b":2}"#);
}
