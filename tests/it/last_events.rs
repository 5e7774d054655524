//! `tail`: the last events, then live (docs/protocol.md, "The last events").

use std::ops::Range;

use crate::support::admin::{Cluster, unique};
use crate::support::filtered::{FORMS, Reader, encoded};
use crate::support::numbered::{TIME, now_ms, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Frame;
use crate::support::wire::Request;

/// Two topics of two partitions each, and a stream of both.
async fn two_topics(cluster: &Cluster) -> ([String; 2], Settings) {
    let topics = [unique("eqiad.tail"), unique("codfw.tail")];
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let settings = Settings::default().stream("tail", &[&topics[0], &topics[1]]);
    (topics, settings)
}

/// Numbered records, a millisecond apart, in runs of three in each partition.
async fn produce(cluster: &Cluster, topics: &[String; 2], begin: i64, range: Range<usize>) {
    let spread = |n: usize| {
        let partition = i32::from(n % 12 > 5);
        record(&topics[n / 3 % 2], partition, begin + to_i64(n), n)
    };
    cluster.produce_many("none", range.map(spread)).await;
}

async fn first(server: &TestServer, query: &str, count: usize) -> Vec<usize> {
    let request = Request::get(format!("/v2/stream/tail?{query}"));
    let mut subscriber = request.subscribe(server.address).await;
    let is_last = |count: usize| {
        let mut seen = 0;
        move |frame: &Frame| {
            seen += usize::from(frame.event.as_deref() == Some("message"));
            seen == count
        }
    };
    let mut frames = subscriber.events_until(is_last(count)).await;
    frames.retain(|frame| frame.event.as_deref() == Some("message"));
    numbers(&frames)
}

/// All events of a stream that ends.
async fn all(server: &TestServer, query: &str) -> Vec<usize> {
    let request = Request::get(format!("/v2/stream/tail?{query}"));
    let (mut frames, _) = request.subscribe(server.address).await.rest().await;
    frames.retain(|frame| frame.event.as_deref() == Some("message"));
    numbers(&frames)
}

on_both_brokers!(
    /// Half of the records are in Kafka only.
    async fn the_last_events_come_in_order_of_time_and_then_live(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        produce(&cluster, &topics, TIME, 0..60).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, TIME, 60..120).await;
        let mut live = Vec::new();
        for tail in [1, 5, 59, 60, 61, 100, 119, 120, 121, 10_000] {
            let expected: Vec<_> = (120_usize.saturating_sub(tail)..120).collect();
            let query = format!("tail={tail}");
            assert_eq!(
                first(&server, &query, expected.len()).await,
                expected,
                "{query}"
            );
            let path = format!("/v2/stream/tail?{query}");
            for form in FORMS {
                let mut reader = Reader::open(&path, form, true, server.address).await;
                let data = reader.data(expected.len()).await;
                assert!(
                    data[0].contains(&format!("\"n\":{},", expected[0])),
                    "{}",
                    data[0]
                );
                live.push(reader);
            }
        }
        produce(&cluster, &topics, TIME, 120..121).await;
        for reader in &mut live {
            assert!(reader.data(1).await[0].contains("\"n\":120,"));
        }
    }

    async fn what_memory_has_is_not_read_from_kafka(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, TIME, 0..60).await;
        first(&server, "since=0", 60).await;
        let before = server.metric("eventstreams_replay_reads_total").await;
        assert_eq!(
            first(&server, "tail=30", 30).await,
            (30..60).collect::<Vec<_>>()
        );
        assert_eq!(
            server.metric("eventstreams_replay_reads_total").await,
            before
        );
    }

    async fn only_events_that_match_count(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        produce(&cluster, &topics, TIME, 0..300).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, TIME, 300..400).await;
        for (filter, wanted) in [
            ("event.n >= 20 && event.n < 30", 20..30),
            ("event.n < 5", 0..5),
            ("event.n in [7, 399]", 7..8),
        ] {
            let filter = encoded(filter);
            let mut expected: Vec<_> = wanted.collect();
            if expected == [7] {
                expected.push(399);
            }
            for tail in 1..expected.len() + 2 {
                let expected = &expected[expected.len().saturating_sub(tail)..];
                let query = format!("tail={tail}&filter={filter}");
                assert_eq!(
                    first(&server, &query, expected.len()).await,
                    expected,
                    "{query}"
                );
            }
        }
        assert_eq!(first(&server, "tail=3&fields=n", 3).await, [397, 398, 399]);
    }

    async fn a_stream_of_the_last_events_can_end(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        produce(&cluster, &topics, TIME, 0..60).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, TIME, 60..120).await;
        // Later than any grace.
        produce(&cluster, &topics, TIME + 60_000, 120..140).await;
        assert_eq!(
            all(&server, "tail=5&limit=5").await,
            [135, 136, 137, 138, 139]
        );
        assert_eq!(all(&server, "tail=5&limit=2").await, [135, 136]);
        for end in [20, 70, 119] {
            let query = format!("tail=7&until={}", TIME + to_i64(end));
            assert_eq!(
                all(&server, &query).await,
                (end - 7..end).collect::<Vec<_>>(),
                "{query}"
            );
        }
        let query = format!("tail=200&until={}", TIME + 30);
        assert_eq!(all(&server, &query).await, (0..30).collect::<Vec<_>>());
        let query = format!("tail=3&until={}", now_ms() - 60_000);
        assert_eq!(all(&server, &query).await, [137, 138, 139]);
    }

    /// `EventSource` reconnects with the same URL and the id of its last event.
    async fn a_client_that_comes_back_goes_on_from_its_id(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, TIME, 0..40).await;
        let request = Request::get("/v2/stream/tail?tail=20");
        first(&server, "since=0", 40).await;
        let events = request.subscribe(server.address).await.events(20).await;
        let id = events[4].id.as_deref().expect("an id");
        let mut again = request
            .clone()
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        assert_eq!(
            numbers(&again.events(15).await),
            (25..40).collect::<Vec<_>>()
        );
        produce(&cluster, &topics, TIME, 40..41).await;
        assert_eq!(numbers(&again.events(1).await), [40]);
    }

    async fn nothing_is_the_last_of_an_empty_stream(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/tail?tail=20");
        let mut subscriber = request.subscribe(server.address).await;
        produce(&cluster, &topics, TIME, 0..1).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
    }
);
