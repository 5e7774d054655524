//! Tests with generated files and environments.

use proptest::prelude::*;

use super::*;

/// Small trees whose keys are often real ones, which reaches the nested checks.
fn trees() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let real = proptest::sample::select(
            KEYS.iter()
                .map(|key| key.name)
                .chain(["services", "conf", "level", "headers"])
                .collect::<Vec<_>>(),
        );
        let name = prop_oneof![3 => real.prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_tree_and_no_environment_panics(
        tree in trees(),
        variable in "[A-Z_]{0,12}",
        value in ".{0,12}",
    ) {
        let env = [
            (format!("EVENTSTREAMS__{variable}"), value.clone()),
            (format!("EVENTSTREAMS__KAFKA__{variable}"), value),
        ];
        if let Err(error) = Config::parse(&tree.to_string(), env.into_iter()) {
            prop_assert!(!error.diagnostics.is_empty());
        }
    }

    #[test]
    fn no_text_panics(text in "(?s)[-a-z:\\[\\]{}&*!|>'\"#%@ \\n\\t,.0-9~?<]{0,60}") {
        let _ = parse(&text);
    }
}
