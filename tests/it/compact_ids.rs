//! Compact ids: accepted back wherever an id is, and used where JSON would be long
//! (docs/protocol.md, "Compact ids").

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::support::admin::{Cluster, unique};
use crate::support::numbered::{TIME, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, Subscriber};
use crate::support::wire::Request;

/// Two topics of two partitions, and a stream of both.
async fn two_topics(cluster: &Cluster) -> ([String; 2], Settings) {
    let topics = [unique("eqiad.compact"), unique("codfw.compact")];
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let settings = Settings::default().stream("compact", &[&topics[0], &topics[1]]);
    (topics, settings)
}

async fn produce(cluster: &Cluster, topics: &[String; 2], numbers: std::ops::Range<usize>) {
    let records = numbers.map(|n| {
        let partition = i32::from(n % 4 > 1);
        record(&topics[n % 2], partition, TIME + to_i64(n), n)
    });
    cluster.produce_many("none", records).await;
}

fn is_token(id: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.starts_with("c1.") && id.bytes().all(is_unreserved)
}

/// Fails unless these are the first `count` events, each once.
fn assert_all(parts: &[&[Frame]], count: usize) {
    let mut all: Vec<_> = parts.iter().flat_map(|part| numbers(part)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

async fn resumed(server: &TestServer, query: &str, id: &str) -> [Subscriber; 2] {
    let stream = "/v2/stream/compact";
    let by_header = Request::get(format!("{stream}?{query}")).last_event_id(id);
    let encoded = percent_encode(id.as_bytes(), NON_ALPHANUMERIC);
    let by_query = Request::get(format!("{stream}?{query}&lastEventId={encoded}"));
    [
        by_header.subscribe(server.address).await,
        by_query.subscribe(server.address).await,
    ]
}

on_both_brokers!(
    /// By another server of the same streams too, and whatever form the client wants next.
    async fn a_compact_id_goes_on_after_its_event_on_any_server(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        produce(&cluster, &topics, 0..20).await;
        let server = TestServer::start(&cluster, &settings).await;
        let other = TestServer::start(&cluster, &settings).await;
        let path = "/v2/stream/compact?since=0&ids=compact";
        let mut subscriber = Request::get(path).subscribe(server.address).await;
        let mut events = subscriber.events(20).await;
        produce(&cluster, &topics, 20..40).await;
        events.extend(subscriber.events(20).await);
        for at in [0, 7, 18, 19, 25, 38] {
            let id = events[at].id.as_deref().expect("an id");
            assert!(is_token(id), "{id}");
            for server in [&server, &other] {
                for (query, is_compact) in [("ids=compact", true), ("", false)] {
                    for mut subscriber in resumed(server, query, id).await {
                        let rest = subscriber.events(39 - at).await;
                        assert_all(&[&events[..=at], &rest], 40);
                        let id = rest[0].id.as_deref().expect("an id");
                        assert_eq!(is_token(id), is_compact, "{id}");
                        assert_eq!(id.starts_with('['), !is_compact, "{id}");
                        let [mut from_here, _] = resumed(server, "ids=compact", id).await;
                        let last = from_here.events(38 - at).await;
                        assert_all(&[&events[..=at], &rest[..1], &last], 40);
                    }
                }
            }
        }
    }

    async fn the_ids_of_all_frames_are_compact(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        produce(&cluster, &topics, 0..20).await;
        let server = TestServer::start(&cluster, &settings.key("heartbeat_ms", "1000")).await;
        let path = "/v2/stream/compact?ids=compact&filter=event.n%3E4";
        let mut ended = Request::get(format!("{path}&since=0&limit=3"))
            .subscribe(server.address)
            .await;
        let (frames, _) = ended.rest().await;
        let ids = |name: &str| -> Vec<String> {
            let named = |frame: &&Frame| frame.event.as_deref() == Some(name);
            let ids = frames
                .iter()
                .filter(named)
                .filter_map(|frame| frame.id.clone());
            ids.collect()
        };
        let (events, ends) = (ids("message"), ids("end"));
        assert_eq!((events.len(), ends.len()), (3, 1));
        assert!(!ids("progress").is_empty());
        for id in [ids("progress"), events, ends.clone()].concat() {
            assert!(is_token(&id), "{id}");
        }
        let mut next = Request::get(path)
            .last_event_id(&ends[0])
            .subscribe(server.address)
            .await;
        let is_message = |frame: &Frame| frame.event.as_deref() == Some("message");
        let frames = next.events_until(is_message).await;
        assert_eq!(numbers(&frames[frames.len() - 1..]), [8]);
    }

    /// Each id is accepted back. Where a head has no room for them, the stream is refused.
    async fn six_hundred_partitions_have_compact_ids(cluster: Cluster) {
        let topics = [unique("eqiad.many"), unique("codfw.many")];
        for topic in &topics {
            cluster.create_topic(topic, 300).await;
        }
        let settings = Settings::default()
            .stream("compact", &[&topics[0], &topics[1]])
            .stream("one", &[&topics[0]]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/compact")
            .subscribe(server.address)
            .await;
        let spread = |n: usize| {
            record(
                &topics[n % 2],
                299 - i32::try_from(n).expect("few"),
                TIME,
                n,
            )
        };
        cluster.produce_many("none", (0..5).map(spread)).await;
        let events = subscriber.events(5).await;
        for (at, event) in events.iter().enumerate() {
            let id = event.id.as_deref().expect("an id");
            assert!(
                is_token(id) && id.len() < 6 * 1024,
                "{} bytes: {id}",
                id.len()
            );
            for mut subscriber in resumed(&server, "", id).await {
                let rest = subscriber.events(4 - at).await;
                assert_all(&[&events[..=at], &rest], 5);
            }
        }

        let small =
            TestServer::start(&cluster, &settings.key("request_head_bytes_max", "8192")).await;
        for method in ["GET", "HEAD"] {
            let request = Request::new(method, "/v2/stream/compact");
            assert_eq!(request.send(small.address).await.status, 400, "{method}");
        }
        let mut refused = Request::get("/v2/stream/compact").send(small.address).await;
        let body = refused.json().await;
        assert_eq!(body["type"], "too_many_partitions", "{body}");
        let detail = body["detail"].as_str().expect("text");
        assert!(
            detail.contains("600 partitions") && detail.contains("fewer streams"),
            "{detail}"
        );
        Request::get("/v2/stream/compact")
            .subscribe_ndjson(small.address)
            .await;
        Request::get("/v2/stream/one")
            .subscribe(small.address)
            .await;
    }
);
