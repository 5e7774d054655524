//! What a stream looks like on the wire (protocol, section 1): headers, first bytes, frames, ids, formats, methods, heartbeats.

use serde_json::Value;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{LOG_BYTES, without_log};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Frame;
use crate::support::wire::{End, Request, Response, exchange};

/// Some time of 2023: the tests' records are older than any reach-back.
const TIME: i64 = 1_700_000_000_000;

fn record(topic: &str, partition: i32, timestamp: i64, n: usize) -> NewRecord {
    NewRecord::new(topic, partition, timestamp, format!(r#"{{"n":{n}}}"#))
}

fn numbers(frames: &[Frame]) -> Vec<u64> {
    frames
        .iter()
        .map(|frame| frame.json()["n"].as_u64().expect("a number"))
        .collect()
}

/// The frames of the fixtures are of this topic.
fn fixture(text: &str, topic: &str) -> String {
    text.replace("eqiad.mediawiki.recentchange", topic)
}

/// One entry of an id, as the server writes it.
fn entry(topic: &str, partition: i32, offset: i64, timestamp: i64) -> String {
    format!(
        r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"timestamp":{timestamp}}}"#
    )
}

/// The headers that protocol §1 names, with the values of a server that is configured by defaults.
const HEADERS: [(&str, &str); 9] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("access-control-allow-origin", "*"),
    (
        "access-control-allow-headers",
        "accept, x-requested-with, content-type, last-event-id",
    ),
    (
        "access-control-expose-headers",
        "etag, retry-after, x-request-id, x-eventstreams-moved",
    ),
    ("cache-control", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    (
        "content-security-policy",
        "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'",
    ),
    ("x-accel-buffering", "no"),
];

fn assert_headers(response: &Response) {
    for (name, value) in HEADERS {
        let sent: Vec<_> = response
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .collect();
        assert_eq!(sent.len(), 1, "{name} is sent once: {:?}", response.headers);
        assert_eq!(sent[0].1, value, "{name}");
    }
}

/// Subscribes to one partition, waits until 42 records are passed, then produces the fixture's record as the 43rd.
async fn golden(cluster: &Cluster, settings: Settings, accept: &str, expected: &str) {
    let topic = unique("eqiad.mediawiki.recentchange");
    cluster.create_topic(&topic, 1).await;
    cluster
        .produce_many("none", (0..42).map(|n| record(&topic, 0, TIME, n)))
        .await;
    let server = TestServer::start(
        cluster,
        &settings.stream("mediawiki.recentchange", &[&topic]),
    )
    .await;
    let request = Request::get("/v2/stream/mediawiki.recentchange").header("Accept", accept);
    let response = request.send(server.address).await;
    let value = include_bytes!("../fixtures/frames/recentchange.value.json");
    cluster
        .produce(NewRecord::new(&topic, 0, 1_700_000_100_011, value).key("ttwiki"))
        .await;
    let expected = fixture(expected, &topic);
    let logs = usize::from(expected.contains("id: ["));
    let received = response.cut_at(expected.len() + logs * LOG_BYTES).await;
    let received = String::from_utf8(received).expect("UTF-8");
    assert_eq!(received.matches(",\"log\":\"").count(), logs);
    assert_eq!(without_log(&received), expected, "with Accept: {accept}");
}

async fn frees_its_place(server: &TestServer, stream: &str) {
    let sample = format!("eventstreams_connected_clients{{stream=\"{stream}\"}}");
    eventually(format!("{sample} to be 0"), async || {
        (server.metric(&sample).await == 0).then_some(())
    })
    .await;
}

on_both_brokers! {
    async fn a_stream_opens_at_once_with_every_header(cluster: Cluster) {
        let topic = unique("eqiad.quiet");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("quiet", &[&topic])).await;
        let request = Request::get("/v2/stream/quiet");
        let response = request.send(server.address).await;
        assert_eq!(response.status, 200);
        assert_headers(&response);
        let id = response.header("x-request-id").expect("a request id").to_owned();
        assert_eq!(id.len(), "5f0c7a52-1111-4222-8333-9a1b2c3d4e5f".len(), "a UUID: {id}");
        assert_eq!(response.header("x-eventstreams-moved"), None);
        assert_eq!(response.cut_at(5).await, b":ok\n\n");
        let other = request.clone().header("x-request-id", "the client's own").send(server.address).await;
        assert_eq!(other.header("x-request-id"), Some("the client's own"));
        let another = request.send(server.address).await;
        assert_ne!(another.header("x-request-id"), Some(id.as_str()));
    }

    async fn frames_are_golden_byte_for_byte(cluster: Cluster) {
        let settings = Settings::default();
        golden(&cluster, settings, "text/event-stream", include_str!("../fixtures/frames/recentchange.sse")).await;
        let settings = Settings::default().key("mediawiki_redacted_pages", "{tt.wikipedia.org: [' идел_']}");
        golden(&cluster, settings, "application/json", include_str!("../fixtures/frames/recentchange.redacted.ndjson")).await;
    }

    async fn every_id_names_every_partition_of_every_topic_with_the_next_offset(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.ids"), unique("codfw.ids"));
        cluster.create_topic(&eqiad, 2).await;
        cluster.create_topic(&codfw, 3).await;
        cluster.produce_many("none", [record(&codfw, 1, TIME, 0), record(&codfw, 1, TIME + 7, 1)]).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("ids", &[&eqiad, &codfw])).await;
        let mut subscriber = Request::get("/v2/stream/ids").subscribe(server.address).await;
        cluster.produce(record(&eqiad, 1, TIME + 50, 2)).await;
        let first = subscriber.event().await;
        cluster.produce(record(&codfw, 2, TIME + 40, 3)).await;
        let second = subscriber.event().await;
        // Of one millisecond with its predecessor.
        cluster.produce(record(&eqiad, 1, TIME + 50, 4)).await;
        let third = subscriber.event().await;
        let id = |third_of_codfw: [i64; 2], second_of_eqiad: [i64; 2]| {
            let entries = [
                entry(&codfw, 0, 0, 0),
                entry(&codfw, 1, 2, TIME + 7),
                entry(&codfw, 2, third_of_codfw[0], third_of_codfw[1]),
                entry(&eqiad, 0, 0, 0),
                entry(&eqiad, 1, second_of_eqiad[0], second_of_eqiad[1]),
            ];
            Some(format!("[{}]", entries.join(",")))
        };
        let without = |frame: &Frame| frame.id.as_deref().map(without_log);
        assert_eq!(without(&first), id([0, 0], [1, TIME + 50]));
        assert_eq!(without(&second), id([1, TIME + 40], [1, TIME + 50]));
        assert_eq!(without(&third), id([1, TIME + 40], [2, TIME + 50]));
        assert_eq!(first.event.as_deref(), Some("message"));
        assert_eq!([&first, &second, &third].map(Frame::record), [(eqiad.clone(), 1, 0), (codfw, 2, 0), (eqiad, 1, 1)]);
    }

    async fn each_partition_keeps_its_order_and_both_datacenters_are_heard(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.order"), unique("codfw.order"));
        cluster.create_topic(&eqiad, 2).await;
        cluster.create_topic(&codfw, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("order", &[&eqiad, &codfw])).await;
        let mut subscriber = Request::get("/v2/stream/order").subscribe(server.address).await;
        // Timestamps fall: the log's order counts, and no other.
        let records = (0_i32..300).map(|n| {
            let topic = if n % 3 == 0 { &codfw } else { &eqiad };
            record(topic, (n % 3).saturating_sub(1), TIME - i64::from(n), n.unsigned_abs() as usize)
        });
        cluster.produce_many("none", records).await;
        let events = subscriber.events(300).await;
        for (topic, partition, remainder) in [(&codfw, 0, 0), (&eqiad, 0, 1), (&eqiad, 1, 2)] {
            let of_partition = events.iter().filter(|event| event.record().0 == **topic && event.record().1 == partition);
            let of_partition: Vec<_> = of_partition.cloned().collect();
            assert_eq!(of_partition.iter().map(|event| event.record().2).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
            let expected: Vec<_> = (0..300).filter(|n| n % 3 == remainder).collect();
            assert_eq!(numbers(&of_partition), expected, "of {topic} {partition}");
        }
    }

    async fn accept_decides_between_frames_and_lines(cluster: Cluster) {
        let topic = unique("eqiad.formats");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("formats", &[&topic])).await;
        let json = [
            "application/json",
            "Application/JSON, text/event-stream",
            "application/json;q=0.9",
            "text/event-stream;q=0.8, application/json; q=0.9",
            "text/event-stream;q=0, application/json;q=0.1",
        ];
        let x_ndjson = ["application/x-ndjson", "text/html, Application/X-NDJSON;q=0.5", "text/event-stream;q=0, */*"];
        let ndjson = ["application/ndjson", "text/html, application/ndjson"];
        let sse = [
            "text/event-stream",
            "*/*",
            "text/html, application/json",
            "application/x-ndjsonx",
            "",
            "application/json;q=0.5, text/event-stream",
            "application/x-ndjson;q=0.9, text/event-stream",
            "application/x-ndjson;q=0, */*",
            "application/json;q=0",
        ];
        let mut open = Vec::new();
        for (accepts, content_type, opening) in [
            (&json[..], "application/json; charset=utf-8", "\n"),
            (&x_ndjson[..], "application/x-ndjson; charset=utf-8", "\n"),
            (&ndjson[..], "application/ndjson; charset=utf-8", "\n"),
            (&sse[..], "text/event-stream; charset=utf-8", ":ok\n\n"),
        ] {
            for accept in accepts {
                let response = Request::get("/v2/stream/formats").header("Accept", *accept).send(server.address).await;
                assert_eq!((response.status, response.header("content-type")), (200, Some(content_type)), "Accept: {accept}");
                assert_eq!(response.header("x-accel-buffering"), Some("no"));
                open.push((opening, response));
            }
        }
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        let data = format!(r#"{{"n":0,"meta":{{"topic":"{topic}","partition":0,"offset":0}}}}"#);
        let frame = format!(":ok\n\nevent: message\nid: [{}]\ndata: {data}\n\n", entry(&topic, 0, 1, TIME));
        for (opening, response) in open {
            let (expected, logs) =
                if opening == "\n" { (format!("\n{data}\n"), 0) } else { (frame.clone(), LOG_BYTES) };
            let received = response.cut_at(expected.len() + logs).await;
            assert_eq!(without_log(&String::from_utf8(received).expect("text")), expected);
        }
    }

    async fn composite_streams_duplicates_aliases_and_escaped_commas_are_one_subscription(cluster: Cluster) {
        let (a, b) = (unique("eqiad.mediawiki.a"), unique("eqiad.mediawiki.b"));
        cluster.create_topic(&a, 1).await;
        cluster.create_topic(&b, 1).await;
        let settings = Settings::default()
            .stream_with("mediawiki.a", &format!("{{topics: [{a}], stream_aliases: [a]}}"))
            .stream_with("mediawiki.b", &format!("{{topics: [{b}], stream_aliases: [b, bee]}}"));
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscribers = Vec::new();
        for path in ["mediawiki.a,mediawiki.b", "b,a", "a%2Cbee", "a%2cbee/", "mediawiki.a,b,a,bee,mediawiki.b/", "a,b/", "a%2Cb%2Ca"] {
            subscribers.push((path, Request::get(format!("/v2/stream/{path}")).subscribe(server.address).await));
        }
        for stream in ["mediawiki.a", "mediawiki.b"] {
            let sample = format!("eventstreams_connected_clients{{stream=\"{stream}\"}}");
            assert_eq!(server.metric(&sample).await, 7, "aliases and duplicates count for the stream, once");
        }
        assert_eq!(server.metric("eventstreams_feeds").await, 1, "rendered once for all of them");
        cluster.produce(record(&b, 0, TIME, 0)).await;
        cluster.produce(record(&a, 0, TIME, 1)).await;
        for (path, subscriber) in &mut subscribers {
            let events = subscriber.events(2).await;
            let mut records: Vec<_> = events.iter().map(Frame::record).collect();
            records.sort();
            assert_eq!(records, [(a.clone(), 0, 0), (b.clone(), 0, 0)], "{path}");
            let id = events[1].id.as_deref().map(without_log);
            let expected = format!("[{},{}]", entry(&a, 0, 1, TIME), entry(&b, 0, 1, TIME));
            assert_eq!(id, Some(expected), "{path}");
        }
    }

    async fn head_answers_at_once_and_ends_and_other_methods_are_refused(cluster: Cluster) {
        let topic = unique("eqiad.methods");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("methods", &[&topic]).key("client_ip_connection_limit", "1");
        let server = TestServer::start(&cluster, &settings).await;
        let with_ip = |method: &str| Request::new(method, "/v2/stream/methods").header("X-Client-IP", "192.0.2.1");
        let head = with_ip("HEAD").send(server.address).await;
        assert_eq!(head.status, 200);
        assert_headers(&head);
        // That the connection is closed shows that no stream goes on behind the headers, nor holds the address's only place.
        let answer = exchange(server.address, with_ip("HEAD").header("Connection", "close").head()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(with_ip("GET").send(server.address).await.status, 200);
        assert_eq!(server.metric("eventstreams_client_connections_total{stream=\"methods\"}").await, 1);

        let preflight = Request::new("OPTIONS", "/v2/stream/methods")
            .header("Origin", "https://example.org")
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "last-event-id");
        let preflight = preflight.send(server.address).await;
        assert_eq!(preflight.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
            ("access-control-allow-headers", "accept, x-requested-with, content-type, last-event-id"),
            ("access-control-max-age", "86400"),
            ("allow", "GET, HEAD, OPTIONS"),
        ] {
            assert_eq!(preflight.header(name), Some(value), "{name}");
        }
        // A library adds headers of its own: none of them is a reason to keep a page out.
        let preflight = Request::new("OPTIONS", "/v2/stream/methods")
            .header("Access-Control-Request-Headers", "Cache-Control, x-trace,last-event-id, b@d")
            .header("Access-Control-Request-Headers", "authorization");
        let preflight = preflight.send(server.address).await;
        let allowed = "accept, x-requested-with, content-type, last-event-id, cache-control, x-trace, authorization";
        assert_eq!((preflight.status, preflight.header("access-control-allow-headers")), (204, Some(allowed)));
        assert_eq!(preflight.header("vary"), Some("access-control-request-headers"));
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            let mut refused = Request::new(method, "/v2/stream/methods").send(server.address).await;
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
            assert_eq!(refused.json().await["type"], "method_not_allowed");
        }
    }

    async fn silence_is_filled_with_heartbeats(cluster: Cluster) {
        let topic = unique("eqiad.silence");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("silence", &[&topic]).key("heartbeat_ms", "100");
        let server = TestServer::start(&cluster, &settings).await;
        let frames = Request::get("/v2/stream/silence").send(server.address).await;
        assert_eq!(frames.cut_at(11).await, b":ok\n\n:\n\n:\n\n");
        let lines = Request::get("/v2/stream/silence").header("Accept", "application/json").send(server.address).await;
        assert_eq!(lines.cut_at(3).await, b"\n\n\n");
        assert!(server.metric("eventstreams_heartbeats_total").await >= 4);
        let mut subscriber = Request::get("/v2/stream/silence").subscribe(server.address).await;
        while subscriber.response.body.len() < 11 {
            assert!(subscriber.response.read_more("two heartbeats").await);
        }
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0], "a heartbeat costs no event");
    }

    async fn every_chunk_is_whole_frames_even_of_megabytes(cluster: Cluster) {
        let topic = unique("eqiad.large");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("large", &[&topic])).await;
        // A subscriber fails on a chunk that ends inside a frame, lines on one that ends inside a line.
        let mut subscriber = Request::get("/v2/stream/large").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/large").subscribe_ndjson(server.address).await;
        let sizes: Vec<_> = (0..60).map(|n: usize| [10, 70_000, 300, 3_000_000, 5_000, 20][n % 6]).collect();
        let large = |size: &usize| NewRecord::new(&topic, 0, TIME, format!(r#"{{"n":{size},"text":"{}"}}"#, "x".repeat(*size)));
        cluster.produce_many("none", sizes.iter().map(large)).await;
        let expected: Vec<_> = sizes.iter().map(|size| *size as u64).collect();
        let events = subscriber.events(60).await;
        assert_eq!(numbers(&events), expected);
        assert!(subscriber.response.chunk_ends.len() > 2, "{}", subscriber.response.received());
        let events = lines.events(60).await;
        assert_eq!(events.iter().filter_map(|event| event["n"].as_u64()).collect::<Vec<_>>(), expected);
        // The same out of the memory log, where frames are rendered for the one that comes back.
        let id = format!("[{}]", entry(&topic, 0, 0, 0));
        let mut again = Request::get("/v2/stream/large").last_event_id(id).subscribe(server.address).await;
        assert_eq!(numbers(&again.events(60).await), expected);
    }

    async fn a_client_that_disappears_frees_its_place(cluster: Cluster) {
        let topic = unique("eqiad.gone");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("gone", &[&topic])).await;
        let sample = "eventstreams_connected_clients{stream=\"gone\"}";
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(Request::get("/v2/stream/gone").subscribe(server.address).await);
        }
        assert_eq!(server.metric(sample).await, 5);
        // Nothing is sent meanwhile (the heartbeat is far off): the server sees the connection end, not a failed write.
        drop(open);
        frees_its_place(&server, "gone").await;
        eventually("all feeds to go", async || (server.metric("eventstreams_feeds").await == 0).then_some(())).await;
        assert_eq!(server.metric("eventstreams_client_connections_total{stream=\"gone\"}").await, 5);
        assert_eq!(server.metric("eventstreams_streams_closed_total{reason=\"client_gone\"}").await, 5);
    }

    async fn a_server_that_leaves_ends_its_streams_in_order(cluster: Cluster) {
        let topic = unique("eqiad.leaving");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("leaving", &[&topic])).await;
        let mut frames = Request::get("/v2/stream/leaving").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/leaving").subscribe_ndjson(server.address).await;
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&frames.events(1).await), [0]);
        assert_eq!(lines.events(1).await[0]["n"], 0);
        server.stop().await;
        let (events, end) = frames.rest().await;
        assert_eq!((events.len(), end), (0, End::Complete));
        let text = String::from_utf8_lossy(&frames.response.body).into_owned();
        let (_, retry) = text.rsplit_once("\n\nretry: ").unwrap_or_else(|| panic!("no last retry in {text}"));
        let ms: u64 = retry.trim_end().parse().expect("milliseconds");
        assert!((500..3000).contains(&ms), "{ms}");
        assert_eq!(lines.line_or_end().await, None);
        assert_eq!(lines.response.end, Some(End::Complete));
    }

    async fn headers_follow_the_operators_keys(cluster: Cluster) {
        let own = Settings::default().key("cors", "'https://example.org'").key("csp", "\"default-src 'none'\"");
        let off = Settings::default().key("cors", "off").key("csp", "off");
        let own = TestServer::start_without_waiting(&cluster.brokers, &own.stream("s", &["eqiad.s"]));
        let off = TestServer::start_without_waiting(&cluster.brokers, &off.stream("s", &["eqiad.s"]));
        // Every answer carries them: a page, a problem.
        for path in ["/robots.txt", "/v2/stream/nope"] {
            let response = Request::get(path).send(own.address).await;
            assert_eq!(response.header("access-control-allow-origin"), Some("https://example.org"), "{path}");
            assert_eq!(response.header("content-security-policy"), Some("default-src 'none'"), "{path}");
            let response = Request::get(path).send(off.address).await;
            assert!(response.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{:?}", response.headers);
            assert_eq!(response.header("content-security-policy"), None, "{path}");
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        }
    }

    async fn a_data_line_is_one_json_object_with_its_place_in_kafka(cluster: Cluster) {
        let topic = unique("eqiad.place");
        cluster.create_topic(&topic, 2).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("place", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/place").subscribe(server.address).await;
        cluster.produce(record(&topic, 1, TIME, 0).key("a key")).await;
        let event = subscriber.event().await;
        let expected = format!(r#"{{"topic":"{topic}","partition":1,"offset":0,"key":"a key"}}"#);
        assert_eq!(event.json()["meta"], serde_json::from_str::<Value>(&expected).expect("JSON"));
    }
}
