//! Streams coded with gzip and zstd: who gets which, and that a client reads the same as without, whenever it comes, however slowly it
//! reads. Every body is decoded by `support/coded`, which takes nothing that is not strictly right.

use futures_util::future::join_all;

use sample_events::Samples;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::numbered::{TIME, numbers, record};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, Subscriber};
use crate::support::wire::{End, Request};

const CODINGS: [&str; 2] = ["gzip", "zstd"];

/// What a client may ask for, and what it gets from a server that goes by that alone.
const ASKED: [(&str, Option<&str>); 12] = [
    ("", None),
    ("identity", None),
    ("br, deflate", None),
    ("gzip", Some("gzip")),
    ("zstd", Some("zstd")),
    ("gzip, deflate, br, zstd", Some("zstd")),
    ("gzip;q=1.0, zstd;q=0.5", Some("gzip")),
    ("gzip;q=0.2, zstd;q=0.3, *;q=0.1", Some("zstd")),
    ("gzip;Q=0, *;Q=0", None),
    ("zstd;q=0, *", Some("gzip")),
    ("gzip;q=0.5, identity;q=0.6", None),
    ("*;q=0", None),
];

async fn coded(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.coded");
    cluster.create_topic(&topic, 1).await;
    // Far off: nothing but events is ever written.
    let settings = Settings::default()
        .stream("coded", &[&topic])
        .key("heartbeat_ms", "3600000");
    (topic, settings)
}

/// A request for the stream in this coding, `parameters` and all.
fn asking(coding: &str, parameters: &str) -> Request {
    Request::get(format!("/v2/stream/coded{parameters}")).header("Accept-Encoding", coding)
}

/// A stream that is expected to come in this coding.
async fn subscribe(server: &TestServer, coding: &str, request: &Request) -> Subscriber {
    let subscriber = request.subscribe(server.address).await;
    assert_eq!(subscriber.response.header("content-encoding"), Some(coding));
    subscriber
}

/// What frames say, without where they ended.
fn said(frames: &[Frame]) -> Vec<(Option<&str>, Option<&str>, Option<&str>)> {
    frames
        .iter()
        .map(|frame| {
            (
                frame.event.as_deref(),
                frame.id.as_deref(),
                frame.data.as_deref(),
            )
        })
        .collect()
}

/// A record that hardly any compressor makes smaller than half its size.
fn dense(topic: &str, n: usize, bytes: usize) -> NewRecord {
    let mut state = n as u64;
    let mut word = || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        format!("{:016x}", mixed ^ (mixed >> 31))
    };
    let padding: String = (0..bytes / 16).map(|_| word()).collect();
    NewRecord::new(
        topic,
        0,
        TIME,
        format!(r#"{{"n":{n},"padding":"{padding}"}}"#),
    )
}

/// Clients of both codings, that have come one after the other while events came.
async fn one_after_the_other(
    server: &TestServer,
    cluster: &Cluster,
    topic: &str,
) -> Vec<Subscriber> {
    let producer = cluster.producer("none");
    let mut all = Vec::new();
    for n in 0..8 {
        for coding in CODINGS {
            all.push(subscribe(server, coding, &asking(coding, "")).await);
        }
        producer.produce_many([record(topic, 0, TIME, n)]).await;
        join_all(all.iter_mut().map(Subscriber::event)).await;
    }
    all
}

on_both_brokers! {
    async fn a_client_gets_the_coding_that_it_weighs_most(cluster: Cluster) {
        let (_, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("compression", "always")).await;
        for (asked, expected) in ASKED {
            for method in ["GET", "HEAD"] {
                let request = Request::new(method, "/v2/stream/coded").header("Accept-Encoding", asked);
                let mut response = request.send(server.address).await;
                assert_eq!((response.status, response.header("content-encoding")), (200, expected), "{method} {asked:?}");
                assert_eq!(response.header("vary"), Some("accept, accept-encoding"), "{method} {asked:?}");
                while method == "GET" && response.body.len() < 5 {
                    assert!(response.read_more("the opening").await);
                }
                assert_eq!(response.body, if method == "GET" { b":ok\n\n".as_slice() } else { b"" }, "{method} {asked:?}");
            }
        }
        let in_two = Request::get("/v2/stream/coded").header("Accept-Encoding", "br").header("Accept-Encoding", "gzip");
        subscribe(&server, "gzip", &in_two).await;
        let response = Request::get("/v2/stream/coded").send(server.address).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), (None, Some("accept, accept-encoding")));
    }

    /// Many libraries ask for codings by way of their HTTP client, and read the raw socket.
    async fn only_who_surely_undoes_it_gets_a_coding(cluster: Cluster) {
        let (_, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let all = "gzip, deflate, br, zstd";
        let asked = |coding: &str| asking(coding, "");
        for (what, request, expected) in [
            ("requests and sseclient", asked("gzip, deflate").header("User-Agent", "python-requests/2.32"), None),
            ("httpx and aiohttp", asked(all), None),
            ("whoever takes any", asked("*"), None),
            ("Ruby", asked("gzip;q=1.0,deflate;q=0.6,identity;q=0.3"), None),
            ("whoever asks for nothing", Request::get("/v2/stream/coded"), None),
            ("a browser", asked(all).header("Sec-Fetch-Mode", "cors"), Some("zstd")),
            ("an older browser", asked("gzip, deflate, br").header("Sec-Fetch-Dest", "empty"), Some("gzip")),
            ("curl", asked("deflate, gzip, br, zstd").header("User-Agent", "curl/8.5.0"), Some("zstd")),
            ("curl that was not told to", Request::get("/v2/stream/coded").header("User-Agent", "curl/8.5.0"), None),
            ("Go and OkHttp", asked("gzip"), Some("gzip")),
            ("by hand", asked("zstd"), Some("zstd")),
            ("the query", asking(all, "?compression=gzip"), Some("gzip")),
            ("the query alone", Request::get("/v2/stream/coded?compression=zstd"), Some("zstd")),
            ("the query against it", asking("zstd", "?compression=none"), None),
        ] {
            let response = request.send(server.address).await;
            assert_eq!((response.status, response.header("content-encoding")), (200, expected), "{what}");
            let vary = response.header("vary").expect("vary");
            for header in ["accept", "accept-encoding", "sec-fetch-mode", "user-agent"] {
                assert!(vary.split(", ").any(|named| named == header), "{vary}");
            }
        }
    }

    async fn an_operator_can_switch_it_off(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        for off in ["false", "off"] {
            let server = TestServer::start(&cluster, &settings.clone().key("compression", off)).await;
            let response = asking("gzip", "?compression=gzip").send(server.address).await;
            assert_eq!((response.status, response.header("content-encoding")), (200, None));
        }
        let server = TestServer::start(&cluster, &settings.key("compression", "false")).await;
        let mut subscriber = asking("gzip, zstd", "").subscribe(server.address).await;
        assert_eq!((subscriber.response.header("content-encoding"), subscriber.response.header("vary")), (None, Some("accept")));
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
    }

    /// Nothing follows an event that could push it out of a compressor.
    async fn each_event_can_be_read_when_it_has_come(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = join_all(CODINGS.map(async |coding| asking(coding, "").subscribe(server.address).await)).await;
        for n in 0..30 {
            producer.produce_many([record(&topic, 0, TIME, n)]).await;
            for subscriber in &mut all {
                assert_eq!(numbers(&subscriber.events(1).await), [n]);
            }
        }
    }

    async fn each_heartbeat_can_be_read_when_it_has_come(cluster: Cluster) {
        let topic = unique("eqiad.coded");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("coded", &[&topic]).key("heartbeat_ms", "100");
        let server = TestServer::start(&cluster, &settings).await;
        for coding in CODINGS {
            let mut response = subscribe(&server, coding, &asking(coding, "")).await.response;
            while response.body.len() < b":ok\n\n".len() + 5 * b":\n\n".len() {
                assert!(response.read_more("five heartbeats").await);
            }
            assert!(response.body.starts_with(b":ok\n\n:\n\n:\n\n"), "{}", response.received());
        }
    }

    async fn lines_are_coded_too(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        cluster.produce_many("none", (0..20).map(|n| record(&topic, 0, TIME, n))).await;
        let server = TestServer::start(&cluster, &settings).await;
        for (before, coding) in (20..).zip(CODINGS) {
            let mut lines = asking(coding, "?since=0").subscribe_ndjson(server.address).await;
            assert_eq!(lines.response.header("content-encoding"), Some(coding));
            let begun = lines.events(before).await;
            cluster.produce(record(&topic, 0, TIME, before)).await;
            let mut plain = asking("identity", "?since=0").subscribe_ndjson(server.address).await;
            assert_eq!([begun, lines.events(1).await].concat(), plain.events(before + 1).await, "{coding}");
        }
    }

    async fn clients_that_come_at_any_time_and_place_read_the_same_as_without(cluster: Cluster) {
        const ROUND: usize = 20;
        let (topic, settings) = coded(&cluster).await;
        cluster.produce_many("none", (0..ROUND).map(|n| record(&topic, 0, TIME, n))).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut plain = asking("identity", "?since=0").subscribe(server.address).await;
        let mut expected = plain.events(ROUND).await;
        let mut all = Vec::new();
        for round in 1..=10 {
            let middle = expected[round * ROUND / 2].id.clone().expect("an id");
            for coding in CODINGS {
                let live = asking(coding, "");
                all.push((round * ROUND, subscribe(&server, coding, &live).await));
                all.push((0, subscribe(&server, coding, &asking(coding, "?since=0")).await));
                let back = asking(coding, "").last_event_id(&middle);
                all.push((round * ROUND / 2 + 1, subscribe(&server, coding, &back).await));
                // Some go in the middle of it.
                drop(live.subscribe(server.address).await);
            }
            let numbers = round * ROUND..(round + 1) * ROUND;
            if round % 2 == 0 {
                producer.produce_many(numbers.map(|n| record(&topic, 0, TIME, n))).await;
                expected.extend(plain.events(ROUND).await);
            } else {
                for n in numbers {
                    producer.produce_many([record(&topic, 0, TIME, n)]).await;
                    expected.extend(plain.events(1).await);
                }
            }
        }
        for (first, mut subscriber) in all {
            let events = subscriber.events(expected.len() - first).await;
            assert_eq!(said(&events), said(&expected[first..]), "from {first}, {:?}", subscriber.response.headers);
        }
    }

    /// What is written for the slow ones while they do not read is more than their sockets take, and more than the feed keeps.
    async fn slow_clients_that_fall_behind_and_are_live_again_read_the_same_as_without(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut plain = asking("identity", "").subscribe(server.address).await;
        let mut slow = Vec::new();
        for coding in CODINGS {
            slow.push(Subscriber::new(asking(coding, "").try_send(server.address, 4096).await.expect("a response")));
        }
        let mut count = 0;
        for _ in 0..3 {
            // All live together, then some not reading, then all live again.
            for (events, bytes) in [(5, 100), (200, 20_000)] {
                producer.produce_many((count..count + events).map(|n| dense(&topic, n, bytes))).await;
                count += events;
                let expected = plain.events(events).await;
                if events == 5 {
                    for subscriber in &mut slow {
                        assert_eq!(said(&subscriber.events(events).await), said(&expected));
                    }
                } else {
                    let read = join_all(slow.iter_mut().map(|subscriber| subscriber.events(events))).await;
                    for events in read {
                        assert!(said(&events) == said(&expected), "not the same after a pause");
                    }
                }
            }
        }
    }

    /// `Response` looks at the end of a body that is complete: one member with checksum and length, or whole frames.
    async fn a_coding_ends_in_order_when_the_server_leaves(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut all = one_after_the_other(&server, &cluster, &topic).await;
        for coding in CODINGS {
            all.push(subscribe(&server, coding, &asking(coding, "?since=0")).await);
        }
        let mut lines = asking("gzip", "").subscribe_ndjson(server.address).await;
        let rest = join_all(all.iter_mut().map(Subscriber::rest));
        let ((), rest) = tokio::join!(server.stop(), rest);
        assert_eq!(rest.iter().map(|(_, end)| *end).collect::<Vec<_>>(), [End::Complete; 18]);
        assert_eq!(rest.iter().map(|(events, _)| events.len()).collect::<Vec<_>>(), [[0; 16].as_slice(), &[8, 8]].concat());
        for subscriber in all {
            let body = String::from_utf8(subscriber.response.body).expect("text");
            assert!(body.trim_end().rsplit("\n\n").next().expect("a frame").starts_with("retry: "), "{body}");
        }
        assert_eq!((lines.line_or_end().await, lines.response.end), (None, Some(End::Complete)));
    }

    async fn a_coding_ends_in_order_when_its_stream_is_gone(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let settings = settings.stream("other", &[&topic]);
        let server = TestServer::start(&cluster, &settings.clone().key("allowed_streams", "[coded, other]")).await;
        let all = one_after_the_other(&server, &cluster, &topic).await;
        server.reconfigure(&settings.key("allowed_streams", "[other]")).await;
        for mut subscriber in all {
            let (events, end) = subscriber.rest().await;
            let last: Vec<_> = events.iter().map(|event| event.event.as_deref()).collect();
            assert_eq!((last, end), (vec![Some("error")], End::Complete));
        }
    }

    /// Without chunks: the body goes on until the connection ends.
    async fn clients_of_http_1_0_are_coded_too(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = Vec::new();
        for coding in CODINGS {
            let old = asking(coding, "").http_1_0();
            all.push(Subscriber::lenient(old.send(server.address).await));
        }
        for n in 0..10 {
            producer.produce_many([record(&topic, 0, TIME, n)]).await;
            for subscriber in &mut all {
                assert_eq!(numbers(&subscriber.events(1).await), [n]);
            }
        }
        let ((), rest) = tokio::join!(server.stop(), join_all(all.iter_mut().map(Subscriber::rest)));
        assert_eq!(rest.iter().map(|(events, _)| events.len()).collect::<Vec<_>>(), [0, 0]);
        for (subscriber, coding) in all.iter_mut().zip(CODINGS) {
            let response = &mut subscriber.response;
            assert_eq!((response.header("content-encoding"), response.chunk_ends.len()), (Some(coding), 0));
            assert_eq!(response.check_coding_complete(), Ok(()));
        }
    }

    /// Each of them written by itself, which is the least that a compressor can do with them.
    async fn events_that_come_one_by_one_take_less_than_a_third_of_their_bytes(cluster: Cluster) {
        let (topic, settings) = coded(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = join_all(["identity", "gzip", "zstd"].map(async |coding| asking(coding, "").subscribe(server.address).await)).await;
        let samples = Samples::new(1, 30.0, TIME).filter(|event| event.topic.ends_with("mediawiki.recentchange"));
        for sample in samples.take(300) {
            producer.produce_many([NewRecord::new(&topic, 0, sample.timestamp_ms, sample.value)]).await;
            join_all(all.iter_mut().map(Subscriber::event)).await;
        }
        let [plain, gzip, zstd] = [0, 1, 2].map(|index| all[index].response.encoded_bytes);
        let percent = |coded: usize| coded * 100 / plain;
        println!("300 sample events one by one: {plain} bytes, gzip {} % of them, zstd {} %", percent(gzip), percent(zstd));
        // The goal of the project.
        assert!(gzip * 10 <= plain * 3 && zstd * 10 <= plain * 3, "{plain} bytes, gzip {gzip}, zstd {zstd}");
    }
}
