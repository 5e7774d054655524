//! Compressed streams: which clients get gzip or zstd, and that each client reads the same events
//! as without compression, whenever it connects and however slowly it reads.
//! `support/content_coding` decodes every body strictly.

use futures_util::future::join_all;

use sample_events::Samples;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::numbered::{TIME, numbers, record};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, Subscriber};
use crate::support::wire::{End, Request};

mod negotiation;

const CODINGS: [&str; 2] = ["gzip", "zstd"];

async fn compressed_stream(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.compressed");
    cluster.create_topic(&topic, 1).await;
    // No heartbeat falls into the test: only events are written.
    let settings = Settings::default()
        .stream("compressed", &[&topic])
        .key("heartbeat_ms", "3600000");
    (topic, settings)
}

/// A request for the stream with this `Accept-Encoding` and these parameters.
fn request(coding: &str, parameters: &str) -> Request {
    Request::get(format!("/v2/stream/compressed{parameters}")).header("Accept-Encoding", coding)
}

/// Subscribes and checks the coding of the stream.
async fn subscribe(server: &TestServer, coding: &str, request: &Request) -> Subscriber {
    let subscriber = request.subscribe(server.address).await;
    assert_eq!(subscriber.response.header("content-encoding"), Some(coding));
    subscriber
}

/// The contents of frames, without their positions.
fn contents(frames: &[Frame]) -> Vec<(Option<&str>, Option<&str>, Option<&str>)> {
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

/// A record that compresses to about half its size.
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

/// Clients of both codings that connect one after the other between events.
async fn staggered_clients(server: &TestServer, cluster: &Cluster, topic: &str) -> Vec<Subscriber> {
    let producer = cluster.producer("none");
    let mut all = Vec::new();
    for n in 0..8 {
        for coding in CODINGS {
            all.push(subscribe(server, coding, &request(coding, "")).await);
        }
        producer.produce_many([record(topic, 0, TIME, n)]).await;
        join_all(all.iter_mut().map(Subscriber::event)).await;
    }
    all
}

on_both_brokers!(
    /// No later bytes push an event out of a compressor.
    async fn each_event_can_be_decoded_when_it_arrives(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = join_all(
            CODINGS.map(async |coding| request(coding, "").subscribe(server.address).await),
        )
        .await;
        for n in 0..30 {
            producer.produce_many([record(&topic, 0, TIME, n)]).await;
            for subscriber in &mut all {
                assert_eq!(numbers(&subscriber.events(1).await), [n]);
            }
        }
    }

    async fn each_heartbeat_can_be_decoded_when_it_arrives(cluster: Cluster) {
        let topic = unique("eqiad.compressed");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("compressed", &[&topic])
            .key("heartbeat_ms", "100");
        let server = TestServer::start(&cluster, &settings).await;
        for coding in CODINGS {
            let mut response = subscribe(&server, coding, &request(coding, ""))
                .await
                .response;
            while response.body.len() < b":ok\n\n".len() + 5 * b":\n\n".len() {
                assert!(response.read_more("five heartbeats").await);
            }
            assert!(
                response.body.starts_with(b":ok\n\n:\n\n:\n\n"),
                "{}",
                response.received()
            );
        }
    }

    async fn json_lines_are_compressed_too(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        cluster
            .produce_many("none", (0..20).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let server = TestServer::start(&cluster, &settings).await;
        for (before, coding) in (20..).zip(CODINGS) {
            let mut lines = request(coding, "?since=0")
                .subscribe_ndjson(server.address)
                .await;
            assert_eq!(lines.response.header("content-encoding"), Some(coding));
            let begun = lines.events(before).await;
            cluster.produce(record(&topic, 0, TIME, before)).await;
            let mut plain = request("identity", "?since=0")
                .subscribe_ndjson(server.address)
                .await;
            assert_eq!(
                [begun, lines.events(1).await].concat(),
                plain.events(before + 1).await,
                "{coding}"
            );
        }
    }

    async fn compressed_clients_read_the_same_events_from_any_position(cluster: Cluster) {
        const ROUND: usize = 20;
        let (topic, settings) = compressed_stream(&cluster).await;
        cluster
            .produce_many("none", (0..ROUND).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut plain = request("identity", "?since=0")
            .subscribe(server.address)
            .await;
        let mut expected = plain.events(ROUND).await;
        let mut all = Vec::new();
        for round in 1..=10 {
            let middle = expected[round * ROUND / 2].id.clone().expect("an id");
            for coding in CODINGS {
                let live = request(coding, "");
                all.push((round * ROUND, subscribe(&server, coding, &live).await));
                all.push((
                    0,
                    subscribe(&server, coding, &request(coding, "?since=0")).await,
                ));
                let back = request(coding, "").last_event_id(&middle);
                all.push((
                    round * ROUND / 2 + 1,
                    subscribe(&server, coding, &back).await,
                ));
                // Some clients disconnect in between.
                drop(live.subscribe(server.address).await);
            }
            let numbers = round * ROUND..(round + 1) * ROUND;
            if round % 2 == 0 {
                producer
                    .produce_many(numbers.map(|n| record(&topic, 0, TIME, n)))
                    .await;
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
            assert_eq!(
                contents(&events),
                contents(&expected[first..]),
                "from {first}, {:?}",
                subscriber.response.headers
            );
        }
    }

    /// The slow clients miss more bytes than their sockets and the feed hold.
    async fn slow_compressed_clients_catch_up_with_the_same_events(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut plain = request("identity", "").subscribe(server.address).await;
        let mut slow = Vec::new();
        for coding in CODINGS {
            slow.push(Subscriber::new(
                request(coding, "")
                    .try_send(server.address, 4096)
                    .await
                    .expect("a response"),
            ));
        }
        let mut count = 0;
        for _ in 0..3 {
            // Everyone reads live, then some stop reading, then everyone reads live again.
            for (events, bytes) in [(5, 100), (200, 20_000)] {
                producer
                    .produce_many((count..count + events).map(|n| dense(&topic, n, bytes)))
                    .await;
                count += events;
                let expected = plain.events(events).await;
                if events == 5 {
                    for subscriber in &mut slow {
                        assert_eq!(
                            contents(&subscriber.events(events).await),
                            contents(&expected)
                        );
                    }
                } else {
                    let read =
                        join_all(slow.iter_mut().map(|subscriber| subscriber.events(events))).await;
                    for events in read {
                        assert!(
                            contents(&events) == contents(&expected),
                            "other events after a pause"
                        );
                    }
                }
            }
        }
    }

    /// `Response` checks the end of a complete body: one member with checksum and length, or whole
    /// frames.
    async fn a_coding_is_complete_when_the_server_shuts_down(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut all = staggered_clients(&server, &cluster, &topic).await;
        for coding in CODINGS {
            all.push(subscribe(&server, coding, &request(coding, "?since=0")).await);
        }
        let mut lines = request("gzip", "").subscribe_ndjson(server.address).await;
        let rest = join_all(all.iter_mut().map(Subscriber::rest));
        let ((), rest) = tokio::join!(server.stop(), rest);
        assert_eq!(
            rest.iter().map(|(_, end)| *end).collect::<Vec<_>>(),
            [End::Complete; 18]
        );
        assert_eq!(
            rest.iter()
                .map(|(events, _)| events.len())
                .collect::<Vec<_>>(),
            [[0; 16].as_slice(), &[8, 8]].concat()
        );
        for subscriber in all {
            let body = String::from_utf8(subscriber.response.body).expect("text");
            assert!(
                body.trim_end()
                    .rsplit("\n\n")
                    .next()
                    .expect("a frame")
                    .starts_with("retry: "),
                "{body}"
            );
        }
        assert_eq!(
            (lines.line_or_end().await, lines.response.end),
            (None, Some(End::Complete))
        );
    }

    async fn a_coding_is_complete_when_its_stream_is_removed(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let settings = settings.stream("other", &[&topic]);
        let server = TestServer::start(
            &cluster,
            &settings
                .clone()
                .key("allowed_streams", "[compressed, other]"),
        )
        .await;
        let all = staggered_clients(&server, &cluster, &topic).await;
        server
            .reconfigure(&settings.key("allowed_streams", "[other]"))
            .await;
        for mut subscriber in all {
            let (events, end) = subscriber.rest().await;
            let last: Vec<_> = events.iter().map(|event| event.event.as_deref()).collect();
            assert_eq!((last, end), (vec![Some("error")], End::Complete));
        }
    }

    /// Without chunks, the body lasts until the connection ends.
    async fn clients_of_http_1_0_get_compression_too(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = Vec::new();
        for coding in CODINGS {
            let old = request(coding, "").http_1_0();
            all.push(Subscriber::lenient(old.send(server.address).await));
        }
        for n in 0..10 {
            producer.produce_many([record(&topic, 0, TIME, n)]).await;
            for subscriber in &mut all {
                assert_eq!(numbers(&subscriber.events(1).await), [n]);
            }
        }
        let ((), rest) = tokio::join!(
            server.stop(),
            join_all(all.iter_mut().map(Subscriber::rest))
        );
        assert_eq!(
            rest.iter()
                .map(|(events, _)| events.len())
                .collect::<Vec<_>>(),
            [0, 0]
        );
        for (subscriber, coding) in all.iter_mut().zip(CODINGS) {
            let response = &mut subscriber.response;
            assert_eq!(
                (
                    response.header("content-encoding"),
                    response.chunk_ends.len()
                ),
                (Some(coding), 0)
            );
            assert_eq!(response.check_coding_complete(), Ok(()));
        }
    }

    /// Each event is a write of its own, the worst case for a compressor.
    async fn single_events_compress_to_less_than_a_third(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut all = join_all(
            ["identity", "gzip", "zstd"]
                .map(async |coding| request(coding, "").subscribe(server.address).await),
        )
        .await;
        let samples = Samples::new(1, 30.0, TIME)
            .filter(|event| event.topic.ends_with("mediawiki.recentchange"));
        for sample in samples.take(300) {
            producer
                .produce_many([NewRecord::new(&topic, 0, sample.timestamp_ms, sample.value)])
                .await;
            join_all(all.iter_mut().map(Subscriber::event)).await;
        }
        let [plain, gzip, zstd] = [0, 1, 2].map(|index| all[index].response.encoded_bytes);
        let percent = |compressed: usize| compressed * 100 / plain;
        println!(
            "300 sample events one by one: {plain} bytes, gzip {} % of them, zstd {} %",
            percent(gzip),
            percent(zstd)
        );
        // The goal of the project.
        assert!(
            gzip * 10 <= plain * 3 && zstd * 10 <= plain * 3,
            "{plain} bytes, gzip {gzip}, zstd {zstd}"
        );
    }
);
