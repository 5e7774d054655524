//! Permits for replays: limited per client, shared fairly, and withdrawn from clients that do not
//! read.

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, numbers, padded_record};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::{Request, Response};

const RUNNING: &str = "eventstreams_replays_running";
const WAITING: &str = "eventstreams_replays_waiting";

/// Records of 24 megabytes in all, more than the sockets of a client that does not read can hold.
const COUNT: usize = 3000;

/// A stream with a long history, which the server no longer has in memory.
async fn server_with_history(
    cluster: &Cluster,
    permits: usize,
    per_client: usize,
    queue: usize,
) -> TestServer {
    let topic = unique("eqiad.past");
    cluster.create_topic(&topic, 1).await;
    cluster
        .produce_many(
            "lz4",
            (0..COUNT).map(|n| padded_record(&topic, TIME, n, 8000)),
        )
        .await;
    let settings = Settings::default()
        .stream("past", &[&topic])
        .key("memory_log_bytes_max", "1048576")
        .key("replay_places_max", &permits.to_string())
        .key("replay_places_per_client_max", &per_client.to_string())
        .key("replay_queue_max", &queue.to_string());
    TestServer::start(cluster, &settings).await
}

fn from(client: &str) -> Request {
    Request::get("/v2/stream/past?since=0").header("X-Client-IP", client)
}

/// Starts a replay and stops reading. The socket holds little.
async fn start_stalled_replay(server: &TestServer, client: &str) -> Response {
    let response = from(client)
        .try_send(server.address, 4096)
        .await
        .expect("a response");
    assert_eq!(response.status, 200, "{}", response.received());
    response
}

async fn wait_for_metric(server: &TestServer, metric: &str, value: u64) {
    eventually(format!("{metric} to be {value}"), async || {
        (server.metric(metric).await == value).then_some(())
    })
    .await;
}

async fn check_all_events(mut subscriber: Subscriber) {
    assert_eq!(
        numbers(&subscriber.events(COUNT).await),
        (0..COUNT).collect::<Vec<_>>()
    );
}

on_both_brokers!(
    async fn one_client_cannot_take_all_permits(cluster: Cluster) {
        let server = server_with_history(&cluster, 3, 2, 10).await;
        let mut own = Vec::new();
        for expected in [1, 2, 2] {
            own.push(start_stalled_replay(&server, "192.0.2.1").await);
            wait_for_metric(&server, RUNNING, expected).await;
        }
        wait_for_metric(&server, WAITING, 1).await;
        // Another address is served at once, although a replay waits: no comment about waiting
        // arrives.
        let mut other = from("192.0.2.2").subscribe(server.address).await;
        assert_eq!(
            numbers(&other.events(COUNT).await),
            (0..COUNT).collect::<Vec<_>>()
        );
        assert!(
            !other
                .comments
                .iter()
                .any(|comment| comment.contains("waiting")),
            "{:?}",
            other.comments
        );
        assert_eq!(server.metric("eventstreams_replays_refused_total").await, 0);
    }

    async fn a_client_that_does_not_read_loses_only_its_permit(cluster: Cluster) {
        let server = server_with_history(&cluster, 1, 1, 10).await;
        let stalled = start_stalled_replay(&server, "192.0.2.1").await;
        wait_for_metric(&server, RUNNING, 1).await;
        let mut other = from("192.0.2.2").subscribe(server.address).await;
        other
            .comment("waiting to replay history, 1 in the queue")
            .await;
        check_all_events(other).await;
        // It reads again: every event arrives once.
        check_all_events(Subscriber::new(stalled)).await;
        assert_eq!(
            server
                .metric("eventstreams_subscribers_fallen_behind_total")
                .await,
            0
        );
    }

    async fn only_the_client_that_fills_the_queue_is_refused(cluster: Cluster) {
        let server = server_with_history(&cluster, 1, 1, 2).await;
        let mut stalled = Vec::new();
        let mut refused = eventually("a refusal", async || {
            let response = from("192.0.2.1")
                .try_send(server.address, 4096)
                .await
                .expect("a response");
            if response.status == 503 {
                Some(response)
            } else {
                stalled.push(response);
                None
            }
        })
        .await;
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert_eq!(refused.json().await["type"], "unavailable");
        assert!(server.metric("eventstreams_replays_refused_total").await >= 1);
        check_all_events(from("192.0.2.2").subscribe(server.address).await).await;
    }
);
