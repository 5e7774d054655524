//! A stream on the wire (docs/protocol.md): headers, first bytes, frames, ids, formats, methods,
//! heartbeats.

use serde_json::Value;

use crate::support::admin::{NewRecord, unique};
use crate::support::numbered::{LOG_BYTES, TIME, numbers, record, without_log};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Frame;
use crate::support::wire::Request;

mod expected;
mod lifecycle;

use expected::{assert_golden, assert_headers, entry};

on_both_brokers!(
    async fn a_stream_opens_at_once_with_every_header(cluster: Cluster) {
        let topic = unique("eqiad.quiet");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("quiet", &[&topic])).await;
        let request = Request::get("/v2/stream/quiet");
        let response = request.send(server.address).await;
        assert_eq!(response.status, 200);
        assert_headers(&response);
        let id = response
            .header("x-request-id")
            .expect("a request id")
            .to_owned();
        assert_eq!(
            id.len(),
            "5f0c7a52-1111-4222-8333-9a1b2c3d4e5f".len(),
            "a UUID: {id}"
        );
        assert_eq!(response.header("x-eventstreams-moved"), None);
        assert_eq!(response.cut_at(5).await, b":ok\n\n");
        let other = request
            .clone()
            .header("x-request-id", "the client's own")
            .send(server.address)
            .await;
        assert_eq!(other.header("x-request-id"), Some("the client's own"));
        let another = request.send(server.address).await;
        assert_ne!(another.header("x-request-id"), Some(id.as_str()));
    }

    async fn frames_match_the_fixtures_byte_for_byte(cluster: Cluster) {
        let settings = Settings::default();
        assert_golden(
            &cluster,
            settings,
            "text/event-stream",
            include_str!("../fixtures/frames/recentchange.sse"),
        )
        .await;
        let settings =
            Settings::default().key("mediawiki_redacted_pages", "{tt.wikipedia.org: [' идел_']}");
        assert_golden(
            &cluster,
            settings,
            "application/json",
            include_str!("../fixtures/frames/recentchange.redacted.ndjson"),
        )
        .await;
    }

    async fn every_id_holds_the_next_offset_of_every_partition(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.ids"), unique("codfw.ids"));
        cluster.create_topic(&eqiad, 2).await;
        cluster.create_topic(&codfw, 3).await;
        cluster
            .produce_many(
                "none",
                [record(&codfw, 1, TIME, 0), record(&codfw, 1, TIME + 7, 1)],
            )
            .await;
        let server = TestServer::start(
            &cluster,
            &Settings::default().stream("ids", &[&eqiad, &codfw]),
        )
        .await;
        let mut subscriber = Request::get("/v2/stream/ids")
            .subscribe(server.address)
            .await;
        cluster.produce(record(&eqiad, 1, TIME + 50, 2)).await;
        let first = subscriber.event().await;
        cluster.produce(record(&codfw, 2, TIME + 40, 3)).await;
        let second = subscriber.event().await;
        // Of the same millisecond as its predecessor.
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
        assert_eq!(
            [&first, &second, &third].map(Frame::record),
            [(eqiad.clone(), 1, 0), (codfw, 2, 0), (eqiad, 1, 1)]
        );
    }

    async fn partitions_keep_their_order_in_both_datacenters(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.order"), unique("codfw.order"));
        cluster.create_topic(&eqiad, 2).await;
        cluster.create_topic(&codfw, 1).await;
        let server = TestServer::start(
            &cluster,
            &Settings::default().stream("order", &[&eqiad, &codfw]),
        )
        .await;
        let mut subscriber = Request::get("/v2/stream/order")
            .subscribe(server.address)
            .await;
        // Timestamps fall: the order of the log counts.
        let records = (0_i32..300).map(|n| {
            let topic = if n % 3 == 0 { &codfw } else { &eqiad };
            record(
                topic,
                (n % 3).saturating_sub(1),
                TIME - i64::from(n),
                n.unsigned_abs() as usize,
            )
        });
        cluster.produce_many("none", records).await;
        let events = subscriber.events(300).await;
        for (topic, partition, remainder) in [(&codfw, 0, 0), (&eqiad, 0, 1), (&eqiad, 1, 2)] {
            let of_partition = events
                .iter()
                .filter(|event| event.record().0 == **topic && event.record().1 == partition);
            let of_partition: Vec<_> = of_partition.cloned().collect();
            assert_eq!(
                of_partition
                    .iter()
                    .map(|event| event.record().2)
                    .collect::<Vec<_>>(),
                (0..100).collect::<Vec<_>>()
            );
            let expected: Vec<_> = (0..300).filter(|n| n % 3 == remainder).collect();
            assert_eq!(numbers(&of_partition), expected, "of {topic} {partition}");
        }
    }

    async fn accept_selects_frames_or_json_lines(cluster: Cluster) {
        let topic = unique("eqiad.formats");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("formats", &[&topic])).await;
        let json = [
            "application/json",
            "Application/JSON, text/event-stream",
            "application/json;q=0.9",
            "text/event-stream;q=0.8, application/json; q=0.9",
            "text/event-stream;q=0, application/json;q=0.1",
        ];
        let x_ndjson = [
            "application/x-ndjson",
            "text/html, Application/X-NDJSON;q=0.5",
            "text/event-stream;q=0, */*",
        ];
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
                let response = Request::get("/v2/stream/formats")
                    .header("Accept", *accept)
                    .send(server.address)
                    .await;
                assert_eq!(
                    (response.status, response.header("content-type")),
                    (200, Some(content_type)),
                    "Accept: {accept}"
                );
                assert_eq!(response.header("x-accel-buffering"), Some("no"));
                open.push((opening, response));
            }
        }
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        let data = format!(r#"{{"n":0,"meta":{{"topic":"{topic}","partition":0,"offset":0}}}}"#);
        let frame = format!(
            ":ok\n\nevent: message\nid: [{}]\ndata: {data}\n\n",
            entry(&topic, 0, 1, TIME)
        );
        for (opening, response) in open {
            let (expected, logs) = if opening == "\n" {
                (format!("\n{data}\n"), 0)
            } else {
                (frame.clone(), LOG_BYTES)
            };
            let received = response.cut_at(expected.len() + logs).await;
            assert_eq!(
                without_log(&String::from_utf8(received).expect("text")),
                expected
            );
        }
    }

    async fn aliases_duplicates_and_escaped_commas_are_one_feed(cluster: Cluster) {
        let (a, b) = (unique("eqiad.mediawiki.a"), unique("eqiad.mediawiki.b"));
        cluster.create_topic(&a, 1).await;
        cluster.create_topic(&b, 1).await;
        let settings = Settings::default()
            .stream_with(
                "mediawiki.a",
                &format!("{{topics: [{a}], stream_aliases: [a]}}"),
            )
            .stream_with(
                "mediawiki.b",
                &format!("{{topics: [{b}], stream_aliases: [b, bee]}}"),
            );
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscribers = Vec::new();
        for path in [
            "mediawiki.a,mediawiki.b",
            "b,a",
            "a%2Cbee",
            "a%2cbee/",
            "mediawiki.a,b,a,bee,mediawiki.b/",
            "a,b/",
            "a%2Cb%2Ca",
        ] {
            subscribers.push((
                path,
                Request::get(format!("/v2/stream/{path}"))
                    .subscribe(server.address)
                    .await,
            ));
        }
        for stream in ["mediawiki.a", "mediawiki.b"] {
            let sample = format!("eventstreams_connected_clients{{stream=\"{stream}\"}}");
            assert_eq!(
                server.metric(&sample).await,
                7,
                "aliases and duplicates count for the stream, once"
            );
        }
        assert_eq!(
            server.metric("eventstreams_feeds").await,
            1,
            "rendered once for all of them"
        );
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

    async fn every_chunk_is_whole_frames_even_of_megabytes(cluster: Cluster) {
        let topic = unique("eqiad.large");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("large", &[&topic])).await;
        // A subscriber fails on a chunk that ends inside a frame, JSON lines on one that ends
        // inside a line.
        let mut subscriber = Request::get("/v2/stream/large")
            .subscribe(server.address)
            .await;
        let mut lines = Request::get("/v2/stream/large")
            .subscribe_ndjson(server.address)
            .await;
        let sizes: Vec<_> = (0..60)
            .map(|n: usize| [10, 70_000, 300, 3_000_000, 5_000, 20][n % 6])
            .collect();
        let large = |size: &usize| {
            NewRecord::new(
                &topic,
                0,
                TIME,
                format!(r#"{{"n":{size},"text":"{}"}}"#, "x".repeat(*size)),
            )
        };
        cluster.produce_many("none", sizes.iter().map(large)).await;
        let large_numbers: Vec<_> = sizes.iter().map(|size| *size as u64).collect();
        let events = subscriber.events(60).await;
        assert_eq!(numbers(&events), sizes);
        assert!(
            subscriber.response.chunk_ends.len() > 2,
            "{}",
            subscriber.response.received()
        );
        let events = lines.events(60).await;
        assert_eq!(
            events
                .iter()
                .filter_map(|event| event["n"].as_u64())
                .collect::<Vec<_>>(),
            large_numbers
        );
        // The same from the memory log, which renders the frames for the resumed client.
        let id = format!("[{}]", entry(&topic, 0, 0, 0));
        let mut again = Request::get("/v2/stream/large")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        assert_eq!(numbers(&again.events(60).await), sizes);
    }

    async fn headers_follow_the_configuration(cluster: Cluster) {
        let own = Settings::default()
            .key("cors", "'https://example.org'")
            .key("csp", "\"default-src 'none'\"");
        let off = Settings::default().key("cors", "off").key("csp", "off");
        let own =
            TestServer::start_without_waiting(&cluster.brokers, &own.stream("s", &["eqiad.s"]));
        let off =
            TestServer::start_without_waiting(&cluster.brokers, &off.stream("s", &["eqiad.s"]));
        // Every response carries them: a page, a problem.
        for path in ["/robots.txt", "/v2/stream/nope"] {
            let response = Request::get(path).send(own.address).await;
            assert_eq!(
                response.header("access-control-allow-origin"),
                Some("https://example.org"),
                "{path}"
            );
            assert_eq!(
                response.header("content-security-policy"),
                Some("default-src 'none'"),
                "{path}"
            );
            let response = Request::get(path).send(off.address).await;
            assert!(
                response
                    .headers
                    .iter()
                    .all(|(name, _)| !name.starts_with("access-control-")),
                "{:?}",
                response.headers
            );
            assert_eq!(response.header("content-security-policy"), None, "{path}");
            assert_eq!(
                response.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
        }
    }

    async fn a_data_line_is_one_json_object_with_its_record(cluster: Cluster) {
        let topic = unique("eqiad.place");
        cluster.create_topic(&topic, 2).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("place", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/place")
            .subscribe(server.address)
            .await;
        cluster
            .produce(record(&topic, 1, TIME, 0).key("a key"))
            .await;
        let event = subscriber.event().await;
        let expected = format!(r#"{{"topic":"{topic}","partition":1,"offset":0,"key":"a key"}}"#);
        assert_eq!(
            event.json()["meta"],
            serde_json::from_str::<Value>(&expected).expect("JSON")
        );
    }
);
