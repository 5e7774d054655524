//! Sentences about which streams there are, of which topics, under which names.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::StreamsConfig;
use crate::limits;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

fn all() -> StreamsConfig {
    StreamsConfig::default()
}

fn allowing(names: &[&str]) -> StreamsConfig {
    StreamsConfig {
        allowed_streams: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..all()
    }
}

fn build(document: &Value, config: &StreamsConfig) -> Catalog {
    Catalog::build(document, config).unwrap_or_else(|error| panic!("{error}"))
}

fn error(document: &Value, config: &StreamsConfig) -> String {
    Catalog::build(document, config)
        .expect_err("cannot be built")
        .to_string()
}

fn names(catalog: &Catalog) -> Vec<&str> {
    catalog
        .streams()
        .map(|stream| stream.name.as_str())
        .collect()
}

fn topics(topics: &[Topic]) -> Vec<&str> {
    topics.iter().map(Topic::as_str).collect()
}

#[test]
fn topics_are_those_configured_or_each_prefix_and_the_name() {
    let document = json!({
        "given": {"topics": ["eqiad.x", "codfw.x"], "topic_prefixes": ["a."]},
        "two": {"topic_prefixes": ["eqiad.", "codfw."]},
        "one": {"topic_prefixes": ["wiki."]},
        "null": {"topic_prefixes": null},
        "empty": {"topic_prefixes": []},
        "none": {},
    });
    let catalog = build(&document, &all());
    for (name, expected) in [
        ("given", vec!["eqiad.x", "codfw.x"]),
        ("two", vec!["eqiad.two", "codfw.two"]),
        ("one", vec!["wiki.one"]),
        ("null", vec!["null"]),
        ("empty", vec!["empty"]),
        ("none", vec!["none"]),
    ] {
        assert_eq!(
            topics(&catalog.resolve(name).unwrap().topics),
            expected,
            "{name}"
        );
    }
}

#[test]
fn an_id_may_name_the_topics_and_those_allowed_beside_them() {
    let document = json!({
        "twice": {"topics": ["eqiad.t"], "topics_allowed": ["codfw.t", "eqiad.t"]},
        "plain": {"topic_prefixes": ["eqiad."]},
    });
    let catalog = build(&document, &all());
    let twice = catalog.resolve("twice").unwrap();
    assert_eq!(
        (topics(&twice.topics), topics(&twice.topics_allowed)),
        (vec!["eqiad.t"], vec!["eqiad.t", "codfw.t"])
    );
    let plain = catalog.resolve("plain").unwrap();
    assert_eq!(plain.topics, plain.topics_allowed);
    let read: Vec<_> = catalog.topics().into_iter().collect();
    assert_eq!(topics(&read), ["codfw.t", "eqiad.plain", "eqiad.t"]);
}

#[test]
fn a_topic_knows_its_public_streams() {
    let document =
        json!({"a": {"topics": ["t"]}, "b": {"topics": ["t", "u"]}, "c": {"topics": ["t"]}});
    let catalog = build(&document, &allowing(&["b", "a"]));
    assert_eq!(
        catalog.streams_of_topic(&"t".into()),
        ["a".into(), "b".into()]
    );
    assert_eq!(catalog.streams_of_topic(&"other".into()), []);
}

#[test]
fn only_allowed_streams_resolve_and_nothing_else_is_read() {
    let document =
        json!({"a": {}, "b": {"stream_aliases": ["c"]}, "secret": {"topics": "not even a list"}});
    let catalog = build(&document, &allowing(&["a"]));
    assert_eq!(names(&catalog), ["a"]);
    for name in ["b", "c", "secret", "A", "", "nope"] {
        assert!(catalog.resolve(name).is_none(), "{name}");
    }
    assert_eq!(
        topics(&catalog.topics().into_iter().collect::<Vec<_>>()),
        ["a"]
    );
}

#[test]
fn without_an_allowlist_all_configured_streams_but_patterns_are_public() {
    let document = json!({"b": {}, "a": {}, "/^x.*$/": {}});
    assert_eq!(names(&build(&document, &all())), ["a", "b"]);
}

#[test]
fn an_empty_allowlist_makes_nothing_public_and_says_so() {
    let catalog = build(&json!({"a": {}}), &allowing(&[]));
    assert_eq!(
        (names(&catalog).len(), catalog.warnings()),
        (0, [Warning::NothingAllowed].as_slice())
    );
}

#[test]
fn an_allowed_stream_without_configuration_is_left_out_and_named() {
    let catalog = build(&json!({"a": {}}), &allowing(&["a", "gone"]));
    assert_eq!(names(&catalog), ["a"]);
    assert_eq!(catalog.warnings(), [Warning::Unconfigured("gone".into())]);
    assert!(
        catalog.is_unconfigured("gone")
            && !catalog.is_unconfigured("a")
            && !catalog.is_unconfigured("never")
    );
}

#[test]
fn an_allowlist_of_which_nothing_is_configured_is_an_error() {
    assert!(
        error(&json!({"a": {}}), &allowing(&["b", "c"]))
            .starts_with("none of the 2 streams in allowed_streams is configured")
    );
    assert!(error(&Value::Null, &all()).starts_with("no stream is configured"));
}

#[test]
fn defaults_lie_under_the_document_and_overrides_over_it() {
    let document = json!({"s": {"topics": ["eqiad.s", "codfw.s"], "description": "of the document", "x": {"a": 1}}});
    let config = StreamsConfig {
        defaults: map(
            json!({"s": {"description": "of the defaults", "stream_aliases": ["alias"], "x": {"a": 0, "b": 2}}}),
        ),
        overrides: map(json!({"s": {"topics": ["eqiad.s"], "x": {"c": 3}}})),
        ..all()
    };
    let catalog = build(&document, &config);
    let stream = catalog.resolve("alias").unwrap();
    assert_eq!(topics(&stream.topics), ["eqiad.s"]);
    assert_eq!(stream.description.as_deref(), Some("of the document"));
    assert_eq!(stream.settings["x"], json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(stream.settings["stream"], "s");
}

#[test]
fn streams_can_be_configured_in_defaults_and_overrides_alone() {
    let config = StreamsConfig {
        defaults: map(json!({"a": {"topic_prefixes": ["wiki."]}})),
        overrides: map(json!({"b": {}})),
        object_path: Some("streams".to_owned()),
        ..all()
    };
    let catalog = build(&Value::Null, &config);
    assert_eq!(
        (names(&catalog), catalog.warnings()),
        (vec!["a", "b"], [].as_slice())
    );
    let beside_a_document = build(&json!({"streams": {"c": {}}}), &config);
    let expected = ["a", "b"].map(|name| Warning::OnlyInDefaults(name.into()));
    assert_eq!(beside_a_document.warnings(), expected);
}

#[test]
fn a_name_that_a_pattern_matches_becomes_a_stream_with_its_settings_and_prefixes() {
    let document = json!({
        "/^mediawiki\\.job\\..+/": {
            "stream": "/^mediawiki\\.job\\..+/",
            "topic_prefixes": ["eqiad.", "codfw."],
            "topics": ["/^(eqiad\\.|codfw\\.)mediawiki\\.job\\..+/"],
            "schema_title": "mediawiki/job",
        },
        "mediawiki.job.own": {"topic_prefixes": ["x."]},
    });
    let catalog = build(
        &document,
        &allowing(&[
            "mediawiki.job.refresh",
            "mediawiki.job.own",
            "mediawiki.job.",
        ]),
    );
    assert_eq!(
        names(&catalog),
        ["mediawiki.job.own", "mediawiki.job.refresh"]
    );
    let stream = catalog.resolve("mediawiki.job.refresh").unwrap();
    assert_eq!(
        topics(&stream.topics),
        ["eqiad.mediawiki.job.refresh", "codfw.mediawiki.job.refresh"]
    );
    assert_eq!(stream.schema_title.as_deref(), Some("mediawiki/job"));
    assert_eq!(stream.settings["stream"], "mediawiki.job.refresh");
    let own = catalog.resolve("mediawiki.job.own").unwrap();
    assert_eq!(
        (topics(&own.topics), own.schema_title.as_deref()),
        (vec!["x.mediawiki.job.own"], None)
    );
    assert_eq!(
        catalog.warnings(),
        [Warning::Unconfigured("mediawiki.job.".into())]
    );
}

#[test]
fn what_defaults_and_overrides_say_of_a_matched_stream_goes_with_its_pattern() {
    let config = StreamsConfig {
        defaults: map(json!({"job.a": {"description": "one", "schema_title": "under"}})),
        overrides: map(json!({"job.a": {"topic_prefixes": ["eqiad."]}})),
        ..allowing(&["job.a"])
    };
    let catalog = build(
        &json!({"/^job\\./": {"topic_prefixes": ["p."], "schema_title": "job"}}),
        &config,
    );
    let stream = catalog.resolve("job.a").unwrap();
    assert_eq!(topics(&stream.topics), ["eqiad.job.a"]);
    assert_eq!(
        (
            stream.description.as_deref(),
            stream.schema_title.as_deref()
        ),
        (Some("one"), Some("job"))
    );
    assert_eq!(catalog.warnings(), []);
}

#[test]
fn a_pattern_is_never_public_itself() {
    let document = json!({"/^x.*$/": {}, "a": {}});
    let catalog = build(&document, &allowing(&["/^x.*$/", "a"]));
    assert_eq!(
        (names(&catalog), catalog.warnings()),
        (
            vec!["a"],
            [Warning::PatternAllowed("/^x.*$/".to_owned())].as_slice()
        )
    );
    assert!(catalog.resolve("/^x.*$/").is_none() && catalog.resolve("xy").is_none());
}

#[test]
fn a_pattern_that_only_javascript_knows_is_an_error_that_names_it() {
    let told = error(&json!({"/^(?!a).*$/": {}}), &allowing(&["b"]));
    assert!(
        told.starts_with("stream /^(?!a).*$/: the pattern cannot be used: look-around"),
        "{told}"
    );
}

#[test]
fn an_alias_resolves_to_its_stream_and_does_not_count_when_it_is_the_own_name() {
    let catalog = build(
        &json!({"mediawiki.recentchange": {"stream_aliases": ["recentchange", "mediawiki.recentchange"]}}),
        &all(),
    );
    let stream = catalog.resolve("recentchange").unwrap();
    assert_eq!(
        (stream.name.as_str(), stream.aliases.as_slice()),
        (
            "mediawiki.recentchange",
            ["recentchange".to_owned()].as_slice()
        )
    );
    assert_eq!(
        catalog
            .aliases()
            .map(|(alias, stream)| (alias, stream.name.as_str()))
            .collect::<Vec<_>>(),
        [("recentchange", "mediawiki.recentchange")]
    );
}

#[test]
fn names_and_topics_are_bounded_and_the_error_says_what_to_do() {
    let streams = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("s{number}"), json!({})))
            .collect()
    };
    let told = error(&streams(limits::STREAM_NAMES_MAX + 1), &all());
    assert!(
        told.contains("10001 public streams are configured, at most 10000")
            && told.contains("allowed_streams"),
        "{told}"
    );
    assert_eq!(
        names(&build(
            &streams(limits::STREAM_NAMES_MAX + 1),
            &allowing(&["s1"])
        )),
        ["s1"],
        "others do not count"
    );
    let many = |count: usize| {
        (0..count)
            .map(|number| format!("n{number}"))
            .collect::<Vec<_>>()
    };
    let told = error(
        &json!({"a": {"stream_aliases": many(limits::STREAM_NAMES_MAX)}}),
        &all(),
    );
    assert!(told.contains("10001 public streams and aliases"), "{told}");
    let told = error(
        &json!({"a": {"topics": many(limits::STREAM_TOPICS_MAX + 1)}}),
        &all(),
    );
    assert!(told.contains("20001 topics of public streams"), "{told}");
}

#[test]
fn an_alias_that_clashes_is_an_error_that_names_both() {
    let with_stream = json!({"a": {"stream_aliases": ["b"]}, "b": {}});
    assert_eq!(
        error(&with_stream, &all()),
        "stream a: its alias b is also the name of a stream"
    );
    let with_alias = json!({"a": {"stream_aliases": ["x"]}, "b": {"stream_aliases": ["x"]}});
    assert_eq!(
        error(&with_alias, &all()),
        "stream b: its alias x is also an alias of stream a"
    );
    // A stream that nobody may ask for takes no name away.
    assert_eq!(names(&build(&with_stream, &allowing(&["a"]))), ["a"]);
}

#[test]
fn every_stream_that_cannot_be_used_is_told() {
    let document = json!({
        "a,b": {},
        "c": {"topics": []},
        "d": {"topics": ["spa ce"]},
        "e": {"topic_prefixes": "eqiad."},
        "f": 5,
        "g": {"description": 5},
        "h": {"stream_aliases": ["x/y"]},
    });
    let expected = [
        "stream a,b: a public stream's name must not be empty or hold `,`, `/`, spaces or control characters",
        "stream c: topics is an empty list; name topics, or leave it out for each of topic_prefixes + name",
        "stream d: \"spa ce\" is no name of a Kafka topic (1 to 249 of a-z A-Z 0-9 . _ -)",
        "stream e: topic_prefixes must be a list of names",
        "stream f: its settings are no map",
        "stream g: description must be text",
        "stream h: its alias \"x/y\" must not be empty or hold `,`, `/`, spaces or control characters",
    ];
    assert_eq!(error(&document, &all()), expected.join("\n"));
}

#[test]
fn a_configuration_that_names_another_stream_is_told() {
    let catalog = build(&json!({"a": {"stream": "b"}}), &all());
    assert_eq!(
        catalog.warnings(),
        [Warning::NamedOtherwise("a".into(), "b".to_owned())]
    );
    assert_eq!(catalog.resolve("a").unwrap().settings["stream"], "a");
}

#[test]
fn the_object_path_leads_to_the_map_of_streams() {
    let at = |path: &str| StreamsConfig {
        object_path: Some(path.to_owned()),
        ..all()
    };
    let document = json!({"result": {"streams": {"a": {}}, "count": 1}});
    assert_eq!(names(&build(&document, &at("result.streams"))), ["a"]);
    let expected = "stream configuration: stream_config_object_path result.stream does not exist, at `stream` there are: streams, count";
    assert_eq!(error(&document, &at("result.stream")), expected);
    assert_eq!(
        error(&document, &at("result.count")),
        "stream configuration: what is at stream_config_object_path result.count is no map of streams"
    );
    assert_eq!(
        error(&json!([1]), &all()),
        "stream configuration: the document is no map of streams"
    );
}

#[test]
fn our_own_example_is_what_production_yaml_serves() {
    let config = crate::config::Config::parse(
        include_str!("../../config/production.yaml"),
        std::iter::empty(),
    )
    .unwrap();
    let document =
        crate::config::parse_yaml(include_str!("../../config/stream-config.yaml")).unwrap();
    let catalog = build(&document, &config.streams);
    assert_eq!(
        (names(&catalog), catalog.warnings()),
        (
            vec![
                "mediawiki.page-create",
                "mediawiki.recentchange",
                "test.event"
            ],
            [].as_slice()
        )
    );
    assert_eq!(
        catalog.resolve("test").unwrap().topics,
        ["test.event".into()]
    );
}

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
    /// Whatever is configured: no panic, and what is built keeps the promises that the rest of the program relies on.
    #[test]
    fn every_catalog_that_can_be_built_is_sound(
        document in documents(), defaults in documents(), overrides in documents(),
        allowed in proptest::option::of(proptest::collection::vec("[a-c]{1,2}", 0..4)),
    ) {
        let config = StreamsConfig { allowed_streams: allowed.clone(), defaults, overrides, ..StreamsConfig::default() };
        let Ok(catalog) = Catalog::build(&Value::Object(document), &config) else { return Ok(()) };
        let read = catalog.topics();
        for stream in catalog.streams() {
            prop_assert!(allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == stream.name.as_str())));
            prop_assert!(!stream.topics.is_empty());
            prop_assert!(stream.topics.iter().all(|topic| stream.topics_allowed.contains(topic)));
            for topic in &stream.topics_allowed {
                prop_assert!(read.contains(topic) && catalog.streams_of_topic(topic).contains(&stream.name));
            }
            for name in stream.aliases.iter().map(String::as_str).chain([stream.name.as_str()]) {
                prop_assert_eq!(&catalog.resolve(name).expect("a name or alias").name, &stream.name);
            }
        }
    }

    #[test]
    fn no_document_of_any_shape_makes_it_panic(document in settings(), path in proptest::option::of("[a-z_.]{0,8}")) {
        let _ = Catalog::build(&document, &StreamsConfig { object_path: path, ..StreamsConfig::default() });
    }
}

#[test]
fn a_setting_that_nearly_is_one_is_kept_and_named() {
    let catalog = build(
        &json!({"a": {"topcs": ["x"], "consumers": {}, "ownr": "o"}}),
        &all(),
    );
    let warnings: Vec<String> = catalog.warnings().iter().map(ToString::to_string).collect();
    let expected = [
        "stream a has a setting topcs, which means nothing here; topics does",
        "stream a has a setting ownr, which means nothing here; owner does",
    ];
    assert_eq!(warnings, expected);
    let stream = catalog.resolve("a").expect("it is served");
    assert_eq!(
        (topics(&stream.topics), &stream.settings["topcs"]),
        (vec!["a"], &json!(["x"]))
    );
}
