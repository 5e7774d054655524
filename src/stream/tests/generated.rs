//! Tests with generated stream configuration.

use proptest::prelude::*;

use super::*;

fn settings() -> impl Strategy<Value = Value> {
    let list = proptest::collection::vec(
        prop_oneof![4 => "[a-c.]{0,3}", 1 => ".{0,3}"].prop_map(Value::from),
        0..3,
    );
    let odd = prop_oneof![
        Just(Value::Null),
        any::<i8>().prop_map(Value::from),
        ".{0,3}".prop_map(Value::from)
    ];
    let setting = prop_oneof![4 => list.prop_map(Value::from), 1 => odd.clone()];
    let name = proptest::sample::select(vec![
        "topics",
        "topics_allowed",
        "topic_prefixes",
        "stream_aliases",
        "description",
        "stream",
        "other",
    ]);
    let settings = proptest::collection::btree_map(name.prop_map(str::to_owned), setting, 0..4);
    prop_oneof![6 => settings.prop_map(|settings| json!(settings)), 1 => odd]
}

fn documents() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![6 => "[a-c]{1,2}", 1 => "/[\\^a-c.*+()\\[$?]{0,5}/", 1 => ".{0,3}"];
    proptest::collection::vec((name, settings()), 0..5)
        .prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    /// No configuration panics, and a catalog keeps the promises that the program relies on.
    #[test]
    fn every_catalog_that_can_be_built_is_sound(
        document in documents(), defaults in documents(), overrides in documents(),
        allowed in proptest::option::of(proptest::collection::vec("[a-c]{1,2}", 0..4)),
    ) {
        let config = StreamsConfig {
            allowed_streams: allowed.clone(),
            defaults,
            overrides,
            ..StreamsConfig::default()
        };
        let Ok(catalog) = Catalog::build(&Value::Object(document), &config) else { return Ok(()) };
        let read = catalog.topics();
        for stream in catalog.streams() {
            let is_public = |allowed: &Vec<String>| {
                allowed.iter().any(|name| name == stream.name.as_str())
            };
            prop_assert!(allowed.as_ref().is_none_or(is_public));
            prop_assert!(!stream.topics.is_empty());
            prop_assert!(stream.topics.iter().all(|topic| stream.topics_allowed.contains(topic)));
            for topic in &stream.topics_allowed {
                prop_assert!(read.contains(topic));
                prop_assert!(catalog.streams_of_topic(topic).contains(&stream.name));
            }
            for name in stream.aliases.iter().map(String::as_str).chain([stream.name.as_str()]) {
                let resolved = catalog.resolve(name).expect("a name or alias");
                prop_assert_eq!(&resolved.name, &stream.name);
            }
        }
    }

    #[test]
    fn no_document_panics(
        document in settings(),
        object_path in proptest::option::of("[a-z_.]{0,8}"),
    ) {
        let config = StreamsConfig { object_path, ..StreamsConfig::default() };
        let _ = Catalog::build(&document, &config);
    }
}
