//! Random schemas and values, judged by the crate `jsonschema`, too.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{judge, try_compile};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (-3..6_i64).prop_map(Into::into),
        prop::sample::select(vec![0.5, 1.5, -2.0, 4.0]).prop_map(Into::into),
        "[ab🙂]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "c-d", "1"]).prop_map(str::to_owned)
}

fn member(keyword: &'static str, value: impl Into<Value>) -> (String, Value) {
    (keyword.to_owned(), value.into())
}

fn simple_keyword() -> impl Strategy<Value = (String, Value)> {
    let types = vec![
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let bounds = vec!["maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"];
    let counts = vec![
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maxProperties",
        "minProperties",
    ];
    let patterns = vec!["^a", "b$", "[^a]", "a|b{2}", "^.$"];
    prop_oneof![
        prop::sample::select(types.clone()).prop_map(|name| member("type", name)),
        prop::sample::subsequence(types, 1..3).prop_map(|names| member("type", names)),
        (prop::sample::select(bounds), -2..5_i64).prop_map(|(name, limit)| member(name, limit)),
        (prop::sample::select(counts), 0..4_u64).prop_map(|(name, limit)| member(name, limit)),
        (1..4_i64).prop_map(|divisor| member("multipleOf", divisor)),
        prop::sample::select(patterns).prop_map(|pattern| member("pattern", pattern)),
        Just(member("uniqueItems", true)),
        value().prop_map(|value| member("const", value)),
        (value(), value()).prop_map(|(one, other)| member("enum", vec![one, json!([other])])),
        prop::collection::btree_set(name(), 0..3)
            .prop_map(|names| member("required", names.into_iter().collect::<Vec<_>>())),
        (name(), name()).prop_map(|(of, needs)| member("dependencies", json!({of: [needs]}))),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let keywords = |keyword: BoxedStrategy<(String, Value)>| {
        prop::collection::vec(keyword, 0..4)
            .prop_map(|keywords| Value::Object(keywords.into_iter().collect::<Map<_, _>>()))
    };
    let leaf = prop_oneof![
        8 => keywords(simple_keyword().boxed()),
        1 => any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(3, 32, 4, move |inner| {
        let one = vec![
            "items",
            "contains",
            "not",
            "if",
            "then",
            "else",
            "additionalItems",
            "additionalProperties",
            "propertyNames",
        ];
        let named = vec!["properties", "dependencies", "patternProperties"];
        let composed = prop_oneof![
            2 => simple_keyword(),
            2 => (prop::sample::select(one), inner.clone())
                .prop_map(|(keyword, schema)| member(keyword, schema)),
            2 => (prop::sample::select(named), prop::collection::vec((name(), inner.clone()), 1..4))
                .prop_map(|(keyword, schemas)| {
                    member(keyword, schemas.into_iter().collect::<Map<_, _>>())
                }),
            1 => (
                prop::sample::select(vec!["allOf", "anyOf", "oneOf", "items"]),
                prop::collection::vec(inner, 1..4),
            )
                .prop_map(|(keyword, schemas)| member(keyword, schemas)),
        ];
        keywords(composed.boxed())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn another_validator_judges_the_same(schema in schema(), data in value()) {
        let Ok(ours) = try_compile(&schema) else {
            // The same name twice in a list, which the metaschema forbids.
            return Err(TestCaseError::reject("no schema"));
        };
        let oracle = jsonschema::draft7::new(&schema).unwrap();
        let (errors, _) = judge(&ours, &data.to_string());
        let is_valid = oracle.is_valid(&data);
        prop_assert_eq!(errors.is_empty(), is_valid, "{} {} {:?}", schema, data, errors);
    }
}
