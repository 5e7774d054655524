//! `$ref`, and documents that are no schemas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{Documents, Schema, SchemaError};
use super::{errors, judge, try_compile};

#[test]
fn a_target_without_references_has_the_path_of_the_reference() {
    let schema = json!({
        "definitions": {
            "s": {"type": "string"},
            "t": {"properties": {"u": {"$ref": "#/definitions/s"}}},
        },
        "properties": {
            "a": {"$ref": "#/definitions/s", "minLength": 9},
            "b": {"$ref": "#/definitions/t"},
            "c": {"$ref": "#"},
        },
    });
    let data = json!({"a": 1, "b": {"u": 1}, "c": {"a": 1}});
    assert_eq!(
        errors(&schema, &data),
        [
            ".a #/definitions/s/type should be string",
            ".b.u #/definitions/s/type should be string",
            ".c.a #/definitions/s/type should be string",
        ]
    );
    // A type that AJV judges first is judged beside a reference, too.
    let schema = json!({"definitions": {"s": {}}, "$ref": "#/definitions/s", "type": "integer"});
    assert_eq!(errors(&schema, &json!("x")), [" #/type should be integer"]);
}

fn with_common(schema: Value) -> Result<Schema, SchemaError> {
    let common = json!({"$id": "/fragment/common/1.0.0", "type": "object", "required": ["meta"]});
    let common = ("/fragment/common/1.0.0".to_owned(), Arc::new(common));
    Schema::compile(&Arc::new(schema), &Documents::from([common]))
}

#[test]
fn a_reference_to_another_document_resolves_against_the_id() {
    let schema = json!({
        "$id": "/test/event/1.0.0", "allOf": [{"$ref": "/fragment/common/1.0.0#"}],
    });
    let (errors, _) = judge(&with_common(schema).unwrap(), "{}");
    assert_eq!(errors[0].schema_path, "/fragment/common/1.0.0#/required");
    let schema = json!({"$id": "/test/event/1.0.0", "$ref": "../../fragment/common/1.0.0"});
    let (errors, _) = judge(&with_common(schema).unwrap(), "{}");
    assert_eq!(
        errors[0].schema_path,
        "../../fragment/common/1.0.0/required"
    );
}

#[test]
fn a_missing_document_is_named() {
    let schema = json!({"$id": "/test/event/1.0.0", "$ref": "/fragment/other/1.0.0#/a"});
    assert_eq!(
        with_common(schema).unwrap_err(),
        SchemaError::MissingDocument {
            uri: "/fragment/other/1.0.0".to_owned(),
            reference: "/fragment/other/1.0.0#/a".to_owned(),
            base: "/test/event/1.0.0".to_owned(),
        }
    );
    let error = try_compile(&json!({"$ref": "#/definitions/a"})).unwrap_err();
    assert!(matches!(error, SchemaError::Reference { .. }), "{error}");
}

#[test]
fn embedded_documents_with_one_id_compile_and_the_first_counts() {
    let fragment = |types: &str| json!({"$id": "/fragment/a/1.0.0", "type": types});
    let schema = json!({
        "$id": "/test/event/1.0.0",
        "properties": {"a": fragment("string"), "b": fragment("null")},
        "additionalProperties": {"$ref": "/fragment/a/1.0.0"},
    });
    assert_eq!(
        errors(&schema, &json!({"c": 1, "b": 1})),
        [
            "['c'] /fragment/a/1.0.0/type should be string",
            ".b #/properties/b/type should be null",
        ]
    );
}

#[test]
fn the_metaschemas_are_built_in() {
    let schema = json!({"$ref": "https://json-schema.org/draft-07/schema#"});
    assert!(matches!(
        try_compile(&schema),
        Err(SchemaError::MissingDocument { .. })
    ));
    for draft in ["04", "06", "07"] {
        let uri = format!("http://json-schema.org/draft-{draft}/schema#");
        let schema = json!({"$schema": uri, "$ref": uri});
        assert_eq!(
            errors(&schema, &json!({"minLength": -1})).len(),
            1,
            "{draft}"
        );
    }
}

#[test]
fn a_document_that_is_no_schema_is_refused_in_the_words_of_ajv() {
    for (schema, expected) in [
        (
            json!({"type": "sting", "minLength": -1}),
            "schema is invalid: data.minLength should be >= 0, \
             data.type should be equal to one of the allowed values, \
             data.type should be array, data.type should match some schema in anyOf",
        ),
        (
            json!({"pattern": "(", "properties": {"a": {"required": "b"}}}),
            "schema is invalid: data.pattern should match format \"regex\", \
             data.properties['a'].required should be array",
        ),
        (
            json!({"properties": {"a": {"format": "hour"}}}),
            "unknown format \"hour\" is used in schema at path \"#/properties/a\"",
        ),
        (
            json!({"pattern": "(?=a)"}),
            "the pattern \"(?=a)\" in schema at path \"#/pattern\" cannot be used: it looks ahead",
        ),
        (
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            "the metaschema https://json-schema.org/draft/2020-12/schema is not known; \
             use draft-07, draft-06 or draft-04",
        ),
        (
            json!([]),
            "schema is invalid: data should be an object or a boolean",
        ),
    ] {
        assert_eq!(try_compile(&schema).unwrap_err().to_string(), expected);
    }
    for uri in ["draft-07/schema", "draft-06/schema#", "draft-04/schema#"] {
        for scheme in ["http", "https"] {
            let uri = format!("{scheme}://json-schema.org/{uri}");
            assert!(try_compile(&json!({"$schema": uri})).is_ok(), "{uri}");
        }
    }
}
