//! From the records of Kafka to the events of clients (docs/protocol.md): which members are added,
//! kept and removed and which records are skipped, live, from memory and from Kafka.

use serde_json::{Value, json};

use crate::support::admin::{NewRecord, unique};
use crate::support::numbered::to_i64;
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, record};
use crate::support::wire::Request;

mod redaction;

/// A time in 2023. A server that starts later reads these records from Kafka, not from memory.
const TIME: i64 = 1_700_000_000_000;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// From the earliest record.
const SINCE_START: &str = "?since=0";

async fn skipped(server: &TestServer, reason: &str) -> u64 {
    server
        .metric(&format!(
            "eventstreams_records_skipped_total{{reason=\"{reason}\"}}"
        ))
        .await
}

fn data(frames: &[Frame]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame.data.as_deref().expect("data"))
        .collect()
}

const SKIP_REASONS: [&str; 6] = [
    "empty",
    "too_large",
    "not_utf8",
    "not_json",
    "not_object",
    "meta_not_object",
];

/// Values that are not events, each with its reason.
fn bad_values() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(2048));
    let mut bad: Vec<(&str, Option<Vec<u8>>)> =
        vec![("empty", None), ("too_large", Some(large.into()))];
    let texts: [(&str, &[u8]); 17] = [
        ("empty", b""),
        ("empty", b" \n\t "),
        ("not_utf8", b"{\"a\":\"\xff\"}"),
        ("not_utf8", b"{\"a\":\"\xed\xa0\x80\"}"),
        ("not_json", b"not JSON"),
        ("not_json", b"{\"a\":1"),
        ("not_json", b"{\"a\":NaN}"),
        ("not_json", b"{a: 1}"),
        ("not_json", b"{\"a\":1}{\"b\":2}"),
        ("not_json", b"{\"a\":1}\0"),
        ("not_object", b"[{\"a\":1}]"),
        ("not_object", b"null"),
        ("not_object", b"\"text\""),
        ("not_object", b"42"),
        ("meta_not_object", b"{\"meta\":[]}"),
        ("meta_not_object", b"{\"meta\":\"text\"}"),
        ("meta_not_object", b"{\"meta\":0}"),
    ];
    bad.extend(texts.map(|(reason, value)| (reason, Some(value.to_vec()))));
    bad
}

/// Values of a producer, and their events with `META` in place of the added members.
const KEPT: [(&str, &str); 10] = [
    (
        r#"{"big":12345678901234567890,"decimal":1.10,"exponent":1E5,"minus":-0,"small":1e-7}"#,
        concat!(
            r#"{"big":12345678901234567890,"decimal":1.10,"exponent":1E5,"#,
            r#""minus":-0,"small":1e-7,"meta":{META}}"#,
        ),
    ),
    (
        r#"{"z":"caf\u00e9 \/ \ud83c\udf0a \ud800","a":"Идел 🌊","m":"\u0000\u2028"}"#,
        r#"{"z":"caf\u00e9 \/ \ud83c\udf0a \ud800","a":"Идел 🌊","m":"\u0000\u2028","meta":{META}}"#,
    ),
    (
        r#"{"twice":1,"twice":2, "yes":"no" ,"null":null}"#,
        r#"{"twice":1,"twice":2, "yes":"no" ,"null":null,"meta":{META}}"#,
    ),
    (
        r#"{"b":1,"meta":{"dt":"2026","id":1.0},"a":2}"#,
        r#"{"b":1,"meta":{"dt":"2026","id":1.0,META},"a":2}"#,
    ),
    (
        r#"{"meta":{"offset":"mine","dt":"2026","topic":5},"a":2}"#,
        r#"{"meta":{"dt":"2026",META},"a":2}"#,
    ),
    (r#"{"meta":null,"a":2}"#, r#"{"meta":{META},"a":2}"#),
    (r#"{"meta":{},"a":2}"#, r#"{"meta":{META},"a":2}"#),
    ("{}", r#"{"meta":{META}}"#),
    (
        "\u{feff}{\r\n  \"a\": [\n    1,\n    2\n  ],\r  \"b\": {}\n}\n",
        r#"{"a": [1,2],"b": {},"meta":{META}}"#,
    ),
    (
        "{\"event\":\"data: x\\n\\nid: 1\"}",
        r#"{"event":"data: x\n\nid: 1","meta":{META}}"#,
    ),
];

on_both_brokers!(
    async fn invalid_records_are_skipped_and_counted_by_reason(cluster: Cluster) {
        let topic = unique("eqiad.bad");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("bad", &[&topic])
            .key("event_bytes_max", "2048");
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/bad")
            .subscribe(server.address)
            .await;
        let mut lines = Request::get("/v2/stream/bad")
            .subscribe_ndjson(server.address)
            .await;
        let good = |n: usize| NewRecord::new(&topic, 0, TIME, format!(r#"{{"n":{n}}}"#));
        let bad = bad_values();
        let bad_records = bad.iter().map(|(_, value)| match value {
            Some(value) => NewRecord::new(&topic, 0, TIME, value.clone()),
            None => NewRecord::tombstone(&topic, 0, TIME, "a key"),
        });
        cluster
            .produce_many(
                "none",
                [good(0)].into_iter().chain(bad_records).chain([good(1)]),
            )
            .await;
        let live = subscriber.events(2).await;
        let next = to_i64(bad.len()) + 1;
        let numbers = |frames: &[Frame]| {
            frames
                .iter()
                .map(|frame| (frame.json()["n"].as_u64(), frame.record().2))
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&live), [(Some(0), 0), (Some(1), next)]);
        assert_eq!(
            lines
                .events(2)
                .await
                .iter()
                .map(|event| record(event).2)
                .collect::<Vec<_>>(),
            [0, next]
        );
        for reason in SKIP_REASONS {
            let count = bad.iter().filter(|(of, _)| *of == reason).count() as u64;
            assert_eq!(skipped(&server, reason).await, count, "{reason}");
        }
        let read = server
            .metric(&format!(
                "eventstreams_records_read_total{{topic=\"{topic}\"}}"
            ))
            .await;
        assert_eq!(read, bad.len() as u64 + 2);
        // The same events from Kafka, and from an id after the first one.
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/bad{SINCE_START}"))
            .subscribe(late.address)
            .await;
        let replayed = past.events(2).await;
        assert_eq!(numbers(&replayed), numbers(&live));
        assert_eq!(replayed[1].id, live[1].id, "past the skipped records");
        let id = live[0].id.clone().expect("an id");
        let mut rest = Request::get("/v2/stream/bad")
            .last_event_id(id)
            .subscribe(late.address)
            .await;
        assert_eq!(numbers(&rest.events(1).await), [(Some(1), next)]);
    }

    async fn the_largest_event_is_delivered_and_a_larger_one_skipped(cluster: Cluster) {
        let topic = unique("eqiad.bound");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("bound", &[&topic])
            .key("event_bytes_max", "2000");
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/bound")
            .subscribe(server.address)
            .await;
        let sized = |bytes: usize| {
            NewRecord::new(
                &topic,
                0,
                TIME,
                format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8)),
            )
        };
        cluster
            .produce_many("none", [sized(2001), sized(2000), sized(2001), sized(100)])
            .await;
        let offsets: Vec<_> = subscriber
            .events(2)
            .await
            .iter()
            .map(|event| event.record().2)
            .collect();
        assert_eq!(offsets, [1, 3]);
        assert_eq!(skipped(&server, "too_large").await, 2);
    }

    async fn the_bytes_of_the_producer_are_kept(cluster: Cluster) {
        let topic = unique("eqiad.kept");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("kept", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/kept")
            .subscribe(server.address)
            .await;
        let mut lines = Request::get("/v2/stream/kept")
            .subscribe_ndjson(server.address)
            .await;
        let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let deep_event = deep.replace("]}", r#"],"meta":{META}}"#);
        let mut kept: Vec<(&str, &str)> = KEPT.to_vec();
        kept.push((&deep, &deep_event));
        cluster
            .produce_many(
                "none",
                kept.iter()
                    .map(|(value, _)| NewRecord::new(&topic, 0, TIME, *value)),
            )
            .await;
        let expected: Vec<_> = (0..)
            .zip(&kept)
            .map(|(offset, (_, event))| {
                event.replace(
                    "META",
                    &format!(r#""topic":"{topic}","partition":0,"offset":{offset}"#),
                )
            })
            .collect();
        assert_eq!(data(&subscriber.events(kept.len()).await), expected);
        for event in &expected {
            assert_eq!(lines.line_or_end().await.as_ref(), Some(event));
        }
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/kept{SINCE_START}"))
            .subscribe(late.address)
            .await;
        assert_eq!(data(&past.events(kept.len()).await), expected, "replayed");
    }

    async fn record_keys_become_strings_in_meta(cluster: Cluster) {
        let topic = unique("eqiad.keys");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("keys", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/keys")
            .subscribe(server.address)
            .await;
        let keyed = |value: &str| NewRecord::new(&topic, 0, TIME, value);
        cluster
            .produce_many(
                "none",
                [
                    keyed(r#"{"meta":{"key":"the producer's"}}"#),
                    keyed(r#"{"meta":{"key":"the producer's"}}"#).key("Kafka's"),
                    keyed("{}").key("quote \" back\\slash\nline é 🌊"),
                    keyed("{}").key(b"not \xff UTF-8".to_vec()),
                    keyed("{}").key(""),
                    keyed("{}").key(r#"{"json":1}"#),
                ],
            )
            .await;
        let events = subscriber.events(6).await;
        let keys: Vec<_> = events
            .iter()
            .map(|event| event.json()["meta"]["key"].as_str().map(str::to_owned))
            .collect();
        let expected = [
            "the producer's",
            "Kafka's",
            "quote \" back\\slash\nline é 🌊",
            "not \u{fffd} UTF-8",
            "",
            r#"{"json":1}"#,
        ];
        assert_eq!(keys, expected.map(|key| Some(key.to_owned())));
    }

    async fn every_codec_is_read_live_and_replayed(cluster: Cluster) {
        let topic = unique("eqiad.codecs");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("codecs", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut live = Request::get("/v2/stream/codecs")
            .subscribe(server.address)
            .await;
        for codec in CODECS {
            let event = |n: usize| {
                format!(
                    r#"{{"codec":"{codec}","n":{n},"text":"{}"}}"#,
                    "abc ".repeat(200)
                )
            };
            cluster
                .produce_many(
                    codec,
                    (0..5).map(|n| NewRecord::new(&topic, 0, TIME, event(n)).key(codec)),
                )
                .await;
        }
        let seen = |frames: &[Frame]| {
            let seen = |event: Value| {
                (
                    event["codec"].clone(),
                    event["n"].as_u64(),
                    event["meta"]["key"].clone(),
                )
            };
            frames
                .iter()
                .map(|frame| seen(frame.json()))
                .collect::<Vec<_>>()
        };
        let expected: Vec<_> = CODECS
            .into_iter()
            .flat_map(|codec| (0..5).map(move |n| (json!(codec), Some(n), json!(codec))))
            .collect();
        assert_eq!(seen(&live.events(25).await), expected);
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/codecs{SINCE_START}"))
            .subscribe(late.address)
            .await;
        assert_eq!(seen(&past.events(25).await), expected);
        // From inside a compressed batch.
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":13}}]"#);
        let mut rest = Request::get("/v2/stream/codecs")
            .last_event_id(id)
            .subscribe(late.address)
            .await;
        assert_eq!(seen(&rest.events(12).await), expected[13..]);
        assert!(late.metric("eventstreams_replay_reads_total").await > 0);
    }
);
