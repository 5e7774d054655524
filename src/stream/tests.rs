//! Tests of the catalog: which streams there are, with which topics, under which names.

mod generated;
mod names;

use serde_json::{Map, Value, json};

use super::*;
use crate::config::StreamsConfig;

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
fn topics_are_configured_or_each_prefix_with_the_name() {
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
fn an_id_may_name_topics_and_topics_allowed() {
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
fn only_allowed_streams_resolve_and_are_read() {
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
fn an_empty_allowlist_makes_nothing_public_with_a_warning() {
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
    let document = json!({"s": {
        "topics": ["eqiad.s", "codfw.s"],
        "description": "of the document",
        "x": {"a": 1},
    }});
    let config = StreamsConfig {
        defaults: map(json!({"s": {
            "description": "of the defaults",
            "stream_aliases": ["alias"],
            "x": {"a": 0, "b": 2},
        }})),
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
fn a_name_that_a_pattern_matches_becomes_a_stream() {
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
fn settings_of_a_matched_stream_are_merged_with_its_pattern() {
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
            [Warning::AllowedPattern("/^x.*$/".to_owned())].as_slice()
        )
    );
    assert!(catalog.resolve("/^x.*$/").is_none() && catalog.resolve("xy").is_none());
}

#[test]
fn a_pattern_that_only_javascript_supports_is_an_error() {
    let warnings = error(&json!({"/^(?!a).*$/": {}}), &allowing(&["b"]));
    assert!(
        warnings.starts_with("stream /^(?!a).*$/: the pattern cannot be used: look-around"),
        "{warnings}"
    );
}

#[test]
fn the_object_path_leads_to_the_map_of_streams() {
    let at = |path: &str| StreamsConfig {
        object_path: Some(path.to_owned()),
        ..all()
    };
    let document = json!({"result": {"streams": {"a": {}}, "count": 1}});
    assert_eq!(names(&build(&document, &at("result.streams"))), ["a"]);
    let expected = "stream configuration: stream_config_object_path result.stream does not exist: \
                    there is no `stream`, only streams, count";
    assert_eq!(error(&document, &at("result.stream")), expected);
    assert_eq!(
        error(&document, &at("result.count")),
        "stream configuration: the value at stream_config_object_path result.count \
         is not a map of streams"
    );
    assert_eq!(
        error(&json!([1]), &all()),
        "stream configuration: the document is not a map of streams"
    );
}

#[test]
fn production_yaml_serves_the_example_streams() {
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
