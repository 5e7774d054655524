//! From Kafka's records to the events that clients see (protocol, section 4): what is added, kept, taken out and left out, live, out of
//! memory and out of Kafka alike.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, record};
use crate::support::wire::Request;

/// Some time of 2023: records that are there before a server starts are older than its reach-back, so that it reads them from Kafka when
/// they are asked for.
const TIME: i64 = 1_700_000_000_000;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// From the start of everything.
const PAST: &str = "?since=0";

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

/// Records that are no events, each with the reason why.
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

/// The producer's bytes, and the event's with `META` for what is added to `meta`.
const KEPT: [(&str, &str); 10] = [
    (
        r#"{"big":12345678901234567890,"decimal":1.10,"exponent":1E5,"minus":-0,"small":1e-7}"#,
        r#"{"big":12345678901234567890,"decimal":1.10,"exponent":1E5,"minus":-0,"small":1e-7,"meta":{META}}"#,
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

const SECRET_PAGE: &str = "{ru.wikipedia.org: [' Secret Page', 'Another']}";

/// Streams of each kind of redaction, and their topics.
async fn redacted_streams(cluster: &Cluster) -> (Settings, [String; 3]) {
    let streams = [
        "mediawiki.page_change.v1",
        "mediawiki.recentchange",
        "mediawiki.page-move",
    ];
    let topics = streams.map(|stream| unique(&format!("eqiad.{stream}")));
    let mut settings = Settings::default()
        .key("mediawiki_redacted_pages", SECRET_PAGE)
        .key("memory_log_bytes_max", "1048576");
    for (stream, topic) in streams.iter().zip(&topics) {
        cluster.create_topic(topic, 1).await;
        settings = settings.stream(stream, &[topic]);
    }
    (settings, topics)
}

/// One event of a page that is named and one of a page that is not, for each of [`redacted_streams`].
fn secrets(topics: &[String; 3]) -> Vec<NewRecord> {
    let [page_change, recentchange, page_move] = topics;
    let editor = r#"{"user_text":"Hidden"}"#;
    let event = |topic: &str, ms: i64, domain: &str, rest: String| {
        NewRecord::new(
            topic,
            0,
            TIME + ms,
            format!(r#"{{"meta":{{"domain":"{domain}"}},{rest}}}"#),
        )
    };
    let change = |title: &str, editor: &str| {
        format!(
            r#""page":{{"page_title":"{title}"}},"performer":{editor},"revision":{{"rev_id":2,"editor":{editor}}},"prior_state":{{"revision":{{"rev_id":1,"editor":{editor}}}}}"#
        )
    };
    let (ru, shown) = ("ru.wikipedia.org", r#"{"user_text":"Shown"}"#);
    vec![
        event(page_change, 1, ru, change("secret_page", editor)),
        event(page_change, 2, ru, change("Public_page", shown)),
        event(
            recentchange,
            3,
            ru,
            r#""title":"Secret Page","user":"Hidden","bot":false"#.to_owned(),
        ),
        event(
            recentchange,
            4,
            "tt.wikipedia.org",
            r#""title":"Secret Page","user":"Shown","bot":false"#.to_owned(),
        ),
        event(
            page_move,
            5,
            ru,
            format!(r#""page_title":"Another","performer":{editor},"page_id":7"#),
        ),
        event(
            page_move,
            6,
            ru,
            format!(r#""page_title":"Another one","performer":{shown},"page_id":8"#),
        ),
    ]
}

/// What clients get to see of [`secrets`]: by topic, `meta` reduced to the domain.
fn redacted(topics: &[String; 3]) -> BTreeMap<String, Vec<Value>> {
    let shown = json!({"user_text": "Shown"});
    let meta = json!({"domain": "ru.wikipedia.org"});
    let of = |topic: usize, events: [Value; 2]| (topics[topic].clone(), events.to_vec());
    BTreeMap::from([
        of(
            0,
            [
                json!({"meta": meta, "page": {"page_title": "secret_page"}, "performer": {}, "revision": {"rev_id": 2},
                "prior_state": {"revision": {"rev_id": 1}}}),
                json!({"meta": meta, "page": {"page_title": "Public_page"}, "performer": shown,
                "revision": {"rev_id": 2, "editor": shown}, "prior_state": {"revision": {"rev_id": 1, "editor": shown}}}),
            ],
        ),
        of(
            1,
            [
                json!({"meta": meta, "title": "Secret Page", "bot": false}),
                json!({"meta": {"domain": "tt.wikipedia.org"}, "title": "Secret Page", "user": "Shown", "bot": false}),
            ],
        ),
        of(
            2,
            [
                json!({"meta": meta, "page_title": "Another", "page_id": 7}),
                json!({"meta": meta, "page_title": "Another one", "performer": shown, "page_id": 8}),
            ],
        ),
    ])
}

/// Fails unless the events are exactly [`redacted`].
fn assert_redacted(way: &str, topics: &[String; 3], events: impl IntoIterator<Item = Value>) {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut event in events {
        assert!(!event.to_string().contains("Hidden"), "{way}: {event}");
        let (topic, ..) = record(&event);
        event["meta"] = json!({"domain": event["meta"]["domain"]});
        seen.entry(topic).or_default().push(event);
    }
    assert_eq!(seen, redacted(topics), "{way}");
}

const THREE: &str =
    "/v2/stream/mediawiki.page_change.v1,mediawiki.recentchange,mediawiki.page-move";

on_both_brokers! {
    async fn what_is_no_event_is_left_out_and_counted_by_reason(cluster: Cluster) {
        let topic = unique("eqiad.bad");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("bad", &[&topic]).key("event_bytes_max", "2048");
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/bad").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/bad").subscribe_ndjson(server.address).await;
        let good = |n: usize| NewRecord::new(&topic, 0, TIME, format!(r#"{{"n":{n}}}"#));
        let bad = bad_values();
        let bad_records = bad.iter().map(|(_, value)| match value {
            Some(value) => NewRecord::new(&topic, 0, TIME, value.clone()),
            None => NewRecord::tombstone(&topic, 0, TIME, "a key"),
        });
        cluster.produce_many("none", [good(0)].into_iter().chain(bad_records).chain([good(1)])).await;
        let live = subscriber.events(2).await;
        let next = i64::try_from(bad.len()).expect("few") + 1;
        let numbers = |frames: &[Frame]| frames.iter().map(|frame| (frame.json()["n"].as_u64(), frame.record().2)).collect::<Vec<_>>();
        assert_eq!(numbers(&live), [(Some(0), 0), (Some(1), next)]);
        assert_eq!(lines.events(2).await.iter().map(|event| record(event).2).collect::<Vec<_>>(), [0, next]);
        for reason in ["empty", "too_large", "not_utf8", "not_json", "not_object", "meta_not_object"] {
            let count = u64::try_from(bad.iter().filter(|(of, _)| *of == reason).count()).expect("few");
            assert_eq!(skipped(&server, reason).await, count, "{reason}");
        }
        let read = server.metric(&format!("eventstreams_records_read_total{{topic=\"{topic}\"}}")).await;
        assert_eq!(read, u64::try_from(next + 1).expect("few"));
        // The same out of Kafka, and right behind the first good one too.
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/bad{PAST}")).subscribe(late.address).await;
        let replayed = past.events(2).await;
        assert_eq!(numbers(&replayed), numbers(&live));
        assert_eq!(replayed[1].id, live[1].id, "the cursor is past what was skipped");
        let id = live[0].id.clone().expect("an id");
        let mut rest = Request::get("/v2/stream/bad").last_event_id(id).subscribe(late.address).await;
        assert_eq!(numbers(&rest.events(1).await), [(Some(1), next)]);
    }

    async fn an_event_of_the_largest_size_is_delivered_and_one_byte_more_is_not(cluster: Cluster) {
        let topic = unique("eqiad.bound");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("bound", &[&topic]).key("event_bytes_max", "2000");
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/bound").subscribe(server.address).await;
        let sized = |bytes: usize| NewRecord::new(&topic, 0, TIME, format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8)));
        cluster.produce_many("none", [sized(2001), sized(2000), sized(2001), sized(100)]).await;
        let offsets: Vec<_> = subscriber.events(2).await.iter().map(|event| event.record().2).collect();
        assert_eq!(offsets, [1, 3]);
        assert_eq!(skipped(&server, "too_large").await, 2);
    }

    async fn the_producers_bytes_are_kept(cluster: Cluster) {
        let topic = unique("eqiad.kept");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("kept", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/kept").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/kept").subscribe_ndjson(server.address).await;
        let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let deep_event = deep.replace("]}", r#"],"meta":{META}}"#);
        let mut kept: Vec<(&str, &str)> = KEPT.to_vec();
        kept.push((&deep, &deep_event));
        cluster.produce_many("none", kept.iter().map(|(value, _)| NewRecord::new(&topic, 0, TIME, *value))).await;
        let expected: Vec<_> = (0..).zip(&kept).map(|(offset, (_, event))| {
            event.replace("META", &format!(r#""topic":"{topic}","partition":0,"offset":{offset}"#))
        }).collect();
        assert_eq!(data(&subscriber.events(kept.len()).await), expected);
        for event in &expected {
            assert_eq!(lines.line_or_end().await.as_ref(), Some(event));
        }
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/kept{PAST}")).subscribe(late.address).await;
        assert_eq!(data(&past.events(kept.len()).await), expected, "replayed");
    }

    async fn keys_of_records_are_strings_in_meta(cluster: Cluster) {
        let topic = unique("eqiad.keys");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("keys", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/keys").subscribe(server.address).await;
        let keyed = |value: &str| NewRecord::new(&topic, 0, TIME, value);
        cluster.produce_many("none", [
            keyed(r#"{"meta":{"key":"the producer's"}}"#),
            keyed(r#"{"meta":{"key":"the producer's"}}"#).key("Kafka's"),
            keyed("{}").key("quote \" back\\slash\nline é 🌊"),
            keyed("{}").key(b"not \xff UTF-8".to_vec()),
            keyed("{}").key(""),
            keyed("{}").key(r#"{"json":1}"#),
        ]).await;
        let events = subscriber.events(6).await;
        let keys: Vec<_> = events.iter().map(|event| event.json()["meta"]["key"].as_str().map(str::to_owned)).collect();
        let expected =
            ["the producer's", "Kafka's", "quote \" back\\slash\nline é 🌊", "not \u{fffd} UTF-8", "", r#"{"json":1}"#];
        assert_eq!(keys, expected.map(|key| Some(key.to_owned())));
    }

    async fn redaction_is_the_same_live_from_memory_and_from_kafka(cluster: Cluster) {
        let (settings, topics) = redacted_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut live = Request::get(THREE).subscribe(server.address).await;
        let mut lines = Request::get(THREE).subscribe_ndjson(server.address).await;
        cluster.produce(NewRecord::new(&topics[0], 0, TIME, r#"{"first":true}"#)).await;
        let first = live.event().await.id.expect("an id");
        lines.events(1).await;
        cluster.produce_many("none", secrets(&topics)).await;
        assert_redacted("live", &topics, live.events(6).await.iter().map(Frame::json));
        assert_redacted("live, as lines", &topics, lines.events(6).await);
        assert_eq!(server.metric("eventstreams_events_redacted_total").await, 3);

        let after_first = Request::get(THREE).last_event_id(first);
        let mut memory = after_first.subscribe(server.address).await;
        assert_redacted("from memory", &topics, memory.events(6).await.iter().map(Frame::json));
        let mut memory = after_first.subscribe_ndjson(server.address).await;
        assert_redacted("from memory, as lines", &topics, memory.events(6).await);
        assert_eq!(server.metric("eventstreams_replay_reads_total").await, 0, "nothing was read again");

        // Two megabytes more than memory keeps.
        let filler = format!(r#"{{"filler":"{}"}}"#, "x".repeat(50_000));
        let filler = (0..60).map(|n| NewRecord::new(&topics[2], 0, TIME + 100 + n, filler.as_str()));
        cluster.produce_many("none", filler).await;
        live.events(60).await;
        let mut kafka = after_first.subscribe(server.address).await;
        assert_redacted("from Kafka", &topics, kafka.events(6).await.iter().map(Frame::json));
        let mut kafka = after_first.subscribe_ndjson(server.address).await;
        assert_redacted("from Kafka, as lines", &topics, kafka.events(6).await);
        assert!(server.metric("eventstreams_replay_reads_total").await > 0);

        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("{THREE}{PAST}")).subscribe(late.address).await;
        assert_eq!(past.event().await.json()["first"], true);
        assert_redacted("since, after a restart", &topics, past.events(6).await.iter().map(Frame::json));
    }

    async fn a_topic_of_two_streams_loses_what_either_must_not_show(cluster: Cluster) {
        let topic = unique("eqiad.shared");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("mediawiki.recentchange", &[&topic])
            .stream("edits", &[&topic])
            .key("mediawiki_redacted_pages", SECRET_PAGE);
        let server = TestServer::start(&cluster, &settings).await;
        let mut changes = Request::get("/v2/stream/mediawiki.recentchange").subscribe(server.address).await;
        let mut edits = Request::get("/v2/stream/edits").subscribe(server.address).await;
        let secret = r#"{"meta":{"domain":"ru.wikipedia.org"},"title":"Another","user":"Hidden","performer":{"a":"Hidden"},"n":1}"#;
        cluster.produce(NewRecord::new(&topic, 0, TIME, secret)).await;
        let expected =
            format!(r#"{{"meta":{{"domain":"ru.wikipedia.org","topic":"{topic}","partition":0,"offset":0}},"title":"Another","n":1}}"#);
        assert_eq!(data(&changes.events(1).await), [expected.as_str()]);
        assert_eq!(data(&edits.events(1).await), [expected.as_str()]);
    }

    async fn every_codec_is_read_live_and_replayed(cluster: Cluster) {
        let topic = unique("eqiad.codecs");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("codecs", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut live = Request::get("/v2/stream/codecs").subscribe(server.address).await;
        for codec in CODECS {
            let event = |n: usize| format!(r#"{{"codec":"{codec}","n":{n},"text":"{}"}}"#, "abc ".repeat(200));
            cluster.produce_many(codec, (0..5).map(|n| NewRecord::new(&topic, 0, TIME, event(n)).key(codec))).await;
        }
        let seen = |frames: &[Frame]| {
            let seen = |event: Value| (event["codec"].clone(), event["n"].as_u64(), event["meta"]["key"].clone());
            frames.iter().map(|frame| seen(frame.json())).collect::<Vec<_>>()
        };
        let expected: Vec<_> =
            CODECS.into_iter().flat_map(|codec| (0..5).map(move |n| (json!(codec), Some(n), json!(codec)))).collect();
        assert_eq!(seen(&live.events(25).await), expected);
        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("/v2/stream/codecs{PAST}")).subscribe(late.address).await;
        assert_eq!(seen(&past.events(25).await), expected);
        // From within a compressed batch.
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":13}}]"#);
        let mut rest = Request::get("/v2/stream/codecs").last_event_id(id).subscribe(late.address).await;
        assert_eq!(seen(&rest.events(12).await), expected[13..]);
        assert!(late.metric("eventstreams_replay_reads_total").await > 0);
    }
}
