//! The module's guarantees, through `prepare` and `frame` alone.
//!
//! * `redaction`: which events lose their editor.
//! * `properties`: `prepare` against a slow model.

use std::collections::BTreeMap;

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::cursor::{Offset, Partition, TimestampMs};
use crate::stream::Topic;

const MAX: usize = 1 << 20;

fn rules() -> RedactionRules {
    let titles = vec!["Main Page".to_owned(), "1984".to_owned()];
    RedactionRules::new(&BTreeMap::from([("tt.wikipedia.org".to_owned(), titles)]))
}

fn prepare_for(stream: &str, key: Option<&[u8]>, value: &[u8]) -> Result<Prepared, SkipReason> {
    let topic = Topic::from("eqiad.x");
    let record = Record {
        topic: &topic,
        partition: Partition(3),
        offset: Offset(42),
        timestamp: TimestampMs(1_700_000_100_011),
        key,
        value: Some(value),
    };
    prepare(
        &record,
        &rules(),
        RedactionKind::of_streams(&[stream.into()]),
        MAX,
    )
}

fn text(prepared: &Prepared) -> String {
    String::from_utf8(prepared.event.json().to_vec()).unwrap()
}

fn augmented(value: &str) -> String {
    text(&prepare_for("test", None, value.as_bytes()).unwrap())
}

fn skipped(value: &[u8]) -> SkipReason {
    prepare_for("test", None, value)
        .map(|prepared| text(&prepared))
        .unwrap_err()
}

#[test]
fn meta_gains_topic_partition_and_offset_at_its_end() {
    assert_eq!(
        augmented(r#"{"meta": { "id":"1" } ,"a":1}"#),
        r#"{"meta": { "id":"1","topic":"eqiad.x","partition":3,"offset":42 } ,"a":1}"#
    );
    assert_eq!(
        augmented(r#"{"meta":{}}"#),
        r#"{"meta":{"topic":"eqiad.x","partition":3,"offset":42}}"#
    );
}

#[test]
fn a_missing_or_null_meta_is_created() {
    let meta = r#"{"topic":"eqiad.x","partition":3,"offset":42}"#;
    assert_eq!(augmented("{}"), format!(r#"{{"meta":{meta}}}"#));
    assert_eq!(augmented("{ }"), format!(r#"{{"meta":{meta} }}"#));
    assert_eq!(
        augmented(r#"{"a":1 }"#),
        format!(r#"{{"a":1,"meta":{meta} }}"#)
    );
    assert_eq!(
        augmented(r#"{"meta": null , "a":1}"#),
        format!(r#"{{"meta": {meta} , "a":1}}"#)
    );
}

#[test]
fn fields_of_kafkas_names_are_overwritten_wherever_they_are_in_meta() {
    let meta = concat!(
        r#"{"topic":"a","id":1,"t\u006fpic":"b","#,
        r#""offset":null,"partition":{"x":1},"offset":2}"#
    );
    assert_eq!(
        augmented(&format!(r#"{{"meta":{meta},"topic":"stays"}}"#)),
        r#"{"meta":{"id":1,"topic":"eqiad.x","partition":3,"offset":42},"topic":"stays"}"#
    );
    assert_eq!(
        augmented(r#"{"m\u0065ta":{"topic":"a"}}"#),
        r#"{"m\u0065ta":{"topic":"eqiad.x","partition":3,"offset":42}}"#
    );
}

#[test]
fn the_records_key_becomes_a_string_whatever_its_bytes() {
    for (key, json) in [
        (&b"ttwiki"[..], r#""ttwiki""#),
        (b"", r#""""#),
        (b"a\"\\\n\x01", r#""a\"\\\n\u0001""#),
        ("ключ".as_bytes(), r#""ключ""#),
        (b"\xff{}", "\"\u{fffd}{}\""),
    ] {
        let prepared =
            prepare_for("test", Some(key), br#"{"meta":{"key":"a","k\u0065y":"b"}}"#).unwrap();
        let expected =
            format!(r#"{{"meta":{{"topic":"eqiad.x","partition":3,"offset":42,"key":{json}}}}}"#);
        assert_eq!(text(&prepared), expected);
    }
}

#[test]
fn a_producers_key_stays_when_the_record_has_none() {
    assert_eq!(
        augmented(r#"{"meta":{"key":"a"}}"#),
        r#"{"meta":{"key":"a","topic":"eqiad.x","partition":3,"offset":42}}"#
    );
}

#[test]
fn of_several_metas_the_last_is_augmented() {
    assert_eq!(
        augmented(r#"{"meta":{"topic":"a"},"meta":null}"#),
        r#"{"meta":{"topic":"a"},"meta":{"topic":"eqiad.x","partition":3,"offset":42}}"#
    );
    assert_eq!(
        augmented(r#"{"meta":1,"meta":{"a":1}}"#),
        r#"{"meta":1,"meta":{"a":1,"topic":"eqiad.x","partition":3,"offset":42}}"#
    );
    assert_eq!(
        skipped(br#"{"meta":{},"meta":"x"}"#),
        SkipReason::MetaNotObject
    );
}

#[test]
fn what_mainstream_parsers_accept_passes_unchanged() {
    for value in [
        r#""\ud800""#,
        r#""\udc00\ud800\u0000""#,
        "12345678901234567890",
        "1.10",
        "-0",
        "1E400",
        "0.00000000000000000000000000000001",
        r#"{"\ud800":1,"a":1,"a":2}"#,
        "\"\u{2028}\u{7f}\u{feff}\"",
        r#""\/\b\f""#,
        "[ ]",
    ] {
        let tail = r#","meta":{"topic":"eqiad.x","partition":3,"offset":42}}"#;
        assert_eq!(
            augmented(&format!(r#"{{"a":{value}}}"#)),
            format!(r#"{{"a":{value}{tail}"#)
        );
    }
}

#[test]
fn json_of_any_depth_passes() {
    let deep = format!("{}1{}", r#"[{"a":"#.repeat(50_000), "}]".repeat(50_000));
    assert!(
        augmented(&format!(r#"{{"meta":{{"x":{deep}}},"y":{deep}}}"#))
            .ends_with(&format!(r#","y":{deep}}}"#))
    );
    assert_eq!(skipped(deep.as_bytes()), SkipReason::NotObject);
    assert_eq!(skipped("[".repeat(500_000).as_bytes()), SkipReason::NotJson);
}

#[test]
fn a_record_that_is_no_event_is_skipped_with_the_first_reason() {
    use SkipReason as Skip;
    for (value, reason) in [
        (&b" \n"[..], Skip::Empty),
        (b"{\"a\":\xff", Skip::NotUtf8),
        (b"{\"a\":1", Skip::NotJson),
        (b"{\"a\":1}}", Skip::NotJson),
        (b"{\"a\":NaN}", Skip::NotJson),
        (b"{\"meta\":1,}", Skip::NotJson),
        (b"[1,]", Skip::NotJson),
        (b"a: 1", Skip::NotJson),
        (b"[{}]", Skip::NotObject),
        (b"null", Skip::NotObject),
        (b"\"x\"", Skip::NotObject),
        (b"1", Skip::NotObject),
        (b"{\"meta\":[]}", Skip::MetaNotObject),
        (b"{\"meta\":\"x\"}", Skip::MetaNotObject),
        (b"{\"meta\":false}", Skip::MetaNotObject),
    ] {
        assert_eq!(skipped(value), reason, "{}", String::from_utf8_lossy(value));
    }
    assert_eq!(skipped(&vec![b'x'; MAX + 1]), Skip::TooLarge);
}

#[test]
fn every_skip_reason_has_its_own_label_and_words() {
    let labels: std::collections::BTreeSet<_> = SkipReason::ALL
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    let words: std::collections::BTreeSet<_> =
        SkipReason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        (labels.len(), words.len()),
        (SkipReason::ALL.len(), SkipReason::ALL.len())
    );
}

fn golden_event(stream: &str, rules: &RedactionRules) -> Prepared {
    let topic = Topic::from("eqiad.mediawiki.recentchange");
    let record = Record {
        topic: &topic,
        partition: Partition(0),
        offset: Offset(42),
        timestamp: TimestampMs(1_700_000_100_011),
        key: Some(b"ttwiki"),
        value: Some(include_bytes!(
            "../../tests/fixtures/frames/recentchange.value.json"
        )),
    };
    prepare(
        &record,
        rules,
        RedactionKind::of_streams(&[stream.into()]),
        MAX,
    )
    .unwrap()
}

#[test]
fn a_recentchange_record_becomes_the_golden_frames() {
    let id = concat!(
        r#"[{"topic":"eqiad.mediawiki.recentchange","partition":0,"#,
        r#""offset":43,"timestamp":1700000100011}]"#
    )
    .as_bytes();
    let event = golden_event("mediawiki.recentchange", &RedactionRules::default()).event;
    for (format, golden) in [
        (
            Format::Sse,
            &include_bytes!("../../tests/fixtures/frames/recentchange.sse")[..],
        ),
        (
            Format::Ndjson,
            include_bytes!("../../tests/fixtures/frames/recentchange.ndjson"),
        ),
    ] {
        let mut out = BytesMut::from(format.opening());
        frame::append_to(&mut out, format, id, &event);
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(golden)
        );
        assert_eq!(
            frame::render(format, id, &event),
            out[format.opening().len()..]
        );
        assert_eq!(
            frame::rendered_bytes(format, id, &event),
            out.len() - format.opening().len()
        );
    }
}

#[test]
fn the_golden_event_of_a_named_page_loses_its_user() {
    let rules = RedactionRules::new(&BTreeMap::from([(
        "tt.wikipedia.org".to_owned(),
        vec!["идел ".to_owned()],
    )]));
    let event = golden_event("mediawiki.recentchange", &rules).event;
    let golden = include_str!("../../tests/fixtures/frames/recentchange.redacted.ndjson");
    assert_eq!(String::from_utf8_lossy(event.json()), golden.trim());
}

#[test]
fn no_line_of_a_comment_or_error_becomes_a_field() {
    assert_eq!(frame::comment("gap"), ": gap\n\n"[..]);
    assert_eq!(
        frame::comment("a\ndata: b\r\nid: c\rd"),
        ": a\n: data: b\n: id: c\n: d\n\n"[..]
    );
    assert_eq!(
        frame::error_event(r#"{"status":500}"#),
        "event: error\ndata: {\"status\":500}\n\n"[..]
    );
    assert_eq!(
        frame::error_event("{\n\n}"),
        "event: error\ndata: {\ndata: \ndata: }\n\n"[..]
    );
    assert_eq!(frame::retry(1500), "retry: 1500\n\n"[..]);
    assert_eq!(
        (Format::Sse.heartbeat(), Format::Ndjson.heartbeat()),
        (&b":\n\n"[..], &b"\n"[..])
    );
}

mod properties;
mod redaction;
