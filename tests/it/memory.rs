//! The memory budget for clients: what counts, which clients are disconnected, and what new clients
//! are refused with.

use std::net::SocketAddr;

use futures_util::future::join_all;

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, numbers, padded_record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, Response};

const BUDGET_BYTES: u64 = 16 << 20;

/// A server with a budget so small that a test can use it up. The stream `s0` has the first topic,
/// and so on.
async fn server(cluster: &Cluster, topics: &[String], keys: &[(&str, &str)]) -> TestServer {
    let mut settings = Settings::default();
    for (number, topic) in topics.iter().enumerate() {
        settings = settings.stream(&format!("s{number}"), &[topic]);
    }
    let budget = [
        ("memory_bytes_max", "16777216"),
        ("event_bytes_max", "1048576"),
    ];
    let is_given = |wanted: &str| keys.iter().any(|(key, _)| *key == wanted);
    let keys = keys
        .iter()
        .chain(budget.iter().filter(|(key, _)| !is_given(key)));
    let settings = keys.fold(settings, |settings, (key, value)| settings.key(key, value));
    TestServer::start(cluster, &settings).await
}

async fn topics<const N: usize>(cluster: &Cluster) -> [String; N] {
    let topics = std::array::from_fn(|_| unique("eqiad.s"));
    for topic in &topics {
        cluster.create_topic(topic, 1).await;
    }
    topics
}

async fn bytes_used(server: &TestServer, kind: &str) -> u64 {
    server
        .metric(&format!(
            "eventstreams_memory_used_bytes{{kind=\"{kind}\"}}"
        ))
        .await
}

/// A different set of streams for each number.
fn stream_set(number: usize, streams: usize) -> String {
    let names = (0..streams)
        .filter(|stream| number >> stream & 1 == 1)
        .map(|stream| format!("s{stream}"));
    format!("/v2/stream/{}", names.collect::<Vec<_>>().join(","))
}

/// Opens a stream from the start of its log and reads only its head.
async fn stalled(address: SocketAddr, topic: &str) -> Option<Response> {
    let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":-2}}]"#);
    Request::get("/v2/stream/s0")
        .last_event_id(id)
        .try_send(address, 4096)
        .await
}

on_both_brokers!(
    /// Each set of streams costs a feed. A bounded number fits, then a refusal gives the reason.
    async fn new_streams_are_refused_while_the_budget_is_used_up(cluster: Cluster) {
        let topics: [String; 11] = topics(&cluster).await;
        let server = server(&cluster, &topics, &[]).await;
        assert_eq!(
            server.metric("eventstreams_memory_budget_bytes").await,
            BUDGET_BYTES
        );
        let (mut open, mut refused) = (Vec::new(), None);
        for number in 1..1 << 11 {
            let response = Request::get(stream_set(number, 11))
                .send(server.address)
                .await;
            if response.status == 200 {
                open.push(response);
            } else {
                refused = Some(response);
                break;
            }
        }
        let mut refused =
            refused.unwrap_or_else(|| panic!("{} sets of streams and no refusal", open.len()));
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("5")),
            "after {}",
            open.len()
        );
        let problem = refused.json().await;
        assert_eq!(problem["type"], "unavailable");
        assert!(
            problem["detail"]
                .as_str()
                .expect("a detail")
                .contains("no memory for another stream"),
            "{problem}"
        );
        assert_eq!(server.metric("eventstreams_memory_refusals_total").await, 1);
        let (feeds, streams) = (
            bytes_used(&server, "feeds").await,
            bytes_used(&server, "streams").await,
        );
        assert!(
            feeds + streams <= BUDGET_BYTES && feeds > 8192 * open.len() as u64,
            "{feeds} {streams} of {} sets",
            open.len()
        );

        drop(open);
        eventually("room for another", async || {
            (Request::get("/v2/stream/s0")
                .send(server.address)
                .await
                .status
                == 200)
                .then_some(())
        })
        .await;
        eventually("the memory to be released", async || {
            (bytes_used(&server, "feeds").await < 20_000).then_some(())
        })
        .await;
    }

    /// The rings of many feeds together take as much as those of a few.
    async fn rings_of_many_feeds_share_half_of_the_budget(cluster: Cluster) {
        let topics: [String; 6] = topics(&cluster).await;
        let server = server(&cluster, &topics, &[]).await;
        let mut readers = Vec::new();
        // All sets that contain `s0`.
        for number in (1..1 << 6).step_by(2) {
            readers.push(
                Request::get(stream_set(number, 6))
                    .subscribe(server.address)
                    .await,
            );
        }
        let producer = cluster.producer("none");
        let mut most = 0;
        for round in 0..10 {
            producer
                .produce_many(
                    (round * 20..round * 20 + 20)
                        .map(|n| padded_record(&topics[0], TIME, n, 10_000)),
                )
                .await;
            let expected: Vec<_> = (round * 20..round * 20 + 20).collect();
            for got in join_all(readers.iter_mut().map(|reader| reader.events(20))).await {
                assert_eq!(numbers(&got), expected);
            }
            most = most.max(bytes_used(&server, "feeds").await);
        }
        // Each of 32 feeds got two megabytes; at most one is kept for each.
        assert!(most <= BUDGET_BYTES / 2 + (1 << 20), "{most} bytes");
        assert!(
            most > BUDGET_BYTES / 4,
            "{most} bytes: hardly any event was kept"
        );
    }

    /// Short of memory, the server disconnects a client that reads nothing. A client that reads
    /// gets everything.
    async fn clients_that_read_nothing_yield_to_those_that_read(cluster: Cluster) {
        let [topic] = topics(&cluster).await;
        // More than the kernel buffers for each client.
        cluster
            .producer("none")
            .produce_many((0..6).map(|n| padded_record(&topic, TIME, n, 900_000)))
            .await;
        let server = server(
            &cluster,
            std::slice::from_ref(&topic),
            &[("write_timeout_ms", "3600000")],
        )
        .await;
        let mut held = Vec::new();
        eventually("a disconnected client", async || {
            held.push(stalled(server.address, &topic).await);
            (server.metric("eventstreams_memory_disconnects_total").await > 0).then_some(())
        })
        .await;
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":-2}}]"#);
        let mut reader = eventually("a stream for a client that reads", async || {
            let response = Request::get("/v2/stream/s0")
                .last_event_id(id.clone())
                .send(server.address)
                .await;
            (response.status == 200).then(|| crate::support::sse::Subscriber::new(response))
        })
        .await;
        assert_eq!(numbers(&reader.events(6).await), [0, 1, 2, 3, 4, 5]);
        let gone = "eventstreams_streams_closed_total{reason=\"memory_short\"}";
        eventually("their streams to be closed", async || {
            (server.metric(gone).await > 0).then_some(())
        })
        .await;
        let all = join_all(
            ["feeds", "replays", "unwritten", "coders", "streams"]
                .map(|kind| bytes_used(&server, kind)),
        )
        .await;
        assert!(all.iter().sum::<u64>() <= BUDGET_BYTES, "{all:?}");
    }

    /// Each client holds more than its share of the budget for a while, and all finish
    /// nevertheless.
    async fn many_concurrent_replays_of_large_events_finish(cluster: Cluster) {
        let [topic] = topics(&cluster).await;
        cluster
            .producer("none")
            .produce_many((0..6).map(|n| padded_record(&topic, TIME, n, 900_000)))
            .await;
        let server = server(&cluster, std::slice::from_ref(&topic), &[]).await;
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":-2}}]"#);
        let read = async || {
            let response = eventually("a free stream", async || {
                let response = Request::get("/v2/stream/s0")
                    .last_event_id(id.clone())
                    .send(server.address)
                    .await;
                (response.status == 200).then_some(response)
            });
            numbers(
                &crate::support::sse::Subscriber::new(response.await)
                    .events(6)
                    .await,
            )
        };
        for got in join_all((0..20).map(|_| read())).await {
            assert_eq!(got, [0, 1, 2, 3, 4, 5]);
        }
    }

    /// The data fetched for a replay is bounded as a whole, not for each partition.
    async fn a_replay_of_many_topics_needs_no_more_memory_than_of_one(cluster: Cluster) {
        let topics: [String; 8] = topics(&cluster).await;
        for topic in &topics {
            cluster
                .producer("none")
                .produce_many((0..30).map(|n| padded_record(topic, TIME, n, 100_000)))
                .await;
        }
        let server = server(
            &cluster,
            &topics,
            &[
                ("memory_bytes_max", "1073741824"),
                ("live_reach_back_ms", "0"),
            ],
        )
        .await;
        let entries = topics
            .iter()
            .map(|topic| format!(r#"{{"topic":"{topic}","partition":0,"offset":-2}}"#));
        let id = format!("[{}]", entries.collect::<Vec<_>>().join(","));
        let response = Request::get(stream_set((1 << 8) - 1, 8))
            .last_event_id(id)
            .try_send(server.address, 4096)
            .await;
        // The client reads nothing, so the fetched data stays and its size settles.
        let (mut most, mut settled) = (0, 0);
        eventually("what is fetched to settle", async || {
            let bytes = bytes_used(&server, "replays").await;
            settled = if bytes > 1 << 20 && bytes <= most {
                settled + 1
            } else {
                0
            };
            most = most.max(bytes);
            (settled > 20).then_some(())
        })
        .await;
        // Four megabytes, and one event of each partition.
        assert!(most <= (4 << 20) + 8 * 110_000, "{most} bytes");
        drop(response);
        eventually("nothing to be held", async || {
            (bytes_used(&server, "replays").await == 0).then_some(())
        })
        .await;
    }
);
