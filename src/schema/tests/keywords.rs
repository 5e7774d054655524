//! Errors of each family of keywords.

use serde_json::{Value, json};

use super::{compile, errors, judge};

fn expect(schema: impl Into<Value>, data: impl Into<Value>, expected: &[&str]) {
    let schema = schema.into();
    let data = data.into();
    assert_eq!(errors(&schema, &data), expected, "{schema} {data}");
}

#[test]
fn numbers_are_judged_in_the_order_of_ajv() {
    let schema = json!({"multipleOf": 7, "minimum": 9, "maximum": 1, "type": "integer"});
    expect(
        schema,
        json!(5.5),
        &[
            " #/type should be integer",
            " #/maximum should be <= 1",
            " #/minimum should be >= 9",
            " #/multipleOf should be multiple of 7",
        ],
    );
    expect(
        json!({"maximum": 3, "exclusiveMaximum": 3}),
        json!(3),
        &[" #/exclusiveMaximum should be < 3"],
    );
    expect(
        json!({"maximum": 2, "exclusiveMaximum": 3}),
        json!(3),
        &[" #/maximum should be <= 2"],
    );
    expect(
        json!({"exclusiveMinimum": 1e21}),
        json!(1),
        &[" #/exclusiveMinimum should be > 1e+21"],
    );
    expect(
        json!({"multipleOf": 0.000_000_1}),
        json!(1.5e-8),
        &[" #/multipleOf should be multiple of 1e-7"],
    );
    expect(json!({"type": "integer"}), json!(1.0), &[]);
}

#[test]
fn exclusive_bounds_of_draft_04_are_booleans() {
    let draft = "http://json-schema.org/draft-04/schema#";
    let schema = json!({"$schema": draft, "maximum": 3, "exclusiveMaximum": true});
    expect(schema, json!(3), &[" #/exclusiveMaximum should be < 3"]);
    let schema = json!({"$schema": draft, "maximum": 3, "exclusiveMaximum": false});
    expect(schema, json!(3), &[]);
}

#[test]
fn a_number_beyond_doubles_is_of_no_type() {
    let schema = compile(&json!({"type": "number"}));
    assert_eq!(judge(&schema, "1e308").0, []);
    let json = super::Json::parse("1e400").unwrap();
    assert!(!schema.validate(json.root(), 10).is_valid());
}

#[test]
fn strings_are_measured_in_code_points() {
    let schema = json!({"maxLength": 2, "minLength": 2, "pattern": "^a", "format": "date"});
    expect(
        schema.clone(),
        json!("🙂🙂🙂"),
        &[
            " #/maxLength should NOT be longer than 2 characters",
            " #/pattern should match pattern \"^a\"",
            " #/format should match format \"date\"",
        ],
    );
    expect(
        json!({"minLength": 2}),
        json!("é"),
        &[" #/minLength should NOT be shorter than 2 characters"],
    );
    expect(schema, json!(7), &[]);
}

#[test]
fn a_type_is_judged_among_the_keywords_of_its_group() {
    let schema = json!({"type": "object", "required": ["a"], "maxLength": 1});
    expect(
        schema,
        json!("ab"),
        &[
            " #/maxLength should NOT be longer than 1 characters",
            " #/type should be object",
        ],
    );
    let schema = json!({"type": ["object", "null"], "required": ["a"], "maxLength": 1});
    expect(
        schema,
        json!("ab"),
        &[
            " #/type should be object,null",
            " #/maxLength should NOT be longer than 1 characters",
        ],
    );
}

#[test]
fn arrays_are_judged_in_the_order_of_ajv() {
    let schema = json!({
        "uniqueItems": true, "contains": {"type": "null"}, "items": {"type": "string"},
        "minItems": 9, "maxItems": 1,
    });
    expect(
        schema,
        json!(["a", 1, 1]),
        &[
            " #/maxItems should NOT have more than 1 items",
            " #/minItems should NOT have fewer than 9 items",
            "[1] #/items/type should be string",
            "[2] #/items/type should be string",
            "[0] #/contains/type should be null",
            "[1] #/contains/type should be null",
            "[2] #/contains/type should be null",
            " #/contains should contain a valid item",
        ],
    );
    let schema = json!({"items": [{}], "additionalItems": false});
    expect(
        schema,
        json!([1, 2, 3]),
        &[" #/additionalItems should NOT have more than 1 items"],
    );
    let schema = json!({"items": [{}], "additionalItems": {"type": "null"}});
    expect(
        schema,
        json!([1, null, 3]),
        &["[2] #/additionalItems/type should be null"],
    );
}

#[test]
fn equal_items_are_found_from_the_end() {
    let message = |i, j| {
        format!(
            " #/uniqueItems should NOT have duplicate items (items ## {j} and {i} are identical)"
        )
    };
    let deep = json!({"uniqueItems": true});
    expect(deep.clone(), json!([1, 2, 3, 2, 1.0]), &[&message(4, 0)]);
    expect(
        deep.clone(),
        json!([{"a": 1, "b": [2]}, {"b": [2], "a": 1}]),
        &[&message(1, 0)],
    );
    expect(
        deep,
        json!([1, "1", true, [1], {"a": 1}, {"a": 2}, {"b": 1}, null, 0, false]),
        &[],
    );
    // With scalar items AJV names the earlier one last.
    let scalar = json!({"uniqueItems": true, "items": {"type": "string"}});
    expect(scalar, json!(["a", "b", "a"]), &[&message(0, 2)]);
}

#[test]
fn objects_are_judged_in_the_order_of_ajv() {
    let schema = json!({
        "patternProperties": {"^n": {"type": "null"}},
        "properties": {"s": {"type": "string"}, "r": {"type": "string"}, "e": {}},
        "additionalProperties": false,
        "propertyNames": {"maxLength": 3},
        "dependencies": {"s": {"minProperties": 9}, "long": ["x", "y"]},
        "required": ["r", "e", "t"],
        "minProperties": 8,
    });
    expect(
        schema,
        json!({"long": 1, "s": 1, "n": 1}),
        &[
            " #/minProperties should NOT have fewer than 8 properties",
            " #/required should have required property 'e'",
            " #/required should have required property 't'",
            " #/dependencies should have properties x, y when property long is present",
            " #/dependencies should have properties x, y when property long is present",
            " #/dependencies/s/minProperties should NOT have fewer than 9 properties",
            " #/propertyNames/maxLength should NOT be longer than 3 characters",
            " #/propertyNames property name 'long' is invalid",
            " #/additionalProperties should NOT have additional properties",
            ".s #/properties/s/type should be string",
            " #/required should have required property 'r'",
            "['n'] #/patternProperties/%5En/type should be null",
        ],
    );
}

#[test]
fn names_in_paths_are_escaped_as_ajv_does() {
    let odd = json!({"properties": {
        "$a": false, "b-c": false, "d'e": false, "f\\g": false, "h\ni": false, "": false,
        "j/k~l%m": false, "ä": false,
    }});
    let data = json!({
        "$a": 1, "b-c": 1, "d'e": 1, "f\\g": 1, "h\ni": 1, "": 1, "j/k~l%m": 1, "ä": 1,
    });
    expect(
        odd,
        data,
        &[
            ".$a #/properties/%24a/false schema boolean schema is false",
            "['b-c'] #/properties/b-c/false schema boolean schema is false",
            "['d\\'e'] #/properties/d'e/false schema boolean schema is false",
            "['f\\\\g'] #/properties/f%5Cg/false schema boolean schema is false",
            "['h\\ni'] #/properties/h%0Ai/false schema boolean schema is false",
            "[''] #/properties//false schema boolean schema is false",
            "['j/k~l%m'] #/properties/j~1k~0l%25m/false schema boolean schema is false",
            "['ä'] #/properties/%C3%A4/false schema boolean schema is false",
        ],
    );
    let additional = json!({"additionalProperties": {"type": "null"}});
    expect(
        additional,
        json!({"b'c": 1, "d": 1, "10": 1, "2": 1}),
        &[
            "['2'] #/additionalProperties/type should be null",
            "['10'] #/additionalProperties/type should be null",
            "['b'c'] #/additionalProperties/type should be null",
            "['d'] #/additionalProperties/type should be null",
        ],
    );
}

#[test]
fn names_that_javascript_objects_inherit_are_plain_names() {
    expect(
        json!({"required": ["toString", "__proto__"]}),
        json!({"__proto__": 1}),
        &[" #/required should have required property 'toString'"],
    );
}

#[test]
fn values_are_judged_in_the_order_of_ajv() {
    let schema = json!({
        "if": {"type": "string"}, "then": {"minLength": 3}, "else": false,
        "allOf": [true, {"minLength": 2}],
        "oneOf": [{"type": "string"}, {"type": "null"}, {"maxLength": 1}],
        "anyOf": [{"type": "null"}, {"type": "integer"}],
        "not": {"type": "string"}, "enum": ["b"], "const": "c",
    });
    expect(
        schema,
        json!("a"),
        &[
            " #/const should be equal to constant",
            " #/enum should be equal to one of the allowed values",
            " #/not should NOT be valid",
            " #/anyOf/0/type should be null",
            " #/anyOf/1/type should be integer",
            " #/anyOf should match some schema in anyOf",
            " #/oneOf/1/type should be null",
            " #/oneOf should match exactly one schema in oneOf",
            " #/allOf/1/minLength should NOT be shorter than 2 characters",
            " #/then/minLength should NOT be shorter than 3 characters",
            " #/if should match \"then\" schema",
        ],
    );
}

#[test]
fn errors_have_the_values_of_their_keyword() {
    let schema = compile(&json!({
        "properties": {"n": {"maximum": 9_007_199_254_740_991_i64}},
        "propertyNames": {"maxLength": 1},
        "dependencies": {"n": ["m"]},
    }));
    let (errors, _) = judge(&schema, r#"{"n":9007199254740992,"long":1}"#);
    assert_eq!(
        serde_json::to_value(errors).unwrap(),
        json!([
            {"keyword": "dependencies", "dataPath": "", "schemaPath": "#/dependencies",
             "params": {"property": "n", "missingProperty": "m", "depsCount": 1, "deps": "m"},
             "message": "should have property m when property n is present"},
            {"keyword": "maxLength", "dataPath": "", "schemaPath": "#/propertyNames/maxLength",
             "params": {"limit": 1}, "message": "should NOT be longer than 1 characters",
             "propertyName": "long"},
            {"keyword": "propertyNames", "dataPath": "", "schemaPath": "#/propertyNames",
             "params": {"propertyName": "long"}, "message": "property name 'long' is invalid"},
            {"keyword": "maximum", "dataPath": ".n", "schemaPath": "#/properties/n/maximum",
             "params": {"comparison": "<=", "limit": 9_007_199_254_740_991_i64,
                        "exclusive": false},
             "message": "should be <= 9007199254740991"},
        ])
    );
}
