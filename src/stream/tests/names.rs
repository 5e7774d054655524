//! Tests of aliases, of bounds, and of streams that cannot be used.

use super::*;
use crate::limits;

#[test]
fn an_alias_resolves_to_its_stream() {
    let catalog = build(
        &json!({"mediawiki.recentchange": {
            "stream_aliases": ["recentchange", "mediawiki.recentchange"],
        }}),
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
fn the_numbers_of_names_and_topics_are_bounded() {
    let streams = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("s{number}"), json!({})))
            .collect()
    };
    let warnings = error(&streams(limits::STREAM_NAMES_MAX + 1), &all());
    assert!(
        warnings.contains("10001 public streams are configured, but at most 10000")
            && warnings.contains("allowed_streams"),
        "{warnings}"
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
    let warnings = error(
        &json!({"a": {"stream_aliases": many(limits::STREAM_NAMES_MAX)}}),
        &all(),
    );
    assert!(
        warnings.contains("10001 public streams and aliases"),
        "{warnings}"
    );
    let warnings = error(
        &json!({"a": {"topics": many(limits::STREAM_TOPICS_MAX + 1)}}),
        &all(),
    );
    assert!(
        warnings.contains("20001 topics of public streams"),
        "{warnings}"
    );
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
    // The aliases of streams that are not public stay free.
    assert_eq!(names(&build(&with_stream, &allowing(&["a"]))), ["a"]);
}

#[test]
fn every_stream_that_cannot_be_used_is_reported() {
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
        "stream a,b: the name of a public stream must not be empty or contain `,`, `/`, \
         spaces or control characters",
        "stream c: topics is an empty list; name topics, or remove the setting to read \
         each of topic_prefixes followed by the name",
        "stream d: \"spa ce\" is not a valid Kafka topic name \
         (1 to 249 characters of a-z A-Z 0-9 . _ -)",
        "stream e: topic_prefixes must be a list of names",
        "stream f: its settings are not a map",
        "stream g: description must be text",
        "stream h: its alias \"x/y\" must not be empty or contain `,`, `/`, spaces or \
         control characters",
    ];
    assert_eq!(error(&document, &all()), expected.join("\n"));
}

#[test]
fn a_stream_that_names_another_one_is_a_warning() {
    let catalog = build(&json!({"a": {"stream": "b"}}), &all());
    assert_eq!(
        catalog.warnings(),
        [Warning::OtherName("a".into(), "b".to_owned())]
    );
    assert_eq!(catalog.resolve("a").unwrap().settings["stream"], "a");
}

#[test]
fn a_misspelt_setting_is_kept_and_is_a_warning() {
    let catalog = build(
        &json!({"a": {"topcs": ["x"], "consumers": {}, "ownr": "o"}}),
        &all(),
    );
    let warnings: Vec<String> = catalog.warnings().iter().map(ToString::to_string).collect();
    let expected = [
        "stream a has an unknown setting topcs; did you mean topics?",
        "stream a has an unknown setting ownr; did you mean owner?",
    ];
    assert_eq!(warnings, expected);
    let stream = catalog.resolve("a").expect("it is served");
    assert_eq!(
        (topics(&stream.topics), &stream.settings["topcs"]),
        (vec!["a"], &json!(["x"]))
    );
}
