use proptest::prelude::*;
use serde_json::{Value, json};

/// An event's text: members that are absent, null, nested, duplicate, and of every kind.
pub(super) fn event() -> impl Strategy<Value = String> {
    let members = prop::collection::vec((name(), value()), 0..8);
    members.prop_map(|members| {
        let members = members
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(" , "))
    })
}

/// Few names, so that filters and events meet.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "wiki", "$s", "é"])
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(|text| serde_json::from_str(&text).expect("a number")),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..3)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// Around 2^53 and 2^64, where doubles and integers part.
pub(super) fn number() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "2",
        "10",
        "1.5",
        "-0.5",
        "1.0",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740992.0",
        "1e3",
        "1000",
    ])
    .prop_map(str::to_owned)
}

pub(super) fn string() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "a",
        "A",
        "ab",
        "b\"",
        "é",
        "\u{1f600}",
        "a\nb",
        "\\",
        "10",
    ])
    .prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        number(),
        string().prop_map(|text| json!(text).to_string()),
    ];
    scalar.prop_recursive(2, 6, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", ")))
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..3).prop_map(|names| {
        let member = |name: &&str| match *name {
            "$s" | "é" => format!("[{}]", json!(name)),
            name => format!(".{name}"),
        };
        format!("event{}", names.iter().map(member).collect::<String>())
    })
}

/// A member that `has()` takes in CEL. Of a deeper path CEL fails when it ends earlier (a
/// documented difference).
fn dotted_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "wiki"]), 1)
        .prop_map(|names| format!("event.{}", names.join(".")))
}

/// A filter's text.
pub(super) fn filter() -> impl Strategy<Value = String> {
    let operand = prop_oneof![
        3 => path(),
        2 => literal(),
        1 => (path(), number()).prop_map(|(a, b)| format!("{a} + {b}")),
        1 => (path(), path()).prop_map(|(a, b)| format!("({a} - {b})")),
        1 => path().prop_map(|a| format!("size({a})")),
        1 => path().prop_map(|a| format!("{a}.lowerAscii()")),
    ];
    let comparison = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let test = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let relation = prop_oneof![
        4 => (operand.clone(), comparison, operand).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (path(), test, string())
            .prop_map(|(a, test, b)| format!("{a}.{test}({})", json!(b))),
        1 => (path(), prop::collection::vec(literal(), 0..4))
            .prop_map(|(a, items)| format!("{a} in [{}]", items.join(", "))),
        1 => (literal(), path()).prop_map(|(a, b)| format!("{a} in {b}")),
        1 => dotted_path().prop_map(|a| format!("has({a})")),
        1 => path(),
        1 => any::<bool>().prop_map(|value| value.to_string()),
        1 => path().prop_map(|a| format!("{a}.matches(\"^a|b\")")),
    ];
    relation.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| {
                all.iter()
                    .map(|one| format!("({one})"))
                    .collect::<Vec<_>>()
                    .join(" && ")
            }),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| {
                all.iter()
                    .map(|one| format!("({one})"))
                    .collect::<Vec<_>>()
                    .join(" || ")
            }),
            inner.prop_map(|one| format!("!({one})")),
        ]
    })
}
