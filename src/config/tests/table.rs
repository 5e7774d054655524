//! Tests of the table of keys, and of the documents that show it.

use super::*;

const PRODUCTION: &str = include_str!("../../../config/production.yaml");
const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

const CHART_SCHEMA: &str = include_str!("../../../helm/eventstreams/values.schema.json");

fn documented() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
        .filter(|key| !matches!(key.kind, ValueKind::Ignored | ValueKind::Metrics))
}

#[test]
fn every_default_is_yaml_and_passes_its_own_check() {
    for key in KEYS {
        check::default(key);
    }
}

#[test]
fn every_key_has_one_row() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(
            KEYS[..index].iter().all(|other| other.name != key.name),
            "{} is in the table twice",
            key.name
        );
    }
}

#[test]
fn production_yaml_documents_every_key() {
    let Value::Object(shown) = yaml::parse(PRODUCTION).unwrap() else {
        panic!("not a map")
    };
    let expected: Vec<_> = documented().map(|key| key.name).collect();
    assert_eq!(
        shown.keys().collect::<Vec<_>>(),
        expected,
        "the same keys in the same order as the table"
    );
    for key in documented() {
        let value = yaml::parse(key.example.unwrap_or(key.default)).unwrap();
        assert_eq!(shown[key.name], value, "{}", key.name);
        assert!(
            PRODUCTION.contains(&format!("\n# {}\n{}: ", key.doc, key.name)),
            "{} is not documented as in the table",
            key.name
        );
    }
}

#[test]
fn production_yaml_is_the_defaults_except_for_its_examples() {
    let shown = parse(PRODUCTION).unwrap();
    let mut defaults = parse("").unwrap();
    defaults.kafka.set_brokers("localhost:9092");
    defaults.streams = shown.streams.clone();
    defaults.redacted_pages.clone_from(&shown.redacted_pages);
    defaults.filters.clone_from(&shown.filters);
    assert_eq!(shown, defaults);
}

#[test]
fn the_documented_table_of_keys_is_this_one() {
    let expected = documented().map(|key| {
        let default = if key.default == "null" {
            "none".to_owned()
        } else {
            format!("`{}`", key.default)
        };
        format!("| `{}` | {default} | {} |", key.name, key.doc)
    });
    let (_, after_head) = DOCUMENT
        .split_once("\n| key | default | meaning |\n|---|---|---|\n")
        .expect("docs/configuration.md has the table of keys");
    let rows = after_head.lines().take_while(|line| line.starts_with('|'));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        expected.collect::<Vec<_>>(),
        "the same rows in the same order as the table"
    );
}

#[test]
fn the_documented_properties_are_those_that_the_program_decides() {
    let (_, after_head) = DOCUMENT
        .split_once("\n| property | value |\n|---|---|\n")
        .expect("docs/configuration.md has the table of properties");
    let rows = after_head.lines().take_while(|line| line.starts_with('|'));
    let expected = OWN_PROPERTIES.iter().map(|own| {
        let value = own
            .value
            .map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        format!("| `{}` | {value}: {} |", own.name, own.reason)
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// The chart refuses unknown keys when it is rendered, so its schema must have all of them.
#[test]
fn the_charts_schema_names_every_key() {
    let schema: Value = serde_json::from_str(CHART_SCHEMA).unwrap();
    // The chart itself sets these, from values of its own.
    let set_by_the_chart = ["service_name", "logging", "metrics"];
    for (section, of) in [
        (Section::Conf, "conf"),
        (Section::Top, "extra_service_runner_conf"),
    ] {
        let map = &schema["properties"]["config"]["properties"][of];
        assert_eq!(
            map["additionalProperties"], false,
            "config.{of} takes keys that the program refuses"
        );
        let named = map["properties"].as_object().unwrap();
        let keys = KEYS
            .iter()
            .filter(|key| key.section == section && !set_by_the_chart.contains(&key.name));
        let keys: Vec<_> = keys.map(|key| key.name).collect();
        let missing: Vec<_> = keys
            .iter()
            .filter(|key| !named.contains_key(**key))
            .collect();
        assert!(
            missing.is_empty(),
            "values.schema.json: add to config.{of}'s properties: {missing:?}"
        );
        let gone: Vec<_> = named
            .keys()
            .filter(|name| !keys.contains(&name.as_str()))
            .collect();
        assert!(
            gone.is_empty(),
            "values.schema.json: config.{of} has what is no key: {gone:?}"
        );
    }
}
