//! How streams open, stay open and end: methods, heartbeats, disconnects, shutdown.

use super::assert_headers;
use crate::support::admin::unique;
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, numbers, record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{End, Request, exchange};

async fn wait_until_slot_is_free(server: &TestServer, stream: &str) {
    let sample = format!("eventstreams_connected_clients{{stream=\"{stream}\"}}");
    eventually(format!("{sample} to be 0"), async || {
        (server.metric(&sample).await == 0).then_some(())
    })
    .await;
}

on_both_brokers!(
    async fn a_head_request_ends_at_once_and_takes_no_slot(cluster: Cluster) {
        let topic = unique("eqiad.methods");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("methods", &[&topic])
            .key("client_ip_connection_limit", "1");
        let server = TestServer::start(&cluster, &settings).await;
        let with_ip = |method: &str| {
            Request::new(method, "/v2/stream/methods").header("X-Client-IP", "192.0.2.1")
        };
        let head = with_ip("HEAD").send(server.address).await;
        assert_eq!(head.status, 200);
        assert_headers(&head);
        // The closed connection shows that no stream follows the headers. The address keeps its
        // only slot.
        let answer = exchange(
            server.address,
            with_ip("HEAD").header("Connection", "close").head(),
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
        assert_eq!(with_ip("GET").send(server.address).await.status, 200);
        assert_eq!(
            server
                .metric("eventstreams_client_connections_total{stream=\"methods\"}")
                .await,
            1
        );
    }

    async fn preflight_requests_and_other_methods_get_no_stream(cluster: Cluster) {
        let topic = unique("eqiad.methods");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("methods", &[&topic])
            .key("client_ip_connection_limit", "1");
        let server = TestServer::start(&cluster, &settings).await;
        let preflight = Request::new("OPTIONS", "/v2/stream/methods")
            .header("Origin", "https://example.org")
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "last-event-id");
        let preflight = preflight.send(server.address).await;
        assert_eq!(preflight.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
            (
                "access-control-allow-headers",
                "accept, x-requested-with, content-type, last-event-id",
            ),
            ("access-control-max-age", "86400"),
            ("allow", "GET, HEAD, OPTIONS"),
        ] {
            assert_eq!(preflight.header(name), Some(value), "{name}");
        }
        // A client library adds headers: none of them must keep a page out.
        let preflight = Request::new("OPTIONS", "/v2/stream/methods")
            .header(
                "Access-Control-Request-Headers",
                "Cache-Control, x-trace,last-event-id, b@d",
            )
            .header("Access-Control-Request-Headers", "authorization");
        let preflight = preflight.send(server.address).await;
        let allowed = "accept, x-requested-with, content-type, last-event-id, cache-control, \
                       x-trace, authorization";
        assert_eq!(
            (
                preflight.status,
                preflight.header("access-control-allow-headers")
            ),
            (204, Some(allowed))
        );
        assert_eq!(
            preflight.header("vary"),
            Some("access-control-request-headers")
        );
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            let mut refused = Request::new(method, "/v2/stream/methods")
                .send(server.address)
                .await;
            assert_eq!(
                (refused.status, refused.header("allow")),
                (405, Some("GET, HEAD, OPTIONS")),
                "{method}"
            );
            assert_eq!(refused.json().await["type"], "method_not_allowed");
        }
    }

    async fn a_quiet_stream_sends_heartbeats(cluster: Cluster) {
        let topic = unique("eqiad.silence");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("silence", &[&topic])
            .key("heartbeat_ms", "100");
        let server = TestServer::start(&cluster, &settings).await;
        let frames = Request::get("/v2/stream/silence")
            .send(server.address)
            .await;
        assert_eq!(frames.cut_at(11).await, b":ok\n\n:\n\n:\n\n");
        let lines = Request::get("/v2/stream/silence")
            .header("Accept", "application/json")
            .send(server.address)
            .await;
        assert_eq!(lines.cut_at(3).await, b"\n\n\n");
        assert!(server.metric("eventstreams_heartbeats_total").await >= 4);
        let mut subscriber = Request::get("/v2/stream/silence")
            .subscribe(server.address)
            .await;
        while subscriber.response.body.len() < 11 {
            assert!(subscriber.response.read_more("two heartbeats").await);
        }
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(
            numbers(&subscriber.events(1).await),
            [0],
            "a heartbeat costs no event"
        );
    }

    async fn a_client_that_disappears_frees_its_slot(cluster: Cluster) {
        let topic = unique("eqiad.gone");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("gone", &[&topic])).await;
        let sample = "eventstreams_connected_clients{stream=\"gone\"}";
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(
                Request::get("/v2/stream/gone")
                    .subscribe(server.address)
                    .await,
            );
        }
        assert_eq!(server.metric(sample).await, 5);
        // Heartbeats are far apart, so the server notices the end of the connection, not a failed
        // write.
        drop(open);
        wait_until_slot_is_free(&server, "gone").await;
        eventually("all feeds to go", async || {
            (server.metric("eventstreams_feeds").await == 0).then_some(())
        })
        .await;
        assert_eq!(
            server
                .metric("eventstreams_client_connections_total{stream=\"gone\"}")
                .await,
            5
        );
        assert_eq!(
            server
                .metric("eventstreams_streams_closed_total{reason=\"client_gone\"}")
                .await,
            5
        );
    }

    async fn a_shutdown_ends_streams_completely(cluster: Cluster) {
        let topic = unique("eqiad.leaving");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("leaving", &[&topic])).await;
        let mut frames = Request::get("/v2/stream/leaving")
            .subscribe(server.address)
            .await;
        let mut lines = Request::get("/v2/stream/leaving")
            .subscribe_ndjson(server.address)
            .await;
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&frames.events(1).await), [0]);
        assert_eq!(lines.events(1).await[0]["n"], 0);
        server.stop().await;
        let (events, end) = frames.rest().await;
        assert_eq!((events.len(), end), (0, End::Complete));
        let text = String::from_utf8_lossy(&frames.response.body).into_owned();
        let (_, retry) = text
            .rsplit_once("\n\nretry: ")
            .unwrap_or_else(|| panic!("no last retry in {text}"));
        let ms: u64 = retry.trim_end().parse().expect("milliseconds");
        assert!((500..3000).contains(&ms), "{ms}");
        assert_eq!(lines.line_or_end().await, None);
        assert_eq!(lines.response.end, Some(End::Complete));
    }
);
